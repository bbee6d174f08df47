import * as z from 'zod'
import { AGENT_TYPES, createAgent } from './agent.ts'
import { createBlock } from './block.ts'
import { MANAGER_TYPES } from './group.ts'
import { agentType } from './agent.ts'
import { embeddingConfig } from './model.ts'
import { jsonObject, NO_DATE } from './page.ts'
import { instantOf } from './time.ts'
import { DEFAULT_RETURN_CHAR_LIMIT, toolType } from './tool.ts'

/**
 * Agent files (V1 `AgentFileSchema`, reference 9.6): ids are local to the file, as `agent-0`. Every object is open: what
 * these schemas do not name is carried, not refused.
 */

/** Things of one kind that a file may hold. Messages are not counted: they are as many as there is room for. */
export const MAX_ENTITIES = 1000

/** The version of the format that is read and written here; a file says it only when it is another one. */
export const FILE_VERSION = 1

const localId = z.string().min(1)
const ids = z.array(z.string()).nullish()
const secrets = z.union([z.record(z.string(), z.string().nullable()), z.array(z.unknown())]).nullish()

/** A file as an agent has it; lines count from 1. */
const fileLink = z.looseObject({
  file_id: z.string(),
  source_id: z.string(),
  /** V1's default. */
  is_open: z.boolean().default(true),
  start_line: z.number().int().nullish(),
  end_line: z.number().int().nullish(),
  last_accessed_at: z.string().nullish(),
})
export type FileLink = z.infer<typeof fileLink>

/** Messages are checked one by one: `fileMessage`. */
export const fileAgent = createAgent
  .omit({ tool_ids: true, block_ids: true, initial_message_sequence: true, agent_type: true })
  .extend({
    id: localId,
    agent_type: agentType.nullish(),
    tool_ids: ids,
    block_ids: ids,
    source_ids: ids,
    folder_ids: ids,
    group_ids: ids,
    in_context_message_ids: ids,
    messages: z.array(z.unknown()).nullish(),
    files_agents: z.array(fileLink).nullish(),
    tool_exec_environment_variables: secrets,
    secrets,
  })
  .loose()
export type FileAgent = z.infer<typeof fileAgent>

export const fileBlock = createBlock.extend({ id: localId }).loose()
export type FileBlock = z.infer<typeof fileBlock>

const requirements = z.array(z.object({ name: z.string(), version: z.string().nullish() })).nullish()

export const fileTool = z.looseObject({
  id: localId,
  tool_type: toolType.default('custom'),
  name: z.string().min(1).nullish(),
  description: z.string().nullish(),
  source_type: z.string().nullish(),
  source_code: z.string().nullish(),
  json_schema: jsonObject.nullish(),
  args_json_schema: jsonObject.nullish(),
  tags: z.array(z.string()).nullish(),
  return_char_limit: z.number().int().min(1).max(1_000_000).default(DEFAULT_RETURN_CHAR_LIMIT),
  pip_requirements: requirements,
  npm_requirements: requirements,
  default_requires_approval: z.boolean().nullish(),
  enable_parallel_execution: z.boolean().nullish(),
  metadata_: jsonObject.nullish(),
  project_id: z.string().nullish(),
})
export type FileTool = z.infer<typeof fileTool>

const count = z.number().int().min(1).nullish()

export const fileGroup = z.looseObject({
  id: localId,
  agent_ids: z.array(z.string()),
  description: z.string(),
  manager_config: z
    .looseObject({
      manager_type: z.enum(MANAGER_TYPES),
      manager_agent_id: z.string().nullish(),
      termination_token: z.string().nullish(),
      max_turns: count,
      sleeptime_agent_frequency: count,
      max_message_buffer_length: count,
      min_message_buffer_length: count,
    })
    .nullish(),
  project_id: z.string().nullish(),
  shared_block_ids: ids,
  hidden: z.boolean().nullish(),
})
export type FileGroup = z.infer<typeof fileGroup>

const called = z.looseObject({ name: z.string(), arguments: z.string() })
const lines = z.array(z.string()).nullish()
const response = z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).nullish()
const fileReturn = z.looseObject({
  tool_call_id: z.string().nullish(),
  name: z.string().nullish(),
  status: z.enum(['success', 'error']),
  stdout: lines,
  stderr: lines,
  func_response: response,
  not_made: z.boolean().nullish(),
})

