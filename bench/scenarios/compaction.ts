import { join } from 'node:path'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import type { BenchContext, Scenario } from '../lib/context.ts'
import { fillAgent, fillTurn } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startDouble, startLoci } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'
import { transactionsIn } from '../lib/wal.ts'

/** A conversation of 5,000 messages, all in context, is made shorter: how long it takes, and whom it holds up. */
export const compaction: Scenario = async (context) => {
  const messages = context.sized(5_000, 1_000, 100)
  const rounds = context.sized(7, 3, 1)
  const data = await context.folder()
  const modes = ['sliding_window', 'all', 'self_compact_all'] as const
  const agents = await fill(data, messages, rounds * modes.length, context)
  await using double = await startDouble()
  await using loci = await startLoci(double, data, 'stalls')
  const database = join(data, 'loci.db')
  // What is compiled and loaded the first time is not what is asked here.
  await call('GET', `${loci.url}/v1/agents/${agents[0]}/context`)
  const rows: Row[] = []
  for (const mode of modes) {
    const took: number[] = []
    const written: number[] = []
    await loci.child.probe()
    for (let round = 0; round < rounds; round++) {
      context.progress(`compaction: ${mode}, ${round} of ${rounds}`)
      const id = agents.pop()!
      await double.held()
      const before = await transactionsIn(database)
      const from = performance.now()
      const body = { compaction_settings: { mode, model: 'openai/bench' } }
      await call('POST', `${loci.url}/v1/agents/${id}/summarize`, body)
      const whole = performance.now() - from
      const after = await transactionsIn(database)
      const inModel = (await double.held()).reduce((a, b) => a + b, 0)
      took.push(whole - inModel)
      // A log begun anew in between has forgotten some.
      if (before.generation === after.generation) written.push(after.transactions - before.transactions)
    }
    const stall = (await loci.child.probe()).longest_stall_ms
    const what = `${messages} messages compacted, ${mode}`
    rows.push(
      {
        scenario: 'compaction',
        what: `${what}, without the model's time, median`,
        unit: 'ms',
        value: median(took),
      },
      { scenario: 'compaction', what: `${what}, longest stall`, unit: 'ms', value: stall },
      {
        scenario: 'compaction',
        what: `${what}, transactions`,
        unit: 'transactions',
        value: median(written),
        target: '1',
      },
    )
  }
  return rows
}

async function fill(data: string, messages: number, count: number, context: BenchContext): Promise<string[]> {
  const store = await openSqliteStore({ directory: data })
  try {
    const agents: string[] = []
    for (let i = 0; i < count; i++) {
      context.progress(`compaction: filling conversation ${i} of ${count}`)
      const agent_id = await fillAgent(store, `long ${i}`)
      for (let done = 0; done < messages; done += 500)
        await fillTurn(store, agent_id, 500, i * messages + done)
      agents.push(agent_id)
    }
    return agents
  } finally {
    await store.close()
  }
}
