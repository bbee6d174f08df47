import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { type Frame, openSocket } from '../support/web-socket.ts'

const pieces = (count: number) => Array.from({ length: count }, (_, i) => `w${i} `)
const words = (count: number) => pieces(count).join('')
const textOf = (frames: Frame[]) =>
  frames
    .map(({ data }) => (data?.['message_type'] === 'assistant_message' ? String(data['content']) : ''))
    .join('')
const numbered = (frames: Frame[]) => frames.filter(({ data }) => typeof data?.['seq_id'] === 'number')
const field = (frame: Frame, name: string) => frame.data?.[name]

describe('turns over a WebSocket', () => {
  let t: TestLoci
  let model: ScriptedModel
  beforeEach(async () => {
    model = await startScriptedModel()
    t = await startLoci({ model_url: model.url })
  })
  afterEach(async () => {
    const { failures } = t
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(failures, [])
  })
  const newAgent = (more: object = {}) => t.letta.agents.create({ model: SCRIPTED, ...more })
  /** A turn that stands still after some words. */
  function held(count = 20) {
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    model.add({ reply: { text: pieces(count), hold, hold_after: 10 } })
    return open
  }

  it('streams a turn by tokens, with the run first of all, and answers another at once', async () => {
    const agent = await newAgent()
    const socket = await openSocket(t.url)
    model.add({ reply: { text: words(5) } }, { reply: { text: 'whole' } })
    socket.send({ type: 'stream', id: 'a', agent_id: agent.id, input: 'go' })
    const frames = await socket.ended('a')
    assert.equal(textOf(frames), words(5))
    assert.match(String(field(frames[0]!, 'run_id')), /^run-/)
    assert.deepEqual(
      numbered(frames).map((frame) => field(frame, 'seq_id')),
      numbered(frames).map((_, i) => i + 1),
    )
    assert.deepEqual(frames.at(-1), { type: 'done', id: 'a', complete: true })

    socket.send({ type: 'send', id: 'b', agent_id: agent.id, input: 'again' })
    const [result] = await socket.ended('b')
    assert.deepEqual([result?.type, result?.status], ['result', 200])
    assert.equal((result!.body as { messages: { content: string }[] }).messages[0]?.content, 'whole')
    await socket.close()
  })

  it('follows several turns at once, each frame with the id of its command', async () => {
    const agents = await Promise.all([newAgent(), newAgent(), newAgent()])
    const socket = await openSocket(t.url)
    const open = [held(), held(), held()]
    for (const [i, agent] of agents.entries())
      socket.send({ type: 'stream', id: `c${i}`, agent_id: agent.id, input: 'go' })
    for (const i of agents.keys())
      await socket.frame(`words of c${i}`, (one) => one.id === `c${i}` && field(one, 'content') === 'w5 ')
    assert.ok(!socket.frames.some(({ type }) => type === 'done'))
    for (const go of open) go()
    for (const i of agents.keys()) assert.equal(textOf(await socket.ended(`c${i}`)), words(20))
    await socket.close()
  })

  it('resumes after a reconnect, without a chunk twice or missing: the turn went on', async () => {
    const agent = await newAgent()
    const first = await openSocket(t.url)
    const open = held()
    first.send({ type: 'stream', id: 'a', agent_id: agent.id, input: 'go' })
    const last = await first.frame('some words', (frame) => field(frame, 'content') === 'w5 ')
    first.ws.terminate()
    const run_id = String(field(last, 'run_id'))
    const seq_id = Number(field(last, 'seq_id'))
    const second = await openSocket(t.url)
    second.send({ type: 'resume', id: 'r', run_id, seq_id })
    open()
    const rest = numbered(await second.ended('r'))
    assert.equal(field(rest[0]!, 'seq_id'), seq_id + 1)
    const before = first.frames.filter((frame) => Number(field(frame, 'seq_id') ?? Infinity) <= seq_id)
    assert.equal(textOf([...before, ...rest]), words(20))
    await second.close()
  })

  it('lets a turn of send go on when its socket breaks, and finds it again by its otid', async () => {
    const agent = await newAgent()
    const first = await openSocket(t.url)
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    model.add({ reply: { text: ['a', 'b'], hold, hold_after: 1 } })
    const messages = [{ role: 'user', content: 'go', otid: 'mine-1' }]
    first.send({ type: 'send', id: 'a', agent_id: agent.id, messages })
    await model.request(0)
    first.ws.terminate()
    const second = await openSocket(t.url)
    for (const id of ['while it runs', 'when it has ended']) {
      if (id === 'when it has ended') {
        open()
        await eventually('the end of the turn', async () => {
          const [run] = (await t.http('GET', `/v1/runs/?agent_id=${agent.id}`)).body as { status: string }[]
          return run?.status === 'completed' ? true : null
        })
      }
      second.send({ type: 'send', id, agent_id: agent.id, messages })
    }
    for (const id of ['while it runs', 'when it has ended']) {
      const [result] = await second.ended(id)
      const { messages: said } = result!.body as { messages: { content: string }[] }
      assert.equal(said[0]?.content, 'ab', id)
    }
    await second.close()
  })

  it('cancels the turn of an agent, and says that it ended so', async () => {
    const agent = await newAgent()
    const socket = await openSocket(t.url)
    held()
    socket.send({ type: 'stream', id: 'a', agent_id: agent.id, input: 'go' })
    const some = await socket.frame('some words', (frame) => field(frame, 'content') === 'w5 ')
    const run_id = String(field(some, 'run_id'))
    socket.send({ type: 'cancel', id: 'x', agent_id: agent.id, run_id })
    assert.deepEqual((await socket.ended('x'))[0]?.body, { [run_id]: 'cancelled' })
    const ends = (await socket.ended('a')).filter((frame) => field(frame, 'message_type') === 'stop_reason')
    assert.deepEqual(
      ends.map((frame) => field(frame, 'stop_reason')),
      ['cancelled'],
    )
    await socket.close()
  })

  it('stops following a turn, which goes on', async () => {
    const agent = await newAgent()
    const socket = await openSocket(t.url)
    const open = held()
    socket.send({ type: 'stream', id: 'a', agent_id: agent.id, input: 'go' })
    const some = await socket.frame('some words', (frame) => field(frame, 'content') === 'w5 ')
    socket.send({ type: 'stop', id: 's', target: 'a' })
    assert.deepEqual((await socket.ended('s'))[0]?.body, { stopped: 'a' })
    assert.deepEqual((await socket.ended('a')).at(-1), { type: 'done', id: 'a', complete: false })
    open()
    await eventually('the end of the run', async () => {
      const { status } = await t.letta.runs.retrieve(String(field(some, 'run_id')))
      return status === 'completed' ? true : null
    })
    await socket.close()
  })

  it('decides what waits for an approval, and streams what follows, in a conversation too', async () => {
    const agent = await newAgent({
      memory_blocks: [{ label: 'human', value: 'a' }],
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    const { id: conversation_id } = await t.letta.conversations.create({ agent_id: agent.id })
    const socket = await openSocket(t.url)
    const insert = { name: 'memory_insert', arguments: { label: 'human', new_string: 'b' }, id: 'call-1' }
    model.add({ reply: { tool_calls: [insert] } }, { reply: { text: 'done' } })
    socket.send({ type: 'stream', id: 'a', conversation_id, input: 'go' })
    const asked = await socket.ended('a')
    assert.ok(asked.some((frame) => field(frame, 'message_type') === 'approval_request_message'))
    const approvals = [{ tool_call_id: 'call-1', approve: true }]
    socket.send({ type: 'approve', id: 'b', conversation_id, approvals })
    assert.equal(textOf(await socket.ended('b')), 'done')
    assert.equal((await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })).value, 'a\nb')
    await socket.close()
  })

  it('has a socket for each agent too, which needs no agent_id and refuses another', async () => {
    const agent = await newAgent()
    const socket = await openSocket(t.url, { path: `/v1/agents/${agent.id}/ws` })
    model.add({ reply: { text: 'hi' } })
    socket.send({ type: 'stream', id: 'a', input: 'go' })
    assert.equal(textOf(await socket.ended('a')), 'hi')
    socket.send({ type: 'stream', id: 'b', agent_id: `agent-${crypto.randomUUID()}`, input: 'go' })
    assert.match((await socket.ended('b'))[0]?.detail ?? '', /this socket is for agent-/)
    await socket.close()
  })

  it('says at once that there is no such agent, and closes when nobody else can ask', async () => {
    const nobody = `agent-${crypto.randomUUID()}`
    for (const [path, detail] of [
      [nobody, /[Nn]o agent|not found/i],
      ['nope', /There is no agent 'nope'/],
      ['%ff', /There is no agent '%ff'/],
    ] as const) {
      const socket = await openSocket(t.url, { path: `/v1/agents/${path}/ws` })
      const told = await socket.frame('an error', ({ type }) => type === 'error')
      assert.deepEqual([told.id, told.status], [null, 404])
      assert.match(told.detail ?? '', detail)
      socket.send({ type: 'stream', id: 'a', input: 'go' })
      assert.equal((await socket.ended('a'))[0]?.status, 404)
      assert.ok(!socket.frames.some(({ type }) => type === 'ready'))
      await socket.close()
    }
    const locked = await startLoci({ model_url: model.url, serve: { key: 'sesame' } })
    const headers = { authorization: 'Bearer sesame' }
    const socket = await openSocket(locked.url, { path: '/v1/agents/nope/ws', headers })
    await socket.frame('an error', ({ type, status }) => type === 'error' && status === 404)
    assert.equal((await socket.closed).code, 4404)
    await locked.close()
  })

  it('knows agents by their names, too', async () => {
    const { id } = await newAgent({ name: "Ada O'Neil" })
    model.add({ reply: { text: 'one' } }, { reply: { text: 'two' } })
    const all = await openSocket(t.url)
    all.send({ type: 'stream', id: 'a', agent_id: "Ada O'Neil", input: 'go' })
    assert.equal(textOf(await all.ended('a')), 'one')
    all.send({ type: 'stream', id: 'b', agent_id: 'Ida', input: 'go' })
    assert.equal((await all.ended('b'))[0]?.status, 404)
    await all.close()
    const own = await openSocket(t.url, { path: `/v1/agents/${encodeURIComponent("Ada O'Neil")}/ws` })
    const ready = (await own.frame('ready', ({ type }) => type === 'ready')) as { agent_id?: string }
    assert.equal(ready.agent_id, id)
    own.send({ type: 'stream', id: 'a', input: 'go' })
    assert.equal(textOf(await own.ended('a')), 'two')
    await newAgent({ name: 'Bob' })
    own.send({ type: 'stream', id: 'b', agent_id: 'Bob', input: 'go' })
    assert.match((await own.ended('b'))[0]?.detail ?? '', /this socket is for agent-/)
    await own.close()
  })

  it('tells of what changes, of the wanted kinds, and goes on from a cursor', async () => {
    const socket = await openSocket(t.url)
    socket.send({ type: 'subscribe', id: 'all' })
    socket.send({ type: 'subscribe', id: 'blocks', types: ['blocks'] })
    for (const id of ['all', 'blocks'])
      await socket.frame(`${id} subscribed`, (frame) => frame.type === 'subscribed' && frame.id === id)
    const agent = await newAgent()
    const block = await t.letta.blocks.create({ label: 'x', value: 'y' })
    const made = await socket.frame('the agent', (frame) => field(frame, 'object_id') === agent.id)
    assert.deepEqual([made.type, made.id, field(made, 'type')], ['event', 'all', 'agent.created'])
    await socket.frame(
      'the block',
      (frame) => frame.id === 'blocks' && field(frame, 'object_id') === block.id,
    )
    assert.ok(
      socket.frames.every(
        (one) => one.id !== 'blocks' || one.type !== 'event' || field(one, 'type') === 'block.created',
      ),
    )
    await socket.close()

    const again = await openSocket(t.url)
    again.send({ type: 'subscribe', id: 'e', after: made.cursor })
    const next = await again.frame('the block', (frame) => field(frame, 'object_id') === block.id)
    assert.ok(next.cursor! > made.cursor!)
    assert.ok(!again.frames.some((frame) => field(frame, 'object_id') === agent.id))
    await again.close()
  })

  it('passes on what the API refuses, and goes on', async () => {
    const agent = await newAgent()
    const socket = await openSocket(t.url)
    socket.send({ type: 'stream', id: 'a', agent_id: `agent-${crypto.randomUUID()}`, input: 'go' })
    socket.send({ type: 'stream', id: 'b', agent_id: agent.id })
    socket.send({ type: 'resume', id: 'c', run_id: 'run-none' })
    const status = async (id: string) => (await socket.ended(id)).map((frame) => [frame.type, frame.status])
    assert.deepEqual(await status('a'), [['error', 404]])
    assert.deepEqual(await status('b'), [['error', 422]])
    assert.deepEqual(await status('c'), [['error', 404]])
    socket.send({ type: 'ping', id: 'p' })
    await socket.frame('a pong', (frame) => frame.type === 'pong' && frame.id === 'p')
    await socket.close()
  })

  it('lets a turn end before the server closes, and says then that it stops', async () => {
    const other = await startLoci({ model_url: model.url, serve: { grace_ms: 20_000 } })
    const agent = await other.letta.agents.create({ model: SCRIPTED })
    const [idle, busy] = [await openSocket(other.url), await openSocket(other.url)]
    const open = held()
    busy.send({ type: 'stream', id: 'a', agent_id: agent.id, input: 'go' })
    await busy.frame('some words', (frame) => field(frame, 'content') === 'w5 ')
    const closing = other.close()
    assert.equal((await idle.closed).code, 1001)
    open()
    const { code, reason } = await busy.closed
    assert.deepEqual([code, textOf(busy.frames)], [1001, words(20)])
    assert.match(reason, /resume/)
    await closing
  })
})
