import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { messageOf } from '../../shared/schema/errors.ts'
import { fleet, type Fleet, type FleetIssue, NOT_OURS } from '../../shared/schema/fleet.ts'
import { fleetKeys } from '../../shared/schema/fleet-keys.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { Failure } from '../failure.ts'
import { bytes } from '../progress.ts'
import { type PlaceOf, placesIn } from './places.ts'

/** Far more than people write: files of texts are named, not copied in. */
const MAX_BYTES = 2_000_000
/** Times what aliases stand for: a few lines may mean billions of values. */
const MAX_ALIASES = 100
const TOO_DEEP = 'values are nested too deeply'
/** How many mistakes of a file are named. */
const SHOWN = 20

/** A file of a fleet that has been read. */
export interface FleetFile {
  /** As people write it. */
  file: string
  /** Where its paths begin. */
  base: string
  fleet: Fleet
  /** Where a value is, for messages. */
  place: PlaceOf
  /** What the file says that Loci does not do. */
  notes: string[]
}

/** What is wrong in files, a line each, with its place. */
export class Mistakes extends Failure {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(
      `Nothing was changed: ${lines.length === 1 ? 'there is a mistake' : 'there are mistakes'} in the fleet.`,
    )
    this.lines = lines
  }
}

/** The files that are meant: those named, and those of YAML in folders named. Throws a `Failure`. */
export async function findFleetFiles(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    const there = await stat(path).catch((error: unknown) => {
      throw new Failure(`${path} cannot be read: ${messageOf(error)}`, { cause: error })
    })
    if (!there.isDirectory()) {
      found.push(path)
      continue
    }
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).toSorted()
    if (names.length === 0) throw new Failure(`There is no .yml or .yaml file in ${path}.`)
    found.push(...names.map((name) => join(path, name)))
  }
  return [...new Set(found)]
}

/**
 * Reads a file of a fleet; `${env:NAME}` in its strings is the value of that variable (`$${env:NAME}`: is meant as it is). `root` is where its paths begin
 * instead of its own folder. Throws `Mistakes`, or a `Failure` for a file that cannot be read at all.
 */
export async function readFleetFile(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  root?: string,
): Promise<FleetFile> {
  const file = shown(path)
  const text = await readText(path)
  const lines = new LineCounter()
  const { value, place } = parse(file, text, lines)
  // What is cut off or not yet filled in is not a fleet of which everything is gone.
  if (value === null || value === undefined)
    throw new Mistakes([
      `${file}:1:1: the file says nothing; a fleet without agents is written \`agents: []\`.`,
    ])
  const mistakes: string[] = []
  const filled = fill(value, env, [], (at, message) =>
    mistakes.push(`${place(at)}: ${pathText(at)}: ${message}`),
  )
  const parsed = fleet.safeParse(filled)
  if (!parsed.success) mistakes.push(...parsed.error.issues.flatMap((issue) => explain(issue, filled, place)))
  if (mistakes.length > 0 || !parsed.success) throw new Mistakes(inOrder(mistakes, file))
  const { root_path } = parsed.data
  const base = root !== undefined ? resolve(root) : resolve(dirname(path), root_path ?? '.')
  return { file, base, fleet: parsed.data, place, notes: notesOf(parsed.data, place) }
}

/** By line; only the first ones. */
function inOrder(mistakes: readonly string[], file: string): string[] {
  const line = (text: string) => Number(/^:(\d+)/.exec(text.slice(file.length))?.[1] ?? 0)
  const sorted = mistakes.toSorted((a, b) => line(a) - line(b))
  const more = sorted.length - SHOWN
  return [...sorted.slice(0, SHOWN), ...(more > 0 ? [`${file}: … and ${more} more`] : [])]
}

function parse(file: string, text: string, lines: LineCounter): { value: unknown; place: PlaceOf } {
  try {
    const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false })
    const place = placesIn(file, document, lines)
    // What comes after the first is mostly its consequence.
    const [error] = document.errors
    if (error) {
      const { line, col } = lines.linePos(error.pos[0])
      const deep = /call stack|stack overflow/i.test(error.message)
      const why = deep ? TOO_DEEP : (error.message.split('\n')[0] ?? '')
      throw new Mistakes([`${file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${why}`])
    }
    const unknown = document.warnings.filter(({ code }) => code === 'TAG_RESOLVE_FAILED')
    if (unknown.length > 0)
      throw new Mistakes(
        unknown.map(({ pos }) => {
          const { line, col } = lines.linePos(pos[0])
          const tag = text.slice(...pos)
          return `${file}:${line}:${col}: the tag '${tag}' is none that Loci reads; write the value without it`
        }),
      )
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    const circle = circleIn(value)
    if (circle) throw new Mistakes([`${place(circle)}: ${pathText(circle, value)}: it refers to itself`])
    return { value, place }
  } catch (error) {
    if (error instanceof Failure) throw error
    // Aliases without end, and values nested deeper than the stack.
    const why = error instanceof RangeError ? TOO_DEEP : messageOf(error)
    throw new Mistakes([`${file}: ${why}`])
  }
}

