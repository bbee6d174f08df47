import assert from 'node:assert/strict'
import { ChatSession } from '../../extension/host/chat/chat-session.ts'
import { endOf, isAnswered } from '../../extension/host/chat/turn-end.ts'
import { textOf, type NotificationEnvelope } from '../../extension/protocol.ts'
import { rowsOf } from '../../extension/webview/transcript.ts'
import { connect, describeFailure, type LociClient } from '../../shared/client/http.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

describe('a chat with an agent', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let client: LociClient
  let session: ChatSession
  const news: NotificationEnvelope[] = []
  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    client = connect({ url: loci.url })
  })
  beforeEach(async () => {
    const agent = await loci.letta.agents.create({ name: 'Scout', model: SCRIPTED })
    news.length = 0
    const server = {
      client: () => Promise.resolve(client),
      describe: (thrown: unknown) => Promise.resolve(describeFailure(thrown, client.url)),
      back: () => Promise.resolve(client),
    }
    session = new ChatSession({ agent_id: agent.id, conversation_id: null }, server)
    session.listen((envelope) => void news.push(envelope))
  })
  after(async () => {
    await client.close()
    await loci.close()
    await model.close()
    await model.done()
  })
  const ended = () =>
    eventually('the turn ends', () => {
      const last = news.at(-1)
      return last?.name === 'turn.ended' ? last.params.end : null
    })
  const shown = () =>
    rowsOf(news.flatMap((envelope) => (envelope.name === 'turn.items' ? envelope.params.items : []))).map(
      (row) => (row.kind === 'tool' ? row.name : 'text' in row ? row.text : row.kind),
    )

  it('begins with the agent and no messages', async () => {
    const { agent, history, turn } = await session.open()
    assert.deepEqual([agent?.name, agent?.model, turn], ['Scout', SCRIPTED, null])
    assert.deepEqual(rowsOf(history.messages), [])
    assert.equal(history.earlier, false)
  })

  it('tells a turn from its start to its end, and then has it in its history', async () => {
    model.add({ reply: { text: ['Hel', 'lo ', 'Ada'] } })
    session.send('otid-1', 'Hi')
    assert.deepEqual(await ended(), { outcome: 'done' })
    assert.deepEqual(news[0], {
      kind: 'notification',
      name: 'turn.started',
      params: { otid: 'otid-1', content: 'Hi', replaces: null },
    })
    assert.deepEqual(shown(), ['Hello Ada'])
    const { history, turn } = await session.open()
    assert.equal(turn, null)
    assert.deepEqual(
      rowsOf(history.messages).map((row) => 'text' in row && row.text),
      ['Hi', 'Hello Ada'],
    )
    assert.ok(history.messages.every(({ run_id }) => run_id === null || session.isOwnRun(run_id)))
  })

  it('shows who opens it in mid-turn what came so far, once', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['one ', 'two'], hold: rest.promise, hold_after: 2 } })
    session.send('otid-1', 'Count')
    await eventually('the first word', () => (shown().includes('one ') ? true : null))
    const { history, turn } = await session.open()
    assert.deepEqual(rowsOf(history.messages), [], 'the question belongs to the turn')
    assert.equal(turn?.content, 'Count')
    assert.equal(turn?.end, null)
    assert.deepEqual(
      turn?.items.map((item) => 'content' in item && textOf(item.content)),
      ['one '],
    )
    assert.throws(() => session.send('otid-2', 'And?'), { message: /still answering/ })
    rest.resolve()
    await ended()
    assert.deepEqual(shown(), ['one two'])
  })

  it('stops a turn on the server', async () => {
    model.add({ reply: { text: ['never '], hold: new Promise(() => undefined), hold_after: 2 } })
    session.send('otid-1', 'Go on')
    await eventually('it begins', () => (shown().length > 0 ? true : null))
    await session.stop()
    assert.deepEqual(await ended(), { outcome: 'stopped' })
    const [run] = (await loci.letta.runs.list({ agent_id: session.target.agent_id })).getPaginatedItems()
    assert.equal(run?.status, 'cancelled')
  })

  it('keeps a failed turn, with a sentence that names what failed, until the next message', async () => {
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key' } } } })
    session.send('otid-1', 'Hi')
    const end = await ended()
    assert.equal(end.outcome, 'failed')
    assert.match(
      end.outcome === 'failed' ? end.message : '',
      /http:\/\/127\.0\.0\.1:\d+.*401.*Incorrect API key/,
    )
    assert.deepEqual((await session.open()).turn, {
      otid: 'otid-1',
      content: 'Hi',
      items: [],
      end,
      replaces: null,
      hold: null,
    })
    model.add({ reply: { text: 'Back.' } })
    session.send('otid-2', 'Hi')
    assert.deepEqual(await ended(), { outcome: 'done' })
    assert.equal((await session.open()).turn, null)
  })

  it('finds a turn that failed before it was there, and tries it again in its place', async () => {
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key' } } } })
    const { agent_id } = session.target
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    await assert.rejects(loci.letta.agents.messages.create(agent_id, { messages }, { maxRetries: 0 }))
    const { history, turn } = await session.open()
    assert.deepEqual([rowsOf(history.messages), turn?.content], [[], 'Hi'])
    assert.match(turn?.end?.outcome === 'failed' ? turn.end.message : '', /401: Incorrect API key/)
    assert.equal(turn?.end?.outcome === 'failed' && turn.end.fix, 'provider')
    model.add({ reply: { text: 'Back.' } })
    await session.retry('otid-2', null)
    assert.deepEqual(await ended(), { outcome: 'done' })
    const after = await session.open()
    assert.equal(after.turn, null)
    assert.deepEqual(
      rowsOf(after.history.messages, { aside: new Set(after.history.aside) })
        .filter((row) => row.kind !== 'aside')
        .map((row) => 'text' in row && row.text),
      ['Hi', 'Back.'],
    )
  })

  it('says that an agent is gone', async () => {
    await loci.letta.agents.delete(session.target.agent_id)
    assert.equal((await session.open()).agent, null)
    session.send('otid-1', 'Hello?')
    const end = await ended()
    assert.equal(end.outcome, 'failed')
  })
})

describe('the end of a turn', () => {
  it('asks for the rest where a server that ends has left the run to another one', () => {
    const thrown = (detail: string) => ({ error: { message_type: 'error_message', message: 'no', detail } })
    assert.equal(isAnswered(thrown('handed_over')), false)
    assert.equal(isAnswered(thrown('interrupted')), true)
  })

  it('follows the reason that the stream gave', () => {
    assert.deepEqual(endOf('end_turn', false), { outcome: 'done' })
    assert.deepEqual(endOf('cancelled', false), { outcome: 'stopped' })
    assert.deepEqual(endOf(null, true), { outcome: 'stopped' })
    assert.equal(endOf(null, false).outcome, 'failed')
    for (const reason of ['error', 'llm_api_error', 'max_steps'])
      assert.equal(endOf(reason, false).outcome, 'failed')
  })
})
