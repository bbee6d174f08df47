import type { Memento } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'

/** The agent that the chat and its tools mean when none is named, kept for all windows. */
export interface AgentChoice {
  get(): string | undefined
  set(agent_id: string): Thenable<void>
}

const KEY = 'loci.models.agent'

export function createAgentChoice(state: Pick<Memento, 'get' | 'update'>): AgentChoice {
  return { get: () => state.get<string>(KEY), set: (agent_id) => state.update(KEY, agent_id) }
}

export interface ChosenAgent {
  id: string
  name: string
}

/**
 * The agent of this name or id; without one the agent chosen last, or the only one there is. Throws a sentence that names the
 * agents, and what the client throws.
 */
export async function chooseAgent(
  client: LociClient,
  named: string | undefined,
  choice: Pick<AgentChoice, 'get'>,
): Promise<ChosenAgent> {
  const name = named?.trim() ?? ''
  if (name !== '') {
    const { id, name: found } = await client.findAgent(name)
    return { id, name: found }
  }
  const all = await listAgents(client)
  const chosen = all.find(({ id }) => id === choice.get()) ?? (all.length === 1 ? all[0] : undefined)
  if (chosen) return chosen
  if (all.length === 0) throw new Error('There is no agent yet. Make one with the command "Loci: New Agent".')
  const names = all.slice(0, 20).map(({ name }) => name)
  throw new Error(`There are several agents: say which one. There is ${names.join(', ')}.`)
}

/** Agents, the newest first, a hundred at the most. */
export async function listAgents({ letta }: LociClient): Promise<(ChosenAgent & { model: string | null })[]> {
  const { items } = await letta.agents.list({ limit: 100, order: 'desc' })
  return items.map(({ id, name, model }) => ({ id, name, model: model ?? null }))
}