/** Where a value contains itself, as aliases may say; null: nowhere. */
function circleIn(
  value: unknown,
  path: readonly PropertyKey[] = [],
  around: readonly object[] = [],
): readonly PropertyKey[] | null {
  if (typeof value !== 'object' || value === null) return null
  if (around.includes(value)) return path
  for (const [key, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key
    const circle = circleIn(inner, [...path, step], [...around, value])
    if (circle) return circle
  }
  return null
}

/** The value with the variables of the environment filled in. */
function fill(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  path: readonly PropertyKey[],
  wrong: (path: readonly PropertyKey[], message: string) => void,
): unknown {
  if (typeof value === 'string')
    return value.replaceAll(
      /\$(\$\{env:)|\$\{env:([^}:]*)(?::-([^}]*))?\}/g,
      (whole, escaped: string | undefined, name: string, otherwise?: string) => {
        if (escaped !== undefined) return escaped
        const found = env[name] ?? otherwise
        if (found === undefined)
          wrong(
            path,
            `the environment has no variable '${name}'; set it, or write \${env:${name}:-…} with another value`,
          )
        return found ?? whole
      },
    )
  if (Array.isArray(value)) return value.map((item, i) => fill(item, env, [...path, i], wrong))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, fill(field, env, [...path, key], wrong)]),
  )
}

/** A mistake as lines for people: place, field, what is wrong. */
function explain(issue: FleetIssue, value: unknown, place: PlaceOf): string[] {
  const field = pathText(issue.path, value)
  if (issue.code === 'unrecognized_keys') {
    const known = fleetKeys(issue.path)
    return issue.keys.map((key) => {
      const where = place(issue.path, { key })
      const bucket = key === 'from_bucket' ? ' Loci reads no buckets: download it, and name the file.' : ''
      const hint = bucket || ` ${didYouMean(key, known, '')}`.trimEnd()
      return `${where}: ${field === '' ? '' : `${field}: `}there is no key '${key}' here.${hint}`
    })
  }
  const missing = issue.code === 'invalid_type' && valueAt(value, issue.path) === undefined
  const message = missing ? 'it is missing' : issue.message
  return [`${place(issue.path)}: ${field === '' ? 'the file' : field}: ${message}`]
}

/** `agents[0] (sam).llm_config.model`: an item of a list with its name. */
function pathText(path: readonly PropertyKey[], value?: unknown): string {
  let text = ''
  let at = value
  for (const step of path) {
    at = (at as Record<PropertyKey, unknown> | null | undefined)?.[step]
    if (typeof step !== 'number') {
      text += text === '' ? String(step) : `.${String(step)}`
      continue
    }
    const name = (at as { name?: unknown } | null | undefined)?.name
    text += `[${step}]${typeof name === 'string' ? ` (${name})` : ''}`
  }
  return text
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, step) => (at as Record<PropertyKey, unknown> | null)?.[step], value)
}

function notesOf(given: Fleet, place: PlaceOf): string[] {
  const note = (path: PropertyKey[], key: string) =>
    `${place([...path, key])}: '${key}' is left out: ${NOT_OURS[key]}.`
  const isOurs = (key: string, value: unknown) =>
    value === undefined || NOT_OURS[key] === undefined || (key === 'memory' && modeOf(value) === 'blocks')
  return [
    ...Object.entries(given).flatMap(([key, value]) => (isOurs(key, value) ? [] : [note([], key)])),
    ...(given.agents ?? []).flatMap((agent, i) =>
      Object.entries(agent).flatMap(([key, value]) => (isOurs(key, value) ? [] : [note(['agents', i], key)])),
    ),
  ]
}

function modeOf(value: unknown): unknown {
  return (value as { mode?: unknown } | null)?.mode
}

/** The text of a file of UTF-8; what never ends, such as a device, is not even opened. Throws a `Failure`. */
export async function readText(path: string, most = MAX_BYTES): Promise<string> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new Error('it is no file')
    if (found.size > most) throw new Error(`it has ${bytes(found.size)}, and ${bytes(most)} is the most`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    const why = error instanceof TypeError ? 'it is not UTF-8; save it as such' : messageOf(error)
    throw new Failure(`${shown(path)} cannot be read: ${why}.`, { cause: error })
  }
}

/** A path as people write it. */
export function shown(path: string): string {
  const short = relative(process.cwd(), resolve(path))
  return short === '' || short.startsWith('..') ? path : short
}
