import type { Agent } from '../../schema/agent.ts'
import type { AgentEvent } from '../events.ts'
import { requestSettings } from '../model-settings.ts'
import type { LanguageModel, ModelMessage, ModelRequest } from '../ports/models.ts'
import type { DeltaFilter, Offer } from './agent-loop.ts'
import { type Answer, readAnswer } from './answer.ts'
import { approvalIdOf } from './approvals.ts'
import type { OpenStep, TurnRecords } from './records.ts'

/** One exchange with the model: what went to it and what came back, whole. */
export interface Exchange {
  request: ModelRequest
  answer: Answer
}

/** The request of one step. `messages` is copied: the conversation grows afterwards. */
export function modelRequest(
  agent: Agent,
  messages: readonly ModelMessage[],
  offer: Offer,
  logprobs: { top: number | null } | null,
): ModelRequest {
  const config = agent.llm_config
  const wanted = logprobs ?? (config.return_logprobs ? { top: config.top_logprobs ?? null } : null)
  return {
    messages: messages.slice(),
    ...offer,
    settings: requestSettings(config),
    ...(wanted ? { logprobs: wanted } : {}),
  }
}

/** Asks the model once, passing its deltas on when `stream` is set. `waits`: calls of this tool need an approval. */
export async function* ask(
  model: LanguageModel,
  request: ModelRequest,
  step: OpenStep,
  records: TurnRecords,
  options: {
    signal: AbortSignal
    stream: boolean
    waits: (name: string) => boolean
    filter: DeltaFilter | null
  },
): AsyncGenerator<AgentEvent, Exchange> {
  const { id: step_id, message_id, partial } = step
  const { waits, filter, ...rest } = options
  const events = readAnswer(model, request, {
    ...rest,
    step_id,
    message_id,
    partial,
    single_call: !request.parallel_tool_calls,
    approvalOf: (name) => (waits(name) ? approvalIdOf(message_id) : null),
  })
  for (;;) {
    const next = await events.next()
    records.answerBegan()
    if (next.done) {
      step.clock.answered()
      if (filter && options.stream) yield* filter.end()
      return { request, answer: next.value }
    }
    if (filter) yield* filter.pass(next.value)
    else yield next.value
  }
}
