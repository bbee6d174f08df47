import * as z from 'zod'
import { compactionStats } from './compaction.ts'
import { jsonObject, timestamp } from './page.ts'

// ---- content -------------------------------------------------------------------------------------------------

const textContent = z.object({
  type: z.literal('text').default('text'),
  text: z.string(),
  signature: z.string().nullish(),
})
const imageContent = z.object({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.object({ type: z.literal('url'), url: z.string() }),
    z.object({
      type: z.literal('base64'),
      media_type: z.string(),
      data: z.string(),
      detail: z.string().nullish(),
    }),
    z.object({
      type: z.literal('letta'),
      file_id: z.string(),
      media_type: z.string().nullish(),
      data: z.string().nullish(),
      detail: z.string().nullish(),
    }),
  ]),
})
const reasoningContent = z.object({
  type: z.literal('reasoning'),
  is_native: z.boolean(),
  reasoning: z.string(),
  signature: z.string().nullish(),
})
const redactedReasoningContent = z.object({ type: z.literal('redacted_reasoning'), data: z.string() })
const omittedReasoningContent = z.object({
  type: z.literal('omitted_reasoning'),
  signature: z.string().nullish(),
})

/** One part of a stored message's content. Tool calls and returns have fields of their own. */
export const contentPart = z.discriminatedUnion('type', [
  textContent,
  imageContent,
  reasoningContent,
  redactedReasoningContent,
  omittedReasoningContent,
])
export type ContentPart = z.infer<typeof contentPart>

// ---- stored --------------------------------------------------------------------------------------------------

/** A call the model asked for; `arguments` is the JSON text exactly as the model wrote it. */
export interface StoredToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
  /** What its provider wants to see again with the call. */
  signature?: string
}

/** What a tool gave back. `func_response` is text, or parts when the tool returns images. */
export interface StoredToolReturn {
  tool_call_id: string
  name: string
  status: 'success' | 'error'
  func_response: string | ContentPart[]
  stdout?: string[]
  stderr?: string[]
  /** The call was not made: a tool rule refused it, the user denied it, or it could not be read. */
  not_made?: true
}

/** What was decided about a call that waited: to run it or not, or what it returned where the client ran it. */
export type StoredApproval =
  | { type: 'approval'; tool_call_id: string; approve: boolean; reason: string | null }
  | ({ type: 'tool'; tool_call_id: string; tool_return: string | ContentPart[] } & Pick<
      StoredToolReturn,
      'status' | 'stdout' | 'stderr'
    >)

export type MessageRole = 'system' | 'user' | 'assistant' | 'tool' | 'approval' | 'summary'

/**
 * A message as it is stored, once, whatever number of API messages it is shown as (V1's internal `Message`).
 * `conversation_id` is the agent's id for the default conversation; routes show that as null.
 */
export interface StoredMessage {
  id: string
  agent_id: string
  conversation_id: string
  role: MessageRole
  content: ContentPart[]
  name: string | null
  otid: string | null
  sender_id: string | null
  group_id: string | null
  step_id: string | null
  run_id: string | null
  model: string | null
  tool_calls: StoredToolCall[]
  tool_returns: StoredToolReturn[]
  /** Of a message that answers a request for approval: which one, and what was decided of each of its calls. */
  approval?: { request_id: string; decisions: StoredApproval[] }
  /** Of a request for approval that no tool rule asks for: why it is asked. */
  approval_reason?: string
  /** Of an imported message: how its agent file said what is said otherwise here (core/agent-files/kept.ts). */
  file_fields?: Record<string, { file?: unknown; live?: unknown }>
  is_err: boolean
  /** ISO 8601, UTC, milliseconds. */
  created_at: string
}

// ---- request -------------------------------------------------------------------------------------------------

/** Says which types there are in words of the client's, where zod would list what it compares with. */
const types = (text: string) => ({
  error: (issue: z.core.$ZodRawIssue) => (issue.code === 'invalid_union' ? text : undefined),
})

const inputPart = z.discriminatedUnion(
  'type',
  [textContent, imageContent],
  types("a content part of a request has the type 'text' or 'image'"),
)
const inputParts = z.array(inputPart).min(1)

