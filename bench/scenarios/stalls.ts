import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import type { BenchContext, Scenario } from '../lib/context.ts'
import { fillAgent, fillTurn } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startBare, startDouble, startLoci, type Target } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'

const AGENTS = 32

/** How long nobody else is served: the longest stall of the server's event loop while 32 agents talk. */
export const stalls: Scenario = async (context) => {
  const size = context.sized(
    { ms: 20_000, large: 100_000 },
    { ms: 3_000, large: 5_000 },
    { ms: 60, large: 100 },
  )
  await using double = await startDouble()
  const data = await context.folder()
  const large = await fillLargeAgent(data, size.large, context)
  await using bare = await startBare(double, 'stalls')
  await using loci = await startLoci(double, data, 'stalls')
  context.progress('stalls: 32 agents talk')
  const [floor, own] = await alternately(bare, loci, size.ms)
  context.progress('stalls: 32 agents talk and a large one is deleted')
  const deleting = await talk(loci, size.ms, () => call('DELETE', `${loci.url}/v1/agents/${large}`))
  const stall = (what: string, value: number): Row => ({
    scenario: 'stalls',
    what: `longest stall while ${what}`,
    unit: 'ms',
    value,
    floor: floor.stall,
    target: '≤ 20 ms',
  })
  const work = (what: string, value: number): Row => ({
    scenario: 'stalls',
    what: `longest work while ${what}, processor time`,
    unit: 'ms',
    value,
    floor: floor.work,
  })
  return [
    {
      scenario: 'stalls',
      what: `${AGENTS} agents at once`,
      unit: 'messages/s',
      value: own.rate,
      floor: floor.rate,
      target: '≥ 0.7×',
    },
    stall(`${AGENTS} agents talk`, own.stall),
    work(`${AGENTS} agents talk`, own.work),
    stall(`they talk and an agent with ${size.large} messages is deleted`, deleting.stall),
    work(`they talk and an agent with ${size.large} messages is deleted`, deleting.work),
    {
      scenario: 'stalls',
      what: `deleting that agent meanwhile`,
      unit: 'ms',
      value: deleting.beside,
    },
  ]
}

interface Talk {
  rate: number
  stall: number
  work: number
  /** Milliseconds that what was done beside took; it begins after a quarter of the time. */
  beside: number
}

/** Three rounds each, by turns: the middle rate, and the longest stall of all. */
async function alternately(bare: Target, loci: Target, ms: number): Promise<[floor: Talk, own: Talk]> {
  const rounds: [Talk[], Talk[]] = [[], []]
  for (let round = 0; round < 3; round++) {
    for (const [i, target] of [bare, loci].entries()) rounds[i]!.push(await talk(target, ms / 3))
  }
  const both = rounds.map((talks) => ({
    rate: median(talks.map((one) => one.rate)),
    stall: Math.max(...talks.map((one) => one.stall)),
    work: Math.max(...talks.map((one) => one.work)),
    beside: 0,
  }))
  return [both[0]!, both[1]!]
}

async function talk(target: Target, ms: number, beside?: () => Promise<unknown>): Promise<Talk> {
  const conversations = await Promise.all(Array.from({ length: AGENTS }, () => target.converse(false)))
  const send = async (i: number, n: number) => conversations[i]!.send(`Note ${n} of ${i}`)
  // What is compiled and loaded at the first message is not what is asked here.
  for (let n = 0; n < 5; n++) await Promise.all(conversations.map((_, i) => send(i, n)))
  await target.child.probe()
  const from = performance.now()
  let messages = 0
  const other = { busy: beside !== undefined }
  const loops = conversations.map(async (_, i) => {
    for (let n = 0; other.busy || performance.now() - from < ms; n++) {
      await send(i, n)
      messages++
    }
  })
  let took = 0
  const meanwhile = async () => {
    if (!beside) return
    await new Promise((resolve) => setTimeout(resolve, ms / 4))
    const began = performance.now()
    await beside().finally(() => (other.busy = false))
    took = performance.now() - began
  }
  await Promise.all([...loops, meanwhile()])
  const rate = messages / ((performance.now() - from) / 1000)
  const { longest_stall_ms: stall, longest_work_ms: work } = await target.child.probe()
  return { rate, stall, work, beside: took }
}

async function fillLargeAgent(data: string, messages: number, context: BenchContext): Promise<string> {
  const store = await openSqliteStore({ directory: data })
  try {
    const agent_id = await fillAgent(store, 'large', true)
    for (let done = 0; done < messages; done += 100) {
      context.progress(`stalls: filling a large agent, ${done} of ${messages} messages`)
      await fillTurn(store, agent_id, 100, done)
    }
    return agent_id
  } finally {
    await store.close()
  }
}
