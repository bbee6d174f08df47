import assert from 'node:assert/strict'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { startServer, type TestServer } from './server.ts'

/** Texts of what an agent has said, and of what it was told, oldest first. */
async function said(t: TestLoci, agent_id: string): Promise<string[]> {
  const page = await t.letta.agents.messages.list(agent_id, { order: 'asc', limit: 100 })
  return page.items.flatMap((message) =>
    (message.message_type === 'user_message' || message.message_type === 'assistant_message') &&
    typeof message.content === 'string'
      ? [message.content]
      : [],
  )
}

describe('two servers on machines of their own over one PostgreSQL', function () {
  this.timeout(120_000)
  let server: TestServer
  let model: ScriptedModel
  let one: TestLoci
  let other: TestLoci

  before(async () => {
    server = await startServer()
    await server.create('loci')
    model = await startScriptedModel([])
    const env = { LOCI_STORE: server.address('loci') }
    // At once, over an empty database: one of them migrates it.
    ;[one, other] = await Promise.all([
      startLoci({ model_url: model.url, env }),
      startLoci({ model_url: model.url, env }),
    ])
  })
  after(async () => {
    await one?.close()
    await other?.close()
    await model?.close()
    await server?.stop()
  })
  afterEach(async () => {
    await model.done()
    assert.deepEqual([...one.failures, ...other.failures], [])
  })

  it('serve one agent: a turn on one of them is continued on the other', async () => {
    const agent = await one.letta.agents.create({ name: 'ada', model: SCRIPTED })
    model.add({ reply: { text: 'Hello Ada.' } })
    await one.letta.agents.messages.create(agent.id, { input: 'I am Ada.' })
    model.add({
      expect: (body) => assert.match(JSON.stringify(body.messages), /I am Ada\..*Hello Ada\..*Who am I\?/s),
      reply: { text: 'Ada.' },
    })
    await other.letta.agents.messages.create(agent.id, { input: 'Who am I?' })
    const expected = ['I am Ada.', 'Hello Ada.', 'Who am I?', 'Ada.']
    assert.deepEqual((await said(one, agent.id)).slice(-4), expected)
    assert.deepEqual((await said(other, agent.id)).slice(-4), expected)
  })

  it('run one turn of a conversation at a time, and cancel each other’s', async () => {
    const agent = await one.letta.agents.create({ model: SCRIPTED })
    const asked = model.requests.length
    model.add({ reply: { text: ['one ', 'two'], hold: new Promise(() => undefined), hold_after: 2 } })
    const sent = one.letta.agents.messages.stream(agent.id, { input: 'count', stream_tokens: true })
    await model.request(asked)
    const busy = await other.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'and?' })
    assert.equal(busy.status, 409)
    const { run_id } = busy.body as { run_id: string }
    assert.deepEqual(await other.letta.agents.messages.cancel(agent.id), { [run_id]: 'cancelled' })
    for await (const _ of await sent) void _
    assert.equal((await other.letta.runs.retrieve(run_id)).status, 'cancelled')
  })

  it('hear of each other’s changes', async () => {
    const agent = await one.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: '' }],
    })
    const block = await one.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    await other.letta.blocks.update(block.id, { value: 'Ada' })
    model.add({
      expect: (body) => assert.match(JSON.stringify(body.messages[0]), /Ada/),
      reply: { text: 'ok' },
    })
    await one.letta.agents.messages.create(agent.id, { input: 'hi' })
  })
})