/** A plain message in a request. */
export const messageCreate = z.object({
  type: z.literal('message').nullish(),
  role: z.enum(['user', 'system', 'assistant']),
  content: z.union([z.string(), inputParts]),
  name: z.string().nullish(),
  otid: z.string().nullish(),
  sender_id: z.string().nullish(),
  batch_item_id: z.string().nullish(),
  group_id: z.string().nullish(),
})
export type MessageCreate = z.infer<typeof messageCreate>

const outputLines = z.array(z.string()).nullish()
/** What a tool returned that the client ran itself. */
const clientReturn = z
  .object({
    type: z.literal('tool').default('tool'),
    tool_call_id: z.string(),
    tool_return: z.union([z.string(), inputParts]),
    status: z.enum(['success', 'error']),
    stdout: outputLines,
    stderr: outputLines,
  })
  .transform(({ stdout, stderr, ...result }) => ({
    ...result,
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
  }))
const approvalReturn = z.object({
  type: z.literal('approval').default('approval'),
  tool_call_id: z.string(),
  approve: z.boolean(),
  reason: z
    .string()
    .nullish()
    .transform((reason) => reason ?? null),
})
const answerFields = { otid: z.string().nullish(), group_id: z.string().nullish() }

/** An answer to a request for approval (reference 3.6). */
const approvalCreate = z
  .object({
    ...answerFields,
    type: z.literal('approval'),
    approvals: z.array(z.union([approvalReturn, clientReturn])).nullish(),
    approve: z.boolean().nullish(),
    approval_request_id: z.string().nullish(),
    reason: z.string().nullish(),
  })
  .refine((answer) => answer.approvals != null || answer.approve != null, {
    error: "an approval needs 'approvals'",
    path: ['approvals'],
  })
/** The returns of tools that the client has run itself. */
const toolReturnCreate = z.object({
  ...answerFields,
  type: z.literal('tool_return'),
  tool_returns: z.array(clientReturn),
})
/** Either form of an answer to a request for approval. */
export interface ApprovalInput {
  type: 'approval' | 'tool_return'
  otid?: string | null | undefined
  group_id?: string | null | undefined
  approvals?: StoredApproval[] | null | undefined
  tool_returns?: StoredApproval[] | undefined
  /** Older form, for all pending calls at once. */
  approve?: boolean | null | undefined
  approval_request_id?: string | null | undefined
  reason?: string | null | undefined
}

/** One message of a request for a turn. Its type may be missing where its fields tell it, as in V1. */
export const turnMessage = z.preprocess(
  withType,
  z.discriminatedUnion(
    'type',
    [messageCreate, approvalCreate, toolReturnCreate],
    types("a message has the type 'message' (or none), 'approval' or 'tool_return'"),
  ),
)

function withType(message: unknown): unknown {
  if (typeof message !== 'object' || message === null || 'type' in message) return message
  if ('tool_returns' in message) return { ...message, type: 'tool_return' }
  return 'approvals' in message || 'approve' in message ? { ...message, type: 'approval' } : message
}
export type TurnMessage = MessageCreate | ApprovalInput

/** A tool that the client of one request runs itself; it is not stored. */
export const clientTool = z.object({
  name: z.string().regex(/^[\w.-]{1,128}$/, 'a tool has a name of letters, digits, _, - and .'),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
})
export type ClientTool = z.infer<typeof clientTool>

/** A skill of the client's environment that the agent is told of in one request. */
export const clientSkill = z.object({ name: z.string(), description: z.string(), location: z.string() })
export type ClientSkill = z.infer<typeof clientSkill>

export const MESSAGE_TYPES = [
  'system_message',
  'user_message',
  'assistant_message',
  'reasoning_message',
  'hidden_reasoning_message',
  'tool_call_message',
  'tool_return_message',
  'approval_request_message',
  'approval_response_message',
  'summary_message',
  'event_message',
] as const
export const messageType = z.enum(MESSAGE_TYPES)
export type MessageType = z.infer<typeof messageType>

