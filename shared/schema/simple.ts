import * as z from 'zod'
import { agentName, agentState, createAgentBody, updateAgentBody } from './agent.ts'
import { createBlock } from './block.ts'
import { idSchema } from './ids.ts'
import { lettaMessage, messageCreate, stopReason, usageStatistics } from './message.ts'
import { timestamp } from './page.ts'
import { eitherSpelling } from './spelling.ts'

/** Results of a batch that may be asked for at once. */
export const MAX_BATCH = 1000

/** An agent of the simple API: what most programs want to know of it. `/v1/agents/{id}` has everything. */
export const simpleAgent = z.object({
  id: idSchema('agent'),
  name: z.string(),
  description: z.string().nullable(),
  model: z.string().nullable(),
  /** The memory block `persona`, as the agent has it now. */
  persona: z.string().nullable(),
  human: z.string().nullable(),
  memory_blocks: z.array(z.object({ id: z.string(), label: z.string().nullable(), value: z.string() })),
  /** Their names. */
  tools: z.array(z.string()),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  created_at: timestamp,
  updated_at: timestamp,
})
export type SimpleAgent = z.infer<typeof simpleAgent>

const memory = { persona: z.string().nullish(), human: z.string().nullish() }

/** Body of `POST /agents`: that of `/v1/agents` too, with `persona` and `human` for the memory blocks of these labels. */
export const createSimpleAgent = eitherSpelling(
  createAgentBody.extend({
    ...memory,
    name: agentName,
    memory_blocks: z.array(eitherSpelling(createBlock)).nullish(),
  }),
)

/** Body of `PATCH /agents/{agent}`: null or absent leaves a field as it is; `tools` (names) replaces all of them. */
export const updateSimpleAgent = eitherSpelling(
  updateAgentBody.extend({ ...memory, tools: z.array(z.string()).nullish() }),
)

/** What is said to an agent: text, or parts with images. */
const content = messageCreate.shape.content.refine(
  (said) => typeof said !== 'string' || said.trim() !== '',
  'a message is more than spaces',
)
export type SimpleContent = z.infer<typeof content>

const max_steps = z.number().int().min(1).optional()

/** Body of `POST /agents/{agent}/messages`. */
export const simpleMessage = eitherSpelling(
  z.object({
    message: content,
    /** Without one it is the agent's default conversation. */
    conversation_id: z.string().nullish(),
    /** Answer with lines of JSON as they come. */
    stream: z.boolean().nullish(),
    max_steps,
    /** Answer with the agent too, as `/v1` has it. */
    include_agent_state: z.boolean().nullish(),
  }),
)

/** A message as V1 shows it, and whose it is. */
export const simpleMessageItem = z.union(
  lettaMessage.options.map((type) => type.extend({ role: z.enum(['system', 'user', 'assistant', 'tool']) })),
)

/** Answer to a message that was not streamed. */
export const simpleAnswer = z.object({
  /** All that the agent said; empty when it said nothing. */
  content: z.string(),
  messages: z.array(simpleMessageItem),
  usage: usageStatistics,
  stop_reason: stopReason,
  conversation_id: z.string(),
  agent_id: z.string(),
  run_id: z.string().nullable(),
  /** When it was asked for. */
  agent_state: agentState.optional(),
})
export type SimpleAnswer = z.infer<typeof simpleAnswer>

const place = { conversation_id: z.string(), agent_id: z.string(), run_id: z.string() }

/** A line of a streamed answer. What the agent says is the `content` of its lines, which no other line has. */
export const simpleLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), ...place }),
  z.object({ type: z.literal('content'), content: z.string() }),
  z.object({ type: z.literal('reasoning'), reasoning: z.string() }),
  z.object({
    type: z.literal('tool_call'),
    tool_call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal('approval_request'),
    tool_call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal('tool_return'),
    tool_call_id: z.string(),
    status: z.string(),
    tool_return: z.string(),
  }),
  z.object({
    type: z.literal('end'),
    ...place,
    stop_reason: stopReason,
    usage: usageStatistics,
    agent_state: agentState.optional(),
  }),
  z.object({
    type: z.literal('error'),
    ...place,
    error: z.object({ type: z.string(), message: z.string() }),
    detail: z.string(),
  }),
])
export type SimpleLine = z.infer<typeof simpleLine>

/** Body of `POST /agents/{agent}/batch`. */
export const simpleBatch = eitherSpelling(
  z.object({
    messages: z.array(content).min(1).max(MAX_BATCH),
    /** How many are answered at once. */
    batch_size: z.number().int().min(1).nullish(),
    /** All of them in this conversation, one after another; without it each has one of its own. */
    conversation_id: z.string().nullish(),
    max_steps,
  }),
)

/** One result of a batch: an answer, or why there is none. */
export const simpleBatchResult = z.union([
  simpleAnswer.extend({ error: z.null() }),
  z.object({
    content: z.null(),
    conversation_id: z.string().nullable(),
    error: z.object({
      /** The HTTP status that the message would have had by itself. */
      status: z.number().int(),
      message: z.string(),
    }),
  }),
])
export type SimpleBatchResult = z.infer<typeof simpleBatchResult>
