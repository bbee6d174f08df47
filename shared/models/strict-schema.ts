import type { Json } from './json.ts'

/**
 * A JSON schema whose objects take no properties but their own, as strict tool calls ask for; null when it cannot be
 * (free maps). With `all_required` also null when an object has a property that may be left out: strict OpenAI tools
 * must always be sent every one.
 */
export function closedSchema(schema: object, options: { all_required?: boolean } = {}): Json | null {
  const close = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(close)
    if (typeof value !== 'object' || value === null) return value
    const node = value as Json
    const out: Json = {}
    for (const [key, inner] of Object.entries(node)) {
      out[key] = key === 'properties' ? closeEach(inner) : NESTED.has(key) ? close(inner) : inner
    }
    if (node.type !== 'object' && node.properties === undefined) return out
    const names = Object.keys(node.properties ?? {})
    const required = Array.isArray(node.required) ? node.required : []
    const free = node.additionalProperties !== undefined && node.additionalProperties !== false
    if (free || (options.all_required && names.some((name) => !required.includes(name)))) throw new Open()
    return { ...out, additionalProperties: false }
  }
  const closeEach = (properties: unknown) =>
    Object.fromEntries(
      Object.entries((properties ?? {}) as Json).map(([name, inner]) => [name, close(inner)]),
    )
  try {
    return close(schema) as Json
  } catch (error) {
    if (error instanceof Open) return null
    throw error
  }
}

const NESTED = new Set(['items', 'anyOf', 'oneOf', 'allOf', '$defs', 'definitions', 'prefixItems'])

/** The schema has an object that takes more than it names. */
class Open extends Error {}
