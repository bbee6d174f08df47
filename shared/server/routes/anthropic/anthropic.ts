import type { Actor } from '../../../core/ports/actor.ts'
import { anthropicAnswer, type MessagesRequest, messagesRequest } from '../../../schema/anthropic.ts'
import { onlyAnswered, type Verdict } from '../../answer-cache.ts'
import { agentOf } from '../../agent-of.ts'
import type { ServerContext } from '../../context.ts'
import { conversationId } from '../../conversation-id.ts'
import { abandonedIn, allMessages, newMessages, turnBody } from '../../history-input.ts'
import { passingConversation } from '../../passing-conversation.ts'
import { route, type Route } from '../../route.ts'
import { senderOf } from '../../sender.ts'
import { answerTurn, formatTurn } from '../../turn-response.ts'
import { type AnswerShape, blocksOf, toAnswer } from './answer.ts'
import { MessageEvents } from './events.ts'
import { toHistory } from './input.ts'

/** Messages of Anthropic: the model is an agent. */
export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/anthropic/v1/messages',
    operation: 'anthropic_create_message',
    summary: 'Send a message to the agent that `model` names, as a message of Anthropic, streamed or not',
    body: messagesRequest,
    answer: anthropicAnswer,
    streams: true,
    handle: (input) => answer(input),
  }),
]

interface Input {
  actor: Actor
  context: ServerContext
  body: MessagesRequest
  request: Request
}

async function answer(input: Input): Promise<unknown> {
  const { actor, context, body, request } = input
  const { id: agent_id } = await agentOf(context, actor, body.model)
  const user = body.metadata?.user_id
  const sender_id = user == null ? null : await senderOf(context, actor, agent_id, user)
  if (body.store !== false) return answered(input, agent_id, sender_id)
  return context.answers.answer(
    { actor, context, request, agent_id, what: ['message', sender_id, body] },
    (verdict) => answered(input, agent_id, sender_id, verdict),
  )
}

async function answered(
  { actor, context, body, request }: Input,
  agent_id: string,
  sender_id: string | null,
  verdict?: Verdict,
): Promise<unknown> {
  const history = toHistory(body.messages)
  const messages = (body.store === false ? allMessages : newMessages)(history, sender_id)
  const tools = body.tools?.map(({ name, description, input_schema: parameters }) => ({
    function: { name, description, parameters },
  }))
  const passing =
    body.store === false ? await passingConversation({ actor, context, body, request }, agent_id) : null
  let streams = false
  try {
    const conversation_id =
      passing?.id ?? (await conversationId(context, actor, agent_id, body.conversation_id))
    const turn = {
      actor,
      context,
      request,
      agent_id,
      conversation_id,
      body: turnBody({ tools }, messages),
      abandons: abandonedIn(history),
    }
    const shapeOf = (run_id: string): AnswerShape => ({
      run_id,
      model: body.model,
      client_tools: new Set(body.tools?.map(({ name }) => name)),
      shows_thoughts: body.thinking != null && body.thinking.type !== 'disabled',
    })
    if (body.stream) {
      return await context.queue.run(turn, conversation_id, () =>
        formatTurn(turn, (run_id, shown) => {
          streams = true
          const ended = context.runs.get(run_id)?.done ?? Promise.resolve(null)
          verdict?.(ended.then((result) => result !== null && onlyAnswered(result)))
          if (passing) void ended.then(() => passing.forget())
          return new MessageEvents(shapeOf(run_id), shown)
        }),
      )
    }
    const response = await context.queue.run(turn, conversation_id, () => answerTurn(turn))
    verdict?.(onlyAnswered(response))
    const shape = shapeOf(response.usage.run_ids?.[0] ?? response.messages[0]?.run_id ?? '')
    const content = response.messages.flatMap((message) => blocksOf(message, shape))
    const { usage, stop_reason } = response
    return toAnswer(shape, content, { usage, stop_reason: stop_reason.stop_reason })
  } finally {
    if (!streams) await passing?.forget()
  }
}
