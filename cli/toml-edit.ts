import { isDeepStrictEqual } from 'node:util'
import { parse, stringify, TomlError } from 'smol-toml'
import { Failure } from './failure.ts'

type Table = Record<string, unknown>

/**
 * TOML text in which the table under `path` has these fields, besides those it has already, or with null is there no
 * longer, its subtables included. Everything outside of that table stays as it is, byte for byte. Throws a `Failure`
 * where the text is no TOML, or writes the table in a way that cannot be changed without touching more.
 */
export function setTable(text: string, path: readonly string[], fields: Table | null): string {
  const before = parsed(text)
  const present = path.reduce<unknown>((at, key) => (isTable(at) ? at[key] : undefined), before)
  if (fields === null && present === undefined) return text
  const own = isTable(present) ? present : {}
  if (fields !== null && isDeepStrictEqual(plain(own), plain({ ...own, ...fields }))) return text
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const after = fields === null ? without(text, path) : withFields(text, path, { ...own, ...fields })
  const edited = after.replaceAll(/\r?\n/g, newline)
  // What was written is read again: a table may be spelled in ways that these lines do not know.
  const wanted = placed(before, path, fields === null ? undefined : { ...own, ...fields })
  if (!isSame(edited, wanted))
    throw new Failure(`it has '${path.slice(0, -1).join('.')}' in a form that is not changed here`)
  return edited
}

function parsed(text: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [why = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw new Failure(`it is not valid TOML in line ${error.line} (${why})`, { cause: error })
  }
}

function isSame(text: string, wanted: Table): boolean {
  try {
    return isDeepStrictEqual(plain(parse(text)), plain(wanted))
  } catch {
    return false
  }
}

/** As JSON, so that dates and big numbers are what they say; without empty tables, which need no header. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}` : item))
  return JSON.parse(text, (_, item: unknown) =>
    isTable(item) && Object.keys(item).length === 0 ? undefined : item,
  )
}

function placed(table: Table, [key = '', ...rest]: readonly string[], value: Table | undefined): Table {
  const { [key]: old, ...others } = table
  const inner = rest.length === 0 ? value : placed(isTable(old) ? old : {}, rest, value)
  return inner === undefined ? others : { ...others, [key]: inner }
}

/** The lines of the table itself anew, or new ones at the end; its subtables are tables of their own. */
function withFields(text: string, path: readonly string[], fields: Table): string {
  const own = Object.fromEntries(Object.entries(fields).filter(([, value]) => !isTable(value)))
  const body = `[${path.join('.')}]\n${stringify(own).trimEnd()}\n`
  const found = tablesOf(text).find(({ keys }) => isDeepStrictEqual(keys, path))
  if (!found) return text.trim() === '' ? body : `${text.trimEnd()}\n\n${body}`
  const { lines, start, end } = found
  // Comments and empty lines before the next table are about that one.
  let last = end
  while (last > start + 1 && /^\s*(#.*)?$/.test(lines[last - 1] ?? '')) last--
  return [...lines.slice(0, start), body.trimEnd(), ...lines.slice(last)].join('\n')
}

function without(text: string, path: readonly string[]): string {
  const lines = text.split('\n')
  const gone = tablesOf(text).filter(({ keys }) => path.every((key, i) => keys[i] === key))
  for (const { start, end } of gone.toReversed()) {
    // A comment right above the next table is about that one.
    let last = end
    while (end < lines.length && last > start + 1 && /^\s*#/.test(lines[last - 1] ?? '')) last--
    lines.splice(start, last - start)
  }
  const left = lines.join('\n')
  return left === '' || left.endsWith('\n') ? left : `${left}\n`
}

interface Found {
  keys: string[]
  lines: string[]
  /** Line of its header, and of the next one (or the end). */
  start: number
  end: number
}

/** The tables of a text by their headers. A line in a long string may look like one: who edits checks the outcome. */
function tablesOf(text: string): Found[] {
  const lines = text.split('\n')
  const headers = lines.flatMap((line, at) => {
    const named = /^\s*\[([^[\]]+)\]\s*(?:#.*)?$/.exec(line)?.[1]
    return named === undefined && !/^\s*\[\[/.test(line) ? [] : [{ at, keys: keysOf(named ?? '') }]
  })
  return headers.map(({ at, keys }, i) => ({
    keys,
    lines,
    start: at,
    end: headers[i + 1]?.at ?? lines.length,
  }))
}

/** `a."b c".d` → its keys. */
function keysOf(dotted: string): string[] {
  const keys = [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)]
  return keys.map(([, double, single, bare]) => double ?? single ?? bare ?? '')
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}
