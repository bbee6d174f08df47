import type { FileLines } from '../../schema/folder.ts'

/** Files that an agent may have open where it does not say (reference 2.2). */
export const DEFAULT_MAX_FILES_OPEN = 5
/** Characters that an agent sees of an open file where it does not say (reference 2.2). */
export const DEFAULT_VIEW_CHARS = 50_000

/** Lines of a file with their numbers, which count from 1, under a line that says which they are. */
export function viewText(view: FileLines, total: number): string {
  const { first_line, next_line, text } = view
  if (next_line === first_line) return '[Nothing of this file can be viewed here]'
  const whole = first_line === 0 && next_line >= total
  const header = whole
    ? `[Viewing file (${total} lines)]`
    : `[Viewing lines ${first_line + 1} to ${next_line} (out of ${total} lines)]`
  const numbered = text.split('\n').map((line, i) => `${first_line + i + 1}: ${line}`)
  return [header, ...numbered].join('\n')
}
