import type { StoredMessage } from '../../schema/message.ts'
import { clip, textOf } from '../messages.ts'
import { plain, transcriptLines, withoutMiddle } from './transcript.ts'

const LINE_CHARS = 400
const RETURN_CHARS = 160
const HEAD = 'No model could write this summary; it is made of the messages themselves, each cut short.'
const BEFORE = 'Before:'

/**
 * A summary without any model: who said what, in order, each cut short, in at most about so many tokens by our count.
 * Equal messages give equal text. An earlier summary comes first, and gets up to half of the room.
 */
export function extractSummary(messages: readonly StoredMessage[], max_tokens: number): string {
  const earlier = messages.filter((message) => message.role === 'summary')
  const others = messages.filter((message) => message.role !== 'summary')
  const before = earlier
    .flatMap((message) => plain(textOf(message.content)).split('\n'))
    .filter((line) => line !== '' && line !== HEAD && line !== BEFORE)
  const room = Math.max(40, max_tokens - 20)
  const kept = before.length === 0 ? '' : withoutMiddle(before, room / 2)
  const lines = transcriptLines(others, RETURN_CHARS).map((line) =>
    clip(line.replaceAll(/\s+/g, ' '), LINE_CHARS),
  )
  const rest = withoutMiddle(lines, kept === '' ? room : room / 2)
  return [HEAD, ...(kept === '' ? [] : ['', BEFORE, kept]), '', rest].join('\n')
}
