/** OpenAI's Responses, as far as agents are reached by them. */
import * as z from 'zod'

const part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() }),
    z.object({ type: z.literal('input_image'), image_url: z.string() }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? "a part has the type 'input_text', 'output_text' or 'input_image'"
        : undefined,
  },
)
const content = z.union([z.string(), z.array(part).min(1)])

const item = z.union([
  z.object({ type: z.literal('function_call'), call_id: z.string() }),
  z.object({ type: z.literal('function_call_output'), call_id: z.string(), output: content }),
  z.object({
    type: z.literal('message').optional(),
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content,
  }),
  /** What else an answer may hold, when it is sent back. */
  z.object({ type: z.enum(['reasoning', 'mcp_call', 'item_reference']) }),
])
export type ResponseInputItem = z.infer<typeof item>

const functionTool = z.object({
  type: z.literal('function'),
  name: z.string(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
})

/** Body of `/openai/v1/responses`. */
export const responseRequest = z.object({
  /** The id or name of an agent. */
  model: z.string().min(1),
  input: z.union([z.string().min(1), z.array(item).min(1)]),
  stream: z.boolean().nullish(),
  /** Goes on with the conversation of this answer; without it one begins. */
  previous_response_id: z.string().nullish(),
  /** The conversation itself: its id, or `default`. */
  conversation: z.union([z.string(), z.object({ id: z.string() })]).nullish(),
  /** False: nothing of this is kept. */
  store: z.boolean().nullish(),
  tools: z.array(functionTool).max(1000).nullish(),
  user: z.string().min(1).max(1000).nullish(),
  /** Its `verbosity` is taken, and without effect. */
  text: z
    .object({
      format: z
        .object({
          type: z.literal(
            'text',
            "the agent's own response_format counts; set it with PATCH /v1/agents/{id}",
          ),
        })
        .nullish(),
    })
    .nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  /** Taken, and without effect: an agent has instructions of its own. */
  instructions: z.string().nullish(),
  /** Ours: whether the agent's own tool calls are shown. */
  tool_display: z.enum(['output', 'none']).default('output'),
})
export type ResponseRequest = z.infer<typeof responseRequest>

const status = z.enum(['in_progress', 'completed', 'incomplete', 'failed'])

const outputItem = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id: z.string(),
    role: z.literal('assistant'),
    status,
    content: z.array(
      z.object({
        type: z.literal('output_text'),
        text: z.string(),
        annotations: z.array(z.never()),
        logprobs: z.array(z.never()),
      }),
    ),
  }),
  z.object({
    type: z.literal('reasoning'),
    id: z.string(),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
  }),
  z.object({
    type: z.literal('function_call'),
    id: z.string(),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status,
  }),
  /** A call of one of the agent's own tools. */
  z.object({
    type: z.literal('mcp_call'),
    id: z.string(),
    server_label: z.literal('loci'),
    name: z.string(),
    arguments: z.string(),
    output: z.string().nullable(),
    error: z.string().nullable(),
  }),
])
export type OutputItem = z.infer<typeof outputItem>

/** An answer; `id` names the run. */
export const responseObject = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.number().int(),
  status,
  model: z.string(),
  output: z.array(outputItem),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  usage: z
    .object({
      input_tokens: z.number().int(),
      input_tokens_details: z.object({ cached_tokens: z.number().int() }),
      output_tokens: z.number().int(),
      output_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
      total_tokens: z.number().int(),
    })
    .nullable(),
  previous_response_id: z.string().nullable(),
  /** Null when nothing is kept. */
  conversation: z.object({ id: z.string() }).nullable(),
  store: z.boolean(),
  instructions: z.null(),
  metadata: z.record(z.string(), z.unknown()),
  parallel_tool_calls: z.boolean(),
  temperature: z.null(),
  top_p: z.null(),
  tool_choice: z.literal('auto'),
  tools: z.array(z.unknown()),
})
export type ResponseObject = z.infer<typeof responseObject>

/** Answer to the deletion of a response. */
export const deletedResponse = z.object({
  id: z.string(),
  object: z.literal('response'),
  deleted: z.literal(true),
})
