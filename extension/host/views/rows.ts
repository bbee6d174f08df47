import type { Activity } from '../activity.ts'
import type { ConversationInfo, FileInfo } from '../details.ts'
import type { AgentInfo, BlockInfo, Library, McpServerInfo, ToolInfo } from '../library.ts'
import { byLabel, counted, firstWords, groupRow, listNames, type Entry } from './entry.ts'
import { t } from '../l10n.ts'

const activities = (): Record<Activity, { icon: string; color: string; says: string }> => ({
  running: { icon: 'loading~spin', color: 'charts.blue', says: t('working') },
  approval: { icon: 'bell-dot', color: 'charts.yellow', says: t('waiting for approval') },
  error: { icon: 'error', color: 'errorForeground', says: t('last turn failed') },
})

/**
 * One agent. With `library` it opens to its blocks, in the order the model reads them, and to its tools, conversations
 * and files.
 */
export function agentRow(
  agent: AgentInfo,
  {
    library,
    activity,
    parent = '',
  }: { library?: Library; activity?: Activity | undefined; parent?: string } = {},
): Entry {
  const model = agent.model ?? t('no model')
  const state = activity && activities()[activity]
  const { block_ids: blocks, tool_ids: tools } = agent
  const has = `${counted(blocks.length, 'block')}, ${counted(tools.length, 'tool')}`
  return {
    id: parent + agent.id,
    label: agent.name,
    description: state ? `${state.says} · ${model}` : model,
    tooltip: {
      heading: agent.name,
      lines: [...(state ? [t('State: {0}', state.says)] : []), t('Model: {0}', model), has, agent.id],
      ...(agent.description ? { text: agent.description } : {}),
    },
    icon: state?.icon ?? 'hubot',
    ...(state ? { color: state.color } : {}),
    kind: 'agent',
    flags: [...(library ? [] : ['sharer']), ...(activity ? [activity] : [])],
    spoken: t('Agent {0}, {1}model {2}, {3}', agent.name, state ? `${state.says}, ` : '', model, has),
    chat_agent_id: agent.id,
    object_id: agent.id,
    ...(library ? { children: () => belongings(agent, library) } : {}),
  }
}

function belongings(agent: AgentInfo, library: Library): Entry[] {
  const parent = `${agent.id}/`
  const blocks = agent.block_ids.flatMap((id) => library.blocks.get(id) ?? [])
  const tools = agent.tool_ids.flatMap((id) => library.tools.get(id) ?? [])
  const inside = (entry: Entry): Entry => ({
    ...entry,
    agent_id: agent.id,
    flags: [...(entry.flags ?? []), 'attached'],
  })
  const toolRows = () => tools.map((tool) => inside(toolRow(tool, parent))).sort(byLabel)
  const details = () => library.details(agent.id)
  return [
    ...blocks.map((block) => inside(blockRow(block, [], parent))),
    groupRow(`${parent}tools`, t('Tools'), 'tools', String(tools.length), toolRows),
    groupRow(`${parent}conversations`, t('Conversations'), 'comment-discussion', '', async () => [
      mainConversation(agent, parent),
      ...(await details()).conversations.map((conversation) => conversationRow(conversation, agent, parent)),
    ]),
    groupRow(`${parent}files`, t('Files'), 'files', '', async () =>
      (await details()).files.map((file) => fileRow(file, agent, parent)).sort(byLabel),
    ),
  ]
}

/** The one that every agent has, and that a message without a conversation goes to. */
function mainConversation(agent: AgentInfo, parent: string): Entry {
  return {
    id: `${parent}default`,
    label: t('Main conversation'),
    description: '',
    tooltip: { heading: t('Main conversation'), lines: [t('Every agent has this one.')] },
    icon: 'comment',
    kind: 'conversation',
    flags: ['main'],
    spoken: t('Main conversation of {0}', agent.name),
    chat_agent_id: agent.id,
    agent_id: agent.id,
    object_id: 'default',
  }
}

function conversationRow(conversation: ConversationInfo, agent: AgentInfo, parent: string): Entry {
  const day = (conversation.last_message_at ?? conversation.created_at ?? '').slice(0, 10)
  const label = firstWords(conversation.summary ?? '') || t('Conversation')
  return {
    id: parent + conversation.id,
    label,
    description: day,
    tooltip: {
      heading: label,
      lines: [...(day ? [t('Last message: {0}', day)] : []), conversation.id],
      ...(conversation.summary ? { text: conversation.summary } : {}),
    },
    icon: 'comment',
    kind: 'conversation',
    spoken: t('Conversation {0}{1}', label, day ? `, ${day}` : ''),
    opens: 'loci.openChat',
    chat_agent_id: agent.id,
    agent_id: agent.id,
    object_id: conversation.id,
  }
}

