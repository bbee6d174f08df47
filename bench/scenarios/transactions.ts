import { join } from 'node:path'
import type { Scenario } from '../lib/context.ts'
import type { Row } from '../lib/report.ts'
import { agentAt, createAgent, startDouble, startLoci } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'
import { transactionsIn } from '../lib/wal.ts'

const TURNS: [what: string, text: string, target: string, background?: true][] = [
  ['a plain turn', 'How many boats are there?', '2'],
  ['a plain turn in the background, its stream stored', 'How many boats are there?', '2', true],
  ['a turn with one tool step', 'CALL conversation_search', '3'],
  ['a turn with one tool step that edits memory', 'CALL memory_insert', '3'],
]

/** Write transactions of a turn: what a slow disk multiplies. */
export const transactions: Scenario = async (context) => {
  const count = context.sized(50, 15, 2)
  const data = await context.folder()
  const database = join(data, 'loci.db')
  await using double = await startDouble()
  await using loci = await startLoci(double, data)
  const rows: Row[] = []
  for (const [what, text, target, background = false] of TURNS) {
    context.progress(`transactions: ${what}`)
    const agent = agentAt(loci.url, await createAgent(loci.url), background)
    await agent.send('Hello.')
    const found: number[] = []
    while (found.length < count) {
      const before = await transactionsIn(database)
      await (background ? agent.stream(text) : agent.send(text))
      const after = await transactionsIn(database)
      // A log begun anew in between has forgotten some.
      if (before.generation === after.generation) found.push(after.transactions - before.transactions)
    }
    const row = (which: string, value: number): Row => ({
      scenario: 'transactions',
      what: `${what}, ${which} of ${count}`,
      unit: 'transactions',
      value,
      target,
    })
    rows.push(row('median', median(found)), row('most', Math.max(...found)))
  }
  return rows
}
