import { limited, type JsonSchema } from './json-schema.ts'

/** What zod knows of strings and numbers besides their type, by what makes it. */
export const FORMATS: Readonly<Record<string, JsonSchema>> = {
  email: { type: 'string', format: 'email' },
  url: { type: 'string', format: 'uri' },
  httpUrl: { type: 'string', format: 'uri' },
  uuid: { type: 'string', format: 'uuid' },
  uuidv4: { type: 'string', format: 'uuid' },
  uuidv6: { type: 'string', format: 'uuid' },
  uuidv7: { type: 'string', format: 'uuid' },
  guid: { type: 'string', format: 'uuid' },
  hostname: { type: 'string', format: 'hostname' },
  ipv4: { type: 'string', format: 'ipv4' },
  ipv6: { type: 'string', format: 'ipv6' },
  base64: { type: 'string', contentEncoding: 'base64' },
  base64url: { type: 'string', contentEncoding: 'base64url' },
  emoji: { type: 'string' },
  nanoid: { type: 'string' },
  cuid: { type: 'string' },
  cuid2: { type: 'string' },
  ulid: { type: 'string' },
  ksuid: { type: 'string' },
  xid: { type: 'string' },
  cidrv4: { type: 'string' },
  cidrv6: { type: 'string' },
  jwt: { type: 'string' },
  e164: { type: 'string' },
  hex: { type: 'string' },
  stringbool: { type: 'string' },
  'iso.date': { type: 'string', format: 'date' },
  'iso.time': { type: 'string', format: 'time' },
  'iso.datetime': { type: 'string', format: 'date-time' },
  'iso.duration': { type: 'string', format: 'duration' },
}

/** What zod has and JSON has not, each with what to take instead. */
export const NOT_JSON: Readonly<Record<string, string>> = {
  date: 'take z.iso.datetime() and make a Date of it',
  bigint: 'take z.number().int(), or z.string() of digits',
  int64: 'take z.int(), or z.string() of digits',
  uint64: 'take z.int(), or z.string() of digits',
  symbol: 'take z.string()',
  undefined: 'take .optional()',
  void: 'take the property away',
  never: 'take the property away',
  nan: 'take z.number()',
  map: 'take z.record()',
  set: 'take z.array()',
  function: 'a model can give values only',
  promise: 'take the value itself',
  instanceof: 'take z.object() with its fields',
  file: 'take z.string(), such as a path or base64',
  custom: 'say with the types of zod what it is',
}

/** The same as methods of a string, from zod 3. */
const STRING_METHODS: Readonly<Record<string, JsonSchema>> = {
  ...FORMATS,
  datetime: { format: 'date-time' },
  date: { format: 'date' },
  time: { format: 'time' },
  duration: { format: 'duration' },
  ip: {},
  cidr: {},
}

/**
 * What a check such as `.min(1)` makes of a schema; undefined for one that is not known. What its arguments do not say
 * written out is left out: zod checks it when the tool is called.
 */
export function applyCheck(name: string, schema: JsonSchema, given: () => unknown[]): JsonSchema | undefined {
  const inner = limited(schema)
  const changed = checked(name, inner, given)
  if (!changed) return undefined
  if (inner === schema) return changed
  const parts = (schema['anyOf'] as JsonSchema[]).map((part) => (part === inner ? changed : part))
  return { ...schema, anyOf: parts }
}

function checked(name: string, schema: JsonSchema, given: () => unknown[]): JsonSchema | undefined {
  const { type } = schema
  const with_ = (more: Record<string, unknown>): JsonSchema =>
    Object.values(more).includes(undefined) ? schema : { ...schema, ...more }
  const number = () => {
    const [value] = given()
    return typeof value === 'number' ? value : undefined
  }
  if (type === 'string' || type === 'array') {
    const unit = type === 'string' ? 'Length' : 'Items'
    if (name === 'min') return with_({ [`min${unit}`]: number() })
    if (name === 'max') return with_({ [`max${unit}`]: number() })
    if (name === 'length') return with_({ [`min${unit}`]: number(), [`max${unit}`]: number() })
    if (name === 'nonempty') return with_({ [`min${unit}`]: 1 })
  }
  if (type === 'string') {
    const [value] = ['regex', 'startsWith', 'endsWith', 'includes'].includes(name) ? given() : []
    // JSON Schema has no flags.
    if (name === 'regex')
      return with_({
        pattern: value instanceof RegExp && !/[im]/.test(value.flags) ? value.source : undefined,
      })
    const text = typeof value === 'string' ? value.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&') : undefined
    if (name === 'startsWith') return with_({ pattern: text && `^${text}` })
    if (name === 'endsWith') return with_({ pattern: text && `${text}$` })
    if (name === 'includes') return with_({ pattern: text })
    const known = Object.hasOwn(STRING_METHODS, name) ? STRING_METHODS[name] : undefined
    return known && with_(known)
  }
  if (type === 'number' || type === 'integer') {
    switch (name) {
      case 'min':
      case 'gte':
        return with_({ minimum: number() })
      case 'max':
      case 'lte':
        return with_({ maximum: number() })
      case 'gt':
        return with_({ exclusiveMinimum: number() })
      case 'lt':
        return with_({ exclusiveMaximum: number() })
      case 'int':
        return with_({ type: 'integer' })
      case 'positive':
        return with_({ exclusiveMinimum: 0 })
      case 'negative':
        return with_({ exclusiveMaximum: 0 })
      case 'nonnegative':
        return with_({ minimum: 0 })
      case 'nonpositive':
        return with_({ maximum: 0 })
      case 'multipleOf':
      case 'step':
        return with_({ multipleOf: number() })
      default:
        return undefined
    }
  }
  return undefined
}
