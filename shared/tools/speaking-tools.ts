import { builtin, type Builtin, stringArgument, success } from './builtin.ts'

/** How agents of the older types speak: all they say to the user goes through this tool (reference 4.1). */
export const speakingTools: Builtin[] = [
  builtin({
    name: 'send_message',
    type: 'letta_core',
    description: 'Send a message to the user. It is the only thing of yours that the user reads.',
    properties: { message: { type: 'string', description: 'The message, as the user is to read it.' } },
    required: ['message'],
    run(call) {
      stringArgument(call, 'message')
      return success('Sent message successfully.')
    },
  }),
]
