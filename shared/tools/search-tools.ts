import type { ToolCallInput } from '../core/ports/tools.ts'
import type { MessageRole, StoredMessage } from '../schema/message.ts'
import { wordsOf } from '../schema/message-text.ts'
import { builtin, type Builtin, integerArgument, stringArgument, success, valueError } from './builtin.ts'
import { dateArgument } from './date-argument.ts'

const ROLES: readonly MessageRole[] = ['assistant', 'user', 'tool']
const DEFAULT_LIMIT = 5
const MAX_LIMIT = 50

/** Search over what was said before (reference 4.2). */
export const searchTools: Builtin[] = [
  builtin({
    name: 'conversation_search',
    type: 'letta_core',
    parallel: true,
    description:
      'Search earlier messages of this agent, also those that are no longer in context. Without a query it lists the newest.',
    properties: {
      query: { type: 'string', description: 'Words to look for.' },
      roles: {
        type: 'array',
        items: { type: 'string', enum: [...ROLES] },
        description: 'Only messages of these roles. Default: user and assistant.',
      },
      limit: {
        type: 'integer',
        description: `Results at the most (default ${DEFAULT_LIMIT}, up to ${MAX_LIMIT}).`,
      },
      start_date: {
        type: 'string',
        description: 'Only from this day or ISO 8601 time on, for example 2026-01-31.',
      },
      end_date: { type: 'string', description: 'Only up to this day (included) or ISO 8601 time.' },
    },
    required: [],
    async run(call) {
      const query = stringArgument(call, 'query', '')
      const limit = Math.min(Math.max(integerArgument(call, 'limit', DEFAULT_LIMIT), 1), MAX_LIMIT)
      const found = await call.searchMessages({
        ...(query.trim() === '' ? {} : { query }),
        agent_id: call.agent.id,
        roles: rolesArgument(call),
        // The question that led to this search is stored too and would match: ask for a few more, leave this run out.
        limit: limit + 10,
        start_date: dateArgument(call, 'start_date'),
        end_date: dateArgument(call, 'end_date', { end: true }),
      })
      const results = found
        .filter(
          (message) =>
            (call.run_id === null || message.run_id !== call.run_id) &&
            !message.tool_returns.some((r) => r.name === 'conversation_search'),
        )
        .slice(0, limit)
        .map((message) => ({
          timestamp: message.created_at,
          time_ago: timeAgo(call.now, new Date(message.created_at)),
          role: message.role,
          content: contentOf(message),
        }))
      const message =
        results.length === 0
          ? `No results found for ${query.trim() === '' ? 'this search' : `'${query}'`}.`
          : `Showing ${results.length} result${results.length === 1 ? '' : 's'}.`
      return success({ message, results })
    },
  }),
]

function contentOf(message: StoredMessage): string {
  const returns = message.tool_returns.map((r) =>
    typeof r.func_response === 'string' ? r.func_response : '',
  )
  return [wordsOf(message), ...returns].join('\n').trim()
}

function rolesArgument(call: ToolCallInput): MessageRole[] {
  const value = call.arguments['roles']
  if (value === undefined || value === null) return ['user', 'assistant']
  const given: unknown[] = Array.isArray(value) ? value : [value]
  return given.map((role) => {
    const known = ROLES.find((r) => r === role)
    if (!known) throw valueError(`roles holds ${JSON.stringify(role)}; use ${ROLES.join(', ')}`)
    return known
  })
}

function timeAgo(now: Date, then: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - then.getTime()) / 1000))
  const units: [string, number][] = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ]
  for (const [unit, size] of units) {
    const count = Math.floor(seconds / size)
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'} ago`
  }
  return `${seconds} seconds ago`
}
