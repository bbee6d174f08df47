/** Blows to a cluster at random moments: instances that are killed, frozen or ended, databases that crash or restart. */
import { pause } from './chaos-model.ts'
import type { Cluster } from './cluster.ts'
import type { ServerProcess } from '../reliability/server-process.ts'

/** How long an instance is tried to be started while its database is away, in milliseconds. */
const START_WITHIN_MS = 60_000

export interface Faults {
  counts: {
    killed: number
    all_killed: number
    frozen: number
    ended: number
    crashed: number
    restarted: number
  }
  /** Seconds that instances stood still, together. */
  frozen_seconds: number
  /** Exit codes of instances that were told to end, other than 0. */
  exits: (number | null)[]
}

/**
 * Strikes for so many seconds; resolves when every instance is up again and the database, too. One instance is left alone
 * at any time, but for the moments when all are killed at once. `most_frozen` is in seconds.
 */
export async function strike(
  { instances, postgres }: Cluster,
  { seconds, random, most_frozen }: { seconds: number; random: () => number; most_frozen: number },
): Promise<Faults> {
  const faults: Faults = {
    counts: { killed: 0, all_killed: 0, frozen: 0, ended: 0, crashed: 0, restarted: 0 },
    frozen_seconds: 0,
    exits: [],
  }
  const { counts } = faults
  const away = new Map<ServerProcess, Promise<void>>()
  const struck = (instance: ServerProcess, blow: () => Promise<void>) => {
    const over = blow().finally(() => away.delete(instance))
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
    if (dice < 0.07) {
      counts.crashed++
      await postgres.crash()
    } else if (dice < 0.14) {
      counts.restarted++
      await postgres.restart()
    } else if (up.length === instances.length && dice < 0.18) {
      counts.all_killed++
      for (const instance of instances) struck(instance, () => killed(instance, ms * 1_000))
    } else if (up.length < 2 || !victim) continue
    else if (dice < 0.62) {
      counts.killed++
      struck(victim, () => killed(victim, ms * 3_000))
    } else if (dice < 0.74) {
      counts.ended++
      struck(victim, async () => {
        const code = await victim.end('SIGTERM')
        if (code !== 0) faults.exits.push(code)
        await start(victim)
      })
    } else {
      counts.frozen++
      const still = 1_000 + ms * (most_frozen - 1) * 1_000
      faults.frozen_seconds += still / 1000
      victim.signal('SIGSTOP')
      struck(victim, async () => {
        await pause(still)
        victim.signal('SIGCONT')
      })
    }
  }
  await Promise.all(away.values())
  return faults
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
