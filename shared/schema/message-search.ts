import * as z from 'zod'
import { idSchema } from './ids.ts'
import { timestamp } from './page.ts'

const searchMode = z.enum(['vector', 'fts', 'hybrid'])

/** Body of `POST /v1/messages/search`. */
export const searchAllMessages = z.object({
  query: z.string(),
  search_mode: searchMode.default('hybrid'),
  agent_id: idSchema('agent').nullish(),
  conversation_id: z.string().nullish(),
  limit: z.number().int().min(1).max(100).default(50),
  start_date: z.string().nullish(),
  end_date: z.string().nullish(),
})

/** One result of `POST /v1/messages/search`; `search_mode` of the whole is the header `X-Search-Mode`. */
export const messageListResult = z.object({
  message_type: z.enum(['user_message', 'assistant_message']),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]),
  message_id: z.string(),
  agent_id: z.string().nullable(),
  conversation_id: z.string().nullable(),
  created_at: timestamp,
})

/** Body of `POST /v1/agents/messages/search`. */
export const searchMessages = searchAllMessages.extend({
  query: z.string().nullish(),
  roles: z
    .array(z.enum(['assistant', 'user', 'tool', 'function', 'system', 'approval', 'summary']))
    .nullish(),
})

/** One result of `POST /v1/agents/messages/search`, with the message as it is stored (V1 `Message`). */
export const messageSearchResult = z.object({
  embedded_text: z.string(),
  message: z.looseObject({ id: z.string(), role: z.string(), created_at: timestamp }),
  fts_rank: z.number().int().nullable(),
  vector_rank: z.number().int().nullable(),
  rrf_score: z.number(),
})
