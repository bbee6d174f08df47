import { chatOnTerminal } from '../chat/terminal-chat.ts'
import { openTypedLines } from '../chat/history.ts'
import { Keyboard } from '../chat/keyboard.ts'
import { chatInPipe } from '../chat/pipe-chat.ts'
import { findOrCreate } from '../chat/start.ts'
import { findConversation, type Talk } from '../chat/talk.ts'
import { Failure } from '../failure.ts'
import { note } from '../print.ts'
import { textArgument } from '../text-argument.ts'
import { withClient } from '../with-client.ts'

export interface ChatOptions {
  create?: boolean
  model?: string
  /** The id of one of the agent's conversations, or `new`; its default one when absent. */
  conversation?: string
  /** One message instead of a chat. */
  message?: string
  json?: boolean
  approve?: 'yes' | 'no'
  url?: string
  data?: string
}

/**
 * `loci chat`: a conversation on a terminal, or one message per line of a pipe and only the answers on stdout. Returns
 * at the end of input or `/quit`; a message that fails ends a pipe, and a terminal goes on.
 */
export async function runChat(named: string | undefined, options: ChatOptions): Promise<void> {
  const message = options.message === undefined ? undefined : await textArgument(options.message)
  if (message?.trim() === '')
    throw new Failure(
      `${options.message === '-' ? 'stdin' : (options.message ?? '').slice(1)} is empty: nothing was sent.`,
    )
  await withClient(options, async (client) => {
    const agent = await findOrCreate(client, named, options)
    const talk: Talk = { client, agent, conversation: null, remote: options.url !== undefined }
    if (options.conversation === 'new') {
      talk.conversation = (await client.letta.conversations.create({ agent_id: agent.id })).id
      note(`Conversation ${talk.conversation}; to go on with it: --conversation ${talk.conversation}`)
    } else if (options.conversation !== undefined)
      talk.conversation = await findConversation(client, agent, options.conversation)
    const { stdin, stdout } = process
    if (message !== undefined || options.json || !stdin.isTTY || !stdout.isTTY) {
      if (stdin.isTTY && message === undefined) note(`Each line is a message to ${agent.name}; Ctrl-D ends.`)
      const approve = options.approve === undefined ? undefined : options.approve === 'yes'
      return chatInPipe(talk, { message, json: options.json === true, approve })
    }
    const typed = await openTypedLines(options.data)
    const keyboard = new Keyboard(typed.lines)
    try {
      await chatOnTerminal(talk, keyboard, typed)
    } finally {
      keyboard.close()
    }
  })
}
