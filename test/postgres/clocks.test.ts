import assert from 'node:assert/strict'
import { Client } from 'pg'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { followFeed } from './chaos-feed.ts'
import { type Cluster, startCluster } from './cluster.ts'

const DEADLINE_MS = 60_000
/** By how much the clocks of the instances are wrong, in hours. */
const SHIFTS = [0, 7, -7]
const PAGE = 'https://app.example.com'

/** A process whose wall clock is hours off, as one on a machine with a wrong clock is. */
function shifted(hours: number): Record<string, string> {
  const code = `const Real = Date
    const now = () => Real.now() + ${hours * 3_600_000}
    globalThis.Date = class Date extends Real {
      constructor(...given) { given.length === 0 ? super(now()) : super(...given) }
      static now() { return now() }
    }`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}

describe('instances whose clocks are hours off', function () {
  this.timeout(180_000)
  let model: ScriptedModel
  let cluster: Cluster

  before(async () => {
    model = await startScriptedModel([], { loop: () => ({ text: 'Done.' }) })
    cluster = await startCluster({ model_url: model.url, env: SHIFTS.map(shifted) })
  })
  after(async () => {
    await cluster?.close()
    await model?.close()
  })
  afterEach(() => model.done())

  const agentOf = async (i: number, more: object = {}) =>
    (await cluster.letta(cluster.instances[i]).agents.create({ model: SCRIPTED, ...more })).id
  async function sql<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: cluster.address })
    await client.connect()
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  }
  const isAbout = (text: string | null | undefined, wanted: number) => {
    const off = Math.abs(Date.parse(text ?? '') - wanted)
    assert.ok(off < DEADLINE_MS, `${text} is not about ${new Date(wanted).toISOString()}`)
  }

  it('write the history of a conversation in the order in which it was, at the time it was', async () => {
    const agent_id = await agentOf(0)
    const said: string[] = []
    for (let n = 0; n < 9; n++) {
      const letta = cluster.letta(cluster.instances[(n * 2) % 3])
      await letta.agents.messages.create(agent_id, { input: `message ${n}` })
      said.push(`message ${n}`)
    }
    for (const instance of cluster.instances) {
      const letta = cluster.letta(instance)
      const { items } = await letta.agents.messages.list(agent_id, { order: 'asc', limit: 100 })
      const mine = items.flatMap((one) => (one.message_type === 'user_message' ? [one.content] : []))
      assert.deepEqual(mine, said)
      for (const message of items) isAbout(message.date, Date.now())
      const runs = (await letta.runs.list({ agent_id, order: 'asc' })).items
      assert.deepEqual(
        runs.map(({ created_at }) => created_at),
        runs.map(({ created_at }) => created_at).toSorted(),
      )
      assert.equal(runs.length, said.length)
    }
  })

  it('tell events in the order of commits', async () => {
    const feeds = cluster.instances.map(({ url }) => followFeed(url))
    const ids: string[] = []
    for (let n = 0; n < 6; n++) ids.push(await agentOf(n % 3))
    const stored = await sql<{ id: number }>('SELECT id::int FROM events ORDER BY xid, id')
    const last = stored.at(-1)?.id ?? 0
    for (const feed of feeds) {
      await feed.reached(last, DEADLINE_MS)
      await feed.stop()
      assert.deepEqual(
        feed.ids,
        stored.map(({ id }) => id),
      )
    }
    const made = await sql<{ object_id: string }>(
      "SELECT object_id FROM events WHERE type = 'agent.created' AND object_id = ANY($1) ORDER BY xid, id",
      [ids],
    )
    assert.deepEqual(
      made.map(({ object_id }) => object_id),
      ids,
    )
  })

  it('fire schedules when their time has come, whichever makes and whichever fires them', async () => {
    const scheduled_at = Date.now() + 3_000
    const made: string[] = []
    for (let n = 0; n < 6; n++) {
      const agent_id = await agentOf(n % 3)
      const { id } = await cluster.letta(cluster.instances[n % 3]).agents.schedule.create(agent_id, {
        messages: [{ role: 'user', content: 'The time has come.' }],
        schedule: { type: 'one-time', scheduled_at },
      })
      made.push(id)
    }
    const fired = () =>
      sql<{ fired_at: string }>('SELECT last_fired_at AS fired_at FROM schedules WHERE id = ANY($1)', [made])
    await eventually(
      'all have fired',
      async () => ((await fired()).every(({ fired_at }) => fired_at !== null) ? true : null),
      DEADLINE_MS,
    )
    assert.ok(Date.now() >= scheduled_at, 'not before')
    for (const { fired_at } of await fired()) {
      isAbout(fired_at, scheduled_at)
      assert.ok(Date.parse(fired_at) >= scheduled_at - 100, `${fired_at} is before its time`)
    }
  })

  it('leave each other the turns that go on, and take those of the dead', async () => {
    const held: { run_id: string; letGo: () => void; instance: number }[] = []
    for (const instance of [0, 1, 2]) {
      const agent_id = await agentOf(instance)
      const gate = Promise.withResolvers<void>()
      const asked = model.requests.length
      model.add({ reply: { text: `kept by ${instance}`, hold: gate.promise } })
      const run = await cluster
        .letta(cluster.instances[instance])
        .agents.messages.createAsync(agent_id, { input: 'go' })
      await model.request(asked, DEADLINE_MS)
      held.push({ run_id: run.id, letGo: gate.resolve, instance })
    }
    // Longer than a heart may stand still: hearts beat, whatever the clocks say.
    const first = Date.now()
    await eventually(
      'hearts have beaten for a while',
      () => (Date.now() - first > 14_000 ? true : null),
      DEADLINE_MS,
    )
    const asked = model.requests.length
    const [, dead] = cluster.instances
    await dead?.kill()
    await model.request(asked, DEADLINE_MS)
    for (const { letGo } of held) letGo()
    for (const { run_id, instance } of held) {
      const letta = cluster.letta(cluster.instances[0])
      const run = await eventually(
        `the run of instance ${instance} has ended`,
        async () => {
          const now = await letta.runs.retrieve(run_id)
          return now.status === 'running' ? null : now
        },
        DEADLINE_MS,
      )
      assert.equal(run.status, 'completed')
      const said = (await letta.runs.messages.list(run_id)).items.at(-1)
      assert.ok(said?.message_type === 'assistant_message')
      assert.equal(said.content, instance === 1 ? 'Done.' : `kept by ${instance}`)
      isAbout(run.completed_at, Date.now())
    }
    await dead?.start()
  })

  it('let tokens end when they are to end', async () => {
    const agent_id = await agentOf(0)
    const [first, ahead, behind] = cluster.instances
    assert.ok(first && ahead && behind)
    const status = async (url: string, token: string) =>
      (
        await fetch(`${url}/v1/agents/${agent_id}`, {
          headers: { authorization: `Bearer ${token}`, origin: PAGE },
        })
      ).status
    for (const maker of [ahead, behind]) {
      const make = async (lasts_ms: number) => {
        const expires_at = new Date(Date.now() + lasts_ms).toISOString()
        const policy = [{ type: 'agent', id: agent_id, access: ['read_agent'] }]
        const response = await fetch(`${maker.url}/v1/client-side-access-tokens`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ hostname: PAGE, policy, expires_at }),
        })
        assert.equal(response.status, 201)
        return ((await response.json()) as { token: string }).token
      }
      const [long, short] = [await make(3_600_000), await make(3_000)]
      for (const { url } of cluster.instances)
        assert.deepEqual([await status(url, long), await status(url, short)], [200, 200], url)
      for (const { url } of cluster.instances) {
        await eventually('the short one has ended', async () =>
          (await status(url, short)) === 401 ? true : null,
        )
        assert.equal(await status(url, long), 200)
      }
    }
  })
})
