import { CONSTRAINTS, type DocTag } from './jsdoc.ts'

/** As much of JSON Schema as sources are made into. */
export type JsonSchema = Record<string, unknown>

/** What a type or a schema of zod is as JSON Schema. */
export interface Converted {
  schema: JsonSchema
  /** `undefined` is one of its values. */
  optional: boolean
}

/** An object with these properties. */
export interface ObjectSchema extends JsonSchema {
  type: 'object'
  properties: Record<string, JsonSchema>
  required: string[]
}

export function objectSchema(
  properties: Record<string, JsonSchema> = {},
  required: readonly string[] = [],
): ObjectSchema {
  return { type: 'object', properties, required: [...required] }
}

export function isObjectSchema(schema: JsonSchema): schema is ObjectSchema {
  return schema['type'] === 'object' && 'properties' in schema
}

type Fixed = string | number | boolean | null

function kindOf(value: Fixed): string {
  if (value === null) return 'null'
  return Number.isInteger(value) ? 'integer' : typeof value
}

/** One of these values. */
export function enumSchema(values: readonly Fixed[]): JsonSchema {
  const distinct = [...new Set(values)]
  const kinds = new Set(distinct.map(kindOf))
  if (kinds.has('number')) kinds.delete('integer')
  const [kind, ...more] = [...kinds].sort()
  if (kind === 'boolean' && more.length === 0 && distinct.length === 2) return { type: 'boolean' }
  return { type: more.length > 0 ? [kind, ...more] : kind, enum: distinct }
}

/** The values of an enum; undefined for what is none. */
export function fixedValues(schema: JsonSchema): Fixed[] | undefined {
  return Array.isArray(schema['enum']) ? (schema['enum'] as Fixed[]) : undefined
}

/** One of these. Fixed values become one enum, and what is said twice, or said by a wider one, is said once. */
export function unionSchema(parts: readonly JsonSchema[]): JsonSchema {
  const flat = parts.flatMap((part) => (onlyAnyOf(part) ? (part['anyOf'] as JsonSchema[]) : [part]))
  const wide = new Set(flat.filter((part) => Object.keys(part).join() === 'type').map((part) => part['type']))
  const fixed = flat.flatMap((part) => (isPlainEnum(part) ? (fixedValues(part) ?? []) : []))
  const rest = fixed.filter(
    (value) => !wide.has(kindOf(value)) && !(wide.has('number') && typeof value === 'number'),
  )
  const merged: JsonSchema[] = []
  let enumPlaced = false
  for (const part of flat) {
    if (isPlainEnum(part)) {
      if (!enumPlaced && rest.length > 0) merged.push(enumSchema(rest))
      enumPlaced = true
    } else if (!merged.some((other) => JSON.stringify(other) === JSON.stringify(part))) merged.push(part)
  }
  const [only] = merged
  return merged.length === 1 && only ? only : { anyOf: merged }
}

function onlyAnyOf(schema: JsonSchema): boolean {
  return 'anyOf' in schema && Object.keys(schema).length === 1
}

function isPlainEnum(schema: JsonSchema): boolean {
  return 'enum' in schema && Object.keys(schema).every((key) => key === 'type' || key === 'enum')
}

/** A list of fixed length. */
export function tupleSchema(prefix: readonly JsonSchema[], needed: number, rest?: JsonSchema): JsonSchema {
  return {
    type: 'array',
    prefixItems: [...prefix],
    // Some providers refuse an array that does not say what it holds.
    items: rest ?? (prefix.length > 0 ? unionSchema(prefix) : {}),
    minItems: needed,
    ...(rest ? {} : { maxItems: prefix.length }),
  }
}

/** The part of a schema that limits speak of: what is beside null. */
export function limited(schema: JsonSchema): JsonSchema {
  const parts = (schema['anyOf'] as JsonSchema[] | undefined)?.filter((part) => part['type'] !== 'null')
  const [only] = parts ?? []
  return parts?.length === 1 && only ? only : schema
}

/** Puts what tags of a JSDoc comment say into a schema. What is wrong with them is told as sentences. */
export function applyTags(schema: JsonSchema, tags: readonly DocTag[]): { message: string; line: number }[] {
  const target = limited(schema)
  const wrong: { message: string; line: number }[] = []
  for (const { name, text, line } of tags) {
    if (name === 'default' || name === 'defaultValue') schema['default'] = jsonOrText(text, target)
    else if ((name === 'integer' || name === 'int') && target['type'] === 'number') target['type'] = 'integer'
    else if (name === 'deprecated') schema['deprecated'] = true
    else if (Object.hasOwn(CONSTRAINTS, name)) {
      const key = CONSTRAINTS[name as keyof typeof CONSTRAINTS]
      if (['pattern', 'format', 'title'].includes(key)) target[key] = text
      else if (key === 'uniqueItems') target[key] = text !== 'false'
      else if (text !== '' && Number.isFinite(Number(text))) target[key] = Number(text)
      else wrong.push({ message: `@${name} is followed by a number, such as \`@${name} 1\`.`, line })
    }
  }
  return wrong
}

function jsonOrText(text: string, { type }: JsonSchema): unknown {
  const bare = text.replace(/^`([^`]*)`$/, '$1')
  try {
    const value = JSON.parse(bare) as unknown
    return type === 'string' && typeof value !== 'string' ? bare : value
  } catch {
    // Written as in the source: 'a'.
    return bare.replace(/^'([^']*)'$/, '$1')
  }
}
