import type { Scenario } from '../lib/context.ts'
import { inParallel } from '../lib/fill.ts'
import { arrivals } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { createAgent, startBare, startDouble, startLoci, type Target } from '../lib/servers.ts'
import { openSocket, within } from '../lib/sockets.ts'
import { median, percentile } from '../lib/stats.ts'

const BARE = ' of the bare server'

/** Many streams of a model that takes its time: how evenly the tokens of each come to who reads them. */
export const paced: Scenario = async (context) => {
  const size = context.sized(
    { streams: 500, tokens: 80, pace_ms: 100, rounds: 3 },
    { streams: 100, tokens: 20, pace_ms: 100, rounds: 1 },
    { streams: 5, tokens: 5, pace_ms: 10, rounds: 1 },
  )
  await using double = await startDouble()
  await using bare = await startBare(double)
  await using loci = await startLoci(double, await context.folder())
  const agents: string[] = []
  await inParallel(size.streams, 8, async () => {
    agents.push(await createAgent(loci.url, { message_buffer_autoclear: true }))
  })
  const ask = (i: number) => `Story ${i}. TOKENS ${size.tokens} PACE ${size.pace_ms}`
  /** By what is said of them. What comes over WebSockets are runs in the background. */
  const ways: Record<string, { target: Target; read: (i: number) => Promise<number[]> }> = {
    [BARE]: {
      target: bare,
      read: (i) =>
        arrivals(`${bare.url}/messages`, { conversation: null, text: ask(i), streaming: true }, '"delta"'),
    },
    '': { target: loci, read: (i) => overHttp(loci.url, agents[i]!, ask(i), false) },
    ', in the background': { target: loci, read: (i) => overHttp(loci.url, agents[i]!, ask(i), true) },
    ', over WebSockets': { target: loci, read: (i) => overSocket(loci.url, agents[i]!, ask(i)) },
  }
  const found: Record<string, Paced[]> = {}
  // The first round warms up.
  for (let round = -1; round < size.rounds; round++) {
    for (const [name, { target, read }] of Object.entries(ways)) {
      context.progress(`paced: ${size.streams} streams${name}, round ${round + 1} of ${size.rounds}`)
      const result = await together(target, size, read)
      if (round >= 0) (found[name] ??= []).push(result)
    }
  }
  const at = `${size.streams} streams of a token each ${size.pace_ms} ms`
  const of = (name: string, key: keyof Paced) => median((found[name] ?? []).map((one) => one[key]))
  const row = (name: string, what: string, unit: Row['unit'], key: keyof Paced): Row => ({
    scenario: 'paced',
    what: `${at}${name}: ${what}`,
    unit,
    value: of(name, key),
    floor: of(BARE, key),
  })
  return Object.keys(ways)
    .filter((name) => name !== BARE)
    .flatMap((name) => [
      row(name, 'time between tokens, p50', 'ms', 'p50'),
      row(name, 'p99', 'ms', 'p99'),
      row(name, 'CPU of a token', 'µs', 'cpu_us'),
    ])
}

interface Paced {
  p50: number
  p99: number
  cpu_us: number
}

async function together(
  { child }: Target,
  { streams, tokens }: { streams: number; tokens: number },
  read: (i: number) => Promise<number[]>,
): Promise<Paced> {
  const before = await child.probe()
  const all = await Promise.all(Array.from({ length: streams }, (_, i) => read(i)))
  const cpu = (await child.probe()).cpu_ms - before.cpu_ms
  const gaps = all.flatMap((times) => {
    if (times.length !== tokens) throw new Error(`a stream of ${tokens} tokens came with ${times.length}`)
    return times.slice(1).map((time, i) => time - times[i]!)
  })
  return {
    p50: percentile(gaps, 0.5),
    p99: percentile(gaps, 0.99),
    cpu_us: (cpu * 1000) / (streams * tokens),
  }
}

/** When each token of a turn came as a server-sent event. */
function overHttp(url: string, agent_id: string, input: string, background: boolean): Promise<number[]> {
  const body = { input, streaming: true, stream_tokens: true, include_pings: false, background }
  return arrivals(`${url}/v1/agents/${agent_id}/messages`, body, '"assistant_message"')
}

/** When each token of a turn came on a socket of its own. */
async function overSocket(url: string, agent_id: string, input: string): Promise<number[]> {
  const socket = await openSocket(url)
  const times: number[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.onFrame = ({ type, detail, data, complete }, at) => {
    if (data?.message_type === 'assistant_message') times.push(at)
    else if (type === 'done' && complete === true) resolve()
    else if (type === 'done' || type === 'error') reject(new Error(detail ?? 'a turn was cut off'))
  }
  socket.send({ type: 'stream', id: 'a', agent_id, input, include_pings: false })
  await within('the end of a turn', promise)
  await socket.close()
  return times
}
