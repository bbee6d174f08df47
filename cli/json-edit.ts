import { Failure } from './failure.ts'

interface Member {
  key: string
  /** Where its key begins, and its value begins and ends. */
  at: number
  start: number
  end: number
}

interface Members {
  list: Member[]
  /** Where the closing brace is. */
  close: number
}

/**
 * JSON text, also with comments and trailing commas, in which the object under `path` has `key` with this value, or no
 * longer with `undefined`. Everything else stays as it is, byte for byte. Throws a `Failure` that names the line where
 * the text is no JSON.
 */
export function setMember(text: string, path: string[], key: string, value: unknown): string {
  const bom = text.startsWith('\uFEFF') ? '\uFEFF' : ''
  const body = text.slice(bom.length)
  if (body.trim() === '')
    return value === undefined ? text : `${bom}${render(nested([...path, key], value), '', '  ')}\n`
  const newline = body.includes('\r\n') ? '\r\n' : '\n'
  let at = objectAt(body, skipSpace(body, 0), 'the whole of it')
  let members = membersOf(body, at)
  const rest = skipSpace(body, members.close + 1)
  if (rest < body.length) throw broken(body, rest)
  const unit = /\n([ \t]+)"/.exec(body)?.[1] ?? '  '
  const steps = [...path]
  for (let depth = 0; ; depth++) {
    const step = steps.shift()
    const wanted = step ?? key
    const [found, second] = members.list.filter((member) => member.key === wanted)
    // Which of two counts, programs do not agree on.
    if (second)
      throw new Failure(`it has ${JSON.stringify(wanted)} twice, again in line ${lineOf(body, second.at)}`)
    const indent = unit.repeat(depth + 1)
    const rendered = (what: unknown) => render(what, indent, unit).replaceAll('\n', newline)
    if (step === undefined) {
      if (value === undefined) return found ? bom + without(body, members, found) : text
      if (found) return bom + body.slice(0, found.start) + rendered(value) + body.slice(found.end)
    }
    if (!found) {
      if (value === undefined) return text
      const added = `${JSON.stringify(wanted)}: ${rendered(step === undefined ? value : nested([...steps, key], value))}`
      return bom + insert(body, at, members, { added, indent, outer: unit.repeat(depth), newline })
    }
    if (value !== undefined && /^null\b/.test(body.slice(found.start, found.start + 5)))
      return (
        bom + body.slice(0, found.start) + rendered(nested([...steps, key], value)) + body.slice(found.end)
      )
    at = objectAt(body, found.start, JSON.stringify(wanted))
    members = membersOf(body, at)
  }
}

/**
 * `setMember` for an object of which the user may have added fields: these stay, apart from those that are `dropped`, and
 * the others become those of `value`.
 */
export function mergeMember(
  text: string,
  path: string[],
  key: string,
  { value, dropped }: { value: object; dropped: readonly string[] },
): string {
  if (!hasObject(text, [...path, key])) return setMember(text, path, key, value)
  const inside = [...path, key]
  let merged = text
  for (const field of dropped) merged = setMember(merged, inside, field, undefined)
  for (const [field, wanted] of Object.entries(value)) merged = setMember(merged, inside, field, wanted)
  return merged
}

/** Whether there is an object under this path of keys. */
function hasObject(text: string, path: readonly string[]): boolean {
  if (text.trim() === '') return false
  let at = skipSpace(text, text.startsWith('\uFEFF') ? 1 : 0)
  for (const key of path) {
    if (text[at] !== '{') return false
    const found = membersOf(text, at).list.find((member) => member.key === key)
    if (!found) return false
    at = found.start
  }
  return text[at] === '{'
}

function nested(path: string[], value: unknown): unknown {
  return path.reduceRight((inner, key) => ({ [key]: inner }), value)
}

function render(value: unknown, indent: string, unit: string): string {
  return JSON.stringify(value, null, unit).replaceAll('\n', `\n${indent}`)
}

function insert(
  text: string,
  open: number,
  { list, close }: Members,
  { added, indent, outer, newline }: { added: string; indent: string; outer: string; newline: string },
): string {
  const last = list.at(-1)
  if (!last)
    return `${text.slice(0, open + 1)}${newline}${indent}${added}${newline}${outer}${text.slice(close)}`
  const next = skipSpace(text, last.end)
  const after = text[next] === ',' ? next + 1 : last.end
  // A comment behind the last member is about that one.
  const [remark = ''] = /^[ \t]*(?:\/\/[^\r\n]*|\/\*[^\r\n]*?\*\/)/.exec(text.slice(after)) ?? []
  const before = text.slice(0, last.end) + (text.slice(last.end, after) || ',')
  return `${before}${remark}${newline}${indent}${added}${text.slice(after + remark.length)}`
}

function without(text: string, { list }: Members, member: Member): string {
  const next = skipSpace(text, member.end)
  if (text[next] === ',') return text.slice(0, member.at) + text.slice(skipSpace(text, next + 1))
  const before = list[list.indexOf(member) - 1]
  return text.slice(0, before ? before.end : text.lastIndexOf('{', member.at) + 1) + text.slice(member.end)
}

function membersOf(text: string, open: number): Members {
  const list: Member[] = []
  let at = skipSpace(text, open + 1)
  while (text[at] !== '}') {
    const keyEnd = skipString(text, at)
    const start = skipSpace(text, expect(text, skipSpace(text, keyEnd), ':') + 1)
    const end = skipValue(text, start)
    list.push({ key: JSON.parse(text.slice(at, keyEnd)) as string, at, start, end })
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
    else expect(text, at, '}')
  }
  return { list, close: at }
}

function skipValue(text: string, at: number): number {
  if (text[at] === '"') return skipString(text, at)
  if (text[at] === '{') return membersOf(text, at).close + 1
  if (text[at] === '[') {
    let next = skipSpace(text, at + 1)
    while (text[next] !== ']') {
      next = skipSpace(text, skipValue(text, next))
      if (text[next] === ',') next = skipSpace(text, next + 1)
      else expect(text, next, ']')
    }
    return next + 1
  }
  const [word] = /^(?:true|false|null|-?\d[\d.eE+-]*)/.exec(text.slice(at, at + 40)) ?? []
  if (word === undefined) throw broken(text, at)
  return at + word.length
}

function skipString(text: string, at: number): number {
  expect(text, at, '"')
  for (let next = at + 1; next < text.length; next++) {
    if (text[next] === '\\') next++
    else if (text[next] === '"') return next + 1
    else if (text[next] === '\n') break
  }
  throw broken(text, at)
}

/** Past white space and comments. */
function skipSpace(text: string, at: number): number {
  for (;;) {
    while (/\s/.test(text[at] ?? '')) at++
    if (text.startsWith('//', at)) {
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      if (end < 0) throw broken(text, at)
      at = end + 2
    } else return at
  }
}

/** The same place, where an object begins. Throws for another value, and for what is no JSON. */
function objectAt(text: string, at: number, what: string): number {
  if (text[at] === '{') return at
  const end = skipValue(text, at)
  if (what === 'the whole of it' && skipSpace(text, end) < text.length)
    throw broken(text, skipSpace(text, end))
  throw new Failure(`${what} is no JSON object (line ${lineOf(text, at)})`)
}

function expect(text: string, at: number, character: string): number {
  if (text[at] !== character) throw broken(text, at)
  return at
}

function broken(text: string, at: number): Failure {
  return new Failure(`it is not valid JSON in line ${lineOf(text, at)}`)
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}
