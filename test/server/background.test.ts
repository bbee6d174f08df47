import { APIError } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci, storeBeside } from '../support/loci.ts'
import { withTwoLoci } from '../support/scripted-loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { openSocket } from '../support/web-socket.ts'

interface Chunk {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
  stop_reason?: string
}

describe('background runs over the official client', () => {
  let t: TestLoci
  let other: TestLoci
  let model: ScriptedModel
  withTwoLoci((started) => ({ t, other, model } = started))
  const newAgent = () => t.letta.agents.create({ model: SCRIPTED })
  const send = (agent_id: string, more: object = {}, at = t) =>
    at.letta.agents.messages.create(agent_id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      background: true,
      ...more,
    })
  const replay = async (run_id: string, starting_after = 0, at = t) =>
    all(await at.letta.runs.messages.stream(run_id, { starting_after, include_pings: false }))
  const active = async (agent_id: string) => {
    const runs = await t.http('GET', `/v1/runs/?agent_id=${agent_id}&active=true`)
    return (runs.body as unknown[]).length
  }
  /** A run that stands still after some words. */
  async function held(agent_id: string, more: object = {}) {
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    const index = model.requests.length
    model.add({ reply: { text: words(20), hold, hold_after: 10 } })
    const live = new Reader(await send(agent_id, { include_pings: false, ...more }))
    await live.until((chunk) => chunk.content === 'w5 ')
    return { live, open, index, run_id: live.chunks[0]?.run_id ?? '' }
  }

  it('numbers its chunks, stores them, and replays them from any of them on', async () => {
    const agent = await newAgent()
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: words(50) } },
    )
    const live = await all(await send(agent.id, { include_pings: false }))
    assert.deepEqual(
      live.map((chunk) => chunk.seq_id),
      live.map((_, i) => i + 1),
    )
    const run_id = live[0]?.run_id ?? ''
    assert.ok(live.every((chunk) => chunk.run_id === run_id))
    assert.deepEqual(ends(live), ['stop_reason', 'usage_statistics'])
    for (const at of [t, other]) {
      assert.deepEqual(await replay(run_id, 0, at), live)
      assert.deepEqual(await replay(run_id, 7, at), live.slice(7))
    }
    assert.deepEqual(await replay(run_id, live.length - 2), live.slice(-2))
    assert.deepEqual(await replay(run_id, live.length - 1), live.slice(-1), 'the end has its numbers too')
    assert.deepEqual(await replay(run_id, live.length), [])
    assert.deepEqual(await replay(run_id, 9999), live.slice(-2), 'the end is never lost, nor numbered anew')
    const run = await t.letta.runs.retrieve(run_id)
    assert.deepEqual([run.status, run.background], ['completed', true])
  })

  it('streams whole messages when tokens are not asked for', async () => {
    const agent = await newAgent()
    model.add({ reply: { text: words(5) } })
    const live = await all(await send(agent.id, { include_pings: false, stream_tokens: false }))
    assert.deepEqual(
      live.map((chunk) => [chunk.seq_id, chunk.message_type]),
      [
        [1, 'assistant_message'],
        [2, 'stop_reason'],
        [3, 'usage_statistics'],
      ],
    )
    assert.deepEqual(await replay(live[0]?.run_id ?? '', 0, other), live)
  })

  it('goes on without its client, and is followed live in another process', async () => {
    const agent = await newAgent()
    const { live, open, run_id } = await held(agent.id)
    const follower = new Reader(
      await other.letta.runs.messages.stream(run_id, { starting_after: 2, include_pings: false }),
    )
    await follower.until((chunk) => chunk.content === 'w5 ')
    await live.leave()
    open()
    const rest = await follower.rest()
    assert.deepEqual(rest, (await replay(run_id)).slice(2))
    assert.deepEqual(ends(rest), ['stop_reason', 'usage_statistics'])
    assert.equal(text(await replay(run_id)), words(20).join(''))
  })

  it('is found by its conversation: the active one, by otid, by run', async () => {
    const agent = await newAgent()
    const none = await t.http('POST', `/v1/conversations/${agent.id}/stream`, {})
    assert.equal(none.status, 400)
    const otid = crypto.randomUUID()
    const messages = [{ role: 'user', content: 'go', otid }]
    const { live, open, run_id } = await held(agent.id, { input: undefined, messages })
    const stream = (conversation: string, body: object) =>
      other.letta.conversations.messages.stream(conversation, { include_pings: false, ...body })
    const followers = await Promise.all([
      stream(agent.id, {}),
      stream('default', { agent_id: agent.id }),
      stream(agent.id, { otid }),
      stream(agent.id, { run_id, starting_after: 0 }),
    ])
    open()
    const whole = await live.rest()
    for (const follower of followers) assert.deepEqual(await all(follower), whole)
    assert.equal((await t.http('POST', `/v1/conversations/${agent.id}/stream`, { otid: 'x' })).status, 404)
    const stranger = await newAgent()
    assert.equal((await t.http('POST', `/v1/conversations/${stranger.id}/stream`, { run_id })).status, 404)
  })

  it('says which streams cannot be had', async () => {
    const agent = await newAgent()
    const post = (path: string, body: object) => t.http('POST', path, body)
    const alone = await post(`/v1/agents/${agent.id}/messages`, { input: 'x', background: true })
    assert.equal(alone.status, 422)
    model.add({ reply: { text: 'plain' } })
    const plain = await t.letta.agents.messages.create(agent.id, { input: 'x' })
    const [foreground = ''] = plain.usage.run_ids ?? []
    assert.equal((await post(`/v1/runs/${foreground}/stream`, {})).status, 400)
    assert.equal((await post(`/v1/runs/run-${crypto.randomUUID()}/stream`, {})).status, 404)
    assert.equal((await post(`/v1/runs/${foreground}/stream`, { starting_after: -1 })).status, 422)
    model.add({ reply: { text: 'soon gone' } })
    const [first] = await all(await send(agent.id, { include_pings: false }))
    const store = await storeBeside(t.data)
    await store.streams.prune(new Date(Date.now() + 60_000))
    await store.close()
    assert.equal((await post(`/v1/runs/${first?.run_id}/stream`, {})).status, 410)
  })

  it('begins once what is sent twice with the same otid, at the same time and later, in any process', async () => {
    const agent = await newAgent()
    const messages = [{ role: 'user' as const, content: 'once', otid: crypto.randomUUID() }]
    model.add({ reply: { text: words(10) } })
    const again = (at: TestLoci) => send(agent.id, { input: undefined, messages, include_pings: false }, at)
    const both = await Promise.all([again(t), again(other), again(t)])
    const [first, ...more] = await Promise.all(both.map(all))
    for (const chunks of more) assert.deepEqual(chunks, first)
    assert.deepEqual(await all(await again(other)), first, 'after its end')
    const runs = (await t.letta.runs.list({ agent_id: agent.id })).items
    assert.equal(runs.length, 1)
    const stored = (await t.letta.agents.messages.list(agent.id)).items
    assert.equal(stored.filter((message) => message.message_type === 'user_message').length, 1)
  })

  it('joins a foreground turn that runs, when its otid comes again', async () => {
    const agent = await newAgent()
    const messages = [{ role: 'user' as const, content: 'once', otid: crypto.randomUUID() }]
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    const index = model.requests.length
    model.add({ reply: { text: 'one answer', hold } })
    const ask = () => t.letta.agents.messages.create(agent.id, { messages })
    const both = [ask(), ask()]
    await model.request(index)
    open()
    const [a, b] = await Promise.all(both)
    assert.deepEqual(a, b)
  })

  it('is cancelled in mid-stream from another process, and what was said stays', async () => {
    const agent = await newAgent()
    const { live, index } = await held(agent.id)
    await other.letta.agents.messages.cancel(agent.id)
    const rest = await live.rest()
    assert.deepEqual(ends(rest).slice(-1), ['stop_reason'])
    assert.equal(rest.at(-1)?.stop_reason, 'cancelled')
    assert.equal(await (await model.request(index)).ended, 'aborted')
    const again = await t.http('POST', `/v1/agents/${agent.id}/messages/cancel`)
    assert.equal(again.status, 409)
    model.add({ reply: { text: 'usable' } })
    await t.letta.agents.messages.create(agent.id, { input: 'next' })
  })

  it('is cancelled before its first token', async () => {
    const agent = await newAgent()
    const index = model.requests.length
    model.add({ reply: { text: 'never', hold: new Promise(() => {}) } })
    const run = await t.letta.agents.messages.createAsync(agent.id, { input: 'x' })
    await model.request(index)
    const answer = await other.letta.agents.messages.cancel(agent.id, { run_ids: [run.id] })
    assert.deepEqual(answer, { [run.id]: 'cancelled' })
    const chunks = await replay(run.id)
    assert.deepEqual(
      chunks.map((chunk) => chunk.stop_reason),
      ['cancelled'],
    )
  })

  it('is cancelled with all turns of its agent, or with those of one conversation, and no others', async () => {
    const agent = await newAgent()
    const stranger = await held((await newAgent()).id)
    const begin = async (conversation: string) => {
      const index = model.requests.length
      model.add({ reply: { text: 'never', hold: new Promise(() => {}) } })
      const body = { input: 'x', background: true, include_pings: false, stream_tokens: true }
      const stream = await t.letta.conversations.messages.create(conversation, { ...body, streaming: true })
      await model.request(index)
      return all(stream)
    }
    const first = await t.letta.conversations.create({ agent_id: agent.id })
    const second = await t.letta.conversations.create({ agent_id: agent.id })
    const inFirst = begin(first.id)
    await eventually('the first turn runs', async () => (await active(agent.id)) === 1 || null)
    const inSecond = begin(second.id)
    await eventually('the second turn runs', async () => (await active(agent.id)) === 2 || null)
    const inDefault = begin(agent.id)
    await eventually('the third turn runs', async () => (await active(agent.id)) === 3 || null)
    const alone = await other.letta.conversations.cancel(second.id)
    assert.deepEqual(Object.values(alone), ['cancelled'])
    assert.equal((await inSecond).at(-1)?.stop_reason, 'cancelled')
    assert.equal(await active(agent.id), 2)
    const rest = await other.letta.agents.messages.cancel(agent.id)
    assert.deepEqual(Object.values(rest), ['cancelled', 'cancelled'])
    for (const turn of [inFirst, inDefault]) assert.equal((await turn).at(-1)?.stop_reason, 'cancelled')
    stranger.open()
    assert.deepEqual(ends(await stranger.live.rest()), ['stop_reason', 'usage_statistics'])
  })

  it('may be cancelled at any moment of its end: run, stream and answer tell the same', async () => {
    const agent = await newAgent()
    for (let i = 0; i < 12; i++) {
      model.add({ reply: { text: words(5) } })
      const stream = new Reader(await send(agent.id, { include_pings: false }))
      const at = i % 2 === 0 ? t : other
      await stream.until((chunk) => chunk.content === `w${i % 5} `)
      const answer = await at.http('POST', `/v1/agents/${agent.id}/messages/cancel`)
      const chunks = await stream.rest()
      const run_id = chunks[0]?.run_id ?? ''
      const run = await t.letta.runs.retrieve(run_id)
      const stop = chunks.find((chunk) => chunk.message_type === 'stop_reason')
      assert.equal(stop?.stop_reason, run.stop_reason)
      assert.equal(run.status, run.stop_reason === 'cancelled' ? 'cancelled' : 'completed')
      if (answer.status === 200)
        assert.deepEqual(answer.body, { [run_id]: run.status === 'cancelled' ? 'cancelled' : 'failed' })
      else assert.deepEqual([answer.status, run.status], [409, 'completed'])
      assert.deepEqual(await replay(run_id, 0, other), chunks)
    }
  })

  it('is cancelled with the agent that is deleted, and its stream says so', async () => {
    for (const at of [t, other]) {
      const agent = await newAgent()
      const { live, run_id } = await held(agent.id)
      const follower = new Reader(
        await other.letta.runs.messages.stream(run_id, { starting_after: 2, include_pings: false }),
      )
      await follower.until((chunk) => chunk.content === 'w5 ')
      await at.letta.agents.delete(agent.id)
      for (const reader of [live, follower]) {
        const last = (await reader.rest()).at(-1)
        assert.deepEqual([last?.message_type, last?.stop_reason], ['stop_reason', 'cancelled'])
      }
    }
  })

  it('serves the stream of an async run by its steps', async () => {
    const agent = await newAgent()
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: 'found' } },
    )
    const run = await t.letta.agents.messages.createAsync(agent.id, { input: 'x' })
    assert.deepEqual(
      (await replay(run.id)).map((chunk) => chunk.message_type),
      ['tool_call_message', 'tool_return_message', 'assistant_message', 'stop_reason', 'usage_statistics'],
    )
  })

  it('tells of a failing model at the end of its stream, live and again', async () => {
    const agent = await newAgent()
    model.add({ reply: { status: 401, body: { error: { message: 'no such key' } } } })
    const live = await failing(await send(agent.id, { include_pings: false }))
    assert.equal(live.chunks.at(-1)?.stop_reason, 'llm_api_error')
    assert.match(live.error, /no such key|401/)
    const run_id = live.chunks[0]?.run_id ?? ''
    const again = await failing(await other.letta.runs.messages.stream(run_id, { include_pings: false }))
    assert.deepEqual(again, live)
  })
})

