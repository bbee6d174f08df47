import type { StoredMessage, StoredToolReturn } from '../../schema/message.ts'
import { clip, textOf } from '../messages.ts'
import { giveWay } from './give-way.ts'
import { countTokens } from './tokens.ts'

/** How much of each tool return a transcript shows when there is room, and when there is less and less. */
const RETURN_CHARS = [Infinity, 4_000, 1_000, 250]

/** One line of a transcript for each thing said or done. `max` characters of each tool return. */
export function transcriptLines(messages: readonly StoredMessage[], max = Infinity): string[] {
  return messages.flatMap((message) => {
    const text = plain(textOf(message.content))
    switch (message.role) {
      case 'system':
        return text === '' ? [] : [`system: ${text}`]
      case 'summary':
        return [`summary of what was before: ${text}`]
      case 'user':
        return [`user${message.name === null ? '' : ` (${message.name})`}: ${withImages(text, message)}`]
      case 'assistant':
      case 'approval':
        return [
          ...(text === '' ? [] : [`assistant: ${text}`]),
          ...message.tool_calls.map(
            (call) => `assistant calls ${call.function.name}: ${short(call.function.arguments, max)}`,
          ),
          ...message.tool_returns.map((result) => returned(result, max)),
        ]
      case 'tool':
        return message.tool_returns.map((result) => returned(result, max))
    }
  })
}

/**
 * The transcript of these messages in at most about so many tokens, by our count: tool returns are clipped first, then
 * the middle is left out, more of the newer part kept than of the older.
 */
export async function transcript(messages: readonly StoredMessage[], max_tokens: number): Promise<string> {
  let lines: string[] = []
  for (const max of RETURN_CHARS) {
    const before = lines
    lines = transcriptLines(messages, max)
    const text = lines.join('\n')
    // Clipping has taken nothing away: there is nothing new to count.
    if (text === before.join('\n')) continue
    if (countTokens(text) <= max_tokens) return text
    await giveWay()
  }
  return withoutMiddle(lines, max_tokens)
}

/** The beginning (a third) and the end of these lines, in at most about so many tokens. */
export function withoutMiddle(lines: readonly string[], max_tokens: number): string {
  const head = takeLines(lines, max_tokens / 3)
  const tail = takeLines(lines.slice(head.length).toReversed(), max_tokens - countTokens(head.join('\n')))
  const left_out = lines.length - head.length - tail.length
  const gap = left_out > 0 ? [`[… ${left_out} entries left out …]`] : []
  return [...head, ...gap, ...tail.toReversed()].join('\n')
}

/** As many lines as fit; the first that does not is cut where it must be. */
function takeLines(lines: readonly string[], max_tokens: number): string[] {
  const taken: string[] = []
  let room = max_tokens
  for (const line of lines) {
    const tokens = countTokens(line) + 1
    if (tokens > room) {
      if (taken.length === 0 && room > 20) taken.push(short(line, Math.floor((line.length * room) / tokens)))
      break
    }
    taken.push(line)
    room -= tokens
  }
  return taken
}

function returned({ name, status, func_response }: StoredToolReturn, max: number): string {
  const text = typeof func_response === 'string' ? func_response : textOf(func_response)
  return `tool ${name} ${status === 'success' ? 'returned' : 'failed'}: ${short(text, max)}`
}

function short(text: string, max: number): string {
  return max === Infinity ? text : clip(text, max)
}

function withImages(text: string, message: StoredMessage): string {
  const images = message.content.filter((part) => part.type === 'image').length
  return images === 0 ? text : `${text} [${images} image${images === 1 ? '' : 's'}]`.trim()
}

/** Older agents' messages are packed as `{"type": …, "message": …}`, and so is our summary. */
export function plain(text: string): string {
  if (!text.startsWith('{"')) return text
  try {
    const packed = JSON.parse(text) as { type?: unknown; message?: unknown }
    return typeof packed.type === 'string' && typeof packed.message === 'string' ? packed.message : text
  } catch {
    return text
  }
}