/** What is asked of a turn, however it is asked. */
export const turnRequest = {
  messages: z.array(turnMessage).min(1).max(1000).nullish(),
  client_tools: z
    .array(clientTool)
    .max(1000)
    .refine((tools) => new Set(tools.map((tool) => tool.name)).size === tools.length, {
      error: 'each tool of the client needs a name of its own',
    })
    .nullish(),
  client_skills: z.array(clientSkill).max(1000).nullish(),
  input: z.union([z.string(), inputParts]).nullish(),
  max_steps: z.number().int().min(1).default(50),
  use_assistant_message: z.boolean().default(true),
  assistant_message_tool_name: z.string().default('send_message'),
  assistant_message_tool_kwarg: z.string().default('message'),
  include_return_message_types: z.array(messageType).nullish(),
  override_model: z.string().nullish(),
  override_system: z.string().nullish(),
  /** Older name of `override_system`. */
  system: z.string().nullish(),
  include_compaction_messages: z.boolean().default(false),
  return_logprobs: z.boolean().default(false),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
}

/** For `refine`: what goes in is said once. */
export const oneInput = {
  check: (body: { messages?: unknown; input?: unknown }) => (body.messages == null) !== (body.input == null),
  error: { message: "give exactly one of 'messages' and 'input'", path: ['messages'] },
}

/** Body of `POST /v1/agents/{id}/messages` (reference 5.3): exactly one of `messages` and `input`. */
export const messageRequest = z
  .object({
    ...turnRequest,
    streaming: z.boolean().optional(),
    stream_tokens: z.boolean().default(false),
    include_pings: z.boolean().default(true),
    background: z.boolean().default(false),
    /** Ours: answer with the agent after the turn too, when the answer is no stream. */
    include_agent_state: z.boolean().default(false),
  })
  .refine(oneInput.check, oneInput.error)
export type MessageRequest = z.infer<typeof messageRequest>

/** Who is told of an end. */
export const callbackUrl = z
  .url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' })
  .nullish()

/** Body of `POST /v1/agents/{id}/messages/async`. */
export const asyncRequest = z
  .object({
    ...turnRequest,
    /** Is sent the outcome when the run has ended. */
    callback_url: callbackUrl,
  })
  .refine(oneInput.check, oneInput.error)
export type AsyncRequest = z.infer<typeof asyncRequest>

// ---- answer --------------------------------------------------------------------------------------------------

const common = {
  id: z.string(),
  date: timestamp,
  name: z.string().nullable(),
  otid: z.string().nullable(),
  sender_id: z.string().nullable(),
  step_id: z.string().nullable(),
  run_id: z.string().nullable(),
  seq_id: z.number().int().nullable(),
  /** Present only when true, as in V1. */
  is_err: z.literal(true).optional(),
}
const toolCall = z.object({ name: z.string(), arguments: z.string(), tool_call_id: z.string() })
const toolCallDelta = z.object({
  name: z.string().nullable(),
  arguments: z.string().nullable(),
  tool_call_id: z.string().nullable(),
})
const apiParts = z.array(z.discriminatedUnion('type', [textContent, imageContent]))
const toolReturn = z.object({
  type: z.literal('tool'),
  tool_call_id: z.string(),
  tool_return: z.union([z.string(), apiParts]),
  status: z.enum(['success', 'error']),
  stdout: z.array(z.string()).nullable(),
  stderr: z.array(z.string()).nullable(),
})

/** Calls that wait for an approval, or for the client that runs them. */
export const approvalRequestMessage = z.object({
  ...common,
  message_type: z.literal('approval_request_message'),
  tool_call: z.union([toolCall, toolCallDelta]),
  tool_calls: z.union([z.array(toolCall), toolCallDelta]),
  /** Ours: why it is asked, where no tool rule says so. */
  reason: z.string().optional(),
})

