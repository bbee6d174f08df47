import type { MessageRole } from '../../shared/schema/message.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import type { Scenario } from '../lib/context.ts'
import { ACTOR, fillAgent, fillTurn, inParallel, sentence } from '../lib/fill.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { agentAt, type Double, startDouble, startLoci } from '../lib/servers.ts'
import { percentile, sample } from '../lib/stats.ts'

const PER_AGENT = 100
/** Enough to fill a page of the list of agents: the small store answers the same questions at the same length. */
const SMALL = 50

/** A large data directory next to a small one: what a user waits for must not grow with what is stored. */
export const scale: Scenario = async (context) => {
  const size = context.sized(
    { agents: 10_000, messages: 1_000_000, samples: 400 },
    { agents: 500, messages: 20_000, samples: 60 },
    { agents: 60, messages: 600, samples: 10 },
  )
  const each = size.messages / size.agents
  const small = await context.folder()
  const large = await context.folder()
  const began = performance.now()
  const few = await fill(small, SMALL, each, (text) => context.progress(`scale: small store, ${text}`))
  const many = await fill(large, size.agents, each, (text) => context.progress(`scale: large store, ${text}`))
  const rate = (size.messages + SMALL * each) / ((performance.now() - began) / 1000)
  await using double = await startDouble()
  context.progress('scale: measuring')
  const actions = ['list', 'open', 'send', 'search'] as const
  const took = { small: await ready(double, small, few, each), large: await ready(double, large, many, each) }
  await using _small = took.small
  await using _large = took.large
  const found = { small: {} as Record<string, number[]>, large: {} as Record<string, number[]> }
  const batch = 10
  for (let done = -batch; done < size.samples; done += batch) {
    for (const action of actions) {
      for (const side of ['small', 'large'] as const) {
        const values = await sample(batch, (i) => took[side][action](done + batch + i))
        // The first batch warms up.
        if (done >= 0) (found[side][action] ??= []).push(...values)
      }
    }
  }
  const names = {
    list: 'list 50 agents',
    open: 'open an agent (it and its newest 50 messages)',
    send: 'send a message',
    search: "search an agent's messages (three words)",
  }
  const what = `${size.agents} agents, ${size.messages} messages, next to ${SMALL} and ${SMALL * each}`
  const rows = actions.map((action): Row => ({
    scenario: 'scale',
    what: `${what}: ${names[action]}, p50`,
    unit: 'ms',
    value: percentile(found.large[action] ?? [], 0.5),
    floor: percentile(found.small[action] ?? [], 0.5),
    target: '≤ 2×',
  }))
  return [{ scenario: 'scale', what: 'filling, through the store', unit: 'messages/s', value: rate }, ...rows]
}

/** Agents with `each` messages apiece; gives their ids. */
async function fill(
  data: string,
  agents: number,
  each: number,
  progress: (text: string) => void,
): Promise<string[]> {
  const store = await openSqliteStore({ directory: data })
  const ids: string[] = []
  try {
    await inParallel(agents, 8, async (index) => {
      if (index % 50 === 0) progress(`${index} of ${agents} agents, ${index * each} messages`)
      const id = await fillAgent(store, `agent ${index}`)
      for (let done = 0; done < each; done += PER_AGENT) {
        await fillTurn(store, id, Math.min(PER_AGENT, each - done), index * each + done)
      }
      ids[index] = id
    })
  } finally {
    await store.close()
  }
  return ids
}

/** A server over a filled directory, and what is asked of it; the search goes to the store, as a tool's does. */
async function ready(double: Double, data: string, ids: readonly string[], each: number) {
  const server = await startLoci(double, data, false)
  const store = await openSqliteStore({ directory: data })
  const agent = (i: number) => ids[(i * 7919) % ids.length] as string
  return {
    list: () => call('GET', `${server.url}/v1/agents/?limit=50`),
    async open(i: number) {
      await call('GET', `${server.url}/v1/agents/${agent(i)}`)
      await call('GET', `${server.url}/v1/agents/${agent(i)}/messages?limit=50&order=desc`)
    },
    send: (i: number) => agentAt(server.url, agent(i)).send(`Note ${i}`),
    async search(i: number) {
      // Three words of a message that this agent has.
      const query = sentence(((i * 7919) % ids.length) * each + 4, 3)
      const search = { agent_id: agent(i), query, roles: ['user', 'assistant'] as MessageRole[], limit: 10 }
      const found = await store.messages.search(ACTOR, search)
      if (found.length === 0) throw new Error(`nothing found for ${query}`)
    },
    async [Symbol.asyncDispose]() {
      await store.close()
      await server[Symbol.asyncDispose]()
    },
  }
}
