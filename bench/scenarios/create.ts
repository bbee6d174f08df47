import type { Scenario } from '../lib/context.ts'
import { alternate } from '../lib/overhead.ts'
import { startBare, startDouble, startLoci } from '../lib/servers.ts'
import { sample, sum } from '../lib/stats.ts'

/** Agents made one after another, each on disk with its memory before it is answered. */
export const create: Scenario = async (context) => {
  const count = context.sized(2000, 200, 5)
  await using double = await startDouble()
  await using bare = await startBare(double, false)
  await using loci = await startLoci(double, await context.place(), false)
  context.progress('create: agents one after another')
  const sides = [bare, loci].map((target) => (some: string[]) => sample(some.length, () => target.create()))
  await alternate(50, 50, sides)
  const [floor = [], own = []] = await alternate(count, 50, sides)
  const rate = (took: number[]) => took.length / (sum(took) / 1000)
  return [
    {
      scenario: 'create',
      what: 'agents created one after another',
      unit: 'agents/s',
      value: rate(own),
      floor: rate(floor),
      target: '≥ 0.4×',
    },
  ]
}
