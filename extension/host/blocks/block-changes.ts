import { diffLines } from 'diff'
import type { BlockVersion } from '../../../shared/schema/block.ts'
import { plural, t } from '../l10n.ts'
import { firstWords } from '../views/entry.ts'

/** Lines of a text, counted from 0; `end` is not among them. */
export interface LineRange {
  start: number
  end: number
}

/** Texts beyond this many characters are not compared line by line. */
const COMPARED = 300_000
/** Lines that differ at most: the comparison of two texts that share little takes long. */
const DIFFERENCES = 2_000

/** The lines of `after` that are not in `before`; null for texts too large, or too different, to say. */
export function changedLines(before: string, after: string): LineRange[] | null {
  const parts = compare(before, after)
  if (!parts) return null
  const ranges: LineRange[] = []
  let line = 0
  for (const { added, removed, count } of parts) {
    if (removed) continue
    if (added) ranges.push({ start: line, end: line + count })
    line += count
  }
  return ranges
}

/** What a version changed, in a few words: the first line that it brought, or took, or the other fields. */
export function describeChange(version: BlockVersion): string {
  const { before, after, changes } = version
  if (before === null) return t('created')
  const fields = Object.keys(changes)
  if (before === after) {
    return fields.length === 0 ? t('saved as it was') : t('changed its {0}', fields.map(fieldName).join(', '))
  }
  const parts = compare(before, after)
  const said = (text: string) => firstWords(text, 40)
  const added = parts?.find((part) => part.added && part.value.trim() !== '')?.value
  if (added !== undefined) return `+ ${said(added)}`
  const removed = parts?.find((part) => part.removed && part.value.trim() !== '')?.value
  if (removed !== undefined) return `− ${said(removed)}`
  const grown = after.length - before.length
  return grown < 0
    ? plural(-grown, '{0} character less', '{0} characters less')
    : plural(grown, '{0} character more', '{0} characters more')
}

function fieldName(field: string): string {
  return field.replaceAll('_', ' ')
}

function compare(before: string, after: string) {
  if (before.length + after.length > COMPARED) return null
  // Without it the last line differs from itself once a line follows.
  const whole = (text: string) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)
  const plain = (text: string) => whole(text.replaceAll('\r\n', '\n'))
  return diffLines(plain(before), plain(after), { maxEditLength: DIFFERENCES }) ?? null
}
