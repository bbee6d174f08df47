import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, startNode } from '../lib/child.ts'
import type { Scenario } from '../lib/context.ts'
import { inParallel } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startDouble, startLoci } from '../lib/servers.ts'
import { type BenchSocket, openSocket, within } from '../lib/sockets.ts'
import { median } from '../lib/stats.ts'

/** In which a server that is at rest does not grow, in milliseconds. */
const BARE_SOCKETS = new URL('../bare-sockets.mjs', import.meta.url)

/** What many open WebSockets hold that say nothing, and how soon all of them hear of a change. */
export const sockets: Scenario = async (context) => {
  const count = context.sized(1000, 200, 20)
  const at_rest_ms = context.sized(2_500, 2_500, 50)
  const changes = context.sized(20, 5, 1)
  await using double = await startDouble()
  await using bare = startNode(BARE_SOCKETS, [], { probe: true })
  await using loci = await startLoci(double, await context.folder(), 'stalls')
  const [bare_url] = await bare.waitFor(/http:\/\/127\.0\.0\.1:\d+/)

  const at_rest: Record<'bare' | 'loci', number> = { bare: 0, loci: 0 }
  let open: BenchSocket[] = []
  for (const [name, url, child] of [
    ['bare', bare_url, bare],
    ['loci', loci.url, loci.child],
  ] as const) {
    context.progress(`sockets: ${count} of ${name}`)
    // The first ones load code, and a server loads more of it by itself a moment after its start.
    await closeAll(await openMany(url, Math.ceil(count / 10)))
    const before = await heldAtRest(child, at_rest_ms)
    open = await openMany(url, count)
    at_rest[name] = ((await held(child)) - before) / count
    if (name === 'bare') await closeAll(open)
  }
  const before = await held(loci.child)
  await Promise.all(open.map(subscribe))
  const subscribed = ((await held(loci.child)) - before) / count
  const heard: number[] = []
  await loci.child.probe()
  for (let i = 0; i < changes; i++) {
    context.progress(`sockets: change ${i + 1} of ${changes}`)
    heard.push(await untilHeard(loci.url, open))
  }
  const { longest_work_ms } = await loci.child.probe()
  await closeAll(open)
  const row = (what: string, value: number, unit: Row['unit'], floor?: number): Row => ({
    scenario: 'sockets',
    what,
    unit,
    value,
    ...(floor === undefined ? {} : { floor }),
  })
  return [
    row(
      `memory of each of ${count} idle WebSockets, next to package ws alone`,
      at_rest.loci * 1024,
      'kB',
      at_rest.bare * 1024,
    ),
    row('what a subscription to events adds to each', subscribed * 1024, 'kB'),
    row(`from a request that changes a block until all ${count} have heard of it, p50`, median(heard), 'ms'),
    row('longest that the server computed at a stretch meanwhile', longest_work_ms, 'ms'),
  ]
}

/** In megabytes; what is free for other things is not counted, so that 1,000 sockets can be told from none. */
async function held(child: Child): Promise<number> {
  return (await child.probe('held')).held_mb ?? NaN
}

/** The same, once it does not grow by itself any more, or when it has had its time. */
async function heldAtRest(child: Child, wait_ms: number): Promise<number> {
  let before = await held(child)
  for (let i = 0; i < 5; i++) {
    await sleep(wait_ms)
    const now = await held(child)
    if (Math.abs(now - before) < 0.2) return now
    before = now
  }
  return before
}

async function openMany(url: string, count: number): Promise<BenchSocket[]> {
  const found: BenchSocket[] = []
  await inParallel(count, 50, async () => void found.push(await openSocket(url)))
  return found
}

async function closeAll(open: readonly BenchSocket[]): Promise<void> {
  await Promise.all(open.map((socket) => socket.close()))
}

function subscribe(socket: BenchSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.onFrame = ({ type, detail }) => {
    if (type === 'subscribed') resolve()
    else if (type === 'error') reject(new Error(detail))
  }
  socket.send({ type: 'subscribe', id: 'e', types: ['blocks'] })
  return within('a subscription', promise)
}

async function untilHeard(url: string, open: readonly BenchSocket[]): Promise<number> {
  const all = open.map((socket) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.onFrame = ({ type }) => {
      if (type === 'event') resolve()
    }
    return promise
  })
  const from = performance.now()
  await call('POST', `${url}/v1/blocks/`, { label: 'bench', value: 'x' })
  await within('an event on every socket', Promise.all(all))
  return performance.now() - from
}