export const fileMessage = z.looseObject({
  id: localId,
  role: z.enum(['system', 'user', 'assistant', 'tool', 'approval', 'summary']),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).nullish(),
  name: z.string().nullish(),
  otid: z.string().nullish(),
  sender_id: z.string().nullish(),
  group_id: z.string().nullish(),
  model: z.string().nullish(),
  agent_id: z.string().nullish(),
  tool_calls: z
    .array(z.looseObject({ id: z.string(), function: called, signature: z.string().nullish() }))
    .nullish(),
  tool_call_id: z.string().nullish(),
  tool_returns: z.array(fileReturn).nullish(),
  created_at: z
    .string()
    .refine((text) => instantOf(text, 'UTC') !== null, NO_DATE)
    .nullish(),
  approve: z.boolean().nullish(),
  approval_request_id: z.string().nullish(),
  denial_reason: z.string().nullish(),
  approvals: z
    .array(
      z.union([
        z.looseObject({
          type: z.literal('approval').nullish(),
          tool_call_id: z.string(),
          approve: z.boolean(),
          reason: z.string().nullish(),
        }),
        fileReturn,
      ]),
    )
    .nullish(),
})
export type FileMessage = z.infer<typeof fileMessage>

const named = z.looseObject({ id: localId })
export const fileSource = named.extend({
  name: z.string(),
  description: z.string().nullish(),
  instructions: z.string().nullish(),
  metadata: jsonObject.nullish(),
  embedding: z.string().nullish(),
  embedding_chunk_size: z.number().int().nullish(),
  embedding_config: embeddingConfig.nullish(),
})
export type FileSource = z.infer<typeof fileSource>

export const fileFile = named.extend({
  source_id: z.string(),
  file_name: z.string().nullish(),
  original_file_name: z.string().nullish(),
  file_type: z.string().nullish(),
  file_size: z.number().int().min(0).nullish(),
  error_message: z.string().nullish(),
  content: z.string().nullish(),
})
export type FileFile = z.infer<typeof fileFile>

export const fileServer = named.extend({ server_type: z.string(), server_name: z.string() })
export const fileSkill = z
  .looseObject({
    name: z.string().min(1),
    files: z.record(z.string(), z.string()).nullish(),
    source_url: z.string().nullish(),
  })
  .refine(
    ({ files, source_url }) => source_url != null || (files != null && Object.hasOwn(files, 'SKILL.md')),
    {
      error: "a skill needs 'source_url', or 'files' with a 'SKILL.md'",
    },
  )
export type FileSkill = z.infer<typeof fileSkill>

/** An object of a file whose fields are not looked into. */
export type Raw = Record<string, unknown>

/** The lists of a file, in the order they are written. */
export const LISTS = {
  agents: fileAgent,
  groups: fileGroup,
  blocks: fileBlock,
  files: fileFile,
  sources: fileSource,
  tools: fileTool,
  mcp_servers: fileServer,
  skills: fileSkill,
} as const
export type ListName = keyof typeof LISTS

/** Form fields of `POST /v1/agents/import`, beside `file`; the second spelling of a pair is V1's older one. */
export const importOptions = z.object({
  override_existing_tools: flag(true),
  strip_messages: flag(false),
  append_copy_suffix: flag(true),
  secrets: variables(),
  env_vars_json: variables(),
  name: text(),
  override_name: text(),
  embedding: text(),
  override_embedding_handle: text(),
  model: text(),
  override_model_handle: text(),
  project_id: text(),
})
export type ImportOptions = z.infer<typeof importOptions>

/** Body of `POST /v1/agents/{id}/export`. */
export const exportRequest = z
  .object({
    skills: z.array(fileSkill).max(MAX_ENTITIES).nullish(),
    conversation_id: z.string().nullish(),
    scrub_messages: z.boolean().default(false),
  })
  .nullable()

export const importedAgents = z.object({
  agent_ids: z.array(z.string()),
  /** Ours: what of the file is kept for its next export, but does nothing here yet. */
  warnings: z.array(z.string()),
})
export type ImportedAgents = z.infer<typeof importedAgents>

/** The answer of an export, as V1's clients get it. */
export const agentFile = z.looseObject({
  agents: z.array(z.looseObject({ id: z.string(), agent_type: z.enum(AGENT_TYPES) })),
  groups: z.array(named),
  blocks: z.array(named),
  files: z.array(named),
  sources: z.array(named),
  tools: z.array(named),
  mcp_servers: z.array(named),
  skills: z.array(z.looseObject({ name: z.string() })),
  metadata: z.record(z.string(), z.string()),
  created_at: z.string(),
})

/** A field of a form: text, or already a boolean in a JSON body. */
function flag(fallback: boolean) {
  const words: Record<string, boolean> = { true: true, '1': true, false: false, '0': false, '': fallback }
  return z.preprocess(
    (value) => (typeof value === 'string' ? (words[value.toLowerCase()] ?? value) : (value ?? fallback)),
    z.boolean(),
  )
}

function text() {
  return z
    .string()
    .nullish()
    .transform((value) => (value == null || value === '' ? null : value))
}

/** Names and values, as an object or the JSON text of one. */
function variables() {
  return z.preprocess((value, context) => {
    if (typeof value !== 'string') return value ?? null
    if (value.trim() === '') return null
    try {
      return JSON.parse(value) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'expected the JSON text of an object of names and values' })
      return z.NEVER
    }
  }, z.record(z.string(), z.string()).nullable())
}
