import * as z from 'zod'
import { idSchema } from './ids.ts'
import { embeddingConfig } from './model.ts'
import { MAX_NAME } from './names.ts'
import { jsonObject, timestamp } from './page.ts'

const archiveName = z
  .string()
  .max(MAX_NAME)
  .refine((name) => name.trim() !== '', 'an archive needs a name')

/** Body of `POST /v1/archives/`. Without `embedding` its passages are found by their words alone. */
export const createArchive = z.object({
  name: archiveName,
  description: z.string().nullish(),
  embedding: z.string().nullish(),
  /** Deprecated in V1 for `embedding`: its handle is what counts. */
  embedding_config: embeddingConfig.nullish(),
})

/** Body of `PATCH /v1/archives/{id}`: null or absent leaves a field as it is. `embedding` is ours: '' takes it away. */
export const updateArchive = z.object({
  name: archiveName.nullish(),
  description: z.string().nullish(),
  embedding: z.string().nullish(),
})

/** A collection of passages that agents may share (V1 `Archive`). */
export const archive = z.object({
  id: idSchema('archive'),
  name: z.string(),
  description: z.string().nullable(),
  vector_db_provider: z.enum(['native', 'tpuf', 'pinecone']),
  embedding_config: embeddingConfig.nullable(),
  metadata: jsonObject.nullable(),
  created_at: timestamp,
  updated_at: timestamp,
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
})
export type Archive = z.infer<typeof archive>
