import * as z from 'zod'
import { idSchema } from './ids.ts'
import { timestamp } from './page.ts'

/** What an access token may do with an agent that it names. */
export const ACCESS_RIGHTS = ['read_messages', 'write_messages', 'read_agent', 'write_agent'] as const
export type AccessRight = (typeof ACCESS_RIGHTS)[number]

/** One agent, and what may be done with it. */
const agentAccess = z.object({
  type: z.literal('agent'),
  id: idSchema('agent'),
  access: z.array(z.enum(ACCESS_RIGHTS)).max(100),
})
export type AgentAccess = z.infer<typeof agentAccess>

/** How long a token lasts that does not say it, in milliseconds (V1: five minutes). */
export const DEFAULT_LIFETIME_MS = 5 * 60_000

/** How long after its end a token is kept, in milliseconds: the pages of its host can still read that it is refused. */
export const KEEP_EXPIRED_MS = 24 * 3_600_000

const MOMENT = 'expected a moment like 2030-01-31T00:00:00Z'

/** Whether an address says no more than what a browser tells of a page: no path, nobody's name, and no pattern of hosts. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  if (!url || !/^https?:\/\//i.test(text) || /[\s\\]/.test(text)) return false
  const says = url.pathname === '/' && !/[?#@]/.test(text)
  return says && /^(\[[\da-f:.]+\]|[\w-]+(\.[\w-]+)*\.?)$/.test(url.hostname)
}

/** Body of `POST /v1/client-side-access-tokens`. */
export const createAccessToken = z.object({
  policy: z.array(agentAccess).min(1, 'a token needs at least one agent that it reaches').max(100),
  /** Whose pages may use it: `https://app.example.com`. */
  hostname: z
    .url({
      protocol: /^https?$/,
      error: 'expected the address of the pages that use it, with http:// or https://',
    })
    .max(1000)
    .refine(
      isOrigin,
      'expected scheme, host and port alone, such as https://app.example.com: pages are told apart by nothing else, and one token is for one host',
    ),
  expires_at: z.iso.datetime({ offset: true, error: MOMENT }).nullish(),
})

/** A token as it is listed: its text was shown once, and `token` is its id here. */
export const accessToken = z.object({
  id: idSchema('access_token'),
  /** Its text where it has just been made, its id everywhere else; it is deleted by either. */
  token: z.string(),
  /** How its text begins, to tell tokens apart. */
  starts_with: z.string(),
  policy: z.object({ version: z.literal('1'), data: z.array(agentAccess) }),
  hostname: z.string(),
  expiresAt: timestamp,
  created_at: timestamp,
  created_by_id: z.string(),
})
export type AccessToken = z.infer<typeof accessToken>

/** Answer of `GET /v1/client-side-access-tokens`. */
export const accessTokenList = z.object({ tokens: z.array(accessToken), hasNextPage: z.boolean() })
