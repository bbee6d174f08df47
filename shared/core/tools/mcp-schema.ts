import type { McpToolHealth } from '../../schema/mcp-server.ts'
import type { ToolSchema } from '../../schema/tool.ts'

type Json = Record<string, unknown>

const TYPES = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'])
/** Keys whose value is one schema, a list of them, or some by name. */
const ONE = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames']
const MANY = ['anyOf', 'oneOf', 'allOf', 'prefixItems']
const NAMED = ['properties', '$defs', 'definitions', 'patternProperties', 'dependentSchemas']
const MAX_REASONS = 10

/**
 * How well the schema of a tool's arguments serves models (V1's schema health): as strict tool calls want it, only
 * without them, or not at all.
 */
export function schemaHealth(schema: unknown): McpToolHealth {
  if (!isObject(schema))
    return {
      status: 'INVALID',
      reasons: ['the tool has no schema of its arguments, or one that is too large'],
    }
  if (schema['type'] !== 'object')
    return { status: 'INVALID', reasons: ["the schema of the arguments must have the type 'object'"] }
  const broken: string[] = []
  const loose: string[] = []
  check(schema, 'arguments', { root: schema, broken, loose })
  if (broken.length > 0) return { status: 'INVALID', reasons: broken.slice(0, MAX_REASONS) }
  if (loose.length > 0) return { status: 'NON_STRICT_ONLY', reasons: loose.slice(0, MAX_REASONS) }
  return { status: 'STRICT_COMPLIANT', reasons: [] }
}

/** The schema that models are shown. */
export function parametersOf(schema: unknown): ToolSchema['parameters'] {
  const { $schema: _, ...rest } = isObject(schema) ? schema : {}
  return {
    ...rest,
    type: 'object',
    properties: isObject(rest['properties']) ? rest['properties'] : {},
    required: Array.isArray(rest['required']) ? (rest['required'] as string[]) : [],
  }
}

interface Findings {
  root: Json
  /** What no model takes. */
  broken: string[]
  /** What strict calls do not take. */
  loose: string[]
}

function check(schema: unknown, at: string, findings: Findings): void {
  const { root, broken, loose } = findings
  if (typeof schema === 'boolean') return void loose.push(`${at} takes anything or nothing`)
  if (!isObject(schema)) return void broken.push(`${at} is no schema`)
  const { type, $ref, required, enum: values } = schema
  const types = type === undefined ? [] : [type].flat()
  for (const one of types)
    if (typeof one !== 'string' || !TYPES.has(one))
      broken.push(`${at} has the type ${JSON.stringify(one)}, which there is not`)
  if ($ref !== undefined && (typeof $ref !== 'string' || !resolves(root, $ref)))
    broken.push(`${at} refers to ${JSON.stringify($ref)}, which is not in the schema`)
  if (values !== undefined && (!Array.isArray(values) || values.length === 0))
    broken.push(`${at} has an 'enum' that is no list of values`)
  for (const key of MANY)
    if (schema[key] !== undefined && (!Array.isArray(schema[key]) || schema[key].length === 0))
      broken.push(`${at} has '${key}' that is no list of schemas`)
  for (const key of NAMED)
    if (schema[key] !== undefined && !isObject(schema[key]))
      broken.push(`${at} has '${key}' that is no object`)
  if (types.includes('object') || isObject(schema['properties'])) object(schema, at, findings)
  if (types.includes('array') && schema['items'] === undefined && schema['prefixItems'] === undefined)
    loose.push(`${at} is a list whose items are not described`)
  if (
    types.length === 0 &&
    $ref === undefined &&
    values === undefined &&
    schema['const'] === undefined &&
    ['properties', ...MANY].every((key) => schema[key] === undefined)
  )
    loose.push(`${at} has no type`)
  if (
    required !== undefined &&
    !(Array.isArray(required) && required.every((name) => typeof name === 'string'))
  )
    broken.push(`${at} has 'required' that is no list of names`)
  inside(schema, at, findings)
}

/** Strict calls send every property and no others. */
function object(schema: Json, at: string, { loose }: Findings): void {
  const names = Object.keys(isObject(schema['properties']) ? schema['properties'] : {})
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  if (schema['additionalProperties'] !== false) loose.push(`${at} takes more than it names`)
  const optional = names.filter((name) => !required.includes(name))
  if (optional.length > 0) loose.push(`${at}: ${optional.slice(0, 5).join(', ')} may be left out`)
}

function inside(schema: Json, at: string, findings: Findings): void {
  // Enough is known.
  if (findings.broken.length > MAX_REASONS) return
  for (const key of ONE) {
    const inner = schema[key]
    if (isObject(inner)) check(inner, `${at}.${key}`, findings)
    // Tuples of the older drafts.
    else if (key === 'items' && Array.isArray(inner))
      for (const [i, one] of inner.entries()) check(one, `${at}.items[${i}]`, findings)
    else if (inner !== undefined && typeof inner !== 'boolean')
      findings.broken.push(`${at}.${key} is no schema`)
  }
  for (const key of MANY) {
    const inner = schema[key]
    if (Array.isArray(inner))
      for (const [i, one] of inner.entries()) check(one, `${at}.${key}[${i}]`, findings)
  }
  for (const key of NAMED) {
    const inner = schema[key]
    if (!isObject(inner)) continue
    for (const [name, one] of Object.entries(inner))
      check(one, key === 'properties' ? `${at}.${name}` : `${at}.${key}.${name}`, findings)
  }
}

/** Only places inside the schema itself: nothing is fetched. */
function resolves(root: Json, ref: string): boolean {
  if (ref === '#') return true
  if (!ref.startsWith('#/')) return false
  let place: unknown = root
  for (const part of ref.slice(2).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(place)) place = (place as unknown[])[Number(key)]
    else if (isObject(place) && Object.hasOwn(place, key)) place = place[key]
    else return false
  }
  return isObject(place) || typeof place === 'boolean'
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
