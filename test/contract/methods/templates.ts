import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

const aName = () => `t-${crypto.randomUUID().slice(0, 8)}`

/** A template of an agent that knows somebody by a variable. */
async function aTemplate(t: ContractTest): Promise<{ name: string; agent_id: string }> {
  const { id } = await t.newAgent({
    memory_blocks: [{ label: 'human', value: 'Her name is {{name}}.' }],
    tags: ['support'],
  })
  const name = aName()
  await t.letta.templates.create({ type: 'agent', agent_id: id, name })
  return { name, agent_id: id }
}

const humanOf = async (t: ContractTest, agent_id: string) =>
  (await t.letta.agents.blocks.retrieve('human', { agent_id })).value

/** The file of an agent that knows this. */
async function aFile(t: ContractTest, value: string): Promise<Record<string, unknown>> {
  const { id } = await t.newAgent({ memory_blocks: [{ label: 'human', value }] })
  return (await t.http('GET', `/v1/agents/${id}/export`)).body as Record<string, unknown>
}

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.ok(answer.status < 300, JSON.stringify(answer.body))
  return answer.body as T
}

/** Templates, their versions and the agents that are made from them. */
export const templateMethods: Method[] = [
  {
    name: 'templates.create',
    shows: 'a template of an agent, and one of an agent file, each with its version 1',
    async run(t) {
      const { id } = await t.newAgent()
      const name = aName()
      const made = await t.letta.templates.create({ type: 'agent', agent_id: id, name })
      assert.deepEqual(
        [made.name, made.latest_version, made.template_deployment_slug],
        [name, '1', `default-project/${name}:1`],
      )
      const agent_file = await aFile(t, 'From a file')
      const nameless = await t.letta.templates.create({ type: 'agent_file', agent_file })
      assert.match(nameless.name, /^[a-zA-Z0-9_-]+$/)
      await assert.rejects(t.letta.templates.create({ type: 'agent', agent_id: id, name }), { status: 409 })
      await assert.rejects(t.letta.templates.create({ type: 'agent', agent_id: id, name: 'a b' }), {
        status: 400,
      })
    },
  },
  {
    name: 'templates.agents.create',
    shows: 'an agent of a version, with its variables filled, its own tags and name',
    async run(t) {
      const { name } = await aTemplate(t)
      const identity = await t.http('POST', '/v1/identities/', {
        identifier_key: aName(),
        name: 'Ada',
        identity_type: 'user',
      })
      const identity_ids = [(identity.body as { id: string }).id]
      const made = await t.letta.templates.agents.create(`${name}:latest`, {
        agent_name: 'Ada helper',
        memory_variables: { name: 'Ada' },
        tool_variables: { TOKEN: 'x' },
        tags: ['mine'],
        identity_ids,
        initial_message_sequence: [{ role: 'user', content: 'Remember me.' }],
      })
      const [id = ''] = made.agent_ids
      const agent = await t.letta.agents.retrieve(id, {
        include: ['agent.tags', 'agent.secrets', 'agent.identities', 'agent.tools'],
      })
      assert.deepEqual(
        [agent.name, agent.tags.toSorted(), agent.deployment_id, made.group_id],
        ['Ada helper', ['mine', 'support'], made.deployment_id, null],
      )
      assert.deepEqual(
        agent.identities?.map((one) => one.id),
        identity_ids,
      )
      assert.deepEqual(
        agent.secrets?.map(({ key, value }) => [key, value]),
        [['TOKEN', 'x']],
      )
      assert.equal(await humanOf(t, id), 'Her name is Ada.')
      const { items } = await t.letta.agents.messages.list(id)
      assert.ok(JSON.stringify(items).includes('Remember me.'))
      for (const spelling of [name, `${name}:1`, `${name}:current`, `project/${name}:1`])
        assert.equal((await t.letta.templates.agents.create(spelling)).agent_ids.length, 1, spelling)
      await assert.rejects(t.letta.templates.agents.create(`${name}:2`), { status: 404 })
      await assert.rejects(t.letta.templates.agents.create(`${name}:newest`), { status: 400 })
    },
  },
  {
    name: 'templates.update',
    shows: 'a working version that is what an agent file says; saved versions stay',
    async run(t) {
      const { name } = await aTemplate(t)
      const agent_file_json = await aFile(t, 'In other words')
      const done = await t.letta.templates.update(name, { agent_file_json })
      assert.equal(done.success, true)
      const current = await t.letta.templates.agents.create(`${name}:current`)
      assert.equal(await humanOf(t, current.agent_ids[0] ?? ''), 'In other words')
      const saved = await t.letta.templates.agents.create(`${name}:latest`)
      assert.equal(await humanOf(t, saved.agent_ids[0] ?? ''), 'Her name is {{name}}.')
    },
  },
  {
    name: 'templates.save',
    shows: 'a new version, and the agents of the template brought to it',
    async run(t) {
      const { name } = await aTemplate(t)
      const memory_variables = { name: 'Ada' }
      const made = await t.letta.templates.agents.create(name, { memory_variables })
      await t.letta.templates.update(name, { agent_file_json: await aFile(t, 'She is {{name}}!') })
      const saved = await t.letta.templates.save(name, { message: 'In other words', migrate_agents: true })
      assert.equal(saved.latest_version, '2')
      assert.equal(await humanOf(t, made.agent_ids[0] ?? ''), 'She is Ada!')
      await assert.rejects(t.letta.templates.save(aName()), { status: 404 })
    },
  },
  {
    name: 'templates.rollback',
    shows: 'a working version that is an older one again; what was not saved became a version',
    async run(t) {
      const { name } = await aTemplate(t)
      await t.letta.templates.update(name, { agent_file_json: await aFile(t, 'Not saved') })
      const back = await t.letta.templates.rollback(name, { version: '1' })
      assert.match(back.message ?? '', /is version 1 again; its unsaved changes are version 2/)
      const current = await t.letta.templates.agents.create(`${name}:current`)
      assert.equal(await humanOf(t, current.agent_ids[0] ?? ''), 'Her name is {{name}}.')
      const latest = await t.letta.templates.agents.create(`${name}:latest`)
      assert.equal(await humanOf(t, latest.agent_ids[0] ?? ''), 'Not saved')
      await assert.rejects(t.letta.templates.rollback(name, { version: '7' }), { status: 404 })
      await assert.rejects(t.letta.templates.rollback(name, { version: 'current' }), { status: 400 })
    },
  },
  {
    name: 'templates.delete',
    shows: 'a template that is gone, and agents of it that stay',
    async run(t) {
      const { name } = await aTemplate(t)
      const made = await t.letta.templates.agents.create(name)
      assert.deepEqual(await t.letta.templates.delete(name), { success: true })
      await assert.rejects(t.letta.templates.delete(name), { status: 404 })
      assert.equal(await humanOf(t, made.agent_ids[0] ?? ''), 'Her name is {{name}}.')
    },
  },
]

