/**
 * Golden shapes: which keys each answer has and what kind of value each holds, written down by hand in
 * `test/contract/golden/`. The contract's schemas require so little that an answer without half its fields would pass
 * them; these do not let a key come or go unnoticed.
 *
 * A shape maps keys to expressions: `string`, `integer`, `number`, `boolean`, `true`, `null`, `object` (any keys) or
 * the name of a shape, with `[]` for lists, `?` for "or null" and `|` between alternatives. A key that ends in `?`
 * may be absent. A shape with `by` is a union told apart by that key.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findOperation, type Operation } from './openapi.ts'

type Shape = Record<string, string>

export interface GoldenShapes {
  shapes: ReadonlyMap<string, Shape>
  /** What an operation answers with a 2xx status (null: not written down), and its name. */
  answerOf(method: string, pathname: string): { name: string; expression: string } | null
  /** Names of the operations written down, with what each answers. */
  operations: ReadonlyMap<string, string>
  /** The kinds of what an expression describes, or of its items; none when there is one only. */
  kindsOf(expression: string): string[]
  /** What is wrong with a value, one readable line each; `place` names the value. */
  check(expression: string, value: unknown, place: string): string[]
}

const FOLDER = join(import.meta.dirname, '..', 'contract', 'golden')

/** Reads the golden files. Throws when an expression names a shape that is not there. */
export function loadGoldenShapes(): GoldenShapes {
  const read = (file: string) => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as unknown
  const operations = new Map(Object.entries(read('operations.json') as Record<string, string>))
  const shapes = new Map<string, Shape>()
  for (const file of readdirSync(FOLDER).filter((f) => f !== 'operations.json'))
    for (const [name, shape] of Object.entries(read(file) as Record<string, Shape>)) shapes.set(name, shape)
  const templates = [...operations.keys()].map((name) => {
    const [method = '', path = ''] = name.split(' ')
    return { method, path, name } as Operation
  })
  const golden: GoldenShapes = {
    shapes,
    operations,
    answerOf(method, pathname) {
      const name = findOperation(templates, method, pathname)?.name
      const expression = name === undefined ? undefined : operations.get(name)
      return name === undefined || expression === undefined ? null : { name, expression }
    },
    kindsOf(expression) {
      const { by, ...kinds } = shapes.get(expression.replace(/[[\]?]+$/, '')) ?? {}
      return by === undefined ? [] : Object.values(kinds)
    },
    check: (expression, value, place) => checkExpression(shapes, expression, value, place),
  }
  return golden
}

function checkExpression(
  shapes: ReadonlyMap<string, Shape>,
  expression: string,
  value: unknown,
  place: string,
): string[] {
  let least: string[] | null = null
  for (const alternative of expression.split('|')) {
    const problems = checkAlternative(shapes, alternative, value, place)
    if (problems.length === 0) return []
    if (least === null || problems.length < least.length) least = problems
  }
  return least ?? []
}

function checkAlternative(
  shapes: ReadonlyMap<string, Shape>,
  expression: string,
  value: unknown,
  place: string,
): string[] {
  if (expression.endsWith('?'))
    return value === null ? [] : checkAlternative(shapes, expression.slice(0, -1), value, place)
  if (expression.endsWith('[]')) {
    if (!Array.isArray(value)) return [`${place}: expected a list, got ${shown(value)}`]
    return value.flatMap((item, i) =>
      checkAlternative(shapes, expression.slice(0, -2), item, `${place}[${i}]`),
    )
  }
  const isKind = KINDS[expression]
  if (isKind) return isKind(value) ? [] : [`${place}: expected ${expression}, got ${shown(value)}`]
  const shape = shapes.get(expression)
  if (!shape) throw new Error(`no golden shape '${expression}' for ${place}`)
  return checkShape(shapes, expression, shape, value, place)
}

function checkShape(
  shapes: ReadonlyMap<string, Shape>,
  name: string,
  shape: Shape,
  value: unknown,
  place: string,
): string[] {
  if (!isObject(value)) return [`${place}: expected ${name}, got ${shown(value)}`]
  if (shape['by'] !== undefined) {
    const kind = String(value[shape['by']])
    const member = shape[kind]
    if (member === undefined) return [`${place}: ${name} has no kind '${kind}'`]
    return checkExpression(shapes, member, value, `${place}(${kind})`)
  }
  const known = new Set(Object.keys(shape).map((key) => key.replace(/\?$/, '')))
  const unknown = Object.keys(value).filter((key) => !known.has(key))
  return [
    ...unknown.map((key) => `${place}: ${name} has no key '${key}' (${shown(value[key])})`),
    ...Object.entries(shape).flatMap(([written, expression]) => {
      const key = written.replace(/\?$/, '')
      if (!Object.hasOwn(value, key))
        return written.endsWith('?') ? [] : [`${place}: key '${key}' of ${name} is missing`]
      return checkExpression(shapes, expression, value[key], `${place}.${key}`)
    }),
  ]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const KINDS: Record<string, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  integer: (value) => Number.isInteger(value),
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  true: (value) => value === true,
  null: (value) => value === null,
  object: isObject,
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 80)
}
