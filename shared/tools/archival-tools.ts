import { zonedTime } from '../schema/time.ts'
import {
  builtin,
  type Builtin,
  integerArgument,
  stringArgument,
  stringsArgument,
  success,
  valueError,
} from './builtin.ts'
import { dateArgument } from './date-argument.ts'

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 100

/** Long-term memory beside the blocks: passages that are written once and found by search (reference 4.2). */
export const archivalTools: Builtin[] = [
  builtin({
    name: 'archival_memory_insert',
    type: 'letta_core',
    description:
      'Keep something in archival memory, which is not in your prompt and has no limit: facts, notes, documents worth finding again. Write it so that it makes sense on its own.',
    properties: {
      content: { type: 'string', description: 'What to keep.' },
      tags: {
        type: 'array',
        items: { type: 'string' },
        description: 'Words to file it under, to narrow later searches.',
      },
    },
    required: ['content'],
    run(call) {
      const text = stringArgument(call, 'content')
      if (text.trim() === '') throw valueError('content is empty; there is nothing to keep')
      call.insertPassage({ text, tags: stringsArgument(call, 'tags') })
      return success(null)
    },
  }),
  builtin({
    name: 'archival_memory_search',
    type: 'letta_core',
    description: 'Search archival memory. Answers with the passages that fit best.',
    parallel: true,
    properties: {
      query: { type: 'string', description: 'Words to look for.' },
      tags: { type: 'array', items: { type: 'string' }, description: 'Only what is filed under these tags.' },
      tag_match_mode: {
        type: 'string',
        enum: ['any', 'all'],
        description: 'Whether any of the tags is enough (the default) or all are needed.',
      },
      top_k: {
        type: 'integer',
        description: `Results at the most (default ${DEFAULT_LIMIT}, up to ${MAX_LIMIT}).`,
      },
      start_datetime: {
        type: 'string',
        description: 'Only from this day or ISO 8601 time on, for example 2026-01-31 or 2026-01-31T14:30.',
      },
      end_datetime: { type: 'string', description: 'Only up to this day (included) or ISO 8601 time.' },
    },
    required: ['query'],
    async run(call) {
      const mode = stringArgument(call, 'tag_match_mode', 'any')
      if (mode !== 'any' && mode !== 'all')
        throw valueError(`tag_match_mode '${mode}' is unknown; use any or all`)
      const found = await call.searchPassages({
        query: stringArgument(call, 'query'),
        tags: stringsArgument(call, 'tags'),
        tag_match_mode: mode,
        limit: Math.min(Math.max(integerArgument(call, 'top_k', DEFAULT_LIMIT), 1), MAX_LIMIT),
        start_date: dateArgument(call, 'start_datetime'),
        end_date: dateArgument(call, 'end_datetime', { end: true }),
      })
      return success(
        found.map(({ passage, rrf_score, vector_rank, fts_rank }) => ({
          id: passage.id,
          timestamp: zonedTime(new Date(passage.created_at), call.agent.timezone),
          content: passage.text,
          tags: passage.tags,
          relevance: { rrf_score, vector_rank, fts_rank },
        })),
      )
    },
  }),
]
