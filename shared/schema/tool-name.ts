/** Characters of a tool's name: what models and their providers take (reference 8.1). */
export const MAX_TOOL_NAME = 48
/** Characters of a tool's source. */
export const MAX_TOOL_SOURCE = 512 * 1024

/** The names of built-in tools, which no tool of a user can have. */
export const BUILTIN_TOOL_NAMES: ReadonlySet<string> = new Set([
  'archival_memory_insert',
  'archival_memory_search',
  'conversation_search',
  'core_memory_append',
  'core_memory_replace',
  'fetch_webpage',
  'finish_rethinking_memory',
  'grep_files',
  'memory',
  'memory_apply_patch',
  'memory_finish_edits',
  'memory_insert',
  'memory_replace',
  'memory_rethink',
  'open_files',
  'rethink_user_memory',
  'search_memory',
  'semantic_search_files',
  'send_message',
  'send_message_to_agent_and_wait_for_reply',
  'send_message_to_agent_async',
  'send_message_to_agents_matching_tags',
  'store_memories',
  'web_search',
])