/** The routes of templates that the official client has no method for. */
export const templateOperations: PlainOperation[] = [
  {
    name: 'GET /v1/templates',
    shows: 'templates by name and page',
    async run(t) {
      const { name } = await aTemplate(t)
      interface List {
        templates: { name: string }[]
        has_next_page: boolean
      }
      const found = await ask<List>(t, 'GET', `/v1/templates?name=${name}&exact=true`)
      assert.deepEqual([found.templates.map((one) => one.name), found.has_next_page], [[name], false])
      await aTemplate(t)
      assert.equal((await ask<List>(t, 'GET', '/v1/templates?limit=1')).has_next_page, true)
    },
  },
  {
    name: 'GET /v1/templates/{project_id}/{name}/versions',
    shows:
      'a template below a project: made, described, renamed, forked, saved, rolled back, updated, deleted',
    async run(t) {
      const { id } = await t.newAgent({ memory_blocks: [{ label: 'human', value: '{{who}}' }] })
      const [name, next] = [aName(), aName()]
      const at = '/v1/templates/my-project'
      await ask(t, 'POST', at, { type: 'agent', agent_id: id, name })
      await ask(t, 'PATCH', `${at}/${name}/description`, { description: 'Helps' })
      await ask(t, 'PATCH', `${at}/${name}/name`, { new_name: next })
      const forked = await ask<{ name: string }>(t, 'POST', `${at}/${next}:1/fork`, { name })
      assert.equal(forked.name, name)
      assert.equal((await t.http('PATCH', `${at}/${name}/name`, { new_name: next })).status, 409)
      await ask(t, 'POST', `${at}/${next}`, { message: 'Second' })
      await ask(t, 'PUT', `${at}/${next}/agent-file`, { agent_file_json: await aFile(t, 'Third') })
      await ask(t, 'POST', `${at}/${next}/rollback`, { version: '1' })
      const { versions, total_count } = await ask<{
        versions: { version: string; message?: string; is_latest: boolean }[]
        total_count: number
      }>(t, 'GET', `${at}/${next}/versions`)
      assert.deepEqual(
        versions.map(({ version, message, is_latest }) => [version, message, is_latest]),
        [
          ['3', 'Saved before the rollback to version 1', true],
          ['2', 'Second', false],
          ['1', undefined, false],
        ],
      )
      assert.equal(total_count, 3)
      await ask(t, 'DELETE', `${at}/${next}`)
      assert.equal((await t.http('GET', `${at}/${next}/versions`)).status, 404)
    },
  },
  {
    name: 'POST /v1/templates/{project_id}/{template_name}/deployments/{deployment_id}/migrate',
    shows: 'an agent brought to another version, its variables and what the version holds',
    async run(t) {
      const { name } = await aTemplate(t)
      const at = `/v1/templates/default-project/${name}`
      interface Snapshot {
        agents: Record<string, unknown>[]
        blocks: Record<string, unknown>[]
      }
      const snapshot = await ask<Snapshot>(t, 'GET', `${at}:latest/snapshot`)
      assert.deepEqual(snapshot.agents[0]?.['memoryVariables'], {
        version: '1',
        data: [{ key: 'name', defaultValue: null, type: 'string' }],
      })
      const made = await ask<{ agent_ids: string[]; deployment_id: string }>(t, 'POST', `${at}:1/agents`, {})
      const [agent_id = ''] = made.agent_ids
      const changed = { ...snapshot, blocks: snapshot.blocks.map((b) => ({ ...b, value: 'Now {{name}}' })) }
      await ask(t, 'PUT', `${at}:dev/snapshot`, changed)
      await t.letta.templates.save(name)
      const done = await ask<{ message: string }>(
        t,
        'POST',
        `${at}/deployments/${made.deployment_id}/migrate`,
        { version: 'latest', memory_variables: { name: 'Ada' } },
      )
      assert.match(done.message, /from version 1 to version 2; blocks changed: human/)
      assert.equal(await humanOf(t, agent_id), 'Now Ada')
      const { variables } = await ask<{ variables: unknown }>(
        t,
        'GET',
        `/v1/agents/${agent_id}/core-memory/variables`,
      )
      assert.deepEqual(variables, { name: 'Ada' })
    },
  },
]
