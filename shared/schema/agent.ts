import * as z from 'zod'
import { block, createBlock } from './block.ts'
import { compactionSettings, compactionSettingsInput } from './compaction.ts'
import { type AgentDirectory, type Folder, source } from './folder.ts'
import { group, type Group } from './group.ts'
import { identity, type Identity } from './identity.ts'
import { idSchema } from './ids.ts'
import {
  approvalRequestMessage,
  lettaResponse,
  messageCreate,
  stopReason,
  type StoredMessage,
} from './message.ts'
import { embeddingConfig, llmConfig, modelSettings, responseFormat } from './model.ts'
import { MAX_NAME, tag } from './names.ts'
import { jsonObject, timestamp } from './page.ts'
import { tool, toolRule } from './tool.ts'

export const AGENT_TYPES = [
  'memgpt_agent',
  'memgpt_v2_agent',
  'letta_v1_agent',
  'react_agent',
  'workflow_agent',
  'split_thread_agent',
  'sleeptime_agent',
  'voice_convo_agent',
  'voice_sleeptime_agent',
] as const
export const agentType = z.enum(AGENT_TYPES)
export type AgentType = z.infer<typeof agentType>

/** Largest context window an agent takes when none is asked for (reference 2.2). */
export const DEFAULT_CONTEXT_WINDOW_LIMIT = 128_000

/** Characters of a secret's value: systems take no longer ones in an environment. */
export const MAX_SECRET = 100_000

/** Unicode word characters, space, apostrophe, underscore and hyphen (reference 1.7). */
export const agentName = z
  .string()
  .max(MAX_NAME)
  .refine((name) => name.trim() !== '', 'an agent needs a name of more than spaces')
  .regex(/^[\p{L}\p{M}\p{N}_ '-]*$/u, 'letters, digits, spaces, apostrophes, underscores and hyphens only')

/** A name of the IANA time zone database, as `Europe/London` or `UTC`. */
export const agentTimezone = z
  .string()
  .refine(isTimeZone, "expected a time zone of the IANA database such as 'UTC' or 'Europe/London'")

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name }).format()
    // Offsets such as '+01:00' are no names.
    return /^[A-Za-z]/.test(name)
  } catch {
    return false
  }
}

/** A variable of the environment of an agent's tools. */
const secretName = z
  .string()
  .min(1)
  .max(MAX_NAME)
  .regex(/^[^=\0]*$/, "the name of a secret has no '='")

/** Whether this can be the name of a secret. */
export function isSecretName(name: string): boolean {
  return secretName.safeParse(name).success
}

/** Names and values for the environment of an agent's tools; replaces the whole set. */
const secrets = z.record(secretName, z.string().max(MAX_SECRET)).nullish()

const settings = {
  name: agentName.nullish(),
  system: z.string().nullish(),
  description: z.string().nullish(),
  metadata: jsonObject.nullish(),
  tags: z.array(tag.min(1)).nullish(),
  tool_rules: z.array(toolRule).nullish(),
  tool_ids: z.array(idSchema('tool')).nullish(),
  block_ids: z.array(idSchema('block')).nullish(),
  folder_ids: z.array(idSchema('source')).nullish(),
  /** The old spelling of `folder_ids`. */
  source_ids: z.array(idSchema('source')).nullish(),
  model: z.string().nullish(),
  embedding: z.string().nullish(),
  llm_config: llmConfig.nullish(),
  embedding_config: embeddingConfig.nullish(),
  model_settings: modelSettings.nullish(),
  compaction_settings: compactionSettingsInput.nullish(),
  context_window_limit: z.number().int().min(1).nullish(),
  response_format: responseFormat.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning: z.boolean().nullish(),
  max_tokens: z.number().int().nullish(),
  message_buffer_autoclear: z.boolean().nullish(),
  enable_sleeptime: z.boolean().nullish(),
  timezone: agentTimezone.nullish(),
  max_files_open: z.number().int().min(1).max(1000).nullish(),
  per_file_view_window_char_limit: z.number().int().min(1).max(2_147_483_647).nullish(),
  hidden: z.boolean().nullish(),
  project_id: z.string().nullish(),
  template_id: z.string().nullish(),
  base_template_id: z.string().nullish(),
  identity_ids: z.array(idSchema('identity')).nullish(),
  secrets,
  /** The old spelling of `secrets`. */
  tool_exec_environment_variables: secrets,
}

/** Body of `POST /v1/agents/` (defaults: reference 2.2). Fields of later V1 features are accepted. */
export const createAgent = z.object({
  ...settings,
  agent_type: agentType.default('letta_v1_agent'),
  memory_blocks: z.array(createBlock).nullish(),
  tools: z.array(z.string()).nullish(),
  include_base_tools: z
    .boolean()
    .nullish()
    .transform((v) => v ?? true),
  include_multi_agent_tools: z
    .boolean()
    .nullish()
    .transform((v) => v ?? false),
  /** Deprecated in V1 for `model_settings`; what they mean there is what they do. */
  enable_reasoner: z.boolean().nullish(),
  max_reasoning_tokens: z.number().int().min(0).nullish(),
  include_base_tool_rules: z.boolean().nullish(),
  initial_message_sequence: z.array(messageCreate).nullish(),
  /** Deprecated in V1 for `POST /v1/templates/{name}/agents`: the version of a template, as there. */
  from_template: z.string().nullish(),
  /** With `from_template`: what fills the variables of its blocks. */
  memory_variables: z.record(z.string().max(200), z.string()).nullish(),
})
export type CreateAgent = z.infer<typeof createAgent>

