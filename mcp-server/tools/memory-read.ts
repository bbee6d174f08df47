import * as z from 'zod'
import { capped } from '../answer.ts'
import { blockOf, labelOf, readLabelled } from '../memory.ts'
import { MEMORY_APP } from '../resources/uris.ts'
import { defineTool, READS } from '../tool.ts'

export const memoryRead = defineTool({
  name: 'memory_read',
  title: 'Read memory',
  description: "Reads an agent's memory blocks: what it always knows, such as `human`, about its user.",
  about: 'agent',
  input: {
    label: z.string().min(1).optional().describe('One block; default: all'),
    offset: z.int().min(0).max(1_000_000_000).default(0).describe('With label: skip this many characters'),
  },
  annotations: READS,
  meta: { ui: { resourceUri: MEMORY_APP } },
  async run({ label, offset }, call) {
    const { client, signal } = call
    const agent = await call.agent()
    if (label !== undefined && !call.shows_apps) {
      const block = await readLabelled(client, agent, label, { signal })
      return { text: partOf(agent, block, label, offset) }
    }
    const page = await client.letta.agents.blocks.list(agent.id, { limit: 100 }, { signal })
    // Shortest first: where the answer must be cut, it is the longest block that is.
    const blocks = page.items.sort((a, b) => a.value.length - b.value.length)
    const structured = call.shows_apps
      ? {
          agent: { id: agent.id, name: agent.name },
          pinned: call.settings.agent !== null,
          editable: !call.settings.read_only,
          blocks: blocks.map((block) => ({
            label: labelOf(block),
            value: block.value,
            limit: block.limit ?? null,
            read_only: block.read_only ?? false,
            description: block.description ?? null,
          })),
        }
      : undefined
    if (label !== undefined)
      return { text: partOf(agent, blockOf(agent, blocks, label), label, offset), structured }
    if (blocks.length === 0) return { text: `Agent '${agent.name}' has no memory blocks.`, structured }
    const labels = blocks.map(labelOf)
    const text = blocks
      .map((block) => {
        const note = block.read_only ? ', read-only' : ''
        const title = `## ${labelOf(block)} (${block.value.length} of ${block.limit} characters${note})`
        return `${title}\n${block.value || '(empty)'}`
      })
      .join('\n\n')
    return {
      text: capped(text, () => `Call memory_read with one label: ${labels.join(', ')}.`),
      structured,
    }
  },
})

function partOf(
  agent: { name: string },
  { value }: { value: string },
  label: string,
  offset: number,
): string {
  if (value === '') return `Block '${label}' of agent '${agent.name}' is empty.`
  return capped(
    value.slice(offset),
    (shown) => `Call memory_read with label: "${label}", offset: ${offset + shown}.`,
  )
}
