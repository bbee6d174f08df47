import type { Actor } from '../../../core/ports/actor.ts'
import { chatCompletion, type ChatRequest, chatRequest } from '../../../schema/openai.ts'
import { onlyAnswered, type Verdict } from '../../answer-cache.ts'
import { agentOf } from '../../agent-of.ts'
import type { ServerContext } from '../../context.ts'
import { conversationId } from '../../conversation-id.ts'
import { passingConversation } from '../../passing-conversation.ts'
import { route, type Route } from '../../route.ts'
import { senderOf } from '../../sender.ts'
import { answerTurn, formatTurn } from '../../turn-response.ts'
import { type ChatShape, toCompletion } from './answer.ts'
import { ChatChunks } from './chunks.ts'
import { abandonedIn, allMessages, newMessages, turnBody } from '../../history-input.ts'

/** Chat completions of OpenAI, under V1's path too: the model is an agent. */
export const routes: Route[] = (['/v1', '/openai/v1'] as const).map((base) =>
  route({
    method: 'POST',
    path: `${base}/chat/completions`,
    operation: base === '/v1' ? 'create_chat_completion' : 'openai_create_chat_completion',
    summary:
      'Send a message to the agent that `model` names, as a chat completion of OpenAI, streamed or not',
    body: chatRequest,
    answer: chatCompletion,
    streams: true,
    handle: (input) => complete(input),
  }),
)

interface Input {
  actor: Actor
  context: ServerContext
  body: ChatRequest
  request: Request
}

async function complete(input: Input): Promise<unknown> {
  const { actor, context, body, request } = input
  const { id: agent_id } = await agentOf(context, actor, body.model)
  const sender_id = body.user == null ? null : await senderOf(context, actor, agent_id, body.user)
  if (body.store !== false) return answered(input, agent_id, sender_id)
  return context.answers.answer(
    { actor, context, request, agent_id, what: ['chat completion', sender_id, body] },
    (verdict) => answered(input, agent_id, sender_id, verdict),
  )
}

async function answered(
  { actor, context, body, request }: Input,
  agent_id: string,
  sender_id: string | null,
  verdict?: Verdict,
): Promise<unknown> {
  const passing =
    body.store === false ? await passingConversation({ actor, context, body, request }, agent_id) : null
  const named = body.conversation_id ?? body.metadata?.['conversation_id']
  const conversation_id =
    passing?.id ?? (await conversationId(context, actor, agent_id, typeof named === 'string' ? named : null))
  const shape: ChatShape = {
    model: body.model,
    client_tools: new Set(body.tools?.map((tool) => tool.function.name)),
    shows_tools: body.tool_display === 'reasoning',
    conversation_id: passing ? null : conversation_id,
  }
  const created = Math.floor(context.deps.clock.now().getTime() / 1000)
  let streams = false
  try {
    const messages = passing ? allMessages(body.messages, sender_id) : newMessages(body.messages, sender_id)
    const turn = {
      actor,
      context,
      request,
      agent_id,
      conversation_id,
      body: turnBody(body, messages),
      abandons: abandonedIn(body.messages),
    }
    if (body.stream) {
      const include_usage = body.stream_options?.include_usage ?? false
      return await context.queue.run(turn, conversation_id, () =>
        formatTurn(turn, (run_id, shown) => {
          streams = true
          const ended = context.runs.get(run_id)?.done ?? Promise.resolve(null)
          verdict?.(ended.then((result) => result !== null && onlyAnswered(result)))
          if (passing) void ended.then(() => passing.forget())
          return new ChatChunks({ ...shape, run_id, created, include_usage, shape: shown })
        }),
      )
    }
    const response = await context.queue.run(turn, conversation_id, () => answerTurn(turn))
    verdict?.(onlyAnswered(response))
    const run_id = response.usage.run_ids?.[0] ?? response.messages[0]?.run_id ?? ''
    return toCompletion(response, run_id, created, shape)
  } finally {
    if (!streams) await passing?.forget()
  }
}
