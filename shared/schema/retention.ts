import * as z from 'zod'
import { timestamp } from './page.ts'

export const retentionKind = z.enum(['messages', 'runs', 'batches', 'events', 'usage'])
export type RetentionKind = z.infer<typeof retentionKind>

/** A rule, and what it means now. */
const retentionRule = z.object({
  kind: retentionKind,
  /** Older ones go; null: they are kept. */
  days: z.number().nullable(),
  before: timestamp.nullable(),
  /** How many would go now. */
  count: z.number().int(),
})

/** Answer of `GET /v1/admin/retention`, where nothing is deleted, and of `POST`, where `count` are. */
export const retentionReport = z.object({ rules: z.array(retentionRule) })
export type RetentionReport = z.infer<typeof retentionReport>
