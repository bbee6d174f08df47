import { oneLine } from '../answer.ts'
import type { McpDeps } from '../deps.ts'
import type { AgentState } from '../letta.ts'
import type { McpSettings } from '../settings.ts'
import type { Listed } from './register.ts'
import { agentUri } from './uris.ts'

/** Agents that are listed as resources, newest first; the others are found by agent_list and by completion. */
const AGENTS = 50

async function agentsOf(
  deps: McpDeps,
  settings: McpSettings,
  signal: AbortSignal,
  include: 'agent.blocks'[],
): Promise<AgentState[]> {
  const client = await deps.client()
  if (settings.agent === null)
    return (await client.letta.agents.list({ limit: AGENTS, order: 'desc', include }, { signal })).items
  const { id } = await client.findAgent(settings.agent, { signal })
  return [await client.letta.agents.retrieve(id, { include }, { signal })]
}

export async function listAgents(
  deps: McpDeps,
  settings: McpSettings,
  signal: AbortSignal,
): Promise<Listed[]> {
  const agents = await agentsOf(deps, settings, signal, [])
  return agents.map(({ id, name, description }) => ({
    uri: agentUri(id),
    name,
    title: name,
    ...(description ? { description: oneLine(description) } : {}),
    mimeType: 'text/plain',
  }))
}

export async function listMemory(
  deps: McpDeps,
  settings: McpSettings,
  signal: AbortSignal,
): Promise<Listed[]> {
  const agents = await agentsOf(deps, settings, signal, ['agent.blocks'])
  return agents.flatMap(({ id, name, blocks }) =>
    blocks.flatMap(({ label, description }) =>
      label
        ? [
            {
              uri: agentUri(id, 'memory', label),
              name: `${name}: ${label}`,
              title: `${name}: ${label}`,
              ...(description ? { description: oneLine(description) } : {}),
              mimeType: 'text/markdown',
            },
          ]
        : [],
    ),
  )
}
