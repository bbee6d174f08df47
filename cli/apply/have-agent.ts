import { refusalOf } from '../../shared/client/http.ts'
import type { Block } from '../../shared/schema/block.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import type { Plan } from './plan.ts'

/** An agent of the server, as far as it is compared. */
export interface HaveAgent extends Record<string, unknown> {
  id: string
  name: string
  agent_type: string
  model: string | null
  metadata: Record<string, unknown> | null
  llm_config: Record<string, unknown>
  blocks: Block[]
  tools: { id: string; name: string }[]
  sources: { id: string; name: string }[]
  tags: string[]
  secrets?: { key: string; value: string }[]
}

const INCLUDE = ['agent.blocks', 'agent.tools', 'agent.tags', 'agent.sources']
const SECRETS = 'agent.secrets'

/** Reads one agent with what is compared. */
export async function readAgent(plan: Plan, id: string, include = INCLUDE): Promise<HaveAgent> {
  return (await plan.client.letta.get(`/v1/agents/${id}`, { query: { include } })) as HaveAgent
}

/** The agent of a name, or the one that an earlier apply made or took for it; null when there is none. */
export async function findAgent(
  plan: Plan,
  { name, at, secrets }: Wanted<WantedAgent>,
): Promise<HaveAgent | null> {
  // Those of agents that the fleet gives none are nobody's business here.
  const include = Object.keys(secrets).length > 0 ? [...INCLUDE, SECRETS] : INCLUDE
  const query = { name, include, limit: 100 }
  const found = (await plan.client.letta.get('/v1/agents/', { query })) as HaveAgent[]
  const known = plan.before.agents[name]?.id
  const mine = found.find(({ id }) => id === known)
  if (mine) return mine
  if (found.length > 1)
    plan.mistakes.push(
      `${at}: several agents are called '${name}' (${found.map(({ id }) => id).join(', ')}); rename or delete those that are not meant`,
    )
  if (found[0] || known === undefined) return found[0] ?? null
  // Renamed since.
  return readAgent(plan, known, include).catch((error: unknown) => {
    if (refusalOf(error)?.status === 404) return null
    throw error
  })
}
