import * as z from 'zod'

/** Prefixes of V1 identifiers: `<prefix>-<uuid>` (behaviour reference 1.5). `source` serves folders and sources. */
export const ID_PREFIXES = [
  'agent',
  'agent-env',
  'message',
  'run',
  'job',
  'batch_item',
  'group',
  'block',
  'file',
  'file_agent',
  'source',
  'tool',
  'archive',
  'passage',
  'provider',
  'model',
  'step',
  'identity',
  'conv',
  'mcp_server',
  'user',
  'org',
  'api_key',
  'schedule',
  'access_token',
  'template',
  'template_version',
  'deployment',
  'entity',
] as const

export type IdPrefix = (typeof ID_PREFIXES)[number]

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

let last = 0
let count = 0

/**
 * A new identifier, for example `agent-019a…`: the milliseconds of its making, a counter, and 62 random bits. New rows
 * then stand together in every index by id, where random ones would each touch a page of their own, and what one
 * process makes sorts in the order of its making. It is marked as a UUID of version 4, the only one that V1's contract
 * allows.
 */
export function newId(prefix: IdPrefix): string {
  // A clock that was set back, and more than the counter holds in one millisecond, borrow from the time to come.
  const now = Date.now()
  if (now > last) {
    last = now
    count = 0
  } else if (++count > 0xfff) {
    last++
    count = 0
  }
  const time = last.toString(16).padStart(12, '0')
  const random = crypto.randomUUID().slice(18)
  return `${prefix}-${time.slice(0, 8)}-${time.slice(8)}-4${count.toString(16).padStart(3, '0')}${random}`
}

/** Schema of an identifier with this prefix; anything else is a validation error (422 on the wire). */
export function idSchema(prefix: IdPrefix) {
  return z.string().regex(new RegExp(`^${prefix}-${UUID}$`), `expected an id like '${prefix}-<uuid>'`)
}

const PATTERNS = new Map<string, RegExp>()

/** Whether `value` is a well-formed identifier with this prefix. */
export function isId(prefix: IdPrefix, value: string): boolean {
  let pattern = PATTERNS.get(prefix)
  if (!pattern) PATTERNS.set(prefix, (pattern = new RegExp(`^${prefix}-${UUID}$`)))
  return pattern.test(value)
}

/** The organisation and user every request acts for when none is named (V1's fixed ids). */
export const DEFAULT_ORGANIZATION_ID = 'org-00000000-0000-4000-8000-000000000000'
export const DEFAULT_USER_ID = 'user-00000000-0000-4000-8000-000000000000'
