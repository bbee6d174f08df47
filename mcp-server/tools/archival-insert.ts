import * as z from 'zod'
import { defineTool } from '../tool.ts'

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
    return `Stored for ${agent.name}${id ? ` (${id})` : ''}: ${text.length} characters.`
  },
})
