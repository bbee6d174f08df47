import { openStore } from '../../shared/store/open-store.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import {
  aBlock,
  aCall,
  aCommit,
  aMessage,
  aReturn,
  aRun,
  aStep,
  DONE,
} from '../../test/contracts/store/samples.ts'
import type { Scenario } from '../lib/context.ts'
import { ACTOR, fillAgent, fillTurn, inParallel, sentence } from '../lib/fill.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample } from '../lib/stats.ts'

/** Messages of the agent that is listed and whose context is read. */
const LONG = 2_000

/** One command: what it does to the agents that were made for it. */
export type Operation = (store: Store, i: number) => Promise<unknown>

/** What clients and turns ask a store for, each once: the same on every engine. */
export async function prepareOperations(store: Store, agents: number): Promise<Record<string, Operation>> {
  const ids: string[] = []
  for (let i = 0; i < agents; i++) ids.push(await fillAgent(store, `agent ${i}`, true))
  const long = await fillAgent(store, 'long', true)
  for (let done = 0; done < LONG; done += 100) await fillTurn(store, long, 100, done)
  const block = await store.blocks.create(ACTOR, aBlock('notes', ''))
  const agent = (i: number) => ids[i % ids.length]!
  const free = [...ids]
  // A conversation has one turn at a time.
  const turnOf = async (store: Store, i: number, tool: boolean) => {
    const id = free.shift()!
    await turn(store, id, i, tool)
    free.push(id)
  }
  return {
    'an agent is created': (store, i) => fillAgent(store, `new ${i}`),
    'an agent is read': (store, i) =>
      store.agents.get(ACTOR, agent(i), ['agent.blocks', 'agent.tools', 'agent.tags']),
    'a block is edited': (store, i) => store.blocks.update(ACTOR, block.id, { value: `Note ${i}.` }),
    'the 50 newest messages of 2,000 are listed': (store) =>
      store.messages.list(ACTOR, { agent_id: long }, { limit: 50, order: 'desc' }),
    "an agent's messages are searched for three words": (store, i) =>
      store.messages.search(ACTOR, {
        agent_id: long,
        query: sentence(((i * 37) % (LONG / 2)) * 2, 3),
        roles: ['user', 'assistant'],
        limit: 10,
      }),
    'a passage is stored': (store, i) =>
      store.passages.create(ACTOR, agent(i), [
        {
          id: newId('passage'),
          text: sentence(i, 40),
          tags: [],
          metadata: {},
          created_at: new Date().toISOString(),
        },
      ]),
    'a plain turn is opened and committed': (store, i) => turnOf(store, i, false),
    'a turn with a tool step': (store, i) => turnOf(store, i, true),
  }
}

/** The store's part of a turn. */
export async function turn(store: Store, agent_id: string, i: number, tool: boolean): Promise<void> {
  const run = aRun(agent_id)
  const messages = [aMessage(agent_id, 'user', sentence(i), { run_id: run.id })]
  const opened = await store.turns.open(ACTOR, { run, conversation_id: agent_id, messages })
  if (tool)
    await store.turns.commit(
      ACTOR,
      aCommit(opened, run, {
        step: aStep(run),
        messages: [aCall(agent_id, 'call-1'), aReturn(agent_id, 'call-1', sentence(i + 2))],
      }),
    )
  const answer = aMessage(agent_id, 'assistant', sentence(i + 1), { run_id: run.id })
  await store.turns.commit(
    ACTOR,
    aCommit(opened, run, { step: aStep(run), messages: [answer], finish: DONE }),
  )
}

/** What single commands of the store take, one after another and sixteen at once, in this process. */
export const operations: Scenario = async (context) => {
  const times = context.sized(1_000, 100, 5)
  const store = await openStore({ ...(await context.place()) })
  try {
    const all = await prepareOperations(store, 64)
    const rows: Row[] = []
    const row = (what: string, unit: Row['unit'], value: number) =>
      rows.push({ scenario: 'operations', what, unit, value })
    for (const [what, operation] of Object.entries(all)) {
      context.progress(`operations: ${what}`)
      for (let i = 0; i < 20; i++) await operation(store, i)
      const took = await sample(times, (i) => operation(store, i + 20))
      row(`${what}, p50`, 'ms', percentile(took, 0.5))
      row(`${what}, p95`, 'ms', percentile(took, 0.95))
      const from = performance.now()
      await inParallel(times, 16, async (i) => void (await operation(store, i + 20 + times)))
      row(`${what}, 16 at once`, 'calls/s', times / ((performance.now() - from) / 1000))
    }
    return rows
  } finally {
    await store.close()
  }
}
