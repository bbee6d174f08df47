/** Blows to a cluster at random moments: instances that are killed, frozen or ended, databases that crash or restart. */
import { pause } from './chaos-model.ts'
import type { Cluster } from './cluster.ts'
import type { ServerProcess } from '../reliability/server-process.ts'

/** How long an instance is tried to be started while its database is away, in milliseconds. */
const START_WITHIN_MS = 60_000

const KINDS = ['all_killed', 'killed', 'frozen', 'ended', 'crashed', 'restarted'] as const
type Kind = (typeof KINDS)[number]

/** What was away, or stood still, and when, in the time of `performance.now()`. */
interface Outage {
  of: 'database' | 'frozen' | 'instance'
  from: number
  to: number
}

export interface Faults {
  counts: Record<Kind, number>
  outages: Outage[]
  /** Seconds that instances stood still, together. */
  frozen_seconds: number
  /** Exit codes of instances that were told to end, other than 0. */
  exits: (number | null)[]
}

/** Those of a cluster that nothing has struck yet. */
export function noFaults(): Faults {
  const counts = { killed: 0, all_killed: 0, frozen: 0, ended: 0, crashed: 0, restarted: 0 }
  return { counts, outages: [], frozen_seconds: 0, exits: [] }
}

/** Whether nothing was away or stood still in all of that time. */
export function wasCalm({ outages }: Faults, from: number, to: number): boolean {
  return !outages.some((one) => one.from < to && one.to > from)
}

/** Whether in all of that time the database and two of three instances were up, and none stood still. */
export function wasWhole({ outages }: Faults, from: number, to: number): boolean {
  const then = outages.filter((one) => one.from < to && one.to > from)
  if (then.some((one) => one.of !== 'instance')) return false
  return !then.some((one, i) => then.slice(i + 1).some((two) => one.from < two.to && two.from < one.to))
}

/**
 * Strikes for so many seconds; resolves when every instance is up again and the database, too. One instance is left alone
 * at any time, but for the moments when all are killed at once. What has not happened yet comes first. `most_frozen` is in
 * seconds.
 */
export async function strike(
  { instances, postgres }: Cluster,
  faults: Faults,
  { seconds, random, most_frozen }: { seconds: number; random: () => number; most_frozen: number },
): Promise<void> {
  const { counts, outages } = faults
  const away = new Map<ServerProcess, Promise<void>>()
  const outage = async (of: Outage['of'], blow: () => Promise<void>) => {
    const one = { of, from: performance.now(), to: Infinity }
    outages.push(one)
    await blow()
    one.to = performance.now()
  }
  const struck = (instance: ServerProcess, blow: () => Promise<void>, of: Outage['of'] = 'instance') => {
    const over = outage(of, blow).finally(() => away.delete(instance))
    away.set(instance, over)
    // Whoever waits for all of them hears of it.
    over.catch(() => undefined)
  }
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    await pause(500 + random() * 3_500)
    const dice = random()
    const up = instances.filter((instance) => !away.has(instance))
    const victim = up[Math.floor(random() * up.length)]
    const ms = random()
    const isPossible = (kind: Kind) =>
      kind === 'crashed' ||
      kind === 'restarted' ||
      up.length >= (kind === 'all_killed' ? instances.length : 2)
    const kind = KINDS.find((one) => counts[one] === 0 && isPossible(one)) ?? kindOf(dice)
    if (!isPossible(kind) || !victim) continue
    counts[kind]++
    if (kind === 'crashed') await outage('database', () => postgres.crash())
    else if (kind === 'restarted') await outage('database', () => postgres.restart())
    else if (kind === 'all_killed')
      for (const instance of instances) struck(instance, () => killed(instance, ms * 1_000))
    else if (kind === 'killed') struck(victim, () => killed(victim, ms * 3_000))
    else if (kind === 'ended')
      struck(victim, async () => {
        const code = await victim.end('SIGTERM')
        if (code !== 0) faults.exits.push(code)
        await start(victim)
      })
    else {
      const still = 1_000 + ms * (most_frozen - 1) * 1_000
      faults.frozen_seconds += still / 1000
      victim.signal('SIGSTOP')
      const thawed = async () => {
        await pause(still)
        victim.signal('SIGCONT')
      }
      struck(victim, thawed, 'frozen')
    }
  }
  await Promise.all(away.values())
}

/** How often each comes, next to the others. */
function kindOf(dice: number): Kind {
  if (dice < 0.07) return 'crashed'
  if (dice < 0.14) return 'restarted'
  if (dice < 0.18) return 'all_killed'
  if (dice < 0.62) return 'killed'
  return dice < 0.74 ? 'ended' : 'frozen'
}

async function killed(instance: ServerProcess, down_ms: number): Promise<void> {
  await instance.kill()
  await pause(down_ms)
  await start(instance)
}

/** As whatever looks after a service does it: again, until it stays. */
async function start(instance: ServerProcess): Promise<void> {
  for (const end = performance.now() + START_WITHIN_MS; ;) {
    try {
      await instance.start()
      return
    } catch (error) {
      if (performance.now() > end) throw error
      await pause(200)
    }
  }
}
