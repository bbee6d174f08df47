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

/**
 * Begins a conversation of which nothing is kept: what the agent writes into its memory stays. A client that asks again
 * with the same body finds the one that it has begun.
 */
export async function passingConversation(
  {
    actor,
    context,
    body,
    request,
  }: { actor: Actor; context: ServerContext; body: unknown; request: Request },
  agent_id: string,
): Promise<PassingConversation> {
  const { deps } = context
  const begin = async () => (await createConversation(deps, actor, agent_id, { hidden: true })).id
  const what = ['a passing conversation', actor.organization_id, agent_id, body]
  const begun = await context.calls.run({ request, context }, what, begin)
  const id = (await deps.store.conversations.get(actor, begun)) ? begun : await begin()
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
