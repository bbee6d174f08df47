import type { Scenario } from '../lib/context.ts'
import { alternate, overheads, texts } from '../lib/overhead.ts'
import type { Row } from '../lib/report.ts'
import { type Double, startBare, startDouble, startLoci, type Target } from '../lib/servers.ts'
import { percentile } from '../lib/stats.ts'

/** What a message costs beside the model: once, as a conversation grows, and with all of it in the context. */
export const turns: Scenario = async (context) => {
  const size = context.sized(
    { warm: 1500, plain: 1000, growth: 5000, history: 500 },
    { warm: 300, plain: 200, growth: 600, history: 150 },
    { warm: 2, plain: 3, growth: 12, history: 12 },
  )
  await using double = await startDouble()
  await using bare = await startBare(double)
  await using loci = await startLoci(double, await context.place())
  context.progress('turns: warming up')
  for (const target of [bare, loci]) {
    const conversation = await target.converse(false)
    await overheads(double, conversation, texts(size.warm))
    for (const text of texts(size.warm / 5)) await conversation.send(`${text} CALL conversation_search`)
  }
  context.progress('turns: messages one after another')
  const rows = await plain(double, bare, loci, size.plain)
  context.progress('turns: messages with a tool step')
  rows.push(await toolStep(double, bare, loci, size.plain))
  rows.push(...(await growth(double, loci, size.growth, context.progress)))
  context.progress('turns: the whole history in context')
  rows.push(...(await history(double, bare, loci, size.history)))
  return rows
}

async function plain(double: Double, bare: Target, loci: Target, count: number): Promise<Row[]> {
  const cpu = { bare: 0, loci: 0 }
  const sides = await Promise.all(
    [bare, loci].map(async (target) => {
      const conversation = await target.converse(false)
      return async (some: string[]) => {
        const before = await target.child.probe()
        const took = await overheads(double, conversation, some)
        cpu[target.name] += (await target.child.probe()).cpu_ms - before.cpu_ms
        return took
      }
    }),
  )
  const [floor = [], own = []] = await alternate(count, 25, sides)
  const row = (what: string, value: number, least: number, target?: string): Row => ({
    scenario: 'turns',
    what,
    unit: 'ms',
    value,
    floor: least,
    ...(target === undefined ? {} : { target }),
  })
  return [
    row('overhead of a message, p50', percentile(own, 0.5), percentile(floor, 0.5), '≤ 2×'),
    row('overhead of a message, p95', percentile(own, 0.95), percentile(floor, 0.95)),
    row('CPU of a message', cpu.loci / own.length, cpu.bare / floor.length),
  ]
}

/** The model calls a tool, sees what it gave, and answers. */
async function toolStep(double: Double, bare: Target, loci: Target, count: number): Promise<Row> {
  const sides = await Promise.all(
    [bare, loci].map(async (target) => {
      const conversation = await target.converse(false)
      return (some: string[]) =>
        overheads(
          double,
          conversation,
          some.map((text) => `${text} CALL conversation_search`),
          2,
        )
    }),
  )
  const [floor = [], own = []] = await alternate(count, 25, sides)
  return {
    scenario: 'turns',
    what: 'overhead of a message with a tool step (two model calls), p50',
    unit: 'ms',
    value: percentile(own, 0.5),
    floor: percentile(floor, 0.5),
    target: '≤ 2×',
  }
}

/** The same context in every turn, while what is stored grows; at the end next to an agent that is new. */
async function growth(
  double: Double,
  loci: Target,
  count: number,
  progress: (text: string) => void,
): Promise<Row[]> {
  const edge = Math.min(200, count / 3)
  const agent = await loci.converse(false)
  const first = await overheads(double, agent, texts(edge))
  for (let done = edge; done < count - edge; done += edge) {
    progress(`turns: turn ${done} of ${count}`)
    await overheads(double, agent, texts(Math.min(edge, count - edge - done), done))
  }
  const fresh = await loci.converse(false)
  const sides = [fresh, agent].map((who) => (some: string[]) => overheads(double, who, some))
  const [beside = [], last = []] = await alternate(edge, 20, sides)
  const value = percentile(last, 0.5)
  const what = `overhead of the last ${edge} of ${count} turns, p50`
  return [
    {
      scenario: 'turns',
      what: `${what}, next to the first ${edge}`,
      unit: 'ms',
      value,
      floor: percentile(first, 0.5),
      target: '≤ 1.2×',
    },
    {
      scenario: 'turns',
      what: `${what}, next to a new agent's at that time`,
      unit: 'ms',
      value,
      floor: percentile(beside, 0.5),
      target: '≤ 1.2×',
    },
  ]
}

async function history(double: Double, bare: Target, loci: Target, count: number): Promise<Row[]> {
  const sides = await Promise.all(
    [bare, loci].map(async (target) => {
      const conversation = await target.converse(true)
      return (some: string[]) => overheads(double, conversation, some)
    }),
  )
  const [floor = [], own = []] = await alternate(count, 10, sides)
  return [
    {
      scenario: 'turns',
      what: `overhead with ${count} turns in context, p50 of the last 50`,
      unit: 'ms',
      value: percentile(own.slice(-50), 0.5),
      floor: percentile(floor.slice(-50), 0.5),
      target: '≤ 2×',
    },
  ]
}
