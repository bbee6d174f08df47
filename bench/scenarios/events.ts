import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { startNode } from '../lib/child.ts'
import type { Scenario } from '../lib/context.ts'
import { ACTOR } from '../lib/fill.ts'
import type { Row } from '../lib/report.ts'
import { percentile } from '../lib/stats.ts'

const WRITER = new URL('../event-writer.ts', import.meta.url)

/** What those who watch another process have seen of it. */
interface Seen {
  /** Of each event and each who watches: from its being written, in its transaction, to its being seen. */
  took: number[]
  /** From the first to be written to the last to be seen by all, in milliseconds. */
  lasted: number
  written: number
}

/** Events of another process through LISTEN/NOTIFY, and where nobody listens: how many a second, and how late. */
export const events: Scenario = async (context) => {
  const size = context.sized(
    { fast: 5_000, paced: 500, many: 100 },
    { fast: 300, paced: 60, many: 20 },
    { fast: 40, paced: 10, many: 2 },
  )
  const server = await context.postgres()
  const rows: Row[] = []
  const row = (what: string, unit: Row['unit'], value: number) =>
    rows.push({ scenario: 'events', what, unit, value })
  const measure = async (watchers: number, count: number, per_second: number, more = '') => {
    context.progress(`events: ${count} for ${watchers} who watch`)
    const address = await server.database()
    const directory = await context.folder()
    const separator = address.includes('?') ? '&' : '?'
    return await watch(more === '' ? address : `${address}${separator}${more}`, {
      address,
      directory,
      watchers,
      count,
      per_second,
    })
  }
  for (const watchers of [1, size.many]) {
    const { took, lasted, written } = await measure(watchers, size.fast, 0)
    const who = watchers === 1 ? 'one who watches' : `${watchers} who watch`
    const load = `eight writers without a pause, ${who}`
    row(`${load}: written`, 'events/s', size.fast / (written / 1000))
    row(`${load}: seen, all together`, 'events/s', (size.fast * watchers) / (lasted / 1000))
    row(`${load}: from written to seen, p50`, 'ms', percentile(took, 0.5))
    row(`${load}: from written to seen, p99`, 'ms', percentile(took, 0.99))
  }
  for (const [how, more] of [
    ['listening', ''],
    ['looking (`listen=off`)', 'listen=off'],
  ] as const) {
    const { took } = await measure(1, size.paced, 50, more)
    row(`50 a second, ${how}: from written to seen, p50`, 'ms', percentile(took, 0.5))
    row(`50 a second, ${how}: from written to seen, p99`, 'ms', percentile(took, 0.99))
  }
  return rows
}

async function watch(
  through: string,
  what: { address: string; directory: string; watchers: number; count: number; per_second: number },
): Promise<Seen> {
  const store = await openPostgresStore({ address: through, directory: what.directory })
  const args = [what.address, what.directory, String(what.count), String(what.per_second)]
  await using writer = startNode(WRITER, args)
  try {
    await writer.waitFor(/ready/)
    const after = await store.events.lastId()
    const enough = new AbortController()
    const took: number[] = []
    const watching = Array.from({ length: what.watchers }, async () => {
      let seen = 0
      for await (const event of store.events.watch(ACTOR, after, { signal: enough.signal })) {
        if (event.type !== 'block.updated') continue
        took.push(Date.now() - Date.parse(event.date))
        if (++seen === what.count) return
      }
    })
    const from = performance.now()
    writer.process.stdin?.write('go\n')
    await Promise.all(watching)
    const lasted = performance.now() - from
    const [, written] = await writer.waitFor(/wrote in ([\d.]+) ms/)
    return { took, lasted, written: Number(written) }
  } finally {
    await store.close()
  }
}
