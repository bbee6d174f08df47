import * as z from 'zod'
import { instantOf } from './time.ts'

/** ISO 8601 instant with an offset, as every time on the wire. */
export const timestamp = z.string()

/** What is said of a text that is no date. */
export const NO_DATE = "expected a date such as '2026-11-21' or '2026-11-21T10:00:00Z', up to the year 9999"

/** An instant in a request, normalised to UTC and milliseconds, as times are stored; without a zone it is in UTC. */
export const instant = z
  .string()
  .refine((text) => instantOf(text, 'UTC') !== null, NO_DATE)
  .transform((text) => instantOf(text, 'UTC') ?? text)

/** As `instant`, for the end of a span: a day counts whole. */
export const endInstant = z
  .string()
  .refine((text) => instantOf(text, 'UTC') !== null, NO_DATE)
  .transform((text) => instantOf(text, 'UTC', { end: true }) ?? text)

/** A JSON object whose keys the server does not interpret. */
export const jsonObject = z.record(z.string(), z.unknown())

export const order = z.enum(['asc', 'desc'])

/**
 * Cursor query of every list. Cursors follow `order`, except on message lists, where `after` is always newer and
 * `before` always older (DESIGN decision 10). Past the end a list is empty, which is what ends the SDK's paging.
 */
export interface Page {
  before?: string | undefined
  after?: string | undefined
  limit: number
  order: 'asc' | 'desc'
}

const limit = (max: number, fallback: number) => z.coerce.number().int().min(1).max(max).default(fallback)

/** Query parameters for a list with the given defaults. */
export function pageQuery(defaults: { limit: number; order: 'asc' | 'desc'; max?: number }) {
  return {
    before: z.string().optional(),
    after: z.string().optional(),
    limit: limit(defaults.max ?? 1000, defaults.limit),
    order: order.default(defaults.order),
  }
}

/** `a=1&a=2`, `a=1` or nothing: one spelling for every repeated query parameter. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.preprocess((v) => (v === undefined || Array.isArray(v) ? v : [v]), z.array(item).optional())
}

/** What belongs to an identity, or to any of those with these keys. */
export const identityFilter = { identity_id: z.string().optional(), identifier_keys: listOf(z.string()) }

/** `true`/`false` in a query string. */
export const queryBoolean = z
  .enum(['true', 'false', '1', '0', 'True', 'False'])
  .transform((v) => v === 'true' || v === '1' || v === 'True')
