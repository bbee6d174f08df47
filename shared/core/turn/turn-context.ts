import { textOf, toModelMessages, type ViewOptions } from '../messages.ts'
import type { ModelMessage } from '../ports/models.ts'
import type { CommitStep, OpenedTurn } from '../ports/turn-store.ts'
import { compilePrompt, isCurrentPrompt, renderPrompt } from '../prompt.ts'

/** What the model is shown at the start of a turn. */
export interface TurnContext {
  messages: ModelMessage[]
  /** The prompt, when it was compiled anew; stored with the first step. */
  system: CommitStep['system']
}

/**
 * The conversation of an opened turn. Its prompt is compiled when anything in it has changed, and stays byte-identical
 * within the turn (DESIGN decision 9).
 */
export function turnContext(
  opened: OpenedTurn,
  options: { view: ViewOptions; conversation_id: string; override_system: string | null; now: Date },
): TurnContext {
  const { agent, context } = opened
  const { conversation_id, override_system } = options
  const messages = toModelMessages(context, options.view)
  const first = context[0]
  if (override_system !== null) {
    messages[0] = { role: 'system', text: override_system }
    return { messages, system: undefined }
  }
  const prompt = compilePrompt(agent)
  if (!first || isCurrentPrompt(prompt, textOf(first.content))) return { messages, system: undefined }
  const text = renderPrompt(prompt, {
    agent_id: agent.id,
    conversation_id: conversation_id === agent.id ? 'default' : conversation_id,
    compiled_at: options.now,
    timezone: agent.timezone,
    recall_count: opened.recall_count,
    archival: opened.archival,
  })
  messages[0] = { role: 'system', text }
  return { messages, system: { message_id: first.id, text } }
}
