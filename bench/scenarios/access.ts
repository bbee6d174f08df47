import { Agent, request } from 'node:http'
import type { Scenario } from '../lib/context.ts'
import { inParallel } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { createAgent, startDouble, startLoci } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'

const OWN_KEY = 'bench-key'
const OPEN = 'without a key'
/** Requests under way at once. */
const WIDTH = 16

/** What it costs to ask who asks: a server without a key, its own key, and a user's, whose requests are counted. */
export const access: Scenario = async (context) => {
  const size = context.sized(
    { reads: 4000, turns: 400, rounds: 5, warm: 2000 },
    { reads: 500, turns: 50, rounds: 2, warm: 200 },
    { reads: 20, turns: 2, rounds: 1, warm: 10 },
  )
  await using double = await startDouble()
  await using open = await startLoci(double, await context.folder())
  await using locked = await startLoci(double, await context.folder(), true, {
    args: ['--auth'],
    env: { LOCI_API_KEY: OWN_KEY },
  })
  const own = { authorization: `Bearer ${OWN_KEY}` }
  const user = { authorization: `Bearer ${await keyOfUser(locked.url, own)}` }
  const ways = {
    [OPEN]: { url: open.url, headers: {}, agent: '', child: open.child },
    "with the server's own key": { url: locked.url, headers: own, agent: '', child: locked.child },
    'with the key and the limits of a user': {
      url: locked.url,
      headers: user,
      agent: '',
      child: locked.child,
    },
  }
  for (const way of Object.values(ways))
    way.agent = await createAgent(way.url, { message_buffer_autoclear: true }, way.headers)
  const found: Record<string, Measured[]> = {}
  for (let round = -1; round < size.rounds; round++)
    for (const [name, way] of Object.entries(ways)) {
      context.progress(`access: ${name}, round ${round + 1} of ${size.rounds}`)
      const [reads, turns] = round < 0 ? [size.warm, size.warm / 10] : [size.reads, size.turns]
      const before = await way.child.probe()
      const read = await rate(reads, WIDTH, () => ask(way, 'GET', '/v1/agents/?limit=10'))
      const between = await way.child.probe()
      const messages = `/v1/agents/${way.agent}/messages`
      const turn = await rate(turns, 1, () => ask(way, 'POST', messages, '{"input":"hi"}'))
      const after = await way.child.probe()
      if (round < 0) continue
      const read_us = ((between.cpu_ms - before.cpu_ms) / reads) * 1000
      const turn_us = ((after.cpu_ms - between.cpu_ms) / turns) * 1000
      ;(found[name] ??= []).push({ read, turn, read_us, turn_us })
    }
  const of = (name: string, key: keyof Measured) => median((found[name] ?? []).map((one) => one[key]))
  const row = (name: string, what: string, unit: Row['unit'], key: keyof Measured): Row => ({
    scenario: 'access',
    what: `${what} ${name}`,
    unit,
    value: of(name, key),
    floor: of(OPEN, key),
  })
  return Object.keys(ways).flatMap((name) => [
    row(name, `reads, ${WIDTH} at once,`, 'requests/s', 'read'),
    row(name, 'CPU of a read', 'µs', 'read_us'),
    row(name, 'trivial turns, one after another,', 'requests/s', 'turn'),
    row(name, 'CPU of a trivial turn', 'µs', 'turn_us'),
  ])
}

interface Measured {
  read: number
  turn: number
  read_us: number
  turn_us: number
}

/** A user without a limit of requests, as what is counted is not to end the measurement; gives their key. */
async function keyOfUser(url: string, headers: Record<string, string>): Promise<string> {
  const user = { name: 'bench', limits: { requests_per_hour: 1_000_000_000 } }
  const { id } = await call<{ id: string }>('POST', `${url}/v1/admin/users`, user, headers)
  const { key } = await call<{ key: string }>(
    'POST',
    `${url}/v1/admin/users/${id}/keys`,
    { name: 'bench' },
    headers,
  )
  return key
}

async function rate(count: number, width: number, work: () => Promise<void>): Promise<number> {
  const from = performance.now()
  await inParallel(count, width, work)
  return (count / (performance.now() - from)) * 1000
}

const connections = new Agent({ keepAlive: true, maxSockets: WIDTH })

function ask(
  { url, headers }: { url: string; headers: Record<string, string> },
  method: string,
  path: string,
  body?: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    request(url + path, { method, agent: connections, headers: { ...headers, ...type } }, (answer) => {
      if (answer.statusCode !== 200)
        return reject(new Error(`${method} ${path} answered ${answer.statusCode}`))
      answer.resume().once('end', resolve).once('error', reject)
    })
      .once('error', reject)
      .end(body)
  })
}
