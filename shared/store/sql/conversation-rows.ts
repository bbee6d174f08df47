import type { Selectable } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { AgentOverride } from '../../core/ports/conversation-store.ts'
import type { Agent } from '../../schema/agent.ts'
import type { ModelSettings } from '../../schema/model.ts'
import { AppError } from '../../schema/errors.ts'
import type { BareAgent } from './agent-rows.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { Tables } from './tables.ts'

export type ConversationRow = Selectable<Tables['conversations']>

/** Messages of another conversation that a fork shares: those after `after` up to `up_to`, but for its system message. */
export interface Shared {
  conversation_id: string
  after: number
  up_to: number
  system: number
}

/** What a conversation's row holds as JSON. */
export interface ConversationData {
  model?: string | null
  model_settings?: ModelSettings | null
  override?: AgentOverride
  /** Where its history comes from, nearest first. */
  shared?: Shared[]
  created_by_id?: string
  last_updated_by_id?: string
}

const byId = query<{ id: string; org: string }>()((p) =>
  db
    .selectFrom('conversations')
    .selectAll()
    .where('id', '=', p.id)
    .where('organization_id', '=', p.org)
    .where('deleted_at', 'is', null),
)

/** A conversation that is there, default ones included. */
export async function readConversationRow(
  connection: Connection,
  actor: Actor,
  id: string,
): Promise<ConversationRow | undefined> {
  return await byId.get(connection, { id, org: actor.organization_id })
}

/** The JSON of a row. */
export function dataOf(row: Pick<ConversationRow, 'data'>): ConversationData {
  return row.data === '{}' ? {} : (JSON.parse(row.data) as ConversationData)
}

/** An agent with what a conversation of it has of its own. */
export function agentSeenBy<A extends BareAgent | Agent>(row: Pick<ConversationRow, 'data'>, agent: A): A {
  const { override } = dataOf(row)
  if (!override) return agent
  // Another model has nothing of the agent's settings.
  if (override.model !== undefined) return { ...agent, ...override }
  const { llm_config, model_settings, ...plain } = override
  return {
    ...agent,
    ...plain,
    llm_config: { ...agent.llm_config, ...llm_config },
    model_settings: model_settings ? { ...agent.model_settings, ...model_settings } : agent.model_settings,
  }
}

/** `not_found` for a conversation. */
export function noSuchConversation(id: string): AppError {
  return new AppError('not_found', `There is no conversation '${id}'; it may have been deleted.`)
}
