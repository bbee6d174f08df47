import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import type { AgentState } from '../letta.ts'
import type { ToolCall } from '../tool.ts'

/** Conversations that are named when one is not there. */
const CANDIDATES = 10

/**
 * The conversation of `agent` that was named: null for its main one (no name, `default`, the agent's id). `new` begins
 * one. Throws `not_found` with those there are.
 */
export async function conversationOf(
  { client, signal }: Pick<ToolCall, 'client' | 'signal'>,
  agent: AgentState,
  named: string | undefined,
): Promise<string | null> {
  if (named === undefined || named === 'default' || named === agent.id) return null
  const { conversations } = client.letta
  if (named === 'new') return (await conversations.create({ agent_id: agent.id }, { signal })).id
  try {
    const found = await conversations.retrieve(named, { signal })
    if (found.agent_id === agent.id) return found.id
  } catch (error) {
    const { refusalOf } = await import('../../shared/client/http.ts')
    const status = refusalOf(error)?.status
    if (status !== 404 && status !== 422) throw error
  }
  const listed = await conversations.list(
    { agent_id: agent.id, limit: CANDIDATES, order: 'desc' },
    { signal },
  )
  const hint = didYouMean(
    named,
    listed.map(({ id }) => id),
    'It has only its main one: leave conversation_id out, or give "new".',
  )
  throw new AppError('not_found', `${agent.name} has no conversation '${named}'. ${hint}`)
}
