import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { Client } from 'pg'
import type { Batch } from '../../shared/schema/batch.ts'
import { pause } from '../../shared/store/pause.ts'
import type { ServerProcess } from '../reliability/server-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { openSocket } from '../support/web-socket.ts'
import { followFeed } from './chaos-feed.ts'
import { type Cluster, startCluster } from './cluster.ts'

/** What is promised: a dead instance's background runs are gone on with within this time, in milliseconds. */
const RESUMED_WITHIN_MS = 15_000
/** A turn whose instance does not obey is cancelled within this time, before anybody could take it for dead. */
const CANCELLED_WITHIN_MS = 8_000
/** Of any wait here: what is measured is far shorter on a machine that has time. */
const DEADLINE_MS = 60_000
const WORDS = Array.from({ length: 40 }, (_, i) => `w${i} `)

interface Chunk {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
}

describe('three instances over one PostgreSQL behind nginx', function () {
  this.timeout(180_000)
  let model: ScriptedModel
  let cluster: Cluster
  let one: ServerProcess
  let two: ServerProcess
  let three: ServerProcess

  before(async () => {
    model = await startScriptedModel([], { loop: () => ({ text: 'Done.' }) })
    cluster = await startCluster({ model_url: model.url })
    const [first, second, third] = cluster.instances
    assert.ok(first && second && third)
    ;[one, two, three] = [first, second, third]
    await eventually(
      'the database has been up for so long that instances are not waited for any more',
      async () => {
        const [row] = await sql<{ old: boolean }>(
          "SELECT pg_postmaster_start_time() < clock_timestamp() - interval '10 seconds' AS old",
        )
        return row?.old === true ? true : null
      },
      DEADLINE_MS,
    )
  })
  after(async () => {
    await cluster?.close()
    await model?.close()
  })
  afterEach(async () => {
    await model.done()
    for (const instance of cluster.instances) {
      instance.signal('SIGCONT')
      if (!instance.isRunning) await instance.start()
    }
  })

  const never = () => new Promise<never>(() => undefined)
  const agentOf = async (letta: Letta, more: object = {}) =>
    (await letta.agents.create({ model: SCRIPTED, ...more })).id

  /** Adds an answer that stands still in its middle until it is let go. */
  function halfAnAnswer(): () => void {
    const gate = Promise.withResolvers<void>()
    model.add({ reply: { text: WORDS, hold: gate.promise, hold_after: 20 } })
    return gate.resolve
  }

  /** Begins a run here and reads its stream up to the tenth word. */
  async function begin(instance: ServerProcess, agent_id: string, { background = true } = {}) {
    const stream = await cluster.letta(instance).agents.messages.create(agent_id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      background,
      include_pings: false,
    })
    const seen: Chunk[] = []
    for await (const chunk of stream as AsyncIterable<Chunk>) {
      seen.push(chunk)
      if (chunk.content === 'w9 ') break
    }
    return { seen, run_id: seen.at(-1)?.run_id ?? '', last: seen.at(-1)?.seq_id ?? 0 }
  }
  const follow = async (instance: ServerProcess, run_id: string, starting_after: number) => {
    const asked = { starting_after, include_pings: false }
    const chunks: Chunk[] = []
    const stream = await cluster.letta(instance).runs.messages.stream(run_id, asked)
    for await (const chunk of stream as AsyncIterable<Chunk>) chunks.push(chunk)
    return chunks
  }
  const textOf = (chunks: readonly Chunk[]) =>
    chunks
      .flatMap(({ message_type, content }) => (message_type === 'assistant_message' ? [content] : []))
      .join('')
  /** The run as it is when it runs no more. */
  const ended = (letta: Letta, run_id: string) =>
    eventually(
      `run ${run_id} has ended`,
      async () => {
        const run = await letta.runs.retrieve(run_id)
        return run.status === 'running' || run.status === 'created' ? null : run
      },
      DEADLINE_MS,
    )
  async function sql<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: cluster.address })
    await client.connect()
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  }

  it('goes on with a stream on another instance while the run runs', async () => {
    const agent_id = await agentOf(cluster.letta())
    const letGo = halfAnAnswer()
    const { seen, run_id, last } = await begin(one, agent_id)
    const [rest, all] = [follow(two, run_id, last), follow(three, run_id, 0)]
    letGo()
    assert.equal(textOf([...seen, ...(await rest)]), WORDS.join(''))
    assert.equal(textOf(await all), WORDS.join(''))
  })

  it('cancels a run from another instance', async () => {
    const agent_id = await agentOf(cluster.letta())
    halfAnAnswer()
    const { run_id } = await begin(one, agent_id)
    assert.deepEqual(await cluster.letta(two).agents.messages.cancel(agent_id), { [run_id]: 'cancelled' })
    assert.equal((await cluster.letta(three).runs.retrieve(run_id)).status, 'cancelled')
  })

  it('takes an approval on another instance', async () => {
    const agent_id = await agentOf(cluster.letta(one), {
      memory_blocks: [{ label: 'human', value: 'a' }],
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    model.add(
      {
        reply: {
          tool_calls: [
            { id: 'call-1', name: 'memory_insert', arguments: { label: 'human', new_string: 'b' } },
          ],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    const asked = await cluster.letta(one).agents.messages.create(agent_id, { input: 'go' })
    assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
    const answered = await cluster.letta(two).agents.messages.create(agent_id, {
      messages: [
        { type: 'approval', approvals: [{ type: 'approval', tool_call_id: 'call-1', approve: true }] },
      ],
    })
    assert.equal(answered.stop_reason.stop_reason, 'end_turn')
    const { value } = await cluster.letta(three).agents.blocks.retrieve('human', { agent_id })
    assert.equal(value, 'a\nb')
  })

  it('tells of what happens on another instance, in feeds and on sockets', async () => {
    const feed = followFeed(two.url)
    const socket = await openSocket(cluster.url)
    try {
      socket.send({ type: 'subscribe', id: 'all', after: 0 })
      const agent_id = await agentOf(cluster.letta(one))
      const run = await cluster.letta(one).agents.messages.createAsync(agent_id, { input: 'hi' })
      await ended(cluster.letta(one), run.id)
      const isEnd = ({ data }: { data?: Record<string, unknown> }) =>
        data?.['object_id'] === run.id && data['type'] === 'run.updated'
      const frame = await socket.frame('the end of the run on the socket', isEnd)
      await feed.reached(Number(frame.data?.['id']), DEADLINE_MS)
    } finally {
      await socket.close()
      await feed.stop()
    }
  })

  it('goes on with a dead instance’s background run from its last step, soon', async () => {
    const agent_id = await agentOf(cluster.letta())
    model.add({ reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } })
    halfAnAnswer()
    const { run_id, last } = await begin(one, agent_id)
    const asked = model.requests.length
    model.add({
      expect: (body) =>
        assert.equal(body.messages.at(-1)?.role, 'tool', 'the committed step is not asked again'),
      reply: { text: 'the whole answer' },
    })
    await one.kill()
    const killed = performance.now()
    await model.request(asked, DEADLINE_MS)
    const resumed = performance.now() - killed
    assert.match(textOf(await follow(two, run_id, last)), /the whole answer$/)
    const took = performance.now() - killed
    console.log(
      `      kill -9: asked again after ${Math.round(resumed)} ms, the next step was there after ${Math.round(took)} ms`,
    )
    assert.ok(took < RESUMED_WITHIN_MS, `${took} ms`)
    assert.equal((await ended(cluster.letta(two), run_id)).status, 'completed')
  })

  it('ends a dead instance’s foreground run with a reason, and its conversation is free', async () => {
    const agent_id = await agentOf(cluster.letta())
    halfAnAnswer()
    const { run_id } = await begin(one, agent_id, { background: false })
    await one.kill()
    const killed = performance.now()
    const run = await ended(cluster.letta(two), run_id)
    console.log(
      `      kill -9: the foreground run had failed after ${Math.round(performance.now() - killed)} ms`,
    )
    assert.deepEqual([run.status, run.stop_reason], ['failed', 'error'])
    assert.match(String(run.metadata?.['error']), /stopped before the turn was finished/)
    model.add({ reply: { text: 'free' } })
    await cluster.letta(three).agents.messages.create(agent_id, { input: 'again' })
  })

  it('ends no turn of instances whose connections are cut again and again', async () => {
    const [first, second] = [await agentOf(cluster.letta(one)), await agentOf(cluster.letta(two))]
    const go = [halfAnAnswer(), halfAnAnswer()]
    const runs = [
      await begin(one, first, { background: false }),
      await begin(two, second, { background: false }),
    ]
    for (let cut = 0; cut < 12; cut++) {
      await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()`)
      // Never in step with those who look every second.
      await pause(370)
    }
    for (const let_go of go) let_go()
    for (const { run_id } of runs)
      assert.equal((await ended(cluster.letta(three), run_id)).status, 'completed', run_id)
  })

  it('frees the conversation of a dead instance for the message that comes first', async () => {
    const agent_id = await agentOf(cluster.letta())
    halfAnAnswer()
    await begin(one, agent_id, { background: false })
    await one.kill()
    model.add({ reply: { text: 'free' } })
    await eventually('the next message is answered', () =>
      cluster
        .letta(two)
        .agents.messages.create(agent_id, { input: 'again' })
        .catch((error: unknown) => (/409/.test(String(error)) ? null : Promise.reject(error as Error))),
    )
  })

  it('does a dead instance’s batch, each request once', async () => {
    const agents = await Promise.all([1, 2, 3].map(() => agentOf(cluster.letta())))
    const before = model.requests.length
    for (const _ of agents) model.add({ reply: { text: 'never', hold: never() } })
    const requests = agents.map((agent_id, n) => ({ agent_id, input: `Request ${n}` }))
    // Whichever instance has claimed them is the one that dies.
    const batch = await cluster.letta(one).post<Batch>('/v1/messages/batches', { body: { requests } })
    await model.request(before + 2, DEADLINE_MS)
    const [holder] = await sql<{ pid: number }>(
      'SELECT i.pid::int FROM batch_items b JOIN instances i ON i.id = b.instance_id WHERE b.batch_id = $1 LIMIT 1',
      [batch.id],
    )
    const dead = cluster.instances.filter(({ pid }) => pid === holder?.pid)
    assert.equal(dead.length, 1)
    await Promise.all(dead.map((instance) => instance.kill()))
    const end = await eventually(
      'the batch has ended',
      async () => {
        const now = await cluster.letta().get<Batch>(`/v1/messages/batches/${batch.id}`)
        return now.completed_at === null ? null : now
      },
      DEADLINE_MS,
    )
    assert.equal(end.metadata.requests.completed, 3)
    for (const [n, agent_id] of agents.entries()) {
      const { items } = await cluster.letta().agents.messages.list(agent_id)
      const said = items.flatMap((m) => (m.message_type === 'user_message' ? [m.content] : []))
      assert.deepEqual(said, [`Request ${n}`])
    }
  })

  it('fires a schedule once, also when the instance that took it dies or stands still', async () => {
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const agent_id = await agentOf(cluster.letta())
      const letGo = halfAnAnswer()
      // Its conversation is busy when its time comes, so that whoever takes the firing keeps it.
      const { run_id } = await begin(three, agent_id)
      const { id } = await cluster.letta(one).agents.schedule.create(agent_id, {
        messages: [{ role: 'user', content: 'The time has come.' }],
        schedule: { type: 'one-time', scheduled_at: Date.now() + 1_000 },
      })
      const pid = await eventually('somebody takes the firing', async () => {
        const rows = await sql<{ pid: number }>(
          'SELECT i.pid::int FROM schedules s JOIN instances i ON i.id = s.instance_id WHERE s.id = $1',
          [id],
        )
        return rows[0]?.pid ?? null
      })
      const holder = cluster.instances.find((instance) => instance.pid === pid)
      assert.ok(holder)
      if (signal === 'SIGKILL') await holder.kill()
      else holder.signal('SIGSTOP')
      if (holder !== three) letGo()
      else model.add({ reply: { text: 'instead' } })
      const alive = cluster.instances.find((instance) => instance !== holder)
      assert.ok(alive)
      await ended(cluster.letta(alive), run_id)
      const fired = () =>
        sql<{ last_run_id: string | null }>('SELECT last_run_id FROM schedules WHERE id = $1', [id])
      const run = await eventually(
        `another one fires it (${signal})`,
        async () => (await fired())[0]?.last_run_id ?? null,
        DEADLINE_MS,
      )
      await ended(cluster.letta(alive), run)
      holder.signal('SIGCONT')
      if (!holder.isRunning) await holder.start()
      await cluster.letta(holder).agents.retrieve(agent_id)
      const { items } = await cluster.letta(holder).agents.messages.list(agent_id)
      const times = items.filter(
        (m) => m.message_type === 'user_message' && m.content === 'The time has come.',
      )
      assert.equal(times.length, 1)
    }
  })

  it('writes nothing when an instance wakes that was frozen past its lease', async () => {
    const letta = cluster.letta(two)
    const [background, foreground] = [await agentOf(letta), await agentOf(letta)]
    const letGo = halfAnAnswer()
    const { run_id } = await begin(one, background)
    const letGoToo = halfAnAnswer()
    const stream = await cluster.letta(one).agents.messages.create(foreground, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      include_pings: false,
    })
    const reading = Promise.withResolvers<string>()
    const half = Promise.withResolvers<string>()
    const shown: Chunk[] = []
    const read = (async () => {
      for await (const chunk of stream as AsyncIterable<Chunk>) {
        shown.push(chunk)
        if (chunk.content === 'w9 ') half.resolve(chunk.run_id ?? '')
      }
    })()
    read.then(
      () => reading.resolve('to its end'),
      (error: unknown) => reading.resolve(String(error)),
    )
    const lost = await half.promise
    one.signal('SIGSTOP')
    const frozen = performance.now()
    model.add({ reply: { text: 'the whole answer' } })
    assert.equal((await ended(letta, run_id)).status, 'completed')
    console.log(`      SIGSTOP: gone on with and ended after ${Math.round(performance.now() - frozen)} ms`)
    const failed = await ended(letta, lost)
    assert.equal(failed.status, 'failed')
    assert.match(String(failed.metadata?.['error']), /stopped before the turn was finished/)
    model.add({ reply: { text: 'free' } })
    await letta.agents.messages.create(foreground, { input: 'again' })
    const before = await written()
    letGo()
    letGoToo()
    one.signal('SIGCONT')
    assert.match(await reading.promise, new RegExp(`${lost}.* no longer holds its conversation`))
    assert.doesNotMatch(textOf(shown), /w2[1-9] |w3\d /, 'what came while it was frozen is not shown')
    assert.match(textOf(await follow(one, run_id, 0)), /the whole answer$/)
    assert.deepEqual(await written(), before, 'rows were written, and by nobody else')
    model.add({ reply: { text: 'awake' } })
    await cluster.letta(one).agents.messages.create(background, { input: 'and you?' })
  })

  it('cancels turns of an instance that is frozen, at once, and their conversations are free', async () => {
    const letta = cluster.letta(two)
    for (const background of [true, false]) {
      const agent_id = await agentOf(letta)
      const letGo = halfAnAnswer()
      const { run_id } = await begin(one, agent_id, { background })
      one.signal('SIGSTOP')
      const from = performance.now()
      assert.deepEqual(await letta.agents.messages.cancel(agent_id), { [run_id]: 'cancelled' })
      const took = performance.now() - from
      assert.ok(took < CANCELLED_WITHIN_MS, `it took ${took} ms`)
      assert.equal((await letta.runs.retrieve(run_id)).status, 'cancelled')
      model.add({ reply: { text: 'free' } })
      await letta.agents.messages.create(agent_id, { input: 'again' })
      const before = (await letta.agents.messages.list(agent_id)).items.length
      letGo()
      one.signal('SIGCONT')
      await cluster.letta(one).agents.retrieve(agent_id)
      model.add({ reply: { text: 'awake' } })
      await cluster.letta(one).agents.messages.create(agent_id, { input: 'and you?' })
      assert.equal((await letta.runs.retrieve(run_id)).status, 'cancelled')
      assert.equal((await letta.agents.messages.list(agent_id)).items.length, before + 2)
    }
  })

  /** Rows of each table, and the last transaction that wrote one; hearts beat all the time. */
  async function written(): Promise<Record<string, unknown>> {
    const tables = await sql<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'instances' ORDER BY 1`,
    )
    const found: Record<string, unknown> = {}
    for (const { name } of tables)
      [found[name]] = await sql(`SELECT count(*), max(xmin::text::bigint) AS newest FROM "${name}"`)
    return found
  }

  it('ends in good order: what runs is finished, what comes is sent away, and nginx asks the others', async () => {
    const [quick, slow] = [await agentOf(cluster.letta()), await agentOf(cluster.letta())]
    halfAnAnswer()
    const long = await begin(one, slow)
    const letGo = halfAnAnswer()
    const { seen, run_id, last } = await begin(one, quick)
    const rest = follow(two, run_id, last)
    const asked = model.requests.length
    model.add({ reply: { text: 'instead' } })
    const from = performance.now()
    const exit = one.end('SIGTERM')
    await eventually('it sends requests away', async () => {
      const answer = await fetch(`${one.url}/v1/agents/`).catch(() => null)
      return answer?.status === 503 ? true : null
    })
    for (let i = 0; i < 12; i++) assert.equal((await fetch(`${cluster.url}/v1/agents/`)).status, 200)
    letGo()
    assert.equal(textOf([...seen, ...(await rest)]), WORDS.join(''), 'it was finished')
    assert.equal(model.requests.length, asked, 'by the one that began it')
    assert.equal(await exit, 0)
    console.log(`      SIGTERM: it had ended after ${Math.round(performance.now() - from)} ms`)
    const left = performance.now()
    assert.match(textOf(await follow(two, long.run_id, long.last)), /instead$/)
    console.log(
      `      SIGTERM: the run that it had left had ended elsewhere after ${Math.round(performance.now() - left)} ms`,
    )
    for (let i = 0; i < 12; i++) assert.equal((await fetch(`${cluster.url}/v1/agents/`)).status, 200)
  })
})
