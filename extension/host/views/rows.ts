import type { AgentInfo, BlockInfo, Library, ToolInfo } from '../library.ts'
import { byLabel, firstWords, listNames, type Entry } from './entry.ts'

/** One agent. With `library` it opens to its blocks, in the order the model reads them, and its tools by name. */
export function agentRow(agent: AgentInfo, library?: Library, parent = ''): Entry {
  const model = agent.model ?? 'no model'
  const { block_ids: blocks, tool_ids: tools } = agent
  return {
    id: parent + agent.id,
    label: agent.name,
    description: model,
    tooltip: {
      heading: agent.name,
      lines: [`Model: ${model}`, `${blocks.length} memory blocks, ${tools.length} tools`, agent.id],
      ...(agent.description ? { text: agent.description } : {}),
    },
    icon: 'hubot',
    kind: 'agent',
    spoken: `Agent ${agent.name}, model ${model}, ${blocks.length} blocks, ${tools.length} tools`,
    chat_agent_id: agent.id,
    ...(library ? { children: () => belongings(agent, library) } : {}),
  }
}

function belongings(agent: AgentInfo, library: Library): Entry[] {
  const parent = `${agent.id}/`
  const blocks = agent.block_ids.flatMap((id) => library.blocks.get(id) ?? [])
  const tools = agent.tool_ids.flatMap((id) => library.tools.get(id) ?? [])
  return [
    ...blocks.map((block) => blockRow(block, [], parent)),
    ...tools.map((tool) => toolRow(tool, parent)).sort(byLabel),
  ]
}

/** One block with its first words. `sharers` are the agents to name with it. */
export function blockRow(block: BlockInfo, sharers: readonly AgentInfo[], parent = ''): Entry {
  const names = listNames(sharers.map((agent) => agent.name))
  const words = firstWords(block.value) || '(empty)'
  const shared = sharers.length > 1 ? `Shared by ${names}` : names && `Memory of ${names}`
  return {
    id: parent + block.id,
    label: block.label,
    description: names ? `${names} · ${words}` : words,
    tooltip: {
      heading: block.label,
      lines: [
        ...(shared ? [shared] : []),
        `${block.value.length} of ${block.limit} characters${block.read_only ? ', read-only' : ''}`,
        ...(block.description ? [block.description] : []),
      ],
      ...(block.value ? { text: block.value } : {}),
    },
    icon: block.read_only ? 'lock' : 'note',
    kind: 'block',
    spoken: `Memory block ${block.label}${shared ? `, ${shared}` : ''}: ${words}`,
  }
}

/** One tool: its name, what the model is told that it does and, inside an agent, where it comes from. */
export function toolRow(tool: ToolInfo, parent = ''): Entry {
  const origin = originOf(tool.tool_type)
  return {
    id: parent + tool.id,
    label: tool.name,
    description: parent ? origin : firstWords(tool.description ?? '') || origin,
    tooltip: { heading: tool.name, lines: [origin], ...(tool.description ? { text: tool.description } : {}) },
    icon: iconOf(tool.tool_type),
    kind: 'tool',
    spoken: `Tool ${tool.name}, ${origin}`,
  }
}

function iconOf(type: string): string {
  if (type === 'custom') return 'symbol-method'
  return type === 'external_mcp' ? 'plug' : 'tools'
}

function originOf(type: string): string {
  if (type === 'custom') return 'custom tool'
  if (type === 'external_mcp') return 'from an MCP server'
  return type.includes('memory') ? 'built-in, edits memory' : 'built-in'
}
