import type { BenchContext, Scenario } from '../lib/context.ts'
import { inParallel } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { processorShare } from '../lib/processor-share.ts'
import type { Row } from '../lib/report.ts'
import { agentAt, createAgent, startDouble, startLoci, type Target } from '../lib/servers.ts'
import { percentile } from '../lib/stats.ts'

/** Requests under way at any time, whatever the number of instances. */
const AT_ONCE = 24

/** Of one processor, for each instance: three of them leave most of two to the rest. */
const SHARE = 0.2

/**
 * One, two and three servers over one PostgreSQL, the same work for all of them together. Driver, model and database are on
 * this machine, too: the processors that each side used tell what stood in the way. Then the same with a fixed share of a
 * processor for each server, as if each had a machine of its own, where the system can do that.
 */
export const instances: Scenario = async (context) => {
  const rows = await scaling(context, null)
  const possible = await processorShare(SHARE)
  if (possible) {
    await possible[Symbol.asyncDispose]()
    return rows.concat(await scaling(context, SHARE))
  }
  console.log(
    'instances: not measured with a share of a processor each, as control groups cannot be made here',
  )
  return rows
}

async function scaling(context: BenchContext, share: number | null): Promise<Row[]> {
  const size = context.sized(
    share === null ? { turns: 4_000, reads: 12_000 } : { turns: 1_500, reads: 4_000 },
    { turns: 240, reads: 600 },
    { turns: 24, reads: 24 },
  )
  const postgres = await context.postgres()
  const place = { directory: await context.folder(), address: await postgres.database() }
  await using double = await startDouble()
  await using stack = new AsyncDisposableStack()
  const servers: Target[] = []
  const agents: string[] = []
  const rows: Row[] = []
  const first = new Map<string, number>()
  for (let n = 1; n <= 3; n++) {
    const one = stack.use(await startLoci(double, place, false))
    servers.push(one)
    // Each instance warms up with agents of its own.
    for (let i = 0; i < AT_ONCE; i++)
      agents.push(await createAgent(one.url, { message_buffer_autoclear: true }))
    const limit = share === null ? null : await processorShare(share)
    if (limit) {
      stack.use(limit)
      await limit.take(one.child.process.pid ?? 0)
    }
    // A conversation has one turn at a time.
    const free = [...agents]
    const turn = async (i: number) => {
      const id = free.shift()!
      await agentAt(servers[i % n]!.url, id).send(`Note ${i}`)
      free.push(id)
    }
    const read = (i: number) =>
      call(
        'GET',
        `${servers[i % n]!.url}/v1/agents/${agents[i % agents.length]!}/messages?limit=20&order=desc`,
      )
    for (const [what, unit, work, count] of [
      ['turns', 'turns/s', turn, size.turns],
      ['reads of 20 messages', 'requests/s', read, size.reads],
    ] as const) {
      context.progress(`instances: ${n}, ${what}`)
      await inParallel(Math.ceil(count / 10), AT_ONCE, async (i) => void (await work(i)))
      const used = async () => ({
        driver: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
        model: await cpuOfTree(double.child.process.pid ?? 0),
        loci: (await Promise.all(servers.map(({ child }) => cpuOfTree(child.process.pid ?? 0)))).reduce(
          (a, b) => a + b,
        ),
        PostgreSQL: await postgres.cpu(),
      })
      const took: number[] = []
      const before = await used()
      const from = performance.now()
      await inParallel(count, AT_ONCE, async (i) => {
        const began = performance.now()
        await work(i)
        took.push(performance.now() - began)
      })
      const lasted = performance.now() - from
      const after = await used()
      const rate = count / (lasted / 1000)
      if (n === 1) first.set(what, rate)
      const each = share === null ? '' : ` with ${share} processors each`
      const name = `${n} instance${n === 1 ? '' : 's'}${each}, ${AT_ONCE} at once: ${what}`
      rows.push({ scenario: 'instances', what: name, unit, value: rate, floor: first.get(what)! })
      const more = (detail: string, of: Row['unit'], value: number) =>
        rows.push({ scenario: 'instances', what: `${name}, ${detail}`, unit: of, value })
      more('p50', 'ms', percentile(took, 0.5))
      more('p95', 'ms', percentile(took, 0.95))
      for (const side of ['loci', 'PostgreSQL', 'model', 'driver'] as const)
        more(`processors used by ${side}`, 'cores', (after[side] - before[side]) / lasted)
    }
  }
  return rows
}
