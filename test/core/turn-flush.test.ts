import assert from 'node:assert/strict'
import type { AgentEvent } from '../../shared/core/events.ts'
import { AppError } from '../../shared/schema/errors.ts'
import { actor, calls, openTurnTest, SEARCH, type Said, says, type TurnTest } from '../support/turn-test.ts'

/** The disk decides when a flush ends, and how. */
interface Flush {
  done: () => void
  fail: (error: unknown) => void
}

describe('a turn whose store flushes to disk', () => {
  let t: TurnTest
  const flushes: Flush[] = []
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => {
    // No turn ends while one of its steps is not on disk.
    for (const flush of flushes.splice(0)) flush.done()
    return t.close()
  })

  /** The real store, whose early opens or commits are on disk when the test says so. */
  function hold(method: 'open' | 'commit'): Flush {
    const gate = Promise.withResolvers<void>()
    // A failure that comes before anybody waits for it.
    gate.promise.catch(() => undefined)
    const { turns } = t.store
    const late = async <T extends object>(answer: Promise<T>): Promise<T> => {
      const value = await answer
      return 'durable' in value ? { ...value, durable: gate.promise } : value
    }
    t.deps.store = {
      ...t.store,
      turns: new Proxy(turns, {
        get(target, name) {
          if (name === method && method === 'open')
            return (...args: Parameters<typeof turns.open>) => late(turns.open(...args))
          if (name === method)
            return (...args: Parameters<typeof turns.commit>) => late(turns.commit(...args))
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      }),
    }
    const flush = { done: gate.resolve, fail: gate.reject }
    flushes.push(flush)
    return flush
  }

  /** An answer, and a promise of its being asked for. */
  function noticed(said: Said): { said: Said; asked: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>()
    assert.ok(Array.isArray(said))
    const generate: Said = async function* () {
      resolve()
      yield* said
    }
    return { said: generate, asked: promise }
  }

  const lost = new AppError('store_unavailable', 'the disk is gone')

  it('asks the model while its input is flushed, and begins for nobody before that is on disk', async () => {
    const agent = await t.newAgent()
    const flush = hold('open')
    const { said, asked } = noticed(says('hello'))
    t.script = [said]
    let begun = false
    const start = t.start(agent.id).then((active) => {
      begun = true
      return active
    })
    await asked
    assert.equal(begun, false)
    flush.done()
    const result = await (await start).done
    assert.equal(result.stop_reason, 'end_turn')
    await t.closed(agent.id, result)
  })

  it('asks the model again while a step is flushed, and tells of the step when it is on disk', async () => {
    const agent = await t.newAgent()
    const flush = hold('commit')
    const { said, asked } = noticed(says('found'))
    t.script = [calls(SEARCH), said]
    const active = await t.start(agent.id)
    const events: AgentEvent[] = []
    const reading = (async () => {
      for await (const batch of active.follow(new AbortController().signal)) events.push(...batch)
    })()
    await asked
    const told = () => events.map((event) => (event.type === 'message' ? event.message.role : event.type))
    const first = ['run_start', 'step_start', 'tool_call_delta', 'assistant']
    while (told().length < first.length) await new Promise(setImmediate)
    assert.deepEqual(told(), first)
    flush.done()
    await reading
    assert.deepEqual(told(), [
      ...first,
      'tool',
      'step_end',
      'step_start',
      'text_delta',
      'assistant',
      'step_end',
      'run_end',
    ])
    await t.closed(agent.id, await active.done)
  })

  it('does not begin when its input does not reach the disk; its run says why', async () => {
    const agent = await t.newAgent()
    const flush = hold('open')
    flush.fail(lost)
    t.script = [says('never told')]
    await assert.rejects(t.start(agent.id), lost)
    t.deps.store = t.store
    const [run] = await t.store.turns.listRuns(actor, { agent_id: agent.id }, { limit: 1, order: 'desc' })
    assert.deepEqual([run?.status, run?.stop_reason], ['failed', 'error'])
    assert.match(JSON.stringify(run?.metadata), /the disk is gone/)
    assert.equal((await t.turn(agent.id, [says('next')])).stop_reason, 'end_turn')
  })

  it('fails when a step does not reach the disk, and tells nobody of that step', async () => {
    const agent = await t.newAgent()
    const flush = hold('commit')
    const waiting: Said = async function* (_, signal) {
      flush.fail(lost)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
      yield* []
    }
    const events = await t.events(agent.id, [calls(SEARCH), waiting])
    assert.deepEqual(
      events.map((event) => (event.type === 'message' ? event.message.role : event.type)),
      ['run_start', 'step_start', 'tool_call_delta', 'assistant', 'run_end'],
    )
    const end = events.at(-1)
    assert.ok(end?.type === 'run_end')
    assert.deepEqual([end.result.status, end.result.error?.message], ['failed', 'the disk is gone'])
    t.deps.store = t.store
    const run = await t.store.turns.getRun(actor, end.result.run_id)
    assert.deepEqual([run?.status, run?.stop_reason], ['failed', 'error'])
    assert.equal((await t.turn(agent.id, [says('next')])).stop_reason, 'end_turn')
  })
})
