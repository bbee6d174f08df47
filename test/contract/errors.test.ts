import assert from 'node:assert/strict'
import { type ContractTest, startContractTest } from '../support/contract.ts'
import { SCRIPTED } from '../support/loci.ts'

const uuid = () => crypto.randomUUID()

describe('errors have the status and the form of V1', () => {
  let t: ContractTest
  before(async () => {
    t = await startContractTest()
  })
  after(() => t.close())
  afterEach(() => t.recorder.verify())

  async function refused(method: string, path: string, body: unknown, status: number, detail: RegExp) {
    const answer = await t.http(method, path, body)
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`)
    assert.match((answer.body as { detail: string }).detail, detail)
    return answer.body as Record<string, unknown>
  }

  it('says exactly "Agent not found" of an agent, wherever it is asked for', async () => {
    const at = `/v1/agents/agent-${uuid()}`
    const exactly = /^Agent not found$/
    await refused('GET', at, undefined, 404, exactly)
    await refused('PATCH', at, { name: 'x' }, 404, exactly)
    await refused('DELETE', at, undefined, 404, exactly)
    await refused('GET', `${at}/messages`, undefined, 404, exactly)
    await refused('POST', `${at}/messages`, { input: 'x' }, 404, exactly)
    await refused('POST', `${at}/messages/stream`, { input: 'x' }, 404, exactly)
    await refused('GET', `${at}/tools`, undefined, 404, exactly)
    await refused('GET', `${at}/core-memory`, undefined, 404, exactly)
    await refused('GET', `${at}/core-memory/blocks`, undefined, 404, exactly)
    await refused('GET', `${at}/core-memory/blocks/human`, undefined, 404, exactly)
    await refused('PATCH', `${at}/reset-messages`, {}, 404, exactly)
    await refused('POST', `${at}/recompile`, undefined, 404, exactly)
    const block = await t.letta.blocks.create({ label: 'b', value: '' })
    await refused('PATCH', `${at}/core-memory/blocks/attach/${block.id}`, undefined, 404, exactly)
    const [tool] = (await t.letta.tools.list({ limit: 1 })).items
    await refused('PATCH', `${at}/tools/attach/${tool?.id}`, undefined, 404, exactly)
  })

  it('names what else is not there', async () => {
    const { id } = await t.newAgent()
    for (const [path, what] of [
      [`/v1/blocks/block-${uuid()}`, /^NOT_FOUND: .*block-/i],
      [`/v1/blocks/block-${uuid()}/agents`, /^NOT_FOUND: .*block-/i],
      [`/v1/tools/tool-${uuid()}`, /^NOT_FOUND: .*tool-/i],
      [`/v1/runs/run-${uuid()}`, /^NOT_FOUND: .*run-/i],
      [`/v1/runs/run-${uuid()}/messages`, /^NOT_FOUND: .*run-/i],
      [`/v1/runs/run-${uuid()}/steps`, /^NOT_FOUND: .*run-/i],
      [`/v1/runs/run-${uuid()}/usage`, /^NOT_FOUND: .*run-/i],
      [`/v1/steps/step-${uuid()}`, /^NOT_FOUND: .*step-/i],
      [`/v1/agents/${id}/core-memory/blocks/nosuch`, /^NOT_FOUND: .*nosuch/],
      ['/v1/nothing/here', /^NOT_FOUND: /],
      ['/v1/agents/x/y/z/w', /^NOT_FOUND: /],
    ] as const)
      await refused('GET', path, undefined, 404, what)
    const block = await t.letta.blocks.create({ label: 'loose', value: '' })
    await refused(
      'PATCH',
      `/v1/agents/${id}/core-memory/blocks/attach/block-${uuid()}`,
      undefined,
      404,
      /block-/,
    )
    await refused('PATCH', `/v1/agents/${id}/tools/attach/tool-${uuid()}`, undefined, 404, /tool-/)
    await refused('POST', '/v1/agents/', { model: SCRIPTED, block_ids: [`block-${uuid()}`] }, 404, /block-/)
    await refused('POST', '/v1/agents/', { model: SCRIPTED, tool_ids: [`tool-${uuid()}`] }, 404, /tool-/)
    await t.letta.blocks.delete(block.id)
    await refused('DELETE', `/v1/blocks/${block.id}`, undefined, 404, /block-/)
  })

  it('answers 422 with one readable string for ids of another kind and for bodies of another shape', async () => {
    const { id } = await t.newAgent()
    for (const [method, path, body, place] of [
      ['GET', `/v1/agents/block-${uuid()}`, undefined, /agent_id/],
      ['GET', '/v1/agents/agent-1', undefined, /agent_id/],
      ['GET', `/v1/agents/AGENT-${uuid()}`, undefined, /agent_id/],
      ['GET', `/v1/blocks/agent-${uuid()}`, undefined, /block_id/],
      ['GET', '/v1/tools/memory_insert', undefined, /tool_id/],
      ['GET', `/v1/steps/run-${uuid()}`, undefined, /step_id/],
      ['GET', '/v1/agents/?limit=ten', undefined, /limit/],
      ['GET', '/v1/agents/?order=up', undefined, /order/],
      ['GET', '/v1/agents/?include=agent.nothing', undefined, /include/],
      ['POST', '/v1/agents/', { agent_type: 'robot' }, /agent_type/],
      ['POST', '/v1/agents/', { model: 7 }, /model/],
      ['POST', '/v1/agents/', { memory_blocks: [{ value: 'no label' }] }, /memory_blocks/],
      ['POST', '/v1/agents/', undefined, /body/],
      ['POST', '/v1/agents/', [], /body/],
      ['POST', '/v1/blocks/', { value: 'no label' }, /label/],
      ['PATCH', `/v1/agents/${id}`, { tags: 'not a list' }, /tags/],
      ['POST', `/v1/agents/${id}/messages`, {}, /messages/],
      ['POST', `/v1/agents/${id}/messages`, { messages: [] }, /messages/],
      ['POST', `/v1/agents/${id}/messages`, { messages: [{ role: 'robot', content: 'x' }] }, /role/],
      [
        'POST',
        `/v1/agents/${id}/messages`,
        { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url' } }] }] },
        /body\.messages\.0\.content\.0\.source\.url: /,
      ],
      [
        'POST',
        `/v1/agents/${id}/messages`,
        { messages: [{ role: 'user', content: [{ type: 'x' }] }] },
        /content/,
      ],
      ['POST', `/v1/agents/${id}/messages`, { input: 7 }, /body\.input: /],
      ['POST', `/v1/agents/${id}/messages`, { input: 'x', max_steps: 0 }, /max_steps/],
    ] as const) {
      const answer = await refused(method, path, body, 422, place)
      assert.equal(answer['trace_id'], '')
    }
    const broken = await t.recorder.fetch(`${t.loci.url}/v1/blocks/`, { method: 'POST', body: '{"label": ' })
    assert.equal(broken.status, 422)
  })

  it('tells a handle without a provider, an unknown one and a bad name apart', async () => {
    await refused('POST', '/v1/agents/', { model: 'gpt-4o' }, 400, /^INVALID_ARGUMENT: .*gpt-4o/)
    await refused('POST', '/v1/agents/', { model: 'openai/no-such-model' }, 404, /openai\/no-such-model/)
    await refused('POST', '/v1/agents/', { model: 'nobody/model' }, 404, /nobody/)
    const named = await t.http('POST', '/v1/agents/', { model: SCRIPTED, name: 'no/slash' })
    assert.ok(named.status === 400 || named.status === 422, `${named.status}`)
    const tools = await t.http('POST', '/v1/agents/', { model: SCRIPTED, tools: ['no_such_tool'] })
    assert.ok(tools.status === 400 || tools.status === 404, `${tools.status}`)
    assert.match(JSON.stringify(tools.body), /no_such_tool/)
  })

  it('answers 409 with the run while a turn runs, final for the official client', async () => {
    const { id } = await t.newAgent()
    const gate = Promise.withResolvers<void>()
    const at = t.model.requests.length
    t.model.add({ reply: { text: 'At last.', hold: gate.promise } })
    const turn = t.letta.agents.messages.create(id, { input: 'Slowly' })
    await t.model.request(at)
    const busy = await refused(
      'POST',
      `/v1/agents/${id}/messages`,
      { input: 'Now' },
      409,
      /^CONVERSATION_BUSY: /,
    )
    assert.match(String(busy['run_id']), /^run-/)
    await assert.rejects(
      t.letta.agents.messages.create(id, { input: 'Now' }),
      (error: { status?: number; headers?: Headers }) =>
        error.status === 409 && error.headers?.get('x-should-retry') === 'false',
    )
    gate.resolve()
    await turn
    await refused('POST', `/v1/agents/${id}/messages/cancel`, {}, 409, /./)
  })

  it('passes on what a model refused in the form of V1, with the provider and its URL', async () => {
    for (const [status, ours, type] of [
      [401, 401, 'llm_authentication'],
      [402, 402, 'llm_insufficient_credits'],
      [400, 400, 'llm_bad_request'],
    ] as const) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { status, body: { error: { message: 'the provider says no' } } } })
      const answer = await refused(
        'POST',
        `/v1/agents/${id}/messages`,
        { input: 'x' },
        ours,
        /the provider says no/,
      )
      const error = answer['error'] as { type: string; message: string }
      assert.equal(error.type, type)
      assert.ok(error.message.includes('openai') && error.message.includes(t.model.url), error.message)
    }
  })

  it('names what a client may send where it sent something else', async () => {
    const { id } = await t.newAgent()
    const send = (body: object, words: RegExp) =>
      refused('POST', `/v1/agents/${id}/messages`, body, 422, words)
    const video = [{ type: 'video', url: 'x' }]
    await send({ input: video }, /has the type 'text' or 'image'/)
    await send({ messages: [{ role: 'user', content: video }] }, /has the type 'text' or 'image'/)
    await send(
      { messages: [{ type: 'song', content: 'la' }] },
      /has the type 'message' \(or none\), 'approval'/,
    )
    const tool = { name: 'look', description: 'x' }
    await send({ input: 'x', client_tools: [tool, tool] }, /a name of its own/)
    await send({ input: 'x', client_tools: [{ name: 'look up' }] }, /a name of letters, digits/)
    for (const temperature of [9, -1])
      await refused('PATCH', `/v1/agents/${id}`, { model_settings: { temperature } }, 422, /temperature/)
  })

  it('ignores fields and parameters that nobody knows', async () => {
    const agent = await t.newAgent({ new_idea: true } as object)
    assert.ok(!('new_idea' in agent))
    assert.equal((await t.http('GET', `/v1/agents/${agent.id}?new_idea=1`)).status, 200)
    assert.equal((await t.http('PATCH', `/v1/agents/${agent.id}`, { new_idea: 1 })).status, 200)
  })

  it('answers with and without a slash at the end, and under /latest', async () => {
    const { id } = await t.newAgent()
    const get = async (path: string) => {
      const response = await fetch(t.loci.url + path, { redirect: 'error' })
      return [response.status, JSON.stringify(await response.json()).includes(id)]
    }
    for (const path of [
      '/v1/agents',
      '/v1/agents/',
      '/latest/agents/',
      `/v1/agents/${id}`,
      `/v1/agents/${id}/`,
    ])
      assert.deepEqual(await get(path), [200, true], path)
  })

  it('finds blocks by labels that need encoding', async () => {
    const labels = ['a/b', '100 %', 'Größe 😀', '%2F', 'a?b#c', '...']
    const { id } = await t.newAgent({ memory_blocks: labels.map((label) => ({ label, value: label })) })
    for (const label of labels) {
      const block = await t.letta.agents.blocks.retrieve(label, { agent_id: id })
      assert.deepEqual([block.label, block.value], [label, label])
      const changed = await t.letta.agents.blocks.update(label, { agent_id: id, value: 'new' })
      assert.equal(changed.value, 'new')
    }
  })
})

describe('hidden things are left out unless they are asked for', () => {
  it('agents and blocks, in lists and in counts', async () => {
    const t = await startContractTest()
    try {
      const shown = await t.newAgent({ memory_blocks: [] })
      const hidden = await t.newAgent({ memory_blocks: [], hidden: true })
      const ids = async (path: string) =>
        ((await t.http('GET', path)).body as { id: string }[]).map((item) => item.id)
      assert.deepEqual(await ids('/v1/agents/'), [shown.id])
      assert.deepEqual(await ids('/v1/agents/?show_hidden_agents=true'), [hidden.id, shown.id])
      assert.equal((await t.http('GET', '/v1/agents/count')).body, 1)
      assert.equal((await t.letta.agents.retrieve(hidden.id)).hidden, true, 'by its id it is there')

      const open = await t.letta.blocks.create({ label: 'open', value: '' })
      const secret = await t.letta.blocks.create({ label: 'secret', value: '', hidden: true })
      assert.deepEqual(await ids('/v1/blocks/'), [open.id])
      assert.deepEqual(await ids('/v1/blocks/?show_hidden_blocks=true'), [open.id, secret.id])
      assert.equal((await t.http('GET', '/v1/blocks/count')).body, 1)
      await t.letta.agents.blocks.attach(secret.id, { agent_id: shown.id })
      assert.deepEqual(await ids(`/v1/agents/${shown.id}/core-memory/blocks`), [secret.id], 'its own it has')
      await t.recorder.verify()
    } finally {
      await t.close()
    }
  })
})
