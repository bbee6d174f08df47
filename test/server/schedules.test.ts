import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NewSchedule } from '../../shared/core/ports/schedule-store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { DEFAULT_ACTOR } from '../../shared/server/context.ts'
import { firstTime, nextTime } from '../../shared/server/cron.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { asks, READ_FILE, reads } from '../support/approvals.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

interface Kept {
  id: string
  next_scheduled_time: string | null
  last_run: {
    run_id: string | null
    scheduled_at: string
    fired_at: string
    status: string | null
    error: string | null
  } | null
}

const HOUR_AGO = new Date(Date.now() - 3_600_000).toISOString()
const YEARLY = { type: 'recurring', cron_expression: '0 0 1 1 *', timezone: 'UTC' } as const

/** A schedule as a server stored it that was away when its time came. */
function missed(agent_id: string, more: Partial<NewSchedule> = {}): NewSchedule {
  return {
    id: newId('schedule'),
    agent_id,
    created_at: HOUR_AGO,
    message: { messages: [{ role: 'user', content: 'The time has come.' }] },
    schedule: YEARLY,
    next_at: HOUR_AGO,
    ...more,
  }
}

describe('schedules', function () {
  this.timeout(60_000)
  let data: string
  let model: ScriptedModel
  let servers: TestLoci[]
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-schedules-'))
    model = await startScriptedModel([], { loop: () => ({ text: 'Done.' }) })
    servers = []
  })
  afterEach(async () => {
    for (const server of servers) await server.close()
    await model.done()
    await model.close()
    await rm(data, { recursive: true, force: true })
    assert.deepEqual(
      servers.flatMap(({ failures }) => failures),
      [],
    )
  })

  async function start(): Promise<TestLoci> {
    const server = await startLoci({ model_url: model.url, data })
    servers.push(server)
    return server
  }
  const stop = async (server: TestLoci) => {
    servers.splice(servers.indexOf(server), 1)
    await server.close()
    assert.deepEqual(server.failures, [])
  }
  const newAgent = async (t: TestLoci) => (await t.letta.agents.create({ model: SCRIPTED })).id
  const read = async (t: TestLoci, agent_id: string, id: string) =>
    (await t.http('GET', `/v1/agents/${agent_id}/schedule/${id}`)).body as Kept
  const ended = (t: TestLoci, agent_id: string, id: string, status = 'completed') =>
    eventually(`schedule ${id} has fired, and its run is ${status}`, async () => {
      const now = await read(t, agent_id, id)
      return now.last_run?.status === status ? { ...now, last_run: now.last_run } : null
    })
  const asked = async (t: TestLoci, agent_id: string) => {
    const { items } = await t.letta.agents.messages.list(agent_id, { limit: 100, order: 'asc' })
    return items.flatMap((item) => (item.message_type === 'user_message' ? [item.content] : []))
  }
  /** What another process does on the same data, and then is gone. */
  async function elsewhere<T>(work: (store: Awaited<ReturnType<typeof openSqliteStore>>) => Promise<T>) {
    const store = await openSqliteStore({ directory: data })
    try {
      return await work(store)
    } finally {
      await store.close()
    }
  }

  it('fire once each, whichever of two servers on the same data is first', async () => {
    const [one, two] = [await start(), await start()]
    const scheduled_at = Date.now() + 1_000
    const made = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const agent_id = await newAgent(one)
        const { id } = await (i % 2 ? one : two).letta.agents.schedule.create(agent_id, {
          messages: [{ role: 'user', content: `Task ${i}` }],
          schedule: { type: 'one-time', scheduled_at },
        })
        return { agent_id, id, text: `Task ${i}` }
      }),
    )
    for (const { agent_id, id, text } of made) {
      const done = await ended(two, agent_id, id)
      assert.equal(done.next_scheduled_time, null)
      assert.ok(Date.parse(done.last_run.fired_at) >= scheduled_at, 'not before its time')
      assert.deepEqual(await asked(one, agent_id), [text])
      const { items } = await one.letta.runs.list({ agent_id })
      assert.deepEqual(
        items.map((run) => run.id),
        [done.last_run.run_id],
      )
    }
    assert.equal(model.requests.length, made.length)
  })

  it('survive a restart, and what was missed meanwhile fires once', async () => {
    const first = await start()
    const agents = [await newAgent(first), await newAgent(first), await newAgent(first)]
    const [once = '', minutely = '', later = ''] = agents
    const { id: kept } = await first.letta.agents.schedule.create(later, {
      messages: [{ role: 'user', content: 'Much later.' }],
      schedule: { type: 'one-time', scheduled_at: Date.now() + 3_600_000 },
    })
    await stop(first)
    const schedule = { type: 'one-time' as const, scheduled_at: Date.parse(HOUR_AGO) }
    const late = missed(once, { schedule })
    // Sixty times have passed.
    const often = missed(minutely, { schedule: { ...YEARLY, cron_expression: '*/1 * * * *' } })
    await elsewhere(async ({ schedules }) => {
      for (const one of [late, often]) await schedules.create(DEFAULT_ACTOR, one)
    })
    const again = await start()
    const [fired, repeated] = [await ended(again, once, late.id), await ended(again, minutely, often.id)]
    assert.deepEqual([fired.last_run.scheduled_at, fired.next_scheduled_time], [HOUR_AGO, null])
    assert.equal(repeated.last_run.scheduled_at, HOUR_AGO)
    assert.ok(Date.parse(repeated.next_scheduled_time ?? '') > Date.parse(repeated.last_run.fired_at))
    assert.deepEqual(await asked(again, once), ['The time has come.'])
    const { last_run, next_scheduled_time } = await read(again, later, kept)
    assert.equal(last_run, null)
    assert.ok(Date.parse(next_scheduled_time ?? '') > Date.now())
    assert.deepEqual(await asked(again, later), [])
  })

  it('a firing that its process left is taken over', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const left = missed(agent_id, { next_at: new Date(Date.now() + 3_600_000).toISOString() })
    await elsewhere(async ({ schedules }) => {
      await schedules.create(DEFAULT_ACTOR, left)
      assert.equal(await schedules.claim(left.id, left.next_at, null), true)
    })
    assert.equal((await ended(t, agent_id, left.id)).last_run.scheduled_at, left.next_at)
    assert.deepEqual(await asked(t, agent_id), ['The time has come.'])
  })

  it('a firing whose process died after its run had begun is not sent twice', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const left = missed(agent_id, { next_at: new Date(Date.now() + 3_600_000).toISOString() })
    const run_id = await elsewhere(async ({ schedules }) => {
      await schedules.create(DEFAULT_ACTOR, left)
      assert.equal(await schedules.claim(left.id, left.next_at, null), true)
      const messages = [
        { role: 'user' as const, content: 'The time has come.', otid: `${left.id}:${left.next_at}:0` },
      ]
      return (await t.letta.agents.messages.createAsync(agent_id, { messages })).id
    })
    const done = await ended(t, agent_id, left.id)
    assert.equal(done.last_run.run_id, run_id)
    assert.deepEqual(await asked(t, agent_id), ['The time has come.'])
    assert.equal(model.requests.length, 1)
  })

  it('wait for a conversation that is busy', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    model.add({ reply: { text: 'That took long.', hold } })
    const first = t.letta.agents.messages.create(agent_id, { input: 'Think hard.' })
    await model.request(0)
    const made = missed(agent_id)
    await elsewhere(({ schedules }) => schedules.create(DEFAULT_ACTOR, made))
    await eventually('the firing is taken', () =>
      elsewhere(async ({ schedules }) => (await schedules.due(new Date())).length === 0 || null),
    )
    assert.equal((await read(t, agent_id, made.id)).last_run, null)
    open()
    await first
    await ended(t, agent_id, made.id)
    assert.deepEqual(await asked(t, agent_id), ['Think hard.', 'The time has come.'])
  })

  it('one that is deleted while it waits is not sent', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    model.add({ reply: { text: 'That took long.', hold } })
    const first = t.letta.agents.messages.create(agent_id, { input: 'Think hard.' })
    await model.request(0)
    const [gone, next] = [missed(agent_id), missed(agent_id)]
    await elsewhere(({ schedules }) => schedules.create(DEFAULT_ACTOR, gone))
    await eventually('the firing is taken', () =>
      elsewhere(async ({ schedules }) => (await schedules.due(new Date())).length === 0 || null),
    )
    await t.letta.agents.schedule.delete(gone.id, { agent_id })
    await elsewhere(({ schedules }) => schedules.create(DEFAULT_ACTOR, next))
    open()
    await first
    await ended(t, agent_id, next.id)
    assert.equal((await asked(t, agent_id)).length, 2)
  })

  it('tell how the run of their last firing failed, and why none began', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    model.add({ reply: { status: 400, body: { error: { message: 'I cannot.' } } } })
    const made = missed(agent_id)
    await elsewhere(({ schedules }) => schedules.create(DEFAULT_ACTOR, made))
    const failed = await ended(t, agent_id, made.id, 'failed')
    assert.ok(failed.last_run.run_id)
    assert.notEqual(failed.next_scheduled_time, null, 'it fires again')
    const waiting = await newAgent(t)
    model.add(asks(reads()))
    const input = { input: 'Read it.', client_tools: [READ_FILE] }
    assert.equal(
      (await t.letta.agents.messages.create(waiting, input)).stop_reason.stop_reason,
      'requires_approval',
    )
    const refused = missed(waiting)
    await elsewhere(({ schedules }) => schedules.create(DEFAULT_ACTOR, refused))
    const none = await eventually(
      'the other has been tried',
      async () => (await read(t, waiting, refused.id)).last_run,
    )
    assert.deepEqual([none.run_id, none.status], [null, null])
    assert.match(none.error ?? '', /approval/)
    assert.deepEqual(await asked(t, waiting), ['Read it.'])
  })

  it('keep what the address of an image holds when they are made', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const data =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
    const sent = {
      messages: [
        {
          role: 'user',
          content: [{ type: 'image', source: { type: 'url', url: `data:image/png;base64,${data}` } }],
        },
      ],
      schedule: YEARLY,
    }
    const made = await t.http('POST', `/v1/agents/${agent_id}/schedule`, sent)
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const { scheduled_messages } = await t.letta.agents.schedule.list(agent_id)
    assert.match(JSON.stringify(scheduled_messages), new RegExp(`"data":"${data.slice(0, 20)}`))
    sent.messages[0]!.content[0]!.source.url = 'http://127.0.0.1:9/none.png'
    const refused = await t.http('POST', `/v1/agents/${agent_id}/schedule`, sent)
    assert.equal(refused.status, 400, JSON.stringify(refused.body))
  })

  it('that cannot be are refused with a sentence', async () => {
    const t = await start()
    const agent_id = await newAgent(t)
    const messages = [{ role: 'user', content: 'Hello' }]
    const cron = (cron_expression: string, more = {}) => ({ type: 'recurring', cron_expression, ...more })
    const cases: [schedule: unknown, why: RegExp][] = [
      [cron('0 0 31 2 *'), /'0 0 31 2 \*' never fires/],
      [cron('0 0 31 4,6,9,11 *'), /never fires/],
      [cron('61 * * * *'), /'61 \* \* \* \*' is no cron expression .*minute/],
      [cron('* * * *'), /of five fields \([^)]*\): it has 4"/],
      [cron('* * * * * *'), /of five fields \([^)]*\): it has 6"/],
      [cron('0 0 32 * *'), /: its day of the month is '32'; what it takes is 1 to 31, or L/],
      [cron('0 0 * 13 *'), /: its month is '13'; what it takes is 1 to 12, or JAN/],
      [cron('0 0 * * FOO'), /: its day of the week is 'FOO'; what it takes is 0 to 7/],
      [cron('@often'), /: of names there are @hourly, @daily/],
      [cron('0 0 1 1 * 2020'), /five fields/],
      [cron('tomorrow'), /five fields/],
      [cron(''), /cron_expression/],
      [cron('* '.repeat(2000)), /cron_expression/],
      [cron('0 9 * * *', { timezone: 'Mars/Olympus' }), /time zone of the IANA database/],
      [{ type: 'one-time', scheduled_at: Date.now() - 120_000 }, /has passed; .* at most a minute ago/],
      [{ scheduled_at: Math.round(Date.now() / 1000) + 60 }, /milliseconds/],
      [{ scheduled_at: 1e300 }, /milliseconds/],
      [{ scheduled_at: 'noon' }, /scheduled_at/],
      [{ type: 'sometimes' }, /'one-time' with scheduled_at, or 'recurring'/],
      [{}, /scheduled_at/],
      [undefined, /schedule/],
    ]
    for (const [schedule, why] of cases) {
      const { status, body } = await t.http('POST', `/v1/agents/${agent_id}/schedule`, { messages, schedule })
      assert.equal(status, 422, JSON.stringify([schedule, body]))
      assert.match(JSON.stringify(body), why)
    }
    const others = [{ messages: [] }, { messages, max_steps: 0 }, { messages, callback_url: 'ftp://x' }, {}]
    for (const body of others) {
      const sent = { ...body, schedule: cron('0 9 * * *') }
      assert.equal((await t.http('POST', `/v1/agents/${agent_id}/schedule`, sent)).status, 422)
    }
    const nobody = `/v1/agents/${newId('agent')}/schedule`
    const sent = { messages, schedule: cron('0 9 * * *') }
    assert.equal((await t.http('POST', nobody, sent)).status, 404)
    assert.equal((await t.http('GET', `/v1/agents/${agent_id}/schedule/x`)).status, 404)
    assert.equal((await t.http('GET', `/v1/agents/${agent_id}/schedule?limit=no`)).status, 422)
    assert.deepEqual((await t.letta.agents.schedule.list(agent_id)).scheduled_messages, [])
  })
})

