import { builtin, type Builtin, stringArgument, stringsArgument, success } from './builtin.ts'

const message = { type: 'string', description: 'The message, as the other agent is to read it.' }
const other_agent_id = { type: 'string', description: "The other agent's id, as agent-…" }

/** How agents speak to each other (reference 4.5). */
export const teamTools: Builtin[] = [
  builtin({
    name: 'send_message_to_agent_and_wait_for_reply',
    type: 'letta_multi_agent_core',
    description:
      'Send a message to another agent and wait for its answer. The sender, you, is named in it. Use it when you ' +
      'cannot go on without the answer.',
    properties: { message, other_agent_id },
    required: ['message', 'other_agent_id'],
    async run(call, options) {
      const text = stringArgument(call, 'message')
      return success(await call.messaging.ask(agentArgument(call), text, options))
    },
  }),
  builtin({
    name: 'send_message_to_agent_async',
    type: 'letta_multi_agent_core',
    description:
      'Send a message to another agent without waiting for what it does with it. The sender, you, is named in it; an ' +
      'answer, if there is one, comes as a message of its own.',
    properties: { message, other_agent_id },
    required: ['message', 'other_agent_id'],
    async run(call, options) {
      await call.messaging.tell(agentArgument(call), stringArgument(call, 'message'), options)
      return success('Successfully sent message')
    },
  }),
  builtin({
    name: 'send_message_to_agents_matching_tags',
    type: 'letta_multi_agent_core',
    description:
      'Send one message to all other agents with these tags, and wait for their answers. Answers with a list of ' +
      '{agent_id, response}.',
    properties: {
      message,
      match_all: {
        type: 'array',
        items: { type: 'string' },
        description: 'An agent must have all of these tags.',
      },
      match_some: {
        type: 'array',
        items: { type: 'string' },
        description: 'An agent must have one of these tags at least; an empty list asks for none.',
      },
    },
    required: ['message', 'match_all', 'match_some'],
    async run(call, options) {
      const text = stringArgument(call, 'message')
      const tags = { all: stringsArgument(call, 'match_all'), some: stringsArgument(call, 'match_some') }
      return success(await call.messaging.askTagged(tags, text, options))
    },
  }),
]

function agentArgument(call: Parameters<Builtin['run']>[0]): string {
  return stringArgument(call, 'other_agent_id').trim()
}
