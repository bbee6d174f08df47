import type { ToolCallInput } from '../core/ports.ts'
import type { MessageRole, StoredMessage } from '../schema/message.ts'
import { type Builtin, integerArgument, stringArgument, success } from './builtin.ts'

const ROLES: readonly MessageRole[] = ['assistant', 'user', 'tool']
const DEFAULT_LIMIT = 5
const MAX_LIMIT = 50

/** Search over what was said before (reference 4.2). */
export const searchTools: Builtin[] = [
  {
    name: 'conversation_search',
    tool_type: 'letta_core',
    tags: ['letta_core'],
    enable_parallel_execution: true,
    schema: {
      name: 'conversation_search',
      description:
        'Search earlier messages of this agent, also those that are no longer in context. Without a query it lists the newest.',
      parameters: {
        type: 'object',
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
      },
    },
    async run(call) {
      const query = stringArgument(call, 'query', '')
      const limit = Math.min(Math.max(integerArgument(call, 'limit', DEFAULT_LIMIT), 1), MAX_LIMIT)
      const found = await call.searchMessages({
        ...(query.trim() === '' ? {} : { query }),
        agent_id: call.agent.id,
        roles: rolesArgument(call),
        // The question that led to this search is stored too and would match: ask for a few more, leave this run out.
        limit: limit + 10,
        ...dateArgument(call, 'start_date', 0),
        ...dateArgument(call, 'end_date', 1),
      })
      const results = found
        .filter(
          (message) =>
            message.run_id !== call.run_id &&
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
      return success(JSON.stringify({ message, results }))
    },
  },
]

function contentOf(message: StoredMessage): string {
  const texts = message.content.map((part) => (part.type === 'text' ? part.text : ''))
  const returns = message.tool_returns.map((r) =>
    typeof r.func_response === 'string' ? r.func_response : '',
  )
  return [...texts, ...returns].join('\n').trim()
}

function rolesArgument(call: ToolCallInput): MessageRole[] {
  const value = call.arguments['roles']
  if (value === undefined || value === null) return ['user', 'assistant']
  const given: unknown[] = Array.isArray(value) ? value : [value]
  return given.map((role) => {
    const known = ROLES.find((r) => r === role)
    if (!known) throw new TypeError(`roles holds ${JSON.stringify(role)}; use ${ROLES.join(', ')}`)
    return known
  })
}

/** A day counts whole: as an end it is the start of the next one. */
function dateArgument(call: ToolCallInput, name: 'start_date' | 'end_date', addDays: number) {
  const text = stringArgument(call, name, '')
  if (text === '') return {}
  const date = new Date(text)
  if (Number.isNaN(date.getTime()))
    throw new TypeError(`${name} '${text}' is not a date; use YYYY-MM-DD or an ISO 8601 time`)
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) date.setUTCDate(date.getUTCDate() + addDays)
  return { [name]: date.toISOString() }
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
