import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('templates', () => {
  let t: TestLoci
  let model: ScriptedModel
  before(async () => {
    model = await startScriptedModel()
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  const anAgent = (more: Partial<Letta.AgentCreateParams> = {}) =>
    t.letta.agents.create({
      name: 'sample',
      model: SCRIPTED,
      memory_blocks: [
        { label: 'human', value: 'Her name is {{name}}, from {{ city }}.', limit: 5000 },
        { label: 'persona', value: 'I help.', read_only: true, description: 'Who I am' },
      ],
      ...more,
    })
  let made = 0
  async function aTemplate(more: Partial<Letta.AgentCreateParams> = {}): Promise<string> {
    const { id } = await anAgent(more)
    const name = `template-${++made}`
    await t.letta.templates.create({ type: 'agent', agent_id: id, name })
    return name
  }
  const fromTemplate = async (name: string, body: Letta.Templates.AgentCreateParams = {}) => {
    const { agent_ids, deployment_id } = await t.letta.templates.agents.create(name, body)
    return { id: agent_ids[0] ?? '', agent_ids, deployment_id }
  }
  const whole = (id: string) =>
    t.letta.agents.retrieve(id, {
      include: ['agent.blocks', 'agent.tools', 'agent.tags', 'agent.secrets', 'agent.managed_group'],
    })
  const ask = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await t.http(method, path, body)
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`)
    return answer.body as T
  }
  /** Changes the working version as its snapshot shows it. */
  async function change(
    name: string,
    by: (shown: { agents: Record<string, unknown>[]; blocks: Record<string, unknown>[] }) => object,
  ): Promise<void> {
    const at = `/v1/templates/default-project/${name}:current/snapshot`
    await ask('PUT', at, by(await ask('GET', at)))
  }

  it('make agents that have all of it and share nothing but tools', async () => {
    const { id: tool_id } = await t.letta.tools.create({
      source_code:
        'def greet(name: str) -> str:\n    """Greets.\n\n    Args:\n        name: Whom.\n    """\n    return name\n',
    })
    const sample = await anAgent({
      system: 'You are brief.',
      description: 'Helps',
      tool_ids: [tool_id],
      tool_rules: [{ type: 'exit_loop', tool_name: 'greet' }],
      tags: ['support'],
      timezone: 'Europe/Berlin',
      context_window_limit: 9000,
      model_settings: { provider_type: 'openai', temperature: 0.2 },
      response_format: { type: 'json_object' },
      secrets: { TOKEN: 'not for others' },
      metadata: { team: 'a' },
    })
    await t.letta.templates.create({ type: 'agent', agent_id: sample.id, name: 'whole' })
    const [one, two] = [await fromTemplate('whole'), await fromTemplate('whole', { agent_name: 'Two' })]
    const [before, agent, other] = [await whole(sample.id), await whole(one.id), await whole(two.id)]
    const taken = (state: Letta.AgentState) => ({
      system: state.system,
      agent_type: state.agent_type,
      description: state.description,
      model: state.model,
      llm_config: state.llm_config,
      model_settings: state.model_settings,
      compaction_settings: state.compaction_settings,
      response_format: state.response_format,
      tool_rules: state.tool_rules,
      timezone: state.timezone,
      metadata: state.metadata,
      max_files_open: state.max_files_open,
      tags: state.tags,
      tools: state.tools.map(({ id }) => id),
      blocks: state.blocks.map(({ label, value, limit, read_only, description }) => ({
        label,
        value,
        limit,
        read_only,
        description,
      })),
    })
    assert.deepEqual(taken(agent), taken(before))
    assert.equal(other.name, 'Two')
    assert.notEqual(agent.name, before.name)
    assert.deepEqual(agent.secrets, [], 'values of secrets are nobody else’s')
    const ids = [before, agent, other].flatMap(({ blocks }) => blocks.map(({ id }) => id))
    assert.equal(new Set(ids).size, 6)
    assert.deepEqual(
      (await t.letta.agents.list({ base_template_id: agent.base_template_id ?? '' })).items.length,
      2,
    )
    assert.deepEqual(
      [agent.deployment_id, agent.blocks[0]?.deployment_id],
      [one.deployment_id, one.deployment_id],
    )
    model.add({ reply: { text: '{"hello": true}' } })
    const answer = await t.letta.agents.messages.create(one.id, { input: 'Hello' })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
  })

  it('fill variables once, leave unknown ones, and keep them for the next version', async () => {
    const name = await aTemplate()
    const memory_variables = { name: '{{city}}', more: 'unused' }
    const { id, deployment_id } = await fromTemplate(name, { memory_variables })
    const human = async () => (await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value
    assert.equal(await human(), 'Her name is {{city}}, from {{ city }}.')
    await ask('POST', `/v1/templates/p/${name}/deployments/${deployment_id}/migrate`, {
      version: '1',
      memory_variables: { name: 'Ada', city: 'London' },
    })
    assert.equal(await human(), 'Her name is Ada, from London.')
    const { variables } = await ask<{ variables: object }>('GET', `/v1/agents/${id}/core-memory/variables`)
    assert.deepEqual(variables, { name: 'Ada', city: 'London', more: 'unused' })
    const plain = await anAgent()
    assert.deepEqual(await ask('GET', `/v1/agents/${plain.id}/core-memory/variables`), { variables: {} })
    const missing = await t.http('GET', `/v1/agents/agent-${crypto.randomUUID()}/core-memory/variables`)
    assert.deepEqual(missing.body, { detail: 'Agent not found' })
  })

  it('are named in V1 by the older from_template too, with what they leave open', async () => {
    const name = await aTemplate()
    const made = await t.letta.agents.create({
      from_template: `${name}:latest`,
      name: 'older',
      memory_variables: { name: 'Ada' },
      tags: ['new'],
      secrets: { KEY: 'v' },
    })
    const { blocks, tags, secrets, deployment_id, ...agent } = await whole(made.id)
    const human = blocks.find(({ label }) => label === 'human')
    assert.deepEqual(
      [agent.name, agent.model, human?.value, tags, secrets?.map(({ key }) => key)],
      ['older', SCRIPTED, 'Her name is Ada, from {{ city }}.', ['new'], ['KEY']],
    )
    assert.match(deployment_id ?? '', /^deployment-/)
    for (const [status, body, words] of [
      [422, { from_template: name, system: 'Mine', model: SCRIPTED }, /body\.system, body\.model: .*PATCH/],
      [404, { from_template: 'nothing' }, /nothing/],
      [404, { from_template: `${name}:7` }, /no version 7/],
      [
        422,
        { model: SCRIPTED, memory_variables: { name: 'Ada' } },
        /body\.memory_variables: .*from_template/,
      ],
    ] as const) {
      const answer = await t.http('POST', '/v1/agents/', body)
      assert.equal(answer.status, status)
      assert.match(JSON.stringify(answer.body), words)
    }
    const plain = await t.letta.agents.create({ model: SCRIPTED, memory_variables: {} })
    assert.equal(plain.deployment_id, null)
  })

  it('bring all of their agents to a saved version, and say of each what was done', async () => {
    const name = await aTemplate({ tags: ['old'] })
    const [one, two] = [
      await fromTemplate(name, {
        memory_variables: { name: 'Ada' },
        tags: ['mine'],
        tool_variables: { A: '1' },
      }),
      await fromTemplate(name, { memory_variables: { name: 'Eve' } }),
    ]
    await t.letta.agents.blocks.update('persona', { agent_id: one.id, value: 'I learned.' })
    await change(name, ({ agents, blocks }) => ({
      agents: [{ ...agents[0], systemPrompt: 'Version two.', tags: ['new'] }],
      blocks: [
        { ...blocks[0], value: 'She is {{name}}.' },
        { label: 'rules', value: 'Be kind.' },
      ],
    }))
    const kept = await t.letta.templates.save(name, {
      migrate_agents: true,
      preserve_core_memories_on_migration: true,
    })
    const told = (
      kept as unknown as { migration: { migrated: number; agents: { done: string }[]; failed: [] } }
    ).migration
    assert.deepEqual([told.migrated, told.failed], [2, []])
    assert.equal(told.agents[0]?.done, 'from version 1 to version 2; blocks made: rules; blocks kept: human')
    const values = async (id: string) =>
      Object.fromEntries((await whole(id)).blocks.map(({ label, value }) => [label, value]))
    assert.deepEqual(await values(one.id), {
      human: 'Her name is Ada, from {{ city }}.',
      persona: 'I learned.',
      rules: 'Be kind.',
    })
    const saved = await t.letta.templates.save(name, {
      migrate_agents: true,
      block_reconciliation_strategy: 'reconcile-all',
    })
    assert.equal(saved.latest_version, '3')
    assert.deepEqual(await values(one.id), { human: 'She is Ada.', rules: 'Be kind.' })
    assert.deepEqual(await values(two.id), { human: 'She is Eve.', rules: 'Be kind.' })
    const agent = await whole(one.id)
    assert.deepEqual(
      [agent.system, agent.tags, agent.secrets?.map(({ key }) => key)],
      ['Version two.', ['new', 'mine'], ['A']],
    )
    const history = await ask<{ before: string | null }[]>('GET', `/v1/blocks/${agent.blocks[0]?.id}/history`)
    assert.ok(history.some(({ before }) => before === 'Her name is Ada, from {{ city }}.'))
    await t.letta.templates.save(name, {
      migrate_agents: true,
      preserve_environment_variables_on_migration: false,
    })
    assert.deepEqual((await whole(one.id)).secrets, [])
  })

  it('say which agents stayed as they were, and why', async () => {
    const name = await aTemplate()
    const [one, two] = [await fromTemplate(name), await fromTemplate(name)]
    // The agent has a block of its own of the label that the next version gives to another.
    await t.letta.agents.blocks.attach((await t.letta.blocks.create({ label: 'about', value: 'x' })).id, {
      agent_id: one.id,
    })
    await change(name, ({ blocks }) => ({ blocks: [{ ...blocks[0], label: 'about' }, blocks[1]] }))
    const saved = await t.letta.templates.save(name, { migrate_agents: true })
    const { migration } = saved as unknown as {
      migration: { migrated: number; failed: { agent_id: string; error: string }[] }
    }
    assert.deepEqual([migration.migrated, migration.failed.map(({ agent_id }) => agent_id)], [1, [one.id]])
    assert.match(migration.failed[0]?.error ?? '', /already has a block of that label/)
    assert.deepEqual(
      (await whole(one.id)).blocks.map(({ label }) => label),
      ['human', 'persona', 'about'],
    )
    assert.deepEqual(
      (await whole(two.id)).blocks.map(({ label }) => label),
      ['about', 'persona'],
    )
    const refused = await t.http('POST', `/v1/templates/p/${name}/deployments/${one.deployment_id}/migrate`, {
      version: '2',
    })
    assert.equal(refused.status, 409)
  })

  it('reach the agent in the middle of its turn without losing what it writes', async () => {
    const name = await aTemplate({ tools: ['memory_insert'], include_base_tools: false })
    const { id, deployment_id } = await fromTemplate(name, { memory_variables: { name: 'Ada' } })
    await change(name, ({ agents, blocks }) => ({
      agents: [{ ...agents[0], systemPrompt: 'Version two.' }],
      blocks: [{ ...blocks[0], limit: 777 }, blocks[1]],
    }))
    await t.letta.templates.save(name)
    model.add({
      reply: {
        tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'She likes tea.' } }],
      },
    })
    model.add({ reply: { text: 'Noted.' } })
    const [answer] = await Promise.all([
      t.letta.agents.messages.create(id, { input: 'I like tea' }),
      ask('POST', `/v1/templates/p/${name}/deployments/${deployment_id}/migrate`, {
        version: 'latest',
        preserve_core_memories: true,
      }),
    ])
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    const { value, limit } = await t.letta.agents.blocks.retrieve('human', { agent_id: id })
    assert.match(value, /^Her name is Ada.*\nShe likes tea\.$/s)
    assert.deepEqual([limit, (await whole(id)).system], [777, 'Version two.'])
  })

  it('give an agent that sleeps a companion of its own', async () => {
    const name = await aTemplate({ enable_sleeptime: true })
    const made = await t.letta.templates.agents.create(name)
    assert.equal(made.agent_ids.length, 2)
    const main = await whole(made.agent_ids[0] ?? '')
    assert.deepEqual([main.managed_group?.id, main.enable_sleeptime], [made.group_id, true])
    const file = (await t.http('GET', `/v1/agents/${main.id}/export`)).body as Record<string, unknown>
    const read = await t.letta.templates.create({ type: 'agent_file', agent_file: file, name: 'sleeps' })
    assert.equal((await t.letta.templates.agents.create(read.name)).agent_ids.length, 2)
  })

  it('of agent files bring the tools of the file along, and change those that are there only when asked to', async () => {
    const source = (text: string) =>
      `def shout(text: str) -> str:\n    """Shouts.\n\n    Args:\n        text: It.\n    """\n    return "${text}"\n`
    const tool = await t.letta.tools.create({ source_code: source('one') })
    const { id } = await anAgent({ tool_ids: [tool.id ?? ''] })
    const file = (await t.http('GET', `/v1/agents/${id}/export`)).body as Record<string, unknown>
    await t.letta.tools.update(tool.id ?? '', { source_code: source('two') })
    await t.letta.templates.create({ type: 'agent_file', agent_file: file, name: 'shouts' })
    const sourceNow = async (tool_id: string) => (await t.letta.tools.retrieve(tool_id)).source_code ?? ''
    assert.match(await sourceNow(tool.id ?? ''), /two/)
    await t.letta.templates.update('shouts', { agent_file_json: file, update_existing_tools: true })
    assert.match(await sourceNow(tool.id ?? ''), /one/)
    await t.letta.tools.delete(tool.id ?? '')
    await assert.rejects(t.letta.templates.agents.create('shouts'), {
      status: 400,
      message: /the tool 'shout', which is not here any more/,
    })
    const again = await t.letta.tools.create({ source_code: source('three') })
    const made = await whole((await fromTemplate('shouts')).id)
    assert.ok(
      made.tools.some((one) => one.id === again.id),
      'found by its name',
    )
    await t.letta.tools.delete(again.id ?? '')
    await t.letta.templates.create({ type: 'agent_file', agent_file: file, name: 'shouts-again' })
    assert.equal((await t.letta.tools.list({ name: 'shout' })).items.length, 1, 'made from the file')
  })

  it('are refused with what is wrong, and nothing of them is stored', async () => {
    const { id } = await anAgent()
    const create = (body: object) => t.http('POST', '/v1/templates', body)
    const refused: [object, number, RegExp][] = [
      [{ type: 'agent', agent_id: id, name: 'two words' }, 400, /letters, digits, _ and - only/],
      [{ type: 'agent', agent_id: id, name: '' }, 400, /cannot be the name of a template/],
      [{ type: 'agent', agent_id: id, name: 'x'.repeat(101) }, 400, /at most 100 characters/],
      [{ type: 'agent', agent_id: id, name: 'latest' }, 400, /a word with a meaning/],
      [{ type: 'agent', agent_id: `agent-${crypto.randomUUID()}` }, 404, /Agent not found/],
      [{ type: 'agent', agent_id: 'x' }, 422, /agent_id/],
      [{ type: 'crew' }, 422, /type/],
      [{ type: 'agent_file', agent_file: {} }, 400, /no agent file/],
      [{ type: 'agent_file', agent_file: { agents: [] } }, 400, /the list is empty/],
    ]
    const before = await ask<{ templates: [] }>('GET', '/v1/templates?limit=1000')
    for (const [body, status, why] of refused) {
      const answer = await create(body)
      assert.equal(answer.status, status, JSON.stringify([body, answer.body]))
      assert.match((answer.body as { detail: string }).detail, why)
    }
    const file = (await t.http('GET', `/v1/agents/${id}/export`)).body as { agents: { id: string }[] }
    const two = {
      ...file,
      agents: [
        ...file.agents,
        { ...file.agents[0], id: 'agent-9', messages: [], in_context_message_ids: [] },
      ],
    }
    const crowd = await create({ type: 'agent_file', agent_file: two })
    assert.match((crowd.body as { detail: string }).detail, /has 2 agents, and a template is made of one/)
    assert.deepEqual(await ask('GET', '/v1/templates?limit=1000'), before)

    const name = await aTemplate()
    for (const [path, body, status] of [
      [`POST /v1/templates/${name}:0/agents`, {}, 400],
      [`POST /v1/templates/${name}:1:2/agents`, {}, 400],
      [`POST /v1/templates/${name}:99999999999/agents`, {}, 400],
      [`POST /v1/templates/${name}:2/agents`, {}, 404],
      [`POST /v1/templates/nobody/agents`, {}, 404],
      [
        `POST /v1/templates/${name}/agents`,
        { identity_ids: ['identity-00000000-0000-4000-8000-000000000001'] },
        404,
      ],
      [`POST /v1/templates/${name}/agents`, { memory_variables: { name: 7 } }, 422],
      [`POST /v1/templates/${name}/rollback`, { version: 'dev' }, 400],
      [`POST /v1/templates/${name}/rollback`, {}, 422],
      [`PUT /v1/templates/p/${name}:1/snapshot`, {}, 400],
      [`PUT /v1/templates/p/${name}:dev/snapshot`, { agents: [{ model: 'openai/nobody' }] }, 404],
      [
        `PUT /v1/templates/p/${name}:dev/snapshot`,
        { blocks: [1, 2].map(() => ({ label: 'a', value: '' })) },
        422,
      ],
      [`PATCH /v1/templates/p/${name}/name`, { new_name: 'a/b' }, 400],
      [`GET /v1/templates/p/nobody/versions`, undefined, 404],
      [`GET /v1/templates?version=newest`, undefined, 400],
      [`POST /v1/templates/p/${name}/deployments/deployment-x/migrate`, { version: '1' }, 404],
    ] as const) {
      const [method = '', at = ''] = path.split(' ')
      const answer = await t.http(method, at, body)
      assert.equal(answer.status, status, `${path}: ${JSON.stringify(answer.body)}`)
    }
    const other = await fromTemplate(await aTemplate())
    const foreign = `/v1/templates/p/${name}/deployments/${other.deployment_id}/migrate`
    assert.equal((await t.http('POST', foreign, { version: '1' })).status, 404)
  })

  it('are saved by many at once without losing a version', async () => {
    const name = await aTemplate()
    const saves = Array.from({ length: 8 }, (_, i) => t.letta.templates.save(name, { message: String(i) }))
    const numbers = (await Promise.all(saves)).map(({ latest_version }) => Number(latest_version))
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      [2, 3, 4, 5, 6, 7, 8, 9],
    )
    const { versions, total_count } = await ask<{ versions: { message?: string }[]; total_count: number }>(
      'GET',
      `/v1/templates/p/${name}/versions?limit=8`,
    )
    assert.equal(total_count, 9)
    assert.equal(new Set(versions.map(({ message }) => message)).size, 8)
  })
})
