import type { Raw } from '../../schema/agent-file.ts'
import { refused } from './refused.ts'

/** Fields of the older format that say when a server wrote something down, and what its version was. */
const OF_ITS_SERVER = ['created_at', 'updated_at'] as const

/** Whether this is a file of the older format: one agent with everything inside it. */
export function isOlderFormat(file: Raw): boolean {
  return !('agents' in file) && ('core_memory' in file || ('agent_type' in file && 'messages' in file))
}

/**
 * A file of the older format in the present one. Not taken over: when its server made and changed each thing, and the
 * server's version. Throws `invalid_argument` where a list is none.
 */
export function fromOlderFormat(file: Raw): Raw {
  const {
    core_memory,
    tools,
    messages,
    in_context_message_indices,
    metadata_,
    multi_agent_group: _group,
    version: _version,
    tool_exec_environment_variables,
    ...agent
  } = without(file, OF_ITS_SERVER)
  const blocks = listOf(core_memory ?? [], 'core_memory').map((block, i) => {
    const { metadata_: metadata, ...fields } = without(block, OF_ITS_SERVER)
    return { ...fields, ...(metadata === undefined ? {} : { metadata }), id: `block-${i}` }
  })
  const fileTools = listOf(tools ?? [], 'tools').map((tool, i) => ({
    ...without(tool, OF_ITS_SERVER),
    id: `tool-${i}`,
  }))
  const history = listOf(messages ?? [], 'messages').map((message, i) => ({
    ...without(message, OF_ITS_SERVER.slice(1)),
    id: `message-${i}`,
  }))
  const variables = listOf(tool_exec_environment_variables ?? [], 'tool_exec_environment_variables')
  return {
    agents: [
      {
        ...agent,
        metadata: metadata_ ?? null,
        id: 'agent-0',
        source_ids: [],
        files_agents: [],
        group_ids: [],
        block_ids: blocks.map(({ id }) => id),
        tool_ids: fileTools.map(({ id }) => id),
        // The tools that it had, and no others.
        include_base_tools: false,
        include_multi_agent_tools: false,
        include_base_tool_rules: false,
        tool_exec_environment_variables: Object.fromEntries(
          variables.map(({ key, value }) => [String(key), typeof value === 'string' ? value : '']),
        ),
        messages: history,
        in_context_message_ids: indices(in_context_message_indices, history.length),
      },
    ],
    groups: [],
    blocks,
    files: [],
    sources: [],
    tools: fileTools,
    mcp_servers: [],
  }
}

function indices(value: unknown, length: number): string[] {
  if (value === undefined || value === null) return Array.from({ length }, (_, i) => `message-${i}`)
  if (!Array.isArray(value)) throw refused('in_context_message_indices', 'expected a list of numbers')
  return value.map((index: unknown, i) => {
    if (typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < length)
      return `message-${index}`
    throw refused(
      `in_context_message_indices[${i}]`,
      `${JSON.stringify(index)} is not the place of one of the ${length} messages`,
    )
  })
}

function listOf(value: unknown, path: string): Raw[] {
  if (!Array.isArray(value)) throw refused(path, 'expected a list')
  return value.map((item: unknown, i) => {
    if (typeof item === 'object' && item !== null && !Array.isArray(item)) return item as Raw
    throw refused(`${path}[${i}]`, 'expected an object')
  })
}

function without(object: Raw, keys: readonly string[]): Raw {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))
}
