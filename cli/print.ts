import { bold, columns, dim, displayWidth, oneLine, plain, wrap } from './terminal.ts'

/** A result: one line (or more) on stdout, without what could take over a terminal. */
export function print(text: string): void {
  process.stdout.write(`${plain(text)}\n`)
}

/** The result of a command with `--json`: indented for a terminal, one line for a pipe. */
export function printJson(value: unknown): void {
  // JSON escapes every control character but those above ASCII.
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0))
}

/** Bytes on stdout, as fast as they are read; false when the reader has gone away, as `| head` does. */
export async function writeOut(piece: Uint8Array): Promise<boolean> {
  const { stdout } = process
  if (stdout.write(piece)) return true
  return new Promise((resolve) => {
    const settle = (isThere: boolean) => {
      stdout.off('drain', drained).off('error', gone).off('close', gone)
      resolve(isThere)
    }
    const drained = () => settle(true)
    const gone = () => settle(false)
    stdout.once('drain', drained).once('error', gone).once('close', gone)
  })
}

/** A sentence for people, which is no result: on stderr, broken to the width of the terminal. */
export function note(text: string): void {
  const { stderr } = process
  stderr.write(`${stderr.isTTY ? wrap(plain(text), columns(stderr)) : plain(text)}\n`)
}

/** A column of a table. */
export interface Column {
  title: string
  /** May be cut where there is no room; ids are not, they are there to be copied. */
  flexible?: boolean
  align?: 'right'
}

/** Columns that are cut keep at least this much. */
const LEAST = 10
const GAP = 2

/**
 * Rows on stdout: aligned under titles on a terminal, and one below the other where it is too narrow; with tabs and
 * without titles in a pipe, as `cut` and `awk` read them.
 */
export function printTable(titles: readonly Column[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return
  if (!process.stdout.isTTY) {
    for (const row of rows) process.stdout.write(`${row.map((cell) => oneLine(cell, Infinity)).join('\t')}\n`)
    return
  }
  process.stdout.write(tableText(titles, rows, columns()))
}

/** The rows as a terminal of this width shows them. */
export function tableText(
  titles: readonly Column[],
  rows: readonly (readonly string[])[],
  room: number,
): string {
  const cells = rows.map((row) => titles.map((_, i) => oneLine(row[i] ?? '', Infinity)))
  const widths = titles.map(({ title }, i) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[i] ?? ''))),
  )
  let over = widths.reduce((sum, width) => sum + width + GAP, -GAP) - room
  const flexible = titles.flatMap(({ flexible }, i) => (flexible ? [i] : []))
  for (const i of flexible.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))) {
    const cut = Math.min(over, Math.max(0, (widths[i] ?? 0) - LEAST))
    if (cut > 0) {
      widths[i] = (widths[i] ?? 0) - cut
      over -= cut
    }
  }
  if (over > 0) return records(titles, cells, room)
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => {
        const text = oneLine(cell, widths[i] ?? 0)
        const pad = ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(text)))
        return titles[i]?.align === 'right' ? pad + text : text + pad
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  return `${[dim(line(titles.map(({ title }) => title))), ...cells.map(line)].join('\n')}\n`
}

/** Each row as a few short lines: its first cell, and the others below it. */
function records(titles: readonly Column[], cells: readonly string[][], room: number): string {
  const lines = cells.flatMap(([first = '', ...rest]) => [
    bold(titles[0]?.flexible ? oneLine(first, room) : first),
    ...rest.flatMap((cell, i) => {
      if (cell === '') return []
      const { title = '', flexible } = titles[i + 1] ?? {}
      // An id says itself what it is, and is long enough.
      const label = title === 'ID' ? '' : `${title.toLowerCase()} `
      return [`  ${dim(label)}${flexible ? oneLine(cell, room - 2 - label.length) : cell}`]
    }),
  ])
  return `${lines.join('\n')}\n`
}

/** Names and values of one thing, aligned; what has no value is left out. */
export function printFields(fields: readonly (readonly [string, string | null | undefined])[]): void {
  const shown = fields.filter((field): field is [string, string] => Boolean(field[1]))
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  const room = columns() - width - GAP
  for (const [name, value] of shown) {
    const longest = Math.max(...plain(value).split(/\s/).map(displayWidth))
    if (process.stdout.isTTY && longest > room) {
      process.stdout.write(`${dim(name)}\n${wrap(plain(value), columns(), '  ')}\n`)
      continue
    }
    const lines = (process.stdout.isTTY ? wrap(plain(value), Math.max(room, 20)) : plain(value)).split('\n')
    const text = lines.join(`\n${' '.repeat(width + GAP)}`)
    process.stdout.write(`${dim(name.padEnd(width))}  ${text}\n`)
  }
}

/** `12,345` for people. */
export function number(n: number): string {
  return n.toLocaleString('en')
}

const UNITS = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

/** `3 hours ago`; empty for a time that is not known. */
export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return ''
  const seconds = (now - Date.parse(time)) / 1000
  if (Number.isNaN(seconds)) return ''
  for (const [unit, length] of UNITS) {
    const n = Math.floor(seconds / length)
    if (n >= 1) return `${n} ${unit}${n === 1 ? '' : 's'} ago`
  }
  return 'just now'
}
