import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import type { Scenario } from '../lib/context.ts'
import { startDelay } from '../lib/delay.ts'
import type { Row } from '../lib/report.ts'
import { agentAt, createAgent, startDouble, startLoci } from '../lib/servers.ts'
import { median, sample } from '../lib/stats.ts'
import { prepareOperations } from './operations.ts'

/**
 * How often a command waits for the database: it is done over a way that takes long, and over one that takes no time. What
 * it takes longer, in round trips.
 */
export const roundTrips: Scenario = async (context) => {
  const times = context.sized(15, 5, 1)
  const warm = context.sized(10, 10, 1)
  // There and back: so long that nothing else counts.
  const round_trip_ms = context.sized(40, 40, 4)
  const address = await (await context.postgres()).database()
  const directory = await context.folder()
  await using far = await startDelay(address, round_trip_ms / 2)
  await using near = await startDelay(address, 0)
  const rows: Row[] = []
  const row = (what: string, took: { far: number[]; near: number[] }) =>
    rows.push({
      scenario: 'round-trips',
      what,
      unit: 'round trips',
      value: (median(took.far) - median(took.near)) / round_trip_ms,
    })
  const stores = {
    far: await openPostgresStore({ address: far.address, directory }),
    near: await openPostgresStore({ address: near.address, directory }),
  }
  try {
    const prepared = await prepareOperations(stores.near, 8)
    for (const [what, operation] of Object.entries(prepared)) {
      context.progress(`round-trips: ${what}`)
      const through = async (store: typeof stores.far) => {
        // Statements are prepared, connections made.
        await sample(warm, (i) => operation(store, i))
        return await sample(times, (i) => operation(store, i))
      }
      row(what, { far: await through(stores.far), near: await through(stores.near) })
    }
  } finally {
    await stores.far.close()
    await stores.near.close()
  }
  await using double = await startDouble()
  const place = (to: string) => ({ directory, address: to })
  await using distant = await startLoci(double, place(far.address), false)
  await using beside = await startLoci(double, place(near.address), false)
  for (const [what, text] of [
    ['a message and its answer, the whole request', 'How many boats are there?'],
    ['the same with a tool step', 'CALL conversation_search'],
  ] as const) {
    context.progress(`round-trips: ${what}`)
    const through = async (url: string) => {
      const agent = agentAt(url, await createAgent(url))
      await sample(warm, () => agent.send(text))
      return await sample(times, () => agent.send(text))
    }
    row(what, { far: await through(distant.url), near: await through(beside.url) })
  }
  return rows
}
