import * as z from 'zod'
import { createConversation } from '../../../core/conversations.ts'
import { type SimpleBatchResult, simpleBatch, simpleBatchResult } from '../../../schema/simple.ts'
import { errorResponse } from '../../errors.ts'
import { requestId } from '../../request-id.ts'
import { route, type Route } from '../../route.ts'
import { agentOf } from '../../agent-of.ts'
import { agentParams } from './shown-agent.ts'
import { conversationId } from '../../conversation-id.ts'
import { answerOf, turnOf } from './turn.ts'

/** How many messages of one batch are answered at once, however large it is. */
const MAX_AT_ONCE = 16
/** And when the request does not say. */
const AT_ONCE = 4

export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/agents/:agent/batch',
    operation: 'simple_send_batch',
    summary:
      'Send messages, `batch_size` of them at once, each in a conversation of its own; the results come in their order, each with its own error',
    params: agentParams,
    body: simpleBatch,
    answer: z.array(simpleBatchResult),
    async handle({ actor, context, params, body, request }) {
      const { id: agent_id } = await agentOf(context, actor, params.agent)
      const shared =
        body.conversation_id == null
          ? null
          : await conversationId(context, actor, agent_id, body.conversation_id)
      const failed = async (error: unknown): Promise<{ status: number; message: string }> => {
        const response = errorResponse(error, {
          request_id: requestId(request),
          onFailure: (e) => context.onFailure('a message of a batch', e, requestId(request)),
        })
        const { detail } = (await response.json()) as { detail: string | { message: string } }
        return { status: response.status, message: typeof detail === 'string' ? detail : detail.message }
      }
      const results: SimpleBatchResult[] = []
      let next = 0
      const work = async () => {
        while (next < body.messages.length && !request.signal.aborted) {
          const index = next++
          let conversation_id = shared
          try {
            // Hidden: a batch is no conversation that anybody had.
            conversation_id ??= (await createConversation(context.deps, actor, agent_id, { hidden: true })).id
            const place = { actor, context, request, agent_id, conversation_id }
            const turn = turnOf(place, body.messages[index] ?? '', body)
            results[index] = { ...(await answerOf(turn)), error: null }
          } catch (error) {
            results[index] = { content: null, conversation_id, error: await failed(error) }
          }
        }
      }
      const at_once = shared === null ? Math.min(body.batch_size ?? AT_ONCE, MAX_AT_ONCE) : 1
      await Promise.all(Array.from({ length: at_once }, work))
      return results
    },
  }),
]