function fileRow(file: FileInfo, agent: AgentInfo, parent: string): Entry {
  const state = file.is_open ? t('open in its context') : t('closed')
  return {
    id: `${parent}file/${file.id}`,
    label: file.name,
    description: file.is_open ? t('{0} · open', file.folder_name) : file.folder_name,
    tooltip: {
      heading: file.name,
      lines: [t('Folder: {0}', file.folder_name), t('This file is {0}.', state)],
    },
    icon: file.is_open ? 'file-code' : 'file',
    kind: 'file',
    spoken: t('File {0}, {1}, folder {2}', file.name, state, file.folder_name),
    agent_id: agent.id,
    object_id: file.id,
  }
}

/** One block with its first words. `sharers` are the agents to name with it. */
export function blockRow(block: BlockInfo, sharers: readonly AgentInfo[], parent = ''): Entry {
  const names = listNames(sharers.map((agent) => agent.name))
  const words = firstWords(block.value) || t('(empty)')
  const shared = sharers.length > 1 ? t('Shared by {0}', names) : names && t('Memory of {0}', names)
  return {
    id: parent + block.id,
    label: block.label,
    description: names ? `${names} · ${words}` : words,
    tooltip: {
      heading: block.label,
      lines: [
        ...(shared ? [shared] : []),
        t(
          '{0} of {1} characters{2}',
          block.value.length,
          block.limit,
          block.read_only ? t(', read-only') : '',
        ),
        ...(block.description ? [block.description] : []),
      ],
      ...(block.value ? { text: block.value } : {}),
    },
    icon: block.read_only ? 'lock' : 'note',
    kind: 'block',
    spoken: t('Memory block {0}{1}: {2}', block.label, shared ? `, ${shared}` : '', words),
    opens: 'loci.openBlock',
    object_id: block.id,
  }
}

/** One tool: its name, what the model is told that it does and, inside an agent, where it comes from. */
export function toolRow(tool: ToolInfo, parent = ''): Entry {
  const origin = originOf(tool.tool_type)
  const custom = tool.tool_type === 'custom'
  return {
    id: parent + tool.id,
    label: tool.name,
    description: parent ? origin : firstWords(tool.description ?? '') || origin,
    tooltip: { heading: tool.name, lines: [origin], ...(tool.description ? { text: tool.description } : {}) },
    icon: iconOf(tool.tool_type),
    kind: 'tool',
    flags: custom ? ['custom'] : [],
    spoken: t('Tool {0}, {1}', tool.name, origin),
    opens: 'loci.openTool',
    object_id: tool.id,
  }
}

const healths = (): Record<McpServerInfo['state'], { icon: string; color?: string; says: string }> => ({
  idle: { icon: 'plug', says: t('not in use') },
  connecting: { icon: 'loading~spin', says: t('connecting') },
  connected: { icon: 'plug', color: 'charts.green', says: t('connected') },
  authorization_required: { icon: 'key', color: 'charts.yellow', says: t('wants you to log in') },
  failed: { icon: 'error', color: 'errorForeground', says: t('failed') },
})

/** One MCP server with its health; it opens to its tools. */
export function mcpServerRow(server: McpServerInfo, tools: readonly ToolInfo[]): Entry {
  const { icon, color, says } = healths()[server.state]
  return {
    id: server.id,
    label: server.name,
    description: `${says} · ${counted(tools.length, 'tool')}`,
    tooltip: {
      heading: server.name,
      lines: [t('MCP server'), t('State: {0}', says), ...(server.error ? [server.error] : [])],
      text: server.place,
    },
    icon,
    ...(color === undefined ? {} : { color }),
    kind: 'mcp-server',
    flags: [server.state],
    spoken: t('MCP server {0}, {1}, {2}', server.name, says, counted(tools.length, 'tool')),
    object_id: server.id,
    children: () => tools.map((tool) => toolRow(tool)).sort(byLabel),
  }
}

function iconOf(type: string): string {
  if (type === 'custom') return 'symbol-method'
  return type === 'external_mcp' ? 'plug' : 'tools'
}

function originOf(type: string): string {
  if (type === 'custom') return t('custom tool')
  if (type === 'external_mcp') return t('from an MCP server')
  return type.includes('memory') ? t('built-in, edits memory') : t('built-in')
}
