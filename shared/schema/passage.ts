import * as z from 'zod'
import { idSchema } from './ids.ts'
import { embeddingConfig } from './model.ts'
import { tag } from './names.ts'
import { endInstant, instant, jsonObject, timestamp } from './page.ts'

export const tagMatchMode = z.enum(['any', 'all'])
export type TagMatchMode = z.infer<typeof tagMatchMode>

/** Body of `POST /v1/agents/{id}/archival-memory` (V1 `CreateArchivalMemory`). */
export const createArchivalMemory = z.object({
  text: z.string().refine((text) => text.trim() !== '', 'there is nothing in this text to remember'),
  tags: z.array(tag).nullish(),
  created_at: instant.nullish(),
})

/** Body of `POST /v1/archives/{id}/passages`. */
export const createPassage = createArchivalMemory.extend({ metadata: jsonObject.nullish() })
export type CreatePassage = z.infer<typeof createPassage>

/** Passages that one request may bring. */
const MAX_BATCH = 10_000

/** Body of `POST /v1/archives/{id}/passages/batch`. */
export const createPassages = z.object({ passages: z.array(createPassage).max(MAX_BATCH) })

/** A passage of archival memory as every route answers it (V1 `Passage`). */
export const passage = z.object({
  id: idSchema('passage'),
  text: z.string(),
  archive_id: idSchema('archive').nullable(),
  source_id: z.string().nullable(),
  file_id: z.string().nullable(),
  file_name: z.string().nullable(),
  tags: z.array(z.string()),
  metadata: jsonObject,
  embedding: z.array(z.number()).nullable(),
  embedding_config: embeddingConfig.nullable(),
  is_deleted: z.boolean(),
  created_at: timestamp,
  updated_at: timestamp,
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
})
export type Passage = z.infer<typeof passage>

/** Answer of `GET /v1/agents/{id}/archival-memory/search`; times are those of the agent's time zone. */
export const archivalMemorySearchResponse = z.object({
  results: z.array(
    z.object({ id: z.string(), timestamp: z.string(), content: z.string(), tags: z.array(z.string()) }),
  ),
  count: z.number().int(),
})
export type ArchivalMemorySearchResponse = z.infer<typeof archivalMemorySearchResponse>

/** Body of `POST /v1/passages/search`: of an agent's archives, of one archive, or of all. */
export const searchPassages = z.object({
  query: z.string().nullish(),
  agent_id: idSchema('agent').nullish(),
  archive_id: idSchema('archive').nullish(),
  tags: z.array(z.string()).nullish(),
  tag_match_mode: tagMatchMode.default('any'),
  limit: z.number().int().min(1).max(100).default(50),
  start_date: instant.nullish(),
  end_date: endInstant.nullish(),
})

/** One result of `POST /v1/passages/search`; `metadata` tells how it was found. */
export const passageSearchResult = z.object({
  passage,
  score: z.number(),
  metadata: z.object({
    search_mode: z.enum(['fts', 'vector', 'hybrid']),
    fts_rank: z.number().int().nullable(),
    vector_rank: z.number().int().nullable(),
  }),
})
