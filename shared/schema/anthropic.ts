/** Anthropic's Messages, as far as agents are reached by them. */
import * as z from 'zod'

const text = z.object({ type: z.literal('text'), text: z.string() })
const image = z.object({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('url'), url: z.string() }),
  ]),
})
const toolUse = z.object({ type: z.literal('tool_use'), id: z.string() })
const toolResult = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(text)]).nullish(),
  is_error: z.boolean().nullish(),
})
const thinking = z.object({ type: z.enum(['thinking', 'redacted_thinking']) })
const block = z.discriminatedUnion('type', [text, image, toolUse, toolResult, thinking])

const message = z.object({
  role: z.enum(['user', 'assistant']),
  content: z.union([z.string(), z.array(block).min(1)]),
})
export type AnthropicMessage = z.infer<typeof message>

/** Body of `/anthropic/v1/messages`. */
export const messagesRequest = z.object({
  /** The id or name of an agent. */
  model: z.string().min(1),
  messages: z.array(message).min(1),
  stream: z.boolean().nullish(),
  /** Thoughts, and calls of the agent's own tools, are answered when it is on. */
  thinking: z.looseObject({ type: z.string() }).nullish(),
  tools: z
    .array(
      z.object({
        name: z.string(),
        description: z.string().nullish(),
        input_schema: z.record(z.string(), z.unknown()),
      }),
    )
    .max(1000)
    .nullish(),
  metadata: z.object({ user_id: z.string().min(1).max(1000).nullish() }).nullish(),
  /** Taken, and without effect: an agent has its own. */
  system: z.unknown().optional(),
  max_tokens: z.number().int().min(1).nullish(),
  /** Ours: another conversation than the agent's default one. */
  conversation_id: z.string().nullish(),
  /** Ours: false keeps nothing of this, and `messages` are all that the agent is told. */
  store: z.boolean().nullish(),
})
export type MessagesRequest = z.infer<typeof messagesRequest>

const contentBlock = z.discriminatedUnion('type', [
  z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
  z.object({ type: z.literal('text'), text: z.string(), citations: z.null() }),
  z.object({ type: z.literal('tool_use'), id: z.string(), name: z.string(), input: z.unknown() }),
])
export type ContentBlock = z.infer<typeof contentBlock>

/** An answer; `id` names the run. */
export const anthropicAnswer = z.object({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(contentBlock),
  stop_reason: z.enum(['end_turn', 'tool_use', 'max_tokens']).nullable(),
  stop_sequence: z.null(),
  usage: z.object({
    input_tokens: z.number().int(),
    output_tokens: z.number().int(),
    cache_read_input_tokens: z.number().int(),
    cache_creation_input_tokens: z.number().int(),
  }),
})
export type AnthropicAnswer = z.infer<typeof anthropicAnswer>
