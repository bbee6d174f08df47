import type { Actor } from '../../core/ports/actor.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { cutContext, messagesOfSeqs, rememberContext, replaceContext } from './context-cuts.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import type { Conversation } from './turn-queries.ts'

export interface PlannedEdit {
  /** Of the context it was planned for. */
  version: number
  seqs: number[]
  context: StoredMessage[]
}

/** The context that an edit begins from, with its messages, so that the write need not read a long one. */
export async function planEdit(
  c: Connection,
  actor: Actor,
  conversation: Conversation,
  message_id: string,
): Promise<PlannedEdit> {
  const seqs = await cutContext(c, actor, conversation, { message_id, end: 'before' })
  return { version: conversation.context_version, seqs, context: await messagesOfSeqs(c, actor, seqs) }
}

/** Goes back to before the message; the context from there, as the turn begins with it. */
export async function editContext(
  tx: Transaction,
  actor: Actor,
  conversation: Conversation,
  message_id: string,
  planned: PlannedEdit | undefined,
): Promise<{ conversation: Conversation; context: readonly StoredMessage[] }> {
  const plan =
    planned?.version === conversation.context_version
      ? planned
      : await planEdit(tx, actor, conversation, message_id)
  await rememberContext(tx, actor, conversation.id)
  const { length, end } = await replaceContext(tx, actor, conversation, plan.seqs)
  return {
    conversation: { ...conversation, context_length: length, context_end: end },
    context: plan.context,
  }
}
