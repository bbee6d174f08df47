import type { Raw } from '../../schema/agent-file.ts'
import type { NewAgent } from '../ports/agent-store.ts'
import type { AgentFile } from '../ports/file-store.ts'
import type { Block } from '../../schema/block.ts'
import type { Folder } from '../../schema/folder.ts'
import type { Group } from '../../schema/group.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Kept } from './kept.ts'

/** What is kept of a file's folders, by the ids of the folders and files that were made of them. */
export interface KeptFolders {
  folders: Record<string, Kept>
  /** Folders that no agent of the file has. */
  loose: string[]
  files: Record<string, KeptFile>
  /** The folders of the agent in the lists of the file; `implied` are those of which it names only files. */
  lists: { source_ids?: string[] | null; folder_ids?: string[] | null; implied?: string[] }
  /** What the agent has made of its files, in the order of the file; null when it says nothing of them. */
  links: Record<string, Kept> | null
}

/** How a file says what is in one of its files: that does not change here. */
export interface KeptFile {
  /** All but its ids and its text. */
  fields: Raw
  /** Its path here; as long as it has that, the file's is exported. */
  path: string
  /** The end of its text, which is not stored. */
  end: string
}

/** What is kept of a file with each agent that came from it. */
export interface KeptAgent {
  agent: Kept
  /** By the ids of the blocks and groups, and the names of the tools. */
  blocks: Record<string, Kept>
  tools: Record<string, Kept>
  groups: Record<string, Kept>
  folders: KeptFolders
  /** Parts of the file that nothing here stands for yet, as they were. */
  mcp_servers: Raw[]
  skills: Raw[]
  metadata: Record<string, string> | null
  /** Fields of the file itself that V1 does not have. */
  more: Raw
}

/** Fields of an agent that name other parts of the file, or hold messages: never kept as they were. */
export const AGENT_IDS: ReadonlySet<string> = new Set([
  'id',
  'tool_ids',
  'block_ids',
  'group_ids',
  'source_ids',
  'folder_ids',
  'files_agents',
  'in_context_message_ids',
  'messages',
])
export const BLOCK_IDS: ReadonlySet<string> = new Set(['id'])
/** As `id`, who made it names nothing in another place. */
export const TOOL_IDS: ReadonlySet<string> = new Set(['id'])
export const SOURCE_IDS: ReadonlySet<string> = new Set(['id'])
export const LINK_IDS: ReadonlySet<string> = new Set(['id', 'agent_id', 'file_id', 'source_id'])
export const GROUP_IDS: ReadonlySet<string> = new Set(['id', 'agent_ids', 'shared_block_ids'])

/** The fields of V1's `AgentSchema` but for those of `AGENT_IDS`; secrets have no value in a file. */
export function agentFields(agent: NewAgent['agent'], tags: string[], secret_names: readonly string[]): Raw {
  const secrets = Object.fromEntries(secret_names.map((name) => [name, '']))
  return {
    name: agent.name,
    memory_blocks: [],
    tools: [],
    tool_rules: agent.tool_rules,
    tags,
    system: agent.system,
    agent_type: agent.agent_type,
    initial_message_sequence: null,
    include_base_tools: false,
    include_multi_agent_tools: false,
    include_base_tool_rules: false,
    include_default_source: false,
    description: agent.description,
    metadata: agent.metadata,
    llm_config: agent.llm_config,
    embedding_config: agent.embedding_config,
    model: agent.model,
    embedding: agent.embedding,
    model_settings: agent.model_settings,
    compaction_settings: agent.compaction_settings,
    context_window_limit: null,
    embedding_chunk_size: null,
    max_tokens: null,
    max_reasoning_tokens: null,
    enable_reasoner: null,
    reasoning: null,
    from_template: null,
    template: false,
    project: null,
    tool_exec_environment_variables: secrets,
    secrets: secret_names.length === 0 ? null : secrets,
    memory_variables: null,
    project_id: agent.project_id,
    template_id: agent.template_id,
    base_template_id: agent.base_template_id,
    identity_ids: null,
    message_buffer_autoclear: agent.message_buffer_autoclear,
    enable_sleeptime: agent.enable_sleeptime,
    response_format: agent.response_format,
    timezone: agent.timezone,
    max_files_open: agent.max_files_open,
    per_file_view_window_char_limit: agent.per_file_view_window_char_limit,
    hidden: agent.hidden,
    parallel_tool_calls: null,
  }
}

/** The fields of V1's `BlockSchema` but for its id. */
export function blockFields(block: Block): Raw {
  const { id: _, version: _v, created_by_id: _c, last_updated_by_id: _l, tags, ...fields } = block
  return { ...fields, tags: tags.length === 0 ? null : tags }
}

/** The fields of V1's `ToolSchema` but for its id. */
export function toolFields(tool: Tool): Raw {
  const { id: _, created_by_id: _c, last_updated_by_id: _l, ...fields } = tool
  return { ...fields, created_by_id: null, last_updated_by_id: null }
}

/** The fields of V1's `SourceSchema` but for its id. */
export function sourceFields(folder: Folder): Raw {
  const { name, description, instructions, metadata, embedding_config } = folder
  return {
    name,
    description,
    instructions,
    metadata,
    embedding: null,
    embedding_chunk_size: null,
    embedding_config,
  }
}

/** The fields of V1's `FileAgentSchema` but for its ids; lines count from 1 there. */
export function linkFields(
  file: Pick<AgentFile, 'path' | 'is_open' | 'start_line' | 'end_line' | 'last_accessed_at'>,
): Raw {
  const { path: file_name, is_open, last_accessed_at, start_line, end_line } = file
  const from = start_line === null ? null : start_line + 1
  return { file_name, is_open, visible_content: null, last_accessed_at, start_line: from, end_line }
}

/** The fields of V1's `GroupSchema` but for its ids; `local` gives an agent's id in the file. */
export function groupFields(group: Group, local: (agent_id: string) => string): Raw {
  return {
    description: group.description,
    manager_config: managerConfig(group, local),
    project_id: group.project_id,
    hidden: group.hidden,
  }
}

function managerConfig(group: Group, local: (agent_id: string) => string): Raw {
  const { manager_type, max_turns } = group
  const manager_agent_id = group.manager_agent_id === null ? null : local(group.manager_agent_id)
  switch (manager_type) {
    case 'round_robin':
      return { manager_type, max_turns }
    case 'supervisor':
    case 'swarm':
      return { manager_type, manager_agent_id }
    case 'dynamic':
      return { manager_type, manager_agent_id, termination_token: group.termination_token, max_turns }
    case 'sleeptime':
      return { manager_type, manager_agent_id, sleeptime_agent_frequency: group.sleeptime_agent_frequency }
    case 'voice_sleeptime': {
      const { max_message_buffer_length, min_message_buffer_length } = group
      return { manager_type, manager_agent_id, max_message_buffer_length, min_message_buffer_length }
    }
  }
}
