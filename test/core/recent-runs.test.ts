import assert from 'node:assert/strict'
import type { ActiveRun } from '../../shared/core/runs/active-run.ts'
import type { TurnResult } from '../../shared/core/events.ts'
import { RecentRuns } from '../../shared/core/recent-runs.ts'

const MINUTE = 60_000

describe('runs that are asked for again', () => {
  let now: number
  let recent: RecentRuns
  beforeEach(() => {
    now = 0
    recent = new RecentRuns({ now: () => new Date(now), monotonic: () => now })
  })

  /** A run that ends when it is told to. */
  function aRun(events = 10) {
    const { promise, resolve } = Promise.withResolvers<TurnResult>()
    const run = { done: promise, events: () => events } as unknown as ActiveRun
    const end = async () => {
      resolve({} as TurnResult)
      await promise
    }
    return { run, end }
  }

  it('are known while they run, however long, and ten minutes after', async () => {
    const { run, end } = aRun()
    recent.add('a', run)
    now += 120 * MINUTE
    assert.equal(recent.find('a'), run)
    await end()
    now += 10 * MINUTE - 1
    assert.equal(recent.find('a'), run)
    now += 1
    assert.equal(recent.find('a'), null)
  })

  it('are known for some seconds only when their answer was delivered', async () => {
    const { run, end } = aRun()
    recent.add('a', run)
    await end()
    recent.delivered('a')
    now += 9_000
    assert.equal(recent.find('a'), run)
    now += 1_001
    assert.equal(recent.find('a'), null)
  })

  it('give way to what the same request began later', async () => {
    const [first, second] = [aRun(), aRun()]
    recent.add('a', first.run)
    recent.add('a', second.run)
    await first.end()
    now += 20 * MINUTE
    assert.equal(recent.find('a'), second.run)
  })

  it('are kept up to a number of runs and of events, the oldest go first', async () => {
    for (let i = 0; i < 150; i++) {
      const { run, end } = aRun()
      recent.add(String(i), run)
      await end()
    }
    assert.equal(recent.find('49'), null)
    assert.ok(recent.find('50'))
    const huge = aRun(100_000)
    recent.add('huge', huge.run)
    await huge.end()
    assert.equal(recent.find('149'), null)
    assert.equal(recent.find('huge'), null)
  })
})
