import { AppError } from '../../schema/errors.ts'
import type { ClientSkill, ClientTool, MessageCreate, TurnMessage } from '../../schema/message.ts'
import { inputMessage, maxReturnChars } from '../messages.ts'
import { olderViewOf } from '../older-view.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { missingReturns } from '../ports/open-calls.ts'
import { modelRequest } from './ask.ts'
import { loopOf } from './loop-of.ts'
import { turnContext } from './turn-context.ts'
import { turnTools } from './turn-tools.ts'

/** A message as it would be sent; the fields are those of `TurnInput`. */
export interface PreviewInput {
  agent_id: string
  conversation_id: string
  messages: readonly TurnMessage[]
  override_model: string | null
  override_system: string | null
  logprobs: { top: number | null } | null
  client_tools: readonly ClientTool[]
  client_skills: readonly ClientSkill[]
  stream: boolean
}

/**
 * The first request that a message would make, as its provider would get it, or in our own shape where the model has no
 * provider. Nothing is stored, nothing is sent. Throws `not_found`, `model_not_found`, and `invalid_argument` for an
 * answer to a request for approval: its tools would run first.
 */
export async function previewRequest(
  deps: CoreDeps,
  actor: Actor,
  input: PreviewInput,
): Promise<Record<string, unknown>> {
  const { agent_id, conversation_id, client_tools } = input
  const found = await deps.store.turns.getContext(actor, agent_id, conversation_id)
  if (!found) throw new AppError('not_found', 'Agent not found', { data: { bare: true } })
  const { agent } = found
  const now = deps.clock.now()
  const place = { agent_id, conversation_id, run_id: null, step_id: null }
  const added = input.messages.filter(isPlain).map((message) => inputMessage(message, place, now))
  if (added.length < input.messages.length)
    throw new AppError(
      'invalid_argument',
      'a preview runs no tools: leave out the approval, and the returns of tools',
    )
  const model = await deps.models.resolve(actor, input.override_model ?? agent.model ?? 'letta/auto')
  const healed = missingReturns(found.context, conversation_id, now.toISOString())
  const opened = { ...found, epoch: 0, context: [...found.context, ...healed, ...added], added: added.length }
  const tools = turnTools(agent, client_tools)
  const { messages } = turnContext(opened, {
    view: {
      timezone: agent.timezone,
      max_return_chars: maxReturnChars(agent.llm_config.context_window),
      older: olderViewOf(agent),
    },
    conversation_id,
    override_system: input.override_system,
    client_skills: input.client_skills,
    now,
  })
  const offer = loopOf(agent, tools, deps.clock).offer()
  const request = modelRequest(agent, messages, offer, input.logprobs)
  const body = await model.language_model.preview?.(request, { stream: input.stream })
  return body ?? { ...request }
}

function isPlain(message: TurnMessage): message is MessageCreate {
  return 'role' in message
}
