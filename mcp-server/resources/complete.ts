import type { CompleteResourceTemplateCallback } from '@modelcontextprotocol/server'
import type { LociClient } from '../../shared/client/http.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import type { McpDeps } from '../deps.ts'
import { labelOf } from '../memory.ts'
import type { McpSettings } from '../settings.ts'

/** Values that the protocol lets a completion have. */
const MOST = 100

/** Names of agents that have what was typed in them. Empty when they cannot be had: a completion is only a help. */
export function completeAgent(deps: McpDeps, settings: McpSettings): (typed: string) => Promise<string[]> {
  return (typed) =>
    helping(deps, async (client) => {
      if (settings.agent !== null) return [(await client.findAgent(settings.agent)).name]
      const query = { limit: MOST, order: 'desc' as const, ...(typed === '' ? {} : { query_text: typed }) }
      const { items } = await client.letta.agents.list(query)
      return [...new Set(items.map(({ name }) => name))]
    })
}

/** Completes the variables of the resource templates. */
export function completions(
  deps: McpDeps,
  settings: McpSettings,
): Record<string, CompleteResourceTemplateCallback> {
  const ofAgent =
    (list: (client: LociClient, agent_id: string) => Promise<string[]>): CompleteResourceTemplateCallback =>
    (typed, context) =>
      helping(deps, async (client) => {
        const named = settings.agent ?? context?.arguments?.['agent']
        if (named === undefined) return []
        const values = await list(client, (await client.findAgent(named)).id)
        return values.filter((value) => value.toLowerCase().includes(typed.toLowerCase())).slice(0, MOST)
      })
  return {
    agent: completeAgent(deps, settings),
    label: ofAgent(async ({ letta }, id) => (await letta.agents.blocks.list(id)).items.map(labelOf)),
    conversation: ofAgent(async ({ letta }, agent_id) => [
      'default',
      ...(await letta.conversations.list({ agent_id, limit: MOST - 1, order: 'desc' })).map(({ id }) => id),
    ]),
    file: ofAgent(async ({ letta }, id) =>
      (await letta.agents.files.list(id, { limit: MOST })).files.map(({ file_id }) => file_id),
    ),
  }
}

async function helping(deps: McpDeps, list: (client: LociClient) => Promise<string[]>): Promise<string[]> {
  try {
    return await list(await deps.client())
  } catch (error) {
    deps.log(`nothing to complete with: ${messageOf(error)}`)
    return []
  }
}