describe('a background run whose server stops', () => {
  it('ends its stream as any other when it completes within the grace', async () => {
    const model = await startScriptedModel([])
    const t = await startLoci({ model_url: model.url })
    try {
      const agent = await t.letta.agents.create({ model: SCRIPTED })
      const { promise: hold, resolve: open } = Promise.withResolvers<void>()
      model.add({ reply: { text: words(20), hold, hold_after: 10 } })
      const live = new Reader(
        await t.letta.agents.messages.create(agent.id, {
          input: 'go',
          streaming: true,
          stream_tokens: true,
          background: true,
          include_pings: false,
        }),
      )
      await live.until((chunk) => chunk.content === 'w5 ')
      t.loci.endStreams()
      const drained = t.loci.drain(60_000)
      open()
      const chunks = await live.rest()
      assert.equal(text(chunks), words(20).join(''))
      assert.deepEqual(ends(chunks), ['stop_reason', 'usage_statistics'])
      await drained
      await model.done()
    } finally {
      await t.close()
      await model.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('is gone on with by another one, in a new message, without a second beginning', async () => {
    const model = await startScriptedModel([])
    const t = await startLoci({ model_url: model.url })
    const other = await startLoci({ model_url: model.url, data: t.data })
    try {
      const agent = await t.letta.agents.create({ model: SCRIPTED })
      const { promise: hold } = Promise.withResolvers<void>()
      model.add(
        { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
        { reply: { text: words(20), hold, hold_after: 10 } },
        { reply: { text: 'whole again' } },
      )
      const live = new Reader(
        await t.letta.agents.messages.create(agent.id, {
          input: 'go',
          streaming: true,
          stream_tokens: true,
          background: true,
          include_pings: false,
        }),
      )
      await live.until((chunk) => chunk.content === 'w5 ')
      const run_id = live.chunks[0]?.run_id ?? ''
      const socket = await openSocket(t.url)
      socket.send({ type: 'resume', id: 'a', run_id, seq_id: 0 })
      await socket.frame('some words', (frame) => JSON.stringify(frame).includes('"w5 "'))
      const left = live.failure()
      await t.loci.close()
      const frames = await socket.ended('a')
      assert.deepEqual(frames.at(-1), { type: 'done', id: 'a', complete: false })
      assert.ok(frames.every((frame) => !JSON.stringify(frame).includes('error_message')))
      await socket.close()
      const said_so = await left
      assert.ok(said_so instanceof APIError, 'the stream ended like that of a run that has ended')
      assert.match(said_so.message, /shutting down/)
      const { run_id: named, detail, message } = said_so.error as Record<string, unknown>
      assert.deepEqual([named, detail], [run_id, 'handed_over'])
      const seen = live.chunks.at(-1)?.seq_id ?? 0
      assert.match(String(message), new RegExp(`/v1/runs/${run_id}/stream with starting_after ${seen}$`))
      const rest = await all(
        await other.letta.runs.messages.stream(run_id, { starting_after: seen, include_pings: false }),
      )
      const cut = live.chunks.at(-1)
      const said = rest.filter((chunk) => chunk.message_type === 'assistant_message' && chunk.id !== cut?.id)
      assert.equal(text(said), 'whole again')
      assert.ok(rest.every((chunk) => (chunk.seq_id ?? 0) > seen))
      const run = await other.letta.runs.retrieve(run_id)
      assert.deepEqual([run.status, run.stop_reason], ['completed', 'end_turn'])
      const usage = rest.at(-1) as { step_count?: number }
      assert.equal(usage.step_count, 2, 'the steps of both processes')
      const stored = (await other.letta.runs.messages.list(run_id)).items
      assert.deepEqual(
        stored.map((message) => message.message_type),
        ['user_message', 'tool_call_message', 'tool_return_message', 'assistant_message'],
      )
      await model.done()
    } finally {
      await other.close()
      await t.close()
      await model.close()
    }
    assert.deepEqual([...t.failures, ...other.failures], [])
  })
})

const words = (n: number) => Array.from({ length: n }, (_, i) => `w${i} `)

const text = (chunks: readonly Chunk[]) =>
  chunks
    .filter((chunk) => chunk.message_type === 'assistant_message')
    .map((chunk) => chunk.content)
    .join('')

const ends = (chunks: readonly Chunk[]) => chunks.slice(-2).map((chunk) => chunk.message_type)

async function all(stream: AsyncIterable<unknown>): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of stream) chunks.push(chunk as Chunk)
  return chunks
}

/** A stream that ends with an error event, which the official client throws. */
async function failing(stream: AsyncIterable<unknown>): Promise<{ chunks: Chunk[]; error: string }> {
  const chunks: Chunk[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk as Chunk)
  } catch (error) {
    return { chunks, error: String(error) }
  }
  return assert.fail('the stream did not fail')
}

/** A stream that is read bit by bit. */
class Reader {
  readonly chunks: Chunk[] = []
  readonly #iterator: AsyncIterator<unknown>

  constructor(stream: AsyncIterable<unknown>) {
    this.#iterator = stream[Symbol.asyncIterator]()
  }

  async until(wanted: (chunk: Chunk) => boolean): Promise<void> {
    for (;;) {
      const next = await this.#iterator.next()
      assert.ok(!next.done, 'the stream ended before what was waited for')
      this.chunks.push(next.value as Chunk)
      if (wanted(next.value as Chunk)) return
    }
  }

  /** Everything from the first chunk to the end. */
  async rest(): Promise<Chunk[]> {
    for (;;) {
      const next = await this.#iterator.next()
      if (next.done) return this.chunks
      this.chunks.push(next.value as Chunk)
    }
  }

  /** Everything up to the error that ends it; null when it ends as if nothing was wrong. */
  async failure(): Promise<unknown> {
    try {
      await this.rest()
    } catch (error) {
      return error
    }
    return null
  }

  async leave(): Promise<void> {
    await this.#iterator.return?.()
  }
}
