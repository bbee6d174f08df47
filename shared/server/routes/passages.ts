import * as z from 'zod'
import { findPassages } from '../../core/search/find.ts'
import { passageSearchResult, searchPassages } from '../../schema/passage.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

export const routes = [
  route({
    method: 'POST',
    path: '/v1/passages/search',
    operation: 'search_passages',
    summary: 'Search passages of an agent, of an archive or of all archives',
    body: searchPassages,
    answer: z.array(passageSearchResult),
    async handle({ actor, context, body }) {
      const { agents, archives } = context.deps.store
      const { agent_id, archive_id } = body
      if (agent_id != null && !(await agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      if (archive_id != null && !(await archives.get(actor, archive_id)))
        throw notFound('Archive', archive_id)
      const { mode, matches } = await findPassages(context.deps, actor, {
        agent_id: agent_id ?? undefined,
        archive_id: archive_id ?? undefined,
        query: body.query ?? '',
        tags: body.tags ?? undefined,
        tag_match_mode: body.tag_match_mode,
        limit: body.limit,
        start_date: body.start_date ?? undefined,
        end_date: body.end_date ?? undefined,
      })
      return matches.map(({ passage, rrf_score, fts_rank, vector_rank }) => ({
        passage,
        score: rrf_score,
        metadata: { search_mode: mode, fts_rank, vector_rank },
      }))
    },
  }),
]
