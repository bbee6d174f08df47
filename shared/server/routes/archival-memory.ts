import * as z from 'zod'
import { findPassages } from '../../core/search/find.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import { listOf, queryBoolean } from '../../schema/page.ts'
import {
  archivalMemorySearchResponse,
  createArchivalMemory,
  passage,
  tagMatchMode,
} from '../../schema/passage.ts'
import { instantOf, zonedTime } from '../../schema/time.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })

/** Results of a search that does not say how many it wants. */
const DEFAULT_TOP_K = 10
const MAX_TOP_K = 1000

async function agentOf(context: ServerContext, actor: Actor, agent_id: string) {
  const agent = await context.deps.store.agents.get(actor, agent_id, [])
  if (!agent) throw notFound('Agent', agent_id)
  return agent
}

/** An optional date of a query, in the agent's time zone unless it has one of its own; a day as the end counts whole. */
function dateOf(
  name: string,
  text: string | undefined,
  timezone: string,
  options: { end?: boolean } = {},
): string | undefined {
  if (text === undefined || text === '') return undefined
  const instant = instantOf(text, timezone, options)
  if (instant === null)
    throw new AppError(
      'invalid_argument',
      `${name} '${text}' is not a date; use YYYY-MM-DD or an ISO 8601 time such as 2026-01-31T10:00:00Z`,
    )
  return instant
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/archival-memory',
    operation: 'list_passages',
    summary: "List an agent's archival memory",
    scoped: { right: 'read_agent' },
    params,
    query: z.object({
      after: z.string().optional(),
      before: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(100),
      search: z.string().optional(),
      ascending: queryBoolean.default(true),
    }),
    answer: z.array(passage),
    async handle({ actor, context, params, query }) {
      const { search, ascending, ...cursors } = query
      await agentOf(context, actor, params.agent_id)
      const filter = { agent_id: params.agent_id, text: search }
      return context.deps.store.passages.list(actor, filter, {
        ...cursors,
        order: ascending ? 'asc' : 'desc',
      })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/archival-memory',
    operation: 'create_passage',
    summary: "Add to an agent's archival memory",
    scoped: { right: 'write_agent', fields: ['text', 'tags', 'created_at'] },
    params,
    body: createArchivalMemory,
    answer: z.array(passage),
    async handle({ actor, context, params, body }) {
      await agentOf(context, actor, params.agent_id)
      return context.deps.store.passages.create(actor, params.agent_id, [
        {
          id: newId('passage'),
          text: body.text,
          tags: body.tags ?? [],
          metadata: {},
          created_at: body.created_at ?? context.deps.clock.now().toISOString(),
        },
      ])
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/archival-memory/search',
    operation: 'search_archival_memory',
    summary: "Search an agent's archival memory",
    scoped: { right: 'read_agent' },
    params,
    query: z.object({
      query: z.string(),
      tags: listOf(z.string()),
      tag_match_mode: tagMatchMode.default('any'),
      top_k: z.coerce.number().int().min(1).max(MAX_TOP_K).default(DEFAULT_TOP_K),
      start_datetime: z.string().optional(),
      end_datetime: z.string().optional(),
    }),
    answer: archivalMemorySearchResponse,
    async handle({ actor, context, params, query }) {
      const { timezone } = await agentOf(context, actor, params.agent_id)
      const { matches } = await findPassages(context.deps, actor, {
        agent_id: params.agent_id,
        query: query.query,
        tags: query.tags,
        tag_match_mode: query.tag_match_mode,
        limit: query.top_k,
        start_date: dateOf('start_datetime', query.start_datetime, timezone),
        end_date: dateOf('end_datetime', query.end_datetime, timezone, { end: true }),
      })
      const results = matches.map(({ passage }) => ({
        id: passage.id,
        timestamp: zonedTime(new Date(passage.created_at), timezone),
        content: passage.text,
        tags: passage.tags,
      }))
      return { results, count: results.length }
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/agents/:agent_id/archival-memory/:memory_id',
    operation: 'delete_passage',
    summary: "Delete from an agent's archival memory",
    scoped: { right: 'write_agent' },
    params: params.extend({ memory_id: z.string() }),
    answer: z.object({ message: z.string() }),
    async handle({ actor, context, params }) {
      await agentOf(context, actor, params.agent_id)
      if (!(await context.deps.store.passages.delete(actor, params.agent_id, params.memory_id)))
        throw notFound('Passage', params.memory_id)
      return { message: `Memory id=${params.memory_id} successfully deleted` }
    },
  }),
]
