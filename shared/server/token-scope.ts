import type { Actor } from '../core/ports/actor.ts'
import type { AccessRight } from '../schema/access-token.ts'
import { agentNotFound, AppError } from '../schema/errors.ts'
import type { TokenScope } from './access.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/** What an access token needs for a route. A route that does not say it is refused to all of them. */
export interface Scoped {
  right: AccessRight
  /** What names the agent: `agent_id` of the path or query, or the conversation or run of the path. */
  of?: 'agent' | 'conversation' | 'run'
  /** The fields of the body that it may give: none that reach other things, or say more than its right. */
  fields?: readonly string[]
}

/** What a token may say of a message: nothing of the agent's model and prompt, and nobody else is told of its end. */
export const MESSAGE_FIELDS = [
  'messages',
  'input',
  'streaming',
  'stream_tokens',
  'include_pings',
  'background',
  'max_steps',
  'client_tools',
  'client_skills',
  'use_assistant_message',
  'assistant_message_tool_name',
  'assistant_message_tool_kwarg',
  'include_return_message_types',
  'include_compaction_messages',
  'enable_thinking',
  'agent_id',
] as const

/** Throws `not_found` for an agent that a token does not name, as if it were not there, and `forbidden` without the right. */
export function demandRight(scope: TokenScope, agent_id: string, right: AccessRight): void {
  const rights = scope.agents.get(agent_id)
  if (!rights) throw agentNotFound()
  if (!rights.has(right))
    throw new AppError(
      'forbidden',
      `this access token does not have the right '${right}' on agent ${agent_id}; it has: ${[...rights].join(', ') || 'none'}`,
    )
}

/** Throws `forbidden` for a route that access tokens do not reach at all. */
export function demandScoped(scoped: Scoped | undefined, what: string): Scoped {
  if (scoped) return scoped
  throw new AppError(
    'forbidden',
    `${what} is not for access tokens: they reach the agents that they name, and little of them`,
  )
}

/** Throws what `demandRight` throws for the agent that a request concerns, and `forbidden` for a field that is not for tokens. */
export async function demandScope(
  scope: TokenScope,
  scoped: Scoped,
  { actor, context, params, query, body }: ScopedRequest,
): Promise<void> {
  const given = { ...asObject(query), ...asObject(params) }
  const agent_id = textOf(given['agent_id'])
  switch (scoped.of ?? 'agent') {
    case 'agent':
      if (agent_id === null)
        throw new AppError(
          'invalid_argument',
          'an access token reaches one agent at a time: name it with agent_id',
        )
      demandRight(scope, agent_id, scoped.right)
      break
    case 'conversation': {
      const name = textOf(given['conversation_id']) ?? ''
      const of = textOf(asObject(body)['agent_id']) ?? agent_id
      const id = name === 'default' ? (of ?? '') : name
      const found = await context.deps.store.conversations.get(actor, id)
      if (!found || !scope.agents.has(found.agent_id))
        throw id === '' || id.startsWith('agent-') ? agentNotFound() : notFound('Conversation', id)
      demandRight(scope, found.agent_id, scoped.right)
      break
    }
    case 'run': {
      const id = textOf(given['run_id']) ?? ''
      const found = await context.deps.store.turns.getRun(actor, id)
      if (!found || !scope.agents.has(found.agent_id)) throw notFound('Run', id)
      demandRight(scope, found.agent_id, scoped.right)
      break
    }
  }
  const foreign = Object.keys(asObject(body)).filter((field) => !(scoped.fields ?? []).includes(field))
  if (foreign.length > 0)
    throw new AppError('forbidden', `body.${foreign[0] ?? ''} is not for access tokens; leave it out`)
}

interface ScopedRequest {
  actor: Actor
  context: ServerContext
  params: unknown
  query: unknown
  /** As it was sent. */
  body: unknown
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