/** Body of `PATCH /v1/agents/{id}`: null or absent leaves a field as it is (reference 2.5). */
export const updateAgent = z.object(settings)
export type UpdateAgent = z.infer<typeof updateAgent>

/** The field of an agent's metadata that says for how many seconds its answers are kept; 0: not at all. */
export const CACHE_SECONDS = 'answer_cache_seconds'

/** Metadata as a request gives it: the server interprets one of its keys, where a mistake would be taken for "off". */
const metadata = jsonObject.superRefine((given, context) => {
  const seconds = given[CACHE_SECONDS]
  if (seconds === undefined || (typeof seconds === 'number' && seconds >= 0)) return
  const message = 'expected a number of seconds, 0 or more, for how long answers are kept; 0 keeps none'
  context.addIssue({ code: 'custom', path: [CACHE_SECONDS], message })
})

/** Bodies of `POST /v1/agents/` and `PATCH /v1/agents/{agent_id}`; what is stored, or comes in files, is not asked so much. */
export const createAgentBody = createAgent.extend({ metadata: metadata.nullish() })
export const updateAgentBody = updateAgent.extend({ metadata: metadata.nullish() })

/** A secret of an agent as it is answered, in clear (V1 `AgentEnvironmentVariable`). */
export const agentSecret = z.object({
  id: idSchema('agent-env'),
  agent_id: idSchema('agent'),
  key: z.string(),
  value: z.string(),
  description: z.string().nullable(),
  created_at: timestamp.nullable(),
  updated_at: timestamp.nullable(),
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
})
export type AgentSecret = z.infer<typeof agentSecret>

/**
 * An agent as it is stored. Relations (`blocks`, `tools`, `tags`, `message_ids`) come with it when the read asks for
 * them, and are empty otherwise.
 */
export const agent = z.object({
  id: idSchema('agent'),
  name: z.string(),
  system: z.string(),
  agent_type: agentType,
  description: z.string().nullable(),
  metadata: jsonObject.nullable(),
  model: z.string().nullable(),
  embedding: z.string().nullable(),
  llm_config: llmConfig,
  embedding_config: embeddingConfig.nullable(),
  model_settings: modelSettings.nullable(),
  compaction_settings: compactionSettings.nullable(),
  response_format: responseFormat.nullable(),
  tool_rules: z.array(toolRule),
  message_buffer_autoclear: z.boolean(),
  enable_sleeptime: z.boolean().nullable(),
  timezone: z.string(),
  max_files_open: z.number().int().nullable(),
  per_file_view_window_char_limit: z.number().int().nullable(),
  hidden: z.boolean().nullable(),
  project_id: z.string().nullable(),
  template_id: z.string().nullable(),
  base_template_id: z.string().nullable(),
  deployment_id: z.string().nullable(),
  entity_id: z.string().nullable(),
  identity_ids: z.array(z.string()),
  created_at: timestamp,
  updated_at: timestamp,
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
  last_run_completion: timestamp.nullable(),
  last_run_duration_ms: z.number().int().nullable(),
  last_stop_reason: stopReason.nullable(),
  blocks: z.array(block),
  tools: z.array(tool),
  tags: z.array(z.string()),
  message_ids: z.array(z.string()),
})
export type Agent = z.infer<typeof agent> & {
  /** The message that asks for an approval in the default conversation; when the read asks for it. */
  pending_approval?: StoredMessage | null
  /** The group that it leads; when the read asks for it. */
  managed_group?: Group | null
  /** Its folders; when the read asks for them. */
  sources?: Folder[]
  /** What its prompt shows of its folders; when it has some, in the reads that a prompt is compiled from. */
  directories?: AgentDirectory[]
  /** Those that it belongs to; when the read asks for them. */
  identities?: Identity[]
  /** In clear; when the read asks for them. */
  secrets?: AgentSecret[]
}

/** V1's `AgentState`: the stored agent and the deprecated fields that older clients still read. */
export const agentState = agent.extend({
  memory: z.object({
    agent_type: agentType.nullable(),
    git_enabled: z.boolean(),
    blocks: z.array(block),
    file_blocks: z.array(z.never()),
    prompt_template: z.string(),
  }),
  sources: z.array(source),
  secrets: z.array(agentSecret),
  tool_exec_environment_variables: z.array(agentSecret),
  identities: z.array(identity),
  pending_approval: approvalRequestMessage.nullable(),
  managed_group: group.nullable(),
  multi_agent_group: group.nullable(),
})
export type AgentState = z.infer<typeof agentState>

/** Answer to a message that was not streamed, with the agent after it where it was asked for (not of V1). */
export const lettaResponseWithAgent = lettaResponse.extend({ agent_state: agentState.optional() })

/** Names for `include` on agent reads (reference 2.1). */
export const AGENT_RELATIONS = [
  'agent.blocks',
  'agent.identities',
  'agent.managed_group',
  'agent.pending_approval',
  'agent.secrets',
  'agent.sources',
  'agent.tags',
  'agent.tools',
] as const
export type AgentRelation = (typeof AGENT_RELATIONS)[number]
