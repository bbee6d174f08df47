import * as z from 'zod'
import { idSchema } from './ids.ts'
import { blockLabel, tag } from './names.ts'
import { jsonObject, timestamp } from './page.ts'

/** Characters a block holds by default; advisory, shown to the model, never enforced on write (reference 2.8). */
export const DEFAULT_BLOCK_LIMIT = 100_000

const blockFields = {
  project_id: z.string().nullish(),
  template_name: z.string().nullish(),
  is_template: z.boolean().default(false),
  template_id: z.string().nullish(),
  base_template_id: z.string().nullish(),
  deployment_id: z.string().nullish(),
  entity_id: z.string().nullish(),
  preserve_on_migration: z.boolean().nullish().default(false),
  read_only: z.boolean().default(false),
  description: z.string().nullish(),
  metadata: jsonObject.nullish(),
  hidden: z.boolean().nullish(),
  tags: z.array(tag).nullish(),
}

/** Body of `POST /v1/blocks/` and of each of an agent's `memory_blocks`. */
export const createBlock = z.object({
  label: blockLabel,
  value: z
    .string()
    .nullish()
    .transform((v) => (v ?? '').replaceAll('\0', '')),
  limit: z.number().int().min(1).default(DEFAULT_BLOCK_LIMIT),
  ...blockFields,
})
export type CreateBlock = z.infer<typeof createBlock>

/** Null as V1's clients send it for "as it is". */
const unchanged = <T extends z.ZodType>(schema: T) =>
  schema
    .nullable()
    .transform((v) => v ?? undefined)
    .optional()

/** Body of a block PATCH; absent fields stay as they are. */
export const updateBlock = z.object({
  label: unchanged(blockLabel),
  value: z
    .string()
    .nullable()
    .transform((v) => (v ?? '').replaceAll('\0', ''))
    .optional(),
  limit: unchanged(z.number().int().min(1)),
  read_only: z.boolean().optional(),
  is_template: z.boolean().optional(),
  description: z.string().nullish(),
  metadata: jsonObject.nullish(),
  project_id: z.string().nullish(),
  template_name: z.string().nullish(),
  template_id: z.string().nullish(),
  base_template_id: z.string().nullish(),
  deployment_id: z.string().nullish(),
  entity_id: z.string().nullish(),
  preserve_on_migration: z.boolean().nullish(),
  hidden: z.boolean().nullish(),
  tags: z.array(tag).nullish(),
})
export type UpdateBlock = z.infer<typeof updateBlock>

/** A memory block as every route answers it (V1 `BlockResponse`); `version` is ours and counts its changes. */
export const block = z.object({
  id: idSchema('block'),
  label: z.string().nullable(),
  value: z.string(),
  limit: z.number().int(),
  project_id: z.string().nullable(),
  template_name: z.string().nullable(),
  is_template: z.boolean(),
  template_id: z.string().nullable(),
  base_template_id: z.string().nullable(),
  deployment_id: z.string().nullable(),
  entity_id: z.string().nullable(),
  preserve_on_migration: z.boolean().nullable(),
  read_only: z.boolean(),
  description: z.string().nullable(),
  metadata: jsonObject.nullable(),
  hidden: z.boolean().nullable(),
  tags: z.array(z.string()),
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
  version: z.number().int(),
})
export type Block = z.infer<typeof block>

/** One change of a block, as `GET /v1/blocks/{id}/history` answers it; the first is its creation. */
export const blockVersion = z.object({
  block_id: idSchema('block'),
  version: z.number().int(),
  /** The value; null before the creation. */
  before: z.string().nullable(),
  after: z.string(),
  /** The other fields that changed. */
  changes: z.record(z.string(), z.object({ before: z.unknown(), after: z.unknown() })),
  user_id: z.string(),
  /** The agent and run that made the change with a tool. */
  agent_id: z.string().nullable(),
  run_id: z.string().nullable(),
  created_at: timestamp,
})
export type BlockVersion = z.infer<typeof blockVersion>
