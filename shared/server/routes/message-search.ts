import * as z from 'zod'
import { findMessages } from '../../core/search/find.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import {
  messageListResult,
  messageSearchResult,
  searchAllMessages,
  searchMessages,
} from '../../schema/message-search.ts'
import { wordsOf } from '../../schema/message-text.ts'
import type { MessageRole, StoredMessage } from '../../schema/message.ts'
import { instantOf } from '../../schema/time.ts'
import type { ServerContext } from '../context.ts'
import { conversationOf } from '../conversation-of.ts'
import { notFound } from '../errors.ts'
import { toLettaMessages } from '../letta-messages.ts'
import { route } from '../route.ts'

const ROLES: MessageRole[] = ['user', 'assistant']

/** Tells how a search was done where the answer is a plain list. */
const MODE_HEADER = 'x-search-mode'

export const routes = [
  route({
    method: 'POST',
    path: '/v1/messages/search',
    operation: 'search_all_messages',
    summary: 'Search what was said, in every agent and conversation or in some',
    body: searchAllMessages,
    answer: z.array(messageListResult),
    async handle({ actor, context, body }) {
      const { mode, matches } = await find(context, actor, body, ROLES)
      return Response.json(
        matches.flatMap(({ message }) => resultsOf(message)),
        { headers: { [MODE_HEADER]: mode } },
      )
    },
  }),
]

/** What is served under `/v1/agents/messages`. */
export const agentRoutes = [
  route({
    method: 'POST',
    path: '/v1/agents/messages/search',
    operation: 'search_messages',
    summary: 'Search the messages of all agents, with scores',
    body: searchMessages,
    answer: z.array(messageSearchResult),
    async handle({ actor, context, body }) {
      const roles = body.roles?.filter((role) => role === 'user' || role === 'assistant' || role === 'tool')
      const { mode, matches } = await find(context, actor, body, roles ?? ROLES)
      return Response.json(
        matches.map(({ message, ...ranks }) => ({
          embedded_text: textOf(message),
          message: storedForm(message),
          ...ranks,
        })),
        { headers: { [MODE_HEADER]: mode } },
      )
    },
  }),
]

async function find(
  context: ServerContext,
  actor: Actor,
  body: Omit<z.output<typeof searchMessages>, 'roles'>,
  roles: MessageRole[],
) {
  const { agent_id, conversation_id } = body
  if (agent_id != null && !(await context.deps.store.agents.get(actor, agent_id, [])))
    throw notFound('Agent', agent_id)
  const target =
    conversation_id == null ? null : (await conversationOf(context, actor, conversation_id, agent_id)).target
  return findMessages(context.deps, actor, {
    query: body.query ?? '',
    mode: body.search_mode,
    agent_id: target?.agent_id ?? agent_id ?? undefined,
    conversation_id: target?.conversation_id,
    roles,
    limit: body.limit,
    start_date: dateOf('start_date', body.start_date),
    end_date: dateOf('end_date', body.end_date, { end: true }),
  })
}

/** A day as the end counts whole; a date without a zone is in UTC. */
function dateOf(name: string, text: string | null | undefined, options: { end?: boolean } = {}) {
  if (text == null || text === '') return undefined
  const instant = instantOf(text, 'UTC', options)
  if (instant === null)
    throw new AppError(
      'validation',
      `body.${name}: '${text}' is not a date; use YYYY-MM-DD or an ISO 8601 time such as 2026-01-31T10:00:00Z`,
    )
  return instant
}

/** What was said in a message; one of tool calls alone has nothing. */
function resultsOf(message: StoredMessage) {
  return toLettaMessages(message).flatMap((part) =>
    part.message_type === 'user_message' || part.message_type === 'assistant_message'
      ? [
          {
            message_type: part.message_type,
            content: part.content,
            message_id: message.id,
            agent_id: message.agent_id,
            conversation_id: conversationIdOf(message),
            created_at: message.created_at,
          },
        ]
      : [],
  )
}

/** V1's stored message, as far as searches read it. */
function storedForm(message: StoredMessage) {
  const [result] = message.tool_returns
  return {
    id: message.id,
    agent_id: message.agent_id,
    conversation_id: conversationIdOf(message),
    role: message.role,
    content: [{ type: 'text', text: textOf(message) }],
    name: message.name,
    model: message.model,
    tool_calls: message.tool_calls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.function.name, arguments: call.function.arguments },
    })),
    tool_call_id: result?.tool_call_id ?? null,
    step_id: message.step_id,
    run_id: message.run_id,
    otid: message.otid,
    sender_id: message.sender_id,
    group_id: message.group_id,
    is_err: message.is_err,
    created_at: message.created_at,
    updated_at: message.created_at,
  }
}

/** Null for the agent's default conversation, as in V1. */
function conversationIdOf({ agent_id, conversation_id }: StoredMessage): string | null {
  return conversation_id === agent_id ? null : conversation_id
}

function textOf(message: StoredMessage): string {
  const returns = message.tool_returns.map(({ func_response }) =>
    typeof func_response === 'string' ? func_response : '',
  )
  return [wordsOf(message), ...returns].join('\n').trim()
}
