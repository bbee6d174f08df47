import { agentNotFound } from '../schema/errors.ts'
import { firstMessages } from './first-messages.ts'
import { systemMessage, textOf } from './messages.ts'
import type { Actor } from './ports/actor.ts'
import type { CoreDeps } from './ports/deps.ts'
import { compilePrompt, isCurrentPrompt, keepMetadata, renderPrompt } from './prompt.ts'

/**
 * Compiles the system message of a conversation again and answers its text. `update_timestamp` renews the metadata
 * section, which otherwise stays as it was; `dry_run` stores nothing. Throws `not_found`.
 */
export async function recompilePrompt(
  deps: CoreDeps,
  actor: Actor,
  target: { agent_id: string; conversation_id: string },
  options: { update_timestamp: boolean; dry_run: boolean },
): Promise<string> {
  const { agent_id, conversation_id } = target
  const conversation = await deps.store.turns.getContext(actor, agent_id, conversation_id)
  const system = conversation?.context[0]
  if (!system) throw agentNotFound()
  const { agent } = conversation
  const before = textOf(system.content)
  const prompt = compilePrompt(agent)
  const kept = options.update_timestamp ? null : keepMetadata(prompt, before)
  if (kept !== null && isCurrentPrompt(prompt, before)) return before
  const text =
    kept ??
    renderPrompt(prompt, {
      agent_id,
      conversation_id: conversation_id === agent_id ? 'default' : conversation_id,
      compiled_at: deps.clock.now(),
      timezone: agent.timezone,
      recall_count: conversation.recall_count,
      archival: conversation.archival,
    })
  if (!options.dry_run) await deps.store.turns.setSystem(actor, agent_id, conversation_id, text)
  return text
}

/**
 * Forgets a conversation: its messages are deleted and it begins with a fresh system message, and with
 * `first_messages` with those of a new agent. Throws `not_found`, `conversation_busy`.
 */
export async function resetMessages(
  deps: CoreDeps,
  actor: Actor,
  target: { agent_id: string; conversation_id: string },
  options: { first_messages?: boolean } = {},
): Promise<void> {
  const { agent_id, conversation_id } = target
  const conversation = await deps.store.turns.getContext(actor, agent_id, conversation_id)
  if (!conversation) throw agentNotFound()
  const { agent } = conversation
  const now = deps.clock.now()
  const text = renderPrompt(compilePrompt(agent), {
    agent_id,
    conversation_id: conversation_id === agent_id ? 'default' : conversation_id,
    compiled_at: now,
    timezone: agent.timezone,
    recall_count: 0,
  })
  const place = { agent_id, conversation_id, run_id: null, step_id: null }
  const more = options.first_messages ? firstMessages(agent, agent.tools, null, now) : []
  await deps.store.turns.reset(
    actor,
    agent_id,
    conversation_id,
    systemMessage(text, place, now),
    more.map((message) => ({ ...message, conversation_id })),
  )
}