/** One message as routes show it (V1 `LettaMessageUnion`, reference 5.1). Several may share one stored message's id. */
export const lettaMessage = z.discriminatedUnion('message_type', [
  z.object({ ...common, message_type: z.literal('system_message'), content: z.string() }),
  z.object({ ...common, message_type: z.literal('user_message'), content: z.union([z.string(), apiParts]) }),
  z.object({
    ...common,
    message_type: z.literal('assistant_message'),
    content: z.union([z.string(), z.array(textContent)]),
  }),
  z.object({
    ...common,
    message_type: z.literal('reasoning_message'),
    source: z.enum(['reasoner_model', 'non_reasoner_model']),
    reasoning: z.string(),
    signature: z.string().nullable(),
  }),
  z.object({
    ...common,
    message_type: z.literal('hidden_reasoning_message'),
    state: z.enum(['redacted', 'omitted']),
    hidden_reasoning: z.string().nullable(),
  }),
  z.object({
    ...common,
    message_type: z.literal('tool_call_message'),
    tool_call: z.union([toolCall, toolCallDelta]),
    tool_calls: z.union([z.array(toolCall), toolCallDelta]),
  }),
  z.object({
    ...common,
    message_type: z.literal('tool_return_message'),
    tool_return: z.string(),
    status: z.enum(['success', 'error']),
    tool_call_id: z.string(),
    stdout: z.array(z.string()).nullable(),
    stderr: z.array(z.string()).nullable(),
    tool_returns: z.array(toolReturn),
  }),
  approvalRequestMessage,
  z.object({
    ...common,
    message_type: z.literal('approval_response_message'),
    approvals: z.array(
      z.union([
        z.object({
          type: z.literal('approval'),
          tool_call_id: z.string(),
          approve: z.boolean(),
          reason: z.string().nullable(),
        }),
        toolReturn,
      ]),
    ),
    approve: z.boolean().nullable(),
    approval_request_id: z.string().nullable(),
    reason: z.string().nullable(),
  }),
  z.object({
    ...common,
    message_type: z.literal('summary_message'),
    summary: z.string(),
    compaction_stats: compactionStats.nullable(),
  }),
  z.object({
    ...common,
    message_type: z.literal('event_message'),
    event_type: z.literal('compaction'),
    event_data: jsonObject,
  }),
])
export type LettaMessage = z.infer<typeof lettaMessage>

/** Stop reasons of a run that ended as `completed`; `cancelled` is a status of its own, all others are `failed`. */
export const COMPLETED_REASONS: readonly string[] = [
  'end_turn',
  'max_steps',
  'tool_rule',
  'requires_approval',
]

export const STOP_REASONS = [
  'end_turn',
  'error',
  'llm_api_error',
  'invalid_llm_response',
  'invalid_tool_call',
  'max_steps',
  'max_tokens_exceeded',
  'no_tool_call',
  'tool_rule',
  'cancelled',
  'insufficient_credits',
  'requires_approval',
  'context_window_overflow_in_system_prompt',
] as const
export const stopReason = z.enum(STOP_REASONS)
export type StopReason = z.infer<typeof stopReason>

/** Token counts of a turn (V1 `LettaUsageStatistics`); sums over its steps, but `context_tokens` is the last estimate. */
export const usageStatistics = z.object({
  message_type: z.literal('usage_statistics'),
  completion_tokens: z.number().int(),
  prompt_tokens: z.number().int(),
  total_tokens: z.number().int(),
  step_count: z.number().int(),
  run_ids: z.array(z.string()).nullable(),
  cached_input_tokens: z.number().int().nullable(),
  cache_write_tokens: z.number().int().nullable(),
  reasoning_tokens: z.number().int().nullable(),
  context_tokens: z.number().int().nullable(),
})
export type UsageStatistics = z.infer<typeof usageStatistics>

export const stopReasonMessage = z.object({ message_type: z.literal('stop_reason'), stop_reason: stopReason })

const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number().int()).nullable().default(null),
})
const tokenLogprobs = z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob).default([]) }))

/** Log probabilities as OpenAI-compatible providers report them; of the last model call of a turn. */
export const logprobs = z.object({
  content: tokenLogprobs.nullable().default(null),
  refusal: tokenLogprobs.nullable().default(null),
})
export type Logprobs = z.infer<typeof logprobs>

/** Answer to a message that was not streamed. */
export const lettaResponse = z.object({
  messages: z.array(lettaMessage),
  stop_reason: stopReasonMessage,
  usage: usageStatistics,
  logprobs: logprobs.nullable(),
  turns: z.null(),
})
export type LettaResponse = z.infer<typeof lettaResponse>

/** Items of a message stream that are not messages (reference 6.1). */
export const streamItem = z.union([
  lettaMessage,
  stopReasonMessage,
  usageStatistics,
  z.object({
    message_type: z.literal('ping'),
    id: z.string(),
    date: timestamp,
    run_id: z.string().nullable(),
    seq_id: z.number().int().nullable(),
    /** Ours: what takes so long. */
    text: z.string().optional(),
  }),
  z.object({
    message_type: z.literal('error_message'),
    run_id: z.string(),
    error_type: z.string(),
    message: z.string(),
    detail: z.string(),
    /** Only on background streams. */
    seq_id: z.number().int().optional(),
  }),
])
export type StreamItem = z.infer<typeof streamItem>
