import { simpleAnswer, simpleLine, simpleMessage } from '../../../schema/simple.ts'
import { route, type Route } from '../../route.ts'
import { formatTurn } from '../../turn-response.ts'
import { wholeAgent } from '../../agent-state.ts'
import { agentOf } from '../../agent-of.ts'
import { agentParams } from './shown-agent.ts'
import { conversationId } from '../../conversation-id.ts'
import { SimpleLines } from './lines.ts'
import { answerOf, turnOf } from './turn.ts'

export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/agents/:agent/messages',
    operation: 'simple_send_message',
    summary:
      'Send a message; with `stream` the answer comes as lines of JSON. It waits while the conversation is busy with another one',
    params: agentParams,
    body: simpleMessage,
    answer: simpleAnswer,
    lines: simpleLine,
    async handle({ actor, context, params, body, request }) {
      const { id: agent_id } = await agentOf(context, actor, params.agent)
      const conversation_id = await conversationId(context, actor, agent_id, body.conversation_id)
      const turn = turnOf({ actor, context, request, agent_id, conversation_id }, body.message, body)
      if (!body.stream) return answerOf(turn)
      const agentState = body.include_agent_state ? () => wholeAgent(context, actor, agent_id) : null
      return context.queue.run(turn, conversation_id, () =>
        formatTurn(
          turn,
          (run_id, shape) => new SimpleLines({ run_id, agent_id, conversation_id, shape, agentState }),
        ),
      )
    },
  }),
]
