import { columns, dim, oneLine, plain } from '../terminal.ts'
import { count } from '../progress.ts'
import { type Change, type Field, textDiff } from './plan.ts'

const SIGNS = { create: '+', update: '~', delete: '-' } as const

/** Characters beyond which a value is shown as a diff of its lines. */
const LONG = 60

/** A change as lines for people: what it is of, and each part of it. */
export function showChange({ action, kind, name, at, fields }: Change): string {
  const head = `${SIGNS[action]} ${kind} ${plain(name)}${at === null ? '' : dim(`  ${plain(at)}`)}`
  const lines = fields.flatMap((field) => (action === 'create' ? created(field) : updated(field)))
  return [head, ...lines.map((line) => `    ${line}`)].join('\n')
}

function created({ field, after }: Field): string[] {
  return [`${plain(field)}: ${oneLine(after ?? '', Math.max(20, columns() - field.length - 8))}`]
}

function updated({ field, before, after }: Field): string[] {
  if (before === null)
    return [`+ ${plain(field)}: ${oneLine(after ?? '', Math.max(20, columns() - field.length - 10))}`]
  if (after === null)
    return [`- ${plain(field)}: ${oneLine(before, Math.max(20, columns() - field.length - 10))}`]
  const long = [before, after].some((text) => text.length > LONG || text.includes('\n'))
  if (!long) return [`${plain(field)}: ${plain(before)} → ${plain(after)}`]
  return [
    `${plain(field)}:`,
    ...plain(textDiff(before, after))
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

/** `2 to make, 1 to change, 3 to remove`; the same for what is done. */
export function summary(changes: readonly Change[], done: boolean): string {
  const words = done ? ['made', 'changed', 'removed'] : ['to make', 'to change', 'to remove']
  const actions = ['create', 'update', 'delete'] as const
  return actions
    .flatMap((action, i) => {
      const n = changes.filter((change) => change.action === action).length
      return n === 0 ? [] : [`${n} ${words[i]}`]
    })
    .join(', ')
}

/** `3 things of an earlier apply …`, with their names. */
export function showStale(stale: readonly string[]): string {
  const names = stale.length > 10 ? [...stale.slice(0, 10), '…'] : stale
  return `${count(stale.length, 'thing')} of an earlier apply ${stale.length === 1 ? 'is' : 'are'} not in the fleet any more: ${names.join(', ')}. Remove with --prune.`
}
