import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openStore } from '../../shared/store/open-store.ts'
import { aCommit, aMessage, aRun, aStep, DONE } from '../../test/contracts/store/samples.ts'
import type { BenchContext, Scenario } from '../lib/context.ts'
import { ACTOR, fillAgent, sentence } from '../lib/fill.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample } from '../lib/stats.ts'

/** The store alone, in this process: a turn's two transactions, and archival search. */
export const store: Scenario = async (context) => {
  const size = context.sized(
    { turns: 2_000, passages: 100_000, searches: 500 },
    { turns: 200, passages: 5_000, searches: 50 },
    { turns: 5, passages: 500, searches: 5 },
  )
  const flush = await flushes(await context.folder(), size.turns)
  const opened = await openStore({ ...(await context.place()) })
  try {
    return [
      flush,
      ...(await turns(opened, size.turns, context)),
      ...(await archival(opened, size.passages, size.searches, context)),
    ]
  } finally {
    await opened.close()
  }
}

/** What durability costs here before any of our code runs: the write-ahead log is a file that is written over. */
async function flushes(folder: string, count: number): Promise<Row> {
  const pages = 250
  await using file = await open(join(folder, 'log'), 'w')
  await file.write(Buffer.alloc(pages * 4096))
  await file.datasync()
  const page = Buffer.alloc(4096, 1)
  const took = await sample(count, async (i) => {
    await file.write(page, 0, page.length, (i % pages) * 4096)
    await file.datasync()
  })
  return {
    scenario: 'store',
    what: 'the disk itself: a page written and flushed, p50',
    unit: 'ms',
    value: percentile(took, 0.5),
  }
}

async function turns(store: Store, count: number, { progress }: BenchContext): Promise<Row[]> {
  // Each agent takes so many turns that its context stays short.
  const each = 20
  const agents = await Promise.all(
    Array.from({ length: Math.ceil(count / each) }, (_, i) => fillAgent(store, `turns ${i}`)),
  )
  const opens: number[] = []
  const commits: number[] = []
  for (let i = -20; i < count; i++) {
    if (i % 100 === 0) progress(`store: turn ${i} of ${count}`)
    const agent_id = agents[(i + agents.length * each) % agents.length]!
    const run = aRun(agent_id)
    const input = aMessage(agent_id, 'user', sentence(i), { run_id: run.id })
    const answer = aMessage(agent_id, 'assistant', sentence(i + 1), { run_id: run.id })
    const from = performance.now()
    const opened = await store.turns.open(ACTOR, { run, conversation_id: agent_id, messages: [input] })
    const between = performance.now()
    await store.turns.commit(
      ACTOR,
      aCommit(opened, run, { step: aStep(run), messages: [answer], finish: DONE }),
    )
    if (i < 0) continue
    opens.push(between - from)
    commits.push(performance.now() - between)
  }
  const row = (what: string, values: number[]): Row => ({
    scenario: 'store',
    what: `${what}, until it is on disk, p50 of ${count}`,
    unit: 'ms',
    value: percentile(values, 0.5),
  })
  return [row('open a turn', opens), row('commit a turn', commits)]
}

async function archival(
  store: Store,
  count: number,
  searches: number,
  { progress }: BenchContext,
): Promise<Row[]> {
  const agent_id = await fillAgent(store, 'archive')
  const batch = 100
  const created_at = new Date().toISOString()
  const from = performance.now()
  for (let done = 0; done < count; done += batch) {
    progress(`store: ${done} of ${count} passages`)
    const passages = Array.from({ length: batch }, (_, i) => ({
      id: newId('passage'),
      text: sentence(done + i, 40),
      tags: [],
      metadata: {},
      created_at,
    }))
    await store.passages.create(ACTOR, agent_id, passages)
  }
  const rate = count / ((performance.now() - from) / 1000)
  progress('store: archival search')
  const took = await sample(searches, async (i) => {
    const query = sentence((i * 7919) % count, 3)
    const found = await store.passages.search(ACTOR, { agent_id, query, limit: 10 })
    if (found.length === 0) throw new Error(`nothing found for ${query}`)
  })
  return [
    {
      scenario: 'store',
      what: `${count} passages stored, ${batch} at a time`,
      unit: 'passages/s',
      value: rate,
    },
    {
      scenario: 'store',
      what: `archival search by text (three words) in ${count} passages, p50`,
      unit: 'ms',
      value: percentile(took, 0.5),
      target: '≤ 50 ms',
    },
  ]
}
