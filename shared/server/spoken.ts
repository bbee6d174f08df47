import type { LettaMessage } from '../schema/message.ts'

/** Stands between two texts that an agent says in one turn, with tool calls between them. */
export const BETWEEN = '\n\n'

/** All that an agent says in its messages. */
export function spokenBetween(messages: readonly LettaMessage[]): string {
  return messages
    .flatMap((message) => (message.message_type === 'assistant_message' ? [textOf(message.content)] : []))
    .join(BETWEEN)
}

/** The text of a message. */
export function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === 'string' ? content : content.map((part) => part.text).join('')
}
