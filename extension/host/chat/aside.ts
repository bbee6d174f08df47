import type { LettaMessage } from '../../../shared/schema/message.ts'

/** Tells which messages of a history are set aside: newer than the oldest one in context, and not in it themselves. */
export interface AsideReader {
  /** Pages from the newest to the oldest; the newest one begins anew, with the context as it is then. */
  newest(messages: readonly LettaMessage[], in_context: readonly string[]): string[]
  earlier(messages: readonly LettaMessage[]): string[]
}

/**
 * What is older than the context was compacted, and is history like any other. What an edit or a rewind took out is
 * newer than the oldest message that the model still sees.
 */
export function createAsideReader(): AsideReader {
  let context: ReadonlySet<string> = new Set()
  /** The first message in context behind the system message. */
  let oldest: string | undefined
  let beyond = true

  const read = (messages: readonly LettaMessage[]): string[] => {
    const found = new Set<string>()
    for (const message of messages.toReversed()) {
      if (beyond) break
      if (message.id === oldest) beyond = true
      else if (message.message_type !== 'system_message' && !context.has(message.id)) found.add(message.id)
    }
    return [...found]
  }
  return {
    newest(messages, in_context) {
      context = new Set(in_context)
      oldest = in_context[1]
      beyond = oldest === undefined
      return read(messages)
    },
    earlier: read,
  }
}
