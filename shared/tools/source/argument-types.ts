import type { JsonSchema } from './json-schema.ts'

/** What the types of a function say of its arguments. */
export interface ArgumentTypes {
  /** Of each argument whose type is known. */
  schemas: Record<string, JsonSchema>
  /** Those that the function cannot do without. */
  required: string[]
}

/**
 * The arguments as the function takes them: null for one that may be left out, and is not null, is none. Throws a TypeError
 * that names what is missing or of another type; what the types leave open fits.
 */
export function checkArguments(
  { schemas, required }: ArgumentTypes,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const schemaOf = (name: string) => (Object.hasOwn(schemas, name) ? schemas[name] : undefined)
  const taken = Object.fromEntries(
    Object.entries(given).filter(([name, value]) => {
      const schema = schemaOf(name)
      return value !== null || required.includes(name) || !schema || fits(schema, null)
    }),
  )
  const missing = required.filter((name) => taken[name] === undefined).map((name) => `'${name}'`)
  if (missing.length > 0)
    throw new TypeError(
      `the required argument${missing.length === 1 ? '' : 's'} ${missing.join(', ')} ${missing.length === 1 ? 'was' : 'were'} not given`,
    )
  for (const [name, value] of Object.entries(taken)) {
    const schema = schemaOf(name)
    if (schema && !fits(schema, value))
      throw new TypeError(`the argument '${name}' must be ${wording(schema)}, not ${shown(value)}`)
  }
  return taken
}

/** False only for what is certainly of another type. */
function fits(schema: JsonSchema, value: unknown): boolean {
  const { anyOf, type, items } = schema
  if (Array.isArray(anyOf)) return (anyOf as JsonSchema[]).some((part) => fits(part, value))
  if (Array.isArray(schema['enum'])) return schema['enum'].includes(value)
  const types = [type].flat().filter((one) => typeof one === 'string')
  if (types.length > 0 && !types.some((one) => isOfType(one, value))) return false
  // Of a tuple they say too little.
  if (!Array.isArray(value) || 'prefixItems' in schema || typeof items !== 'object' || items === null)
    return true
  return value.every((item) => fits(items as JsonSchema, item))
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'number':
      return typeof value === type
    case 'integer':
      return Number.isInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'null':
      return value === null
    default:
      return true
  }
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'a boolean',
  array: 'an array',
  object: 'an object',
  null: 'null',
}

function wording(schema: JsonSchema): string {
  const { anyOf, type, items } = schema
  if (Array.isArray(anyOf)) return (anyOf as JsonSchema[]).map(wording).join(' or ')
  if (Array.isArray(schema['enum'])) {
    const values = schema['enum'].slice(0, 50).map((value) => JSON.stringify(value))
    return values.length === 1 ? values.join() : `one of ${values.join(', ')}`
  }
  const inner = (items as JsonSchema | undefined)?.['type']
  const of = type === 'array' && typeof inner === 'string' ? ` whose items are of type ${inner}` : ''
  const types = [type].flat().map((one) => NAMES[String(one)] ?? 'of its type')
  return types.join(' or ') + of
}

function shown(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
