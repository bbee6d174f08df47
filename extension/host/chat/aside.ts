import type { LettaMessage } from '../../../shared/schema/message.ts'
import { isPacked, textOf } from '../../protocol.ts'

/** Tells which messages of a history an edit or a rewind took out of what the model sees. */
export interface AsideReader {
  /** Pages from the newest to the oldest; the newest one begins anew, with the context as it is then. */
  newest(messages: readonly LettaMessage[], in_context: readonly string[]): string[]
  earlier(messages: readonly LettaMessage[]): string[]
}

/**
 * Without a summary in context nothing was compacted: what is not in context was set aside. With one, so was what is
 * newer than the oldest message that the model still sees; what is older was summarised, and is history like any other.
 */
export function createAsideReader(): AsideReader {
  let context: ReadonlySet<string> = new Set()
  /** The first message in context behind the system message, and the one behind that. */
  let first: string | undefined
  let second: string | undefined
  /** What is met from here on, towards the beginning, was summarised. */
  let compacted = true
  let summary = false
  const met = new Set<string>()

  const read = (messages: readonly LettaMessage[]): string[] => {
    const found = new Set<string>()
    for (const message of messages.toReversed()) {
      if (compacted) break
      if (context.has(message.id)) {
        met.add(message.id)
        if (message.id === first && isSummary(message)) summary = true
        // The summary was written when what it kept was there already: the oldest message may come after it here.
        if (summary && (second === undefined || met.has(second))) compacted = true
      } else if (message.message_type !== 'system_message') found.add(message.id)
    }
    return [...found]
  }
  return {
    newest(messages, in_context) {
      context = new Set(in_context)
      first = in_context[1]
      second = in_context[2]
      compacted = first === undefined
      summary = false
      met.clear()
      return read(messages)
    },
    earlier: read,
  }
}

function isSummary(message: LettaMessage): boolean {
  if (message.message_type === 'summary_message') return true
  return message.message_type === 'user_message' && isPacked(textOf(message.content))
}
