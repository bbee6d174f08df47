import type { StoredMessage } from '../../schema/message.ts'
import type { MigratedMessages } from '../../schema/migration.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { textOf } from './bring.ts'
import { messageOfParts } from './messages.ts'
import type { Raw } from './read.ts'

/**
 * Stores messages of an agent in their order, each once. Nobody sees them before the agent itself is brought. Throws
 * `conflict` when its id is taken here.
 */
export async function bringMessages(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
  messages: readonly { conversation_id: string | null; parts: readonly Raw[] }[],
): Promise<MigratedMessages> {
  const problems: MigratedMessages['problems'] = []
  const called = new Map<string, string>()
  const stored: StoredMessage[] = []
  for (const { conversation_id, parts } of messages) {
    const made = messageOfParts(parts, { agent_id, conversation_id: conversation_id ?? agent_id }, called)
    if (typeof made !== 'string') stored.push(made)
    else problems.push({ id: textOf(parts[0]?.['id']), reason: made })
  }
  const { added, known, taken } = await deps.store.migration.addMessages(actor, agent_id, stored)
  for (const id of taken) problems.push({ id, reason: 'its id is that of another message here' })
  return { added, known, problems }
}
