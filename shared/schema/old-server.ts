import * as z from 'zod'
import { agentType, createAgent } from './agent.ts'
import { fileTool } from './agent-file.ts'
import { createBlock } from './block.ts'
import { group, MANAGER_TYPES } from './group.ts'
import { createIdentity } from './identity.ts'
import { idSchema } from './ids.ts'
import { stopReason } from './message.ts'
import { embeddingConfig, modelSettings } from './model.ts'
import { tag } from './names.ts'
import { jsonObject } from './page.ts'
import { feedback, runStatus } from './run.ts'

/** Things as V1's API answers them, of any version; what is missing is as it is by default. */

/** A memory block. */
export const oldBlock = createBlock.extend({ id: idSchema('block'), label: z.string().default('block') })

/** A tool. */
export const oldTool = fileTool.extend({ id: idSchema('tool') })

/** An archive. */
export const oldArchive = z.object({
  id: idSchema('archive'),
  name: z.string().default('archive'),
  description: z.string().nullish(),
  metadata: jsonObject.nullish(),
  embedding_config: embeddingConfig.nullish(),
})

/** A passage. */
export const oldPassage = z.object({
  id: idSchema('passage'),
  text: z.string(),
  archive_id: z.string(),
  tags: z.array(tag).nullish(),
  metadata: jsonObject.nullish(),
})

/** A folder, or source. */
export const oldFolder = z.object({
  id: idSchema('source'),
  name: z.string(),
  description: z.string().nullish(),
  instructions: z.string().nullish(),
  metadata: jsonObject.nullish(),
  embedding_config: embeddingConfig.nullish(),
})

/** A file with its text. */
export const oldFile = z.object({
  id: idSchema('file'),
  source_id: z.string(),
  file_name: z.string().nullish(),
  original_file_name: z.string().nullish(),
  file_type: z.string().nullish(),
  file_size: z.number().int().min(0).nullish(),
  error_message: z.string().nullish(),
  content: z.string().nullish(),
})

/** An identity. */
export const oldIdentity = createIdentity.extend({ id: idSchema('identity') })

/** A group. */
export const oldGroup = group.partial().extend({
  id: idSchema('group'),
  manager_type: z.enum(MANAGER_TYPES),
  agent_ids: z.array(z.string()).default([]),
  description: z.string().default(''),
})

const attached = z.array(z.looseObject({ id: z.string(), name: z.string().optional() })).nullish()
const variables = z.array(z.looseObject({ key: z.string(), value: z.string() })).nullish()
const conversation = z.looseObject({
  id: z.string(),
  summary: z.string().nullish(),
  model: z.string().nullish(),
  model_settings: modelSettings.nullish(),
  in_context_message_ids: z.array(z.string()).nullish(),
  isolated_block_ids: z.array(z.string()).nullish(),
})
const attachment = z.looseObject({
  file_id: z.string(),
  folder_id: z.string(),
  is_open: z.boolean().default(false),
  start_line: z.number().int().nullish(),
  end_line: z.number().int().nullish(),
})

/** V1's `AgentState`, and beside it what its API tells of the agent elsewhere. */
export const oldAgent = createAgent
  .omit({
    tool_ids: true,
    block_ids: true,
    folder_ids: true,
    source_ids: true,
    tools: true,
    memory_blocks: true,
  })
  .extend({
    id: idSchema('agent'),
    name: z.string().nullish(),
    agent_type: agentType.nullish().transform((type) => type ?? 'letta_v1_agent'),
    message_ids: z.array(z.string()).nullish(),
    blocks: attached,
    tools: attached,
    sources: attached,
    identity_ids: z.array(z.string()).nullish(),
    secrets: variables,
    tool_exec_environment_variables: variables,
    deployment_id: z.string().nullish(),
    entity_id: z.string().nullish(),
    conversations: z.array(conversation).nullish(),
    archive_ids: z.array(z.string()).nullish(),
    files: z.array(attachment).nullish(),
    metadata: jsonObject.nullish(),
  })
export type OldAgent = z.infer<typeof oldAgent>

const whole = z.number().transform(Math.round).nullish()
/** A run. */
export const oldRun = z.object({
  id: z.string().min(1),
  agent_id: z.string(),
  conversation_id: z.string().nullish(),
  status: runStatus.default('completed'),
  stop_reason: stopReason.nullish(),
  background: z.boolean().nullish(),
  metadata: jsonObject.nullish(),
  request_config: jsonObject.nullish(),
  base_template_id: z.string().nullish(),
  ttft_ns: whole,
  total_duration_ns: whole,
})
const text = z.string().nullish()
/** A step. */
export const oldStep = z.object({
  id: z.string().min(1),
  run_id: z.string(),
  agent_id: z.string(),
  status: z.enum(['pending', 'success', 'failed', 'cancelled']).nullish(),
  stop_reason: stopReason.nullish(),
  provider_name: text,
  model: text,
  model_handle: text,
  model_endpoint: text,
  context_window_limit: whole,
  completion_tokens: whole,
  prompt_tokens: whole,
  total_tokens: whole,
  cached_input_tokens: whole,
  cache_write_tokens: whole,
  reasoning_tokens: whole,
  error_type: text,
  error_data: jsonObject.nullish(),
  feedback: feedback.nullish(),
  tags: z.array(z.string()).nullish(),
})
