import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { capped, defineTool } from '../tool.ts'

export const memoryRead = defineTool({
  name: 'memory_read',
  title: 'Read memory',
  description:
    "Reads an agent's memory blocks: what it always knows, for example about the user (block `human`). Without a label all blocks, with one that block alone.",
  input: z.strictObject({
    agent: z.string().min(1).describe('Name or id of the agent'),
    label: z.string().min(1).optional().describe('Read only the block with this label, for example human'),
    offset: z.int().min(0).default(0).describe('With label: skip this many characters of a long block'),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ agent: nameOrId, label, offset }, { client, signal }) {
    const agent = await client.findAgent(nameOrId, { signal })
    const page = await client.letta.agents.blocks.list(agent.id, { limit: 100 }, { signal })
    // Shortest first: where the answer must be cut, it is the longest block that is.
    const blocks = page.items.sort((a, b) => a.value.length - b.value.length)
    const labels = blocks.map((block) => block.label ?? 'unnamed')
    if (label === undefined) {
      if (labels.length === 0) return `Agent '${agent.name}' has no memory blocks.`
      const text = blocks
        .map((block) => {
          const note = block.read_only ? ', read-only' : ''
          const title = `## ${block.label ?? 'unnamed'} (${block.value.length} of ${block.limit} characters${note})`
          return `${title}\n${block.value || '(empty)'}`
        })
        .join('\n\n')
      return capped(text, () => `Call memory_read with one label: ${labels.join(', ')}.`)
    }
    const block = blocks.find((candidate) => candidate.label === label)
    if (!block) {
      const there = labels.length > 0 ? `It has: ${labels.join(', ')}.` : 'It has no memory blocks.'
      throw new AppError('not_found', `Agent '${agent.name}' has no memory block '${label}'. ${there}`)
    }
    if (block.value === '') return `Block '${label}' of agent '${agent.name}' is empty.`
    return capped(
      block.value.slice(offset),
      (shown) => `Call memory_read with label: "${label}", offset: ${offset + shown}.`,
    )
  },
})
