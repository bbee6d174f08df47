import * as z from 'zod'
import { defineTool, type ToolCall } from '../tool.ts'

export const archivalInsert = defineTool({
  name: 'archival_insert',
  title: 'Add to archival memory',
  description: 'Stores a passage that an agent finds by search: facts, notes, documents in parts.',
  about: 'agent',
  input: {
    text: z.string().min(1).max(100_000),
    tags: z.array(z.string().min(1)).optional(),
  },
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  async run({ text, tags }, call) {
    const { client, signal } = call
    const agent = await call.agent()
    const made = await client.letta.agents.passages.create(
      agent.id,
      { text, ...(tags ? { tags } : {}) },
      { signal, maxRetries: 0 },
    )
    const id = made[0]?.id
    const stored = `Stored for ${agent.name}${id ? ` (${id})` : ''}: ${text.length} characters.`
    return [stored, ...(await giveSearch(call, agent))].join(' ')
  },
})

/** The tool with which an agent finds its passages; agents are made without it. */
const SEARCH = 'archival_memory_search'

/** Gives it to an agent that has it not; answers what the caller should know of that. */
async function giveSearch(
  { client, signal }: ToolCall,
  { id, name }: { id: string; name: string },
): Promise<string[]> {
  const { items } = await client.letta.agents.tools.list(id, { limit: 1000 }, { signal })
  if (items.some((tool) => tool.name === SEARCH)) return []
  const [found] = (await client.letta.tools.list({ name: SEARCH, limit: 1 }, { signal })).items
  if (!found) return [`${name} cannot find it: this server has no tool ${SEARCH}.`]
  await client.letta.agents.tools.attach(found.id, { agent_id: id }, { signal })
  return [`${name} has the tool ${SEARCH} now, with which it finds it.`]
}
