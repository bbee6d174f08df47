import { diffLines, diffWordsWithSpace } from 'diff'
import type { DiffLine } from '../../protocol.ts'

export interface SmallDiff {
  lines: DiffLine[]
  added: number
  removed: number
}

/** Unchanged lines that are shown around a change. */
const AROUND = 1
/** Texts longer than this together are not compared: the change is told by its size. In characters. */
const LONGEST = 400_000
/** Lines shown of one diff. */
const MOST = 200

/** What changed from `before` to `after`, line by line, with the words that differ marked. */
export function smallDiff(before: string, after: string): SmallDiff {
  const parts =
    before.length + after.length > LONGEST
      ? undefined
      : diffLines(ended(before), ended(after), { timeout: 200, stripTrailingCr: true })
  if (!parts) return { lines: [{ kind: 'gap', parts: [] }], added: countOf(after), removed: countOf(before) }
  const lines: DiffLine[] = []
  let added = 0
  let removed = 0
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]
    if (!part) continue
    const texts = linesOf(part.value)
    if (part.removed) {
      const next = parts[i + 1]
      const others = next?.added ? linesOf(next.value) : []
      removed += texts.length
      added += others.length
      lines.push(...replaced(texts, others))
      if (others.length > 0) i++
    } else if (part.added) {
      added += texts.length
      lines.push(...texts.map((text) => plain('added', text)))
    } else lines.push(...context(texts, i === 0, i === parts.length - 1))
  }
  const shown = lines.length > MOST ? [...lines.slice(0, MOST), gap()] : lines
  return { lines: shown, added, removed }
}

/** With a newline at its end: a line that others follow now is the same line. */
function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function countOf(text: string): number {
  return linesOf(text).length
}

function plain(kind: 'same' | 'added' | 'removed', text: string): DiffLine {
  return { kind, parts: [{ text, marked: false }] }
}

function gap(): DiffLine {
  return { kind: 'gap', parts: [] }
}

/** As many lines as before: each is compared with the one in its place. */
function replaced(before: string[], after: string[]): DiffLine[] {
  if (before.length !== after.length) {
    return [...before.map((text) => plain('removed', text)), ...after.map((text) => plain('added', text))]
  }
  const pairs = before.map((text, i) => diffWordsWithSpace(text, after[i] ?? ''))
  const side = (kind: 'removed' | 'added', other: 'removed' | 'added') =>
    pairs.map((words) => ({
      kind,
      parts: words
        .filter((word) => !word[other])
        .map(({ value, ...word }) => ({ text: value, marked: word[kind] })),
    }))
  return [...side('removed', 'added'), ...side('added', 'removed')]
}

function context(texts: string[], first: boolean, last: boolean): DiffLine[] {
  const head = first ? [] : texts.slice(0, AROUND)
  const tail = last ? [] : texts.slice(Math.max(head.length, texts.length - AROUND))
  const left = texts.length - head.length - tail.length
  return [
    ...head.map((text) => plain('same', text)),
    ...(left > 0 ? [gap()] : []),
    ...tail.map((text) => plain('same', text)),
  ]
}