describe('the times of a schedule', () => {
  const cron = (cron_expression: string, timezone: string) =>
    ({ type: 'recurring', cron_expression, timezone }) as const
  const after = (schedule: Parameters<typeof nextTime>[0], at: string, count: number) => {
    const times: string[] = []
    for (let last: Date | null = new Date(at); last && times.length < count;) {
      last = nextTime(schedule, last)
      if (last) times.push(last.toISOString())
    }
    return times
  }

  it('are those of the wall clock, in winter and summer', () => {
    const nine = cron('0 9 * * *', 'Europe/Berlin')
    assert.deepEqual(after(nine, '2026-03-28T00:00:00Z', 2), [
      '2026-03-28T08:00:00.000Z',
      '2026-03-29T07:00:00.000Z',
    ])
    const zoned = after(cron('30 23 31 12 *', 'Asia/Kathmandu'), '2026-01-01T00:00:00Z', 1)
    assert.deepEqual(zoned, ['2026-12-31T17:45:00.000Z'])
  })

  it('an hour that is left out in spring is made up for, one that comes twice in autumn fires once', () => {
    const half = cron('30 2 * * *', 'Europe/Berlin')
    assert.deepEqual(after(half, '2026-03-28T12:00:00Z', 2), [
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ])
    const autumn = after(half, '2026-10-24T12:00:00Z', 2)
    assert.deepEqual(
      autumn.map((time) => time.slice(0, 10)),
      ['2026-10-25', '2026-10-26'],
    )
  })

  it('names of days and months, lists, steps and leap days are read', () => {
    assert.deepEqual(after(cron('*/30 8-9 * JAN MON-FRI', 'UTC'), '2026-01-02T09:00:00Z', 2), [
      '2026-01-02T09:30:00.000Z',
      '2026-01-05T08:00:00.000Z',
    ])
    assert.deepEqual(after(cron('0 0 29 2 *', 'UTC'), '2026-01-01T00:00:00Z', 1), [
      '2028-02-29T00:00:00.000Z',
    ])
  })

  it('of one that fires once are over afterwards', () => {
    const scheduled_at = Date.parse('2026-05-01T10:00:00Z')
    const once = { type: 'one-time', scheduled_at } as const
    assert.equal(firstTime(once, new Date('2026-05-01T10:00:30Z')).getTime(), scheduled_at, 'a little late')
    assert.throws(() => firstTime(once, new Date('2026-05-01T10:02:00Z')), { code: 'validation' })
    assert.equal(nextTime(once, new Date(scheduled_at)), null)
  })
})
