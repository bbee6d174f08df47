import * as z from 'zod'
import { idSchema } from './ids.ts'
import { messageRequest } from './message.ts'
import { modelSettings } from './model.ts'
import { instant, timestamp } from './page.ts'

/**
 * One of an agent's conversations, which share its memory and run at the same time (V1 `Conversation`, reference 6.6).
 * The id of an agent's default conversation is the agent's.
 */
export const conversation = z.object({
  id: z.string(),
  agent_id: idSchema('agent'),
  summary: z.string().nullable(),
  /** What the model sees, in order; history holds more once a conversation was compacted or rewound. */
  in_context_message_ids: z.array(z.string()),
  /** Private copies that this conversation has instead of the agent's blocks of these labels. */
  isolated_block_ids: z.array(z.string()),
  /** Instead of the agent's; null for the agent's. */
  model: z.string().nullable(),
  model_settings: modelSettings.nullable(),
  /** When a message was last sent to it. */
  last_message_at: timestamp.nullable(),
  /** The message that asks for an approval which nobody has answered yet (not of V1). */
  pending_request_id: z.string().nullable(),
  created_at: timestamp,
  updated_at: timestamp,
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
})
export type Conversation = z.infer<typeof conversation>

const settings = {
  summary: z.string().nullish(),
  model: z.string().nullish(),
  model_settings: modelSettings.nullish(),
}

/** Body of `POST /v1/conversations/`. */
export const createConversation = z.object({
  ...settings,
  /** Labels of blocks of the agent that this conversation gets private copies of. */
  isolated_block_labels: z.array(z.string()).nullish(),
  /** Left out of lists. */
  hidden: z.boolean().nullish(),
})
export type CreateConversation = z.infer<typeof createConversation>

/** Body of `PATCH /v1/conversations/{id}`: absent fields stay; null takes `summary`, `model` and `model_settings` away. */
export const updateConversation = z.object({ ...settings, last_message_at: instant.nullish() })
export type UpdateConversation = z.infer<typeof updateConversation>

/** How a conversation is named in a path: its id, `default` with an `agent_id`, or (deprecated in V1) the agent's id. */
export const conversationRef = z
  .string()
  .regex(
    /^(default|(conv|agent)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
    "expected an id like 'conv-<uuid>', or 'default' with an agent_id",
  )

/** `agent_id` of requests that name the conversation `default`. */
export const defaultOf = idSchema('agent').nullish()

/** Body of `POST /v1/conversations/{id}/messages`: streams unless it says otherwise. */
export const conversationMessageRequest = messageRequest.safeExtend({
  agent_id: defaultOf,
  streaming: z.boolean().default(true),
})
export type ConversationMessageRequest = z.infer<typeof conversationMessageRequest>

/** Body of `…/messages/{message_id}/edit-and-resend`: without `input` and `messages` the message is sent as it was. */
export const editRequest = z
  .object({ ...messageRequest.shape, agent_id: defaultOf, streaming: z.boolean().default(true) })
  .refine((body) => body.messages == null || body.input == null, {
    message: "give one of 'messages' and 'input', or neither to send the message as it was",
    path: ['messages'],
  })

/** Answer to a rewind. */
export const rewound = z.object({
  conversation,
  /** The last message of the context before: rewinding to it takes this rewind back. */
  undo_message_id: z.string(),
  /** How many messages left the context, and how many came back into it. */
  removed: z.number().int(),
  restored: z.number().int(),
})
export type Rewound = z.infer<typeof rewound>
