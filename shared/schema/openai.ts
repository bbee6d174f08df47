/** The parts of OpenAI's API that agents are reached by. What is here are its names; its other fields are read past. */
import * as z from 'zod'
import { logprobs } from './message.ts'

const textPart = z.object({ type: z.literal('text'), text: z.string() })
const imagePart = z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string() }) })
const text = z.union([z.string(), z.array(textPart).min(1)])

/** A message of a chat completion request. */
export const chatMessage = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: text, name: z.string().optional() }),
  z.object({
    role: z.literal('user'),
    content: z.union([z.string(), z.array(z.discriminatedUnion('type', [textPart, imagePart])).min(1)]),
    name: z.string().optional(),
  }),
  z.object({
    role: z.literal('assistant'),
    content: text.nullish(),
    tool_calls: z.array(z.looseObject({ id: z.string() })).nullish(),
  }),
  z.object({ role: z.literal('tool'), tool_call_id: z.string(), content: text }),
])
export type ChatMessage = z.infer<typeof chatMessage>

const functionTool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string(),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
})

/** What the agent's own settings say; taken, and without effect. */
const settings = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  max_tokens: z.number().int().nullish(),
  max_completion_tokens: z.number().int().nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
}

/** Body of `/openai/v1/chat/completions`. */
export const chatRequest = z.object({
  ...settings,
  /** The id or name of an agent. */
  model: z.string().min(1),
  messages: z.array(chatMessage).min(1),
  stream: z.boolean().nullish().default(false),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  /** Who speaks: the key of an identity, which is made when there is none. */
  user: z.string().min(1).max(1000).nullish(),
  /** False: nothing of this is kept, and `messages` are all that the agent is told. */
  store: z.boolean().nullish(),
  /** Tools that the client runs. */
  tools: z.array(functionTool).max(1000).nullish(),
  n: z.number().int().min(1).max(1, 'an agent answers once').nullish().default(1),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  response_format: z
    .object({
      type: z.literal('text', "the agent's own response_format counts; set it with PATCH /v1/agents/{id}"),
    })
    .nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  /** Ours: another conversation than the agent's default one; also as `metadata.conversation_id`. */
  conversation_id: z.string().nullish(),
  /** Ours: where the agent's own tool calls are shown. */
  tool_display: z.enum(['reasoning', 'none']).default('reasoning'),
})
export type ChatRequest = z.infer<typeof chatRequest>

const toolCall = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})
export type ChatToolCall = z.infer<typeof toolCall>

const finishReason = z.enum(['stop', 'length', 'tool_calls'])
export type FinishReason = z.infer<typeof finishReason>

const usage = z.object({
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  total_tokens: z.number().int(),
  prompt_tokens_details: z.object({ cached_tokens: z.number().int() }),
  completion_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
})
export type ChatUsage = z.infer<typeof usage>

/** Answer of `/openai/v1/chat/completions`; `id` names the run. */
export const chatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.number().int(),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        /** What some providers, and many clients, call thoughts. */
        reasoning_content: z.string().optional(),
        tool_calls: z.array(toolCall).optional(),
      }),
      logprobs: logprobs.nullable(),
      finish_reason: finishReason,
    }),
  ),
  usage,
  /** Ours; null when nothing was kept. */
  conversation_id: z.string().nullable(),
})
export type ChatCompletion = z.infer<typeof chatCompletion>

/** An agent as a model. */
export const chatModel = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.number().int(),
  owned_by: z.string(),
  name: z.string(),
  agent_id: z.string(),
})
export const chatModels = z.object({ object: z.literal('list'), data: z.array(chatModel) })
