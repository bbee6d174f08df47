import assert from 'node:assert/strict'
import { EventLog } from '../../shared/core/event-log.ts'

/** Words that may be joined, and numbers that stay apart. */
type Item = string | number
const join = (a: Item, b: Item) => (typeof a === 'string' && typeof b === 'string' ? a + b : null)
const never = new AbortController().signal

async function read(log: EventLog<Item>): Promise<Item[]> {
  const items: Item[] = []
  for await (const batch of log.follow(never)) items.push(...batch)
  return items
}
const textOf = (items: readonly Item[]) => items.join('')

describe('the events of a turn', () => {
  it('are few however long the answer is, and the same for every reader', async () => {
    const log = new EventLog<Item>(join)
    const early = log.follow(never)
    const seen: Item[] = []
    for (let i = 0; i < 100_000; i++) {
      log.append(i % 1000 === 0 ? i : '.')
      // A reader that looks from time to time, also where items were joined behind it.
      if (i % 7777 === 0) seen.push(...((await early.next()).value as Item[]))
      assert.ok(log.length < 6_000, `${log.length} items`)
    }
    log.end()
    for (;;) {
      const next = await early.next()
      if (next.done) break
      seen.push(...next.value)
    }
    const late = await read(log)
    const whole = Array.from({ length: 100_000 }, (_, i) => (i % 1000 === 0 ? i : '.'))
    assert.equal(textOf(late), textOf(whole))
    assert.equal(textOf(seen), textOf(whole), 'nothing twice, nothing left out')
    assert.equal(late.filter((item) => typeof item === 'number').length, 100)
  })

  it('wake a reader that waits, and end it', async () => {
    const log = new EventLog<Item>(join)
    const reading = read(log)
    log.append('a')
    await Promise.resolve()
    log.append(1)
    log.end()
    assert.equal(textOf(await reading), 'a1')
  })
})
