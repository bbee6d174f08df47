import { createConversation } from '../core/conversations.ts'
import type { Actor } from '../core/ports/actor.ts'
import { resetMessages } from '../core/recompile.ts'
import { isAppError } from '../schema/errors.ts'
import type { ServerContext } from './context.ts'

/** A conversation that is there for one turn. */
export interface PassingConversation {
  id: string
  /** Deletes it with its messages, once its turn has ended. Never rejects. */
  forget(): Promise<void>
}

/** Begins a conversation of which nothing is kept: what the agent writes into its memory stays. */
export async function passingConversation(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
): Promise<PassingConversation> {
  const { deps } = context
  const { id } = await createConversation(deps, actor, agent_id, { hidden: true })
  const forget = async () => {
    try {
      await resetMessages(deps, actor, { agent_id, conversation_id: id })
      await deps.store.conversations.delete(actor, id)
    } catch (error) {
      // Its agent was deleted, and everything of it.
      if (!isAppError(error, 'not_found')) context.onFailure(`forgetting conversation ${id}`, error)
    }
  }
  return {
    id,
    async forget() {
      const task: Promise<void> = forget().finally(() => context.tasks.delete(task))
      context.tasks.add(task)
      await task
    },
  }
}
