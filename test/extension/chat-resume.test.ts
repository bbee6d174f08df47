import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ChatSession, type LastingServer } from '../../extension/host/chat/chat-session.ts'
import { addItem, dropStep, type NotificationEnvelope } from '../../extension/protocol.ts'
import { rowsOf } from '../../extension/webview/transcript.ts'
import { connect, describeFailure, type LociClient } from '../../shared/client/http.ts'
import type { StreamItem } from '../../shared/schema/message.ts'
import { cleanEnvironment, LOCI, start, temporaryFolder, type Running } from '../support/cli-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'

describe('a chat whose server dies', function () {
  this.timeout(60_000)
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let model: ScriptedModel
  let running: Running
  let client: Promise<LociClient>
  let session: ChatSession
  const news: NotificationEnvelope[] = []

  const startServer = async () => {
    const env = cleanEnvironment(folder.path, { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: model.url })
    running = start(
      process.execPath,
      [LOCI, 'server', '--port', '0', '--data', join(folder.path, 'data')],
      env,
    )
    const [, url] = await running.waitFor(/(http:\/\/127\.0\.0\.1:\d+)/)
    return connect({ url: url ?? '' })
  }
  beforeEach(async () => {
    folder = await temporaryFolder()
    model = await startScriptedModel()
    client = startServer()
    const { letta } = await client
    const agent = await letta.agents.create({ name: 'Scout', model: SCRIPTED })
    const server: LastingServer = {
      client: () => client,
      describe: async (thrown) => describeFailure(thrown, (await client).url),
      back: () => client,
    }
    news.length = 0
    session = new ChatSession({ agent_id: agent.id, conversation_id: null }, server)
    session.listen((envelope) => void news.push(envelope))
  })
  afterEach(async () => {
    await (await client).close()
    await running.stop()
    await model.close()
    await folder.remove()
  })
  /** What a webview that saw all of it would draw. */
  const shown = () => {
    const items: StreamItem[] = []
    for (const envelope of news) {
      if (envelope.name !== 'turn.items') continue
      if (envelope.params.drop !== undefined) dropStep(items, envelope.params.drop)
      for (const item of envelope.params.items) addItem(items, structuredClone(item))
    }
    return rowsOf(items).map((row) => ('text' in row ? row.text : row.kind))
  }
  const ended = () =>
    eventually(
      'the turn ends',
      () => {
        const last = news.at(-1)
        return last?.name === 'turn.ended' ? last.params.end : null
      },
      30_000,
    )
  const die = async () => {
    const { promise, resolve } = Promise.withResolvers<LociClient>()
    client = promise
    running.child.kill('SIGKILL')
    await running.exited
    return async () => resolve(await startServer())
  }

  it('says so, and goes on with the answer when the server is back', async () => {
    model.add({ reply: { text: ['Half ', 'an answer'], hold: new Promise(() => undefined), hold_after: 2 } })
    session.send('otid-1', 'Tell me')
    await eventually('the first words', () => (shown().includes('Half ') ? true : null))
    const restart = await die()
    await eventually('it says that the connection is lost', () => {
      const held = news.findLast((one) => one.name === 'turn.held')
      return held?.name === 'turn.held' && held.params.hold?.includes('lost') ? true : null
    })
    model.add({ reply: { text: ['The whole ', 'answer'] } })
    await restart()
    assert.deepEqual(await ended(), { outcome: 'done' })
    assert.deepEqual(shown(), ['The whole answer'], 'what was half is drawn no more')
    const { history, turn } = await session.open()
    assert.equal(turn, null)
    assert.deepEqual(
      rowsOf(history.messages).map((row) => 'text' in row && row.text),
      ['Tell me', 'The whole answer'],
    )
  })

  it('sends what was written while the server was gone as soon as it is back', async () => {
    const restart = await die()
    session.send('otid-1', 'Anybody there?')
    await restart()
    model.add({ reply: { text: 'Yes.' } })
    assert.deepEqual(await ended(), { outcome: 'done' })
    assert.deepEqual(shown(), ['Yes.'])
  })

  it('is followed by another window from its beginning', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['one ', 'two'], hold: rest.promise, hold_after: 2 } })
    session.send('otid-1', 'Count')
    await eventually('the first word', () => (shown().includes('one ') ? true : null))
    const server: LastingServer = {
      client: () => client,
      describe: (thrown) => Promise.resolve(String(thrown)),
      back: () => client,
    }
    const other = new ChatSession(session.target, server)
    const { turn } = await other.open()
    assert.deepEqual([turn?.content, turn?.end], ['Count', null])
    const told: NotificationEnvelope[] = []
    other.listen((envelope) => void told.push(envelope))
    rest.resolve()
    await ended()
    await eventually('the other one, too', () => (told.at(-1)?.name === 'turn.ended' ? true : null))
    assert.deepEqual(
      rowsOf((await other.open()).history.messages).map((row) => 'text' in row && row.text),
      ['Count', 'one two'],
    )
  })
})
