import type { Tool, ToolSchema } from '../../schema/tool.ts'

/**
 * What is wrong with arguments that a tool rule gives a tool, null when they fit its schema: each must be a parameter
 * of the tool and of its type.
 */
export function wrongPrefilled(tool: Tool, args: Record<string, unknown>): string | null {
  const parameters = tool.json_schema?.['parameters'] as ToolSchema['parameters'] | undefined
  const properties = parameters?.properties ?? {}
  for (const [name, value] of Object.entries(args)) {
    if (!Object.hasOwn(properties, name)) return `'${name}' is no parameter of ${tool.name}`
    const wrong = mismatch(properties[name], value)
    if (wrong !== null) return `'${name}' ${wrong}`
  }
  return null
}

function mismatch(schema: unknown, value: unknown): string | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { type, enum: allowed, const: only, anyOf } = schema as Record<string, unknown>
  if (Array.isArray(anyOf) && anyOf.length > 0) {
    return anyOf.some((one) => mismatch(one, value) === null) ? null : 'is of none of the types it may have'
  }
  if (only !== undefined && only !== value) return `must be ${JSON.stringify(only)}`
  if (Array.isArray(allowed) && !allowed.includes(value)) {
    return `must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`
  }
  const types = (Array.isArray(type) ? type : [type]).filter((one) => typeof one === 'string')
  if (types.length === 0 || types.some((one) => isOfType(one, value))) return null
  return `must be of type ${types.join(' or ')}`
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'string':
    case 'boolean':
      return typeof value === type
    case 'number':
      return typeof value === 'number'
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    default:
      return true
  }
}
