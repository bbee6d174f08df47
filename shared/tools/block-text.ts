import { valueError } from './builtin.ts'

/** Line-number prefixes that are shown with some blocks; an argument that carries one was copied from the display. */
const LINE_NUMBER = /(^|\n)\d+→ ?/
/** Begins the warning that is shown with numbered lines. */
const WARNING = '# Line numbers are shown only for orientation'

/** Refuses text that was copied from the display of a block, not from the block. */
export function refuseDisplay(name: string, text: string): void {
  if (LINE_NUMBER.test(text) || text.includes(WARNING))
    throw valueError(
      `${name} contains line number prefixes; they are only shown for orientation, leave them out`,
    )
}

/** The value with `text` after a line: 0 is the top, -1 the end. Throws for a line that is not there. */
export function insertLines(value: string, text: string, line: number): string {
  const lines = value === '' ? [] : value.split('\n')
  if (line < -1 || line > lines.length)
    throw valueError(`insert_line ${line} is outside 0 to ${lines.length} (or -1 for the end)`)
  lines.splice(line === -1 ? lines.length : line, 0, ...text.split('\n'))
  return lines.join('\n')
}

/** The value with the one occurrence of `old` replaced; tabs count as four spaces. Throws unless there is exactly one. */
export function replaceOnce(
  label: string,
  value: string,
  old: { name: string; text: string },
  text: string,
): string {
  const spaced = (s: string) => s.replaceAll('\t', '    ')
  const [before, piece] = [spaced(value), spaced(old.text)]
  if (piece === '') throw valueError(`${old.name} is empty; use an insert to add text`)
  const first = before.indexOf(piece)
  if (first < 0)
    throw valueError(
      `${old.name} does not occur in memory block '${label}'; it must match exactly, character by character`,
    )
  if (before.includes(piece, first + 1))
    throw valueError(
      `${old.name} occurs more than once in memory block '${label}' (lines ${linesOf(before, piece).join(', ')}); give more of the text around it`,
    )
  return before.slice(0, first) + spaced(text) + before.slice(first + piece.length)
}

function linesOf(value: string, piece: string): number[] {
  const lines: number[] = []
  for (let at = value.indexOf(piece); at >= 0; at = value.indexOf(piece, at + 1))
    lines.push(value.slice(0, at).split('\n').length)
  return [...new Set(lines)]
}
