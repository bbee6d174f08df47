import type { AgentType } from '../schema/agent.ts'
import { SEND_MESSAGE } from '../schema/message-text.ts'
import type { Tool, ToolRule } from '../schema/tool.ts'

/** Agent types that run V1's older loop (reference 2.3, 3.7): they act and speak by tool calls alone. */
const OLDER = new Set<AgentType>([
  'memgpt_agent',
  'memgpt_v2_agent',
  'react_agent',
  'workflow_agent',
  'split_thread_agent',
  'voice_convo_agent',
  'voice_sleeptime_agent',
])

/** Whether agents of this type run the older loop. */
export function runsOlderLoop(type: AgentType): boolean {
  return OLDER.has(type)
}

/** Tools that come with `include_base_tools` (reference 2.4). */
export function baseToolNames(type: AgentType, options: { sleeptime: boolean }): string[] {
  // Its companion keeps the memory.
  if (options.sleeptime && type !== 'sleeptime_agent' && !type.startsWith('voice_')) {
    const tools = ['conversation_search', 'archival_memory_search']
    return runsOlderLoop(type) ? [SEND_MESSAGE, ...tools] : tools
  }
  switch (type) {
    case 'react_agent':
    case 'workflow_agent':
      return []
    case 'sleeptime_agent':
      return ['memory_replace', 'memory_insert', 'memory_rethink', 'memory_finish_edits']
    case 'letta_v1_agent':
      return ['conversation_search', 'memory_replace', 'memory_insert']
    case 'memgpt_v2_agent':
      return [SEND_MESSAGE, 'conversation_search', 'memory_replace', 'memory_insert']
    case 'memgpt_agent':
    case 'split_thread_agent':
      return [
        SEND_MESSAGE,
        'conversation_search',
        'core_memory_append',
        'core_memory_replace',
        'memory',
        'memory_apply_patch',
      ]
    case 'voice_convo_agent':
      return [SEND_MESSAGE, 'search_memory']
    case 'voice_sleeptime_agent':
      return ['store_memories', 'rethink_user_memory', 'finish_rethinking_memory']
  }
}

/** Tools that come with `include_multi_agent_tools`. */
export const MULTI_AGENT_TOOLS: readonly string[] = [
  'send_message_to_agent_and_wait_for_reply',
  'send_message_to_agents_matching_tags',
  'send_message_to_agent_async',
]

const ENDS_TURN = new Set([
  SEND_MESSAGE,
  'send_message_to_agent_async',
  'memory_finish_edits',
  'finish_rethinking_memory',
])

const BASE_TYPES = new Set<Tool['tool_type']>([
  'letta_core',
  'letta_memory_core',
  'letta_sleeptime_core',
  'letta_voice_sleeptime_core',
])

/** Models that need no rules to go on after a memory tool (reference 2.4). */
const STRONG = ['claude-4-sonnet', 'claude-3-5-sonnet', 'gpt-5', 'gemini-2.5-pro']

/** Whether an agent gets the rules of its base tools by itself; `asked` is what the request says of it. */
export function wantsBaseRules(type: AgentType, model: string, asked: boolean | null | undefined): boolean {
  if (asked != null) return asked
  if (type === 'letta_v1_agent') return false
  return model.includes('mini') || !STRONG.some((name) => model.includes(name))
}

/**
 * The rules of an agent: its own, then those that its tools bring along (reference 2.4). What its own rules say of how
 * a tool ends or continues a turn stands.
 */
export function rulesOf(
  own: readonly ToolRule[],
  tools: readonly Tool[],
  options: { base: boolean },
): ToolRule[] {
  const rules = [...own]
  const has = (tool: Tool, ...types: ToolRule['type'][]) =>
    rules.some((rule) => rule.tool_name === tool.name && types.includes(rule.type))
  for (const tool of tools) {
    const ends = ENDS_TURN.has(tool.name)
    if (options.base && (ends || BASE_TYPES.has(tool.tool_type)) && !has(tool, 'exit_loop', 'continue_loop'))
      rules.push({ type: ends ? 'exit_loop' : 'continue_loop', tool_name: tool.name })
    if (tool.default_requires_approval === true && !has(tool, 'requires_approval'))
      rules.push({ type: 'requires_approval', tool_name: tool.name })
  }
  return rules
}
