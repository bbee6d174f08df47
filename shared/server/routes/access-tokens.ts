import * as z from 'zod'
import type { StoredAccessToken } from '../../core/ports/access-token-store.ts'
import {
  type AccessToken,
  accessToken,
  accessTokenList,
  createAccessToken,
  DEFAULT_LIFETIME_MS,
  KEEP_EXPIRED_MS,
} from '../../schema/access-token.ts'
import { AppError } from '../../schema/errors.ts'
import { isId, newId } from '../../schema/ids.ts'
import { hashOfKey, newToken } from '../access.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const count = (least: number, usual: number) =>
  z.coerce.number().int().min(least).max(1_000_000).default(usual)

/** Tokens by which web pages reach some agents (V1 had them in its hosted service alone). */
export const routes = [
  route({
    method: 'POST',
    path: '/v1/client-side-access-tokens',
    operation: 'clientSideAccessTokens.createClientSideAccessToken',
    summary:
      'Make a token by which the pages of one host reach some agents; its text is in this answer alone',
    body: createAccessToken,
    answer: accessToken,
    status: 201,
    async handle({ actor, context, body }) {
      const now = context.deps.clock.now().getTime()
      const expires_at = new Date(body.expires_at ?? now + DEFAULT_LIFETIME_MS).toISOString()
      if (Date.parse(expires_at) <= now)
        throw new AppError(
          'invalid_argument',
          `expires_at: ${expires_at} has passed already; name a moment to come`,
        )
      const { text, hash, starts_with } = newToken()
      const made = await context.deps.store.access_tokens.create(
        actor,
        {
          id: newId('access_token'),
          starts_with,
          policy: body.policy,
          hostname: body.hostname,
          origin: new URL(body.hostname).origin,
          created_at: new Date(now).toISOString(),
          expires_at,
        },
        { hash, forget: new Date(now - KEEP_EXPIRED_MS).toISOString() },
      )
      return toAccessToken(made, text)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/client-side-access-tokens',
    operation: 'clientSideAccessTokens.listClientSideAccessTokens',
    summary: 'List the access tokens that have not expired, newest first, without their texts',
    query: z.object({ agentId: z.string().optional(), offset: count(0, 0), limit: count(1, 10) }),
    answer: accessTokenList,
    async handle({ actor, context, query: { agentId: agent_id, offset, limit } }) {
      const found = await context.deps.store.access_tokens.list(
        actor,
        { agent_id, now: context.deps.clock.now().toISOString() },
        { offset, limit: limit + 1 },
      )
      const tokens = found.slice(0, limit).map((token) => toAccessToken(token, token.id))
      return { tokens, hasNextPage: found.length > limit }
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/client-side-access-tokens/:token',
    operation: 'clientSideAccessTokens.deleteClientSideAccessToken',
    summary: 'Delete an access token, by its text or id: from the next request on it is refused',
    params: z.object({ token: z.string() }),
    answer: 'empty',
    async handle({ actor, context, params: { token } }) {
      const by = isId('access_token', token) ? { id: token } : { hash: hashOfKey(token) }
      const now = context.deps.clock.now().toISOString()
      if (await context.deps.store.access_tokens.end(actor, by, now))
        return new Response(null, { status: 204 })
      // It may be the text of one.
      throw notFound('Access token', token.slice(0, 16))
    },
  }),
]

function toAccessToken(stored: StoredAccessToken, token: string): AccessToken {
  const { id, starts_with, policy, hostname, created_at, expires_at, user_id } = stored
  return {
    id,
    token,
    starts_with,
    policy: { version: '1', data: policy },
    hostname,
    expiresAt: expires_at,
    created_at,
    created_by_id: user_id,
  }
}
