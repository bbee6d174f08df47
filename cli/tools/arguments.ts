import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'

/**
 * The arguments of a call: `--args` as one JSON object, then each `--arg name=value`, whose value is JSON unless the
 * schema says text or it cannot be read as JSON. Throws a `Failure` that names what is wrong.
 */
export function parseArguments(
  json: string | undefined,
  pairs: readonly string[],
  schema: Record<string, unknown> | null,
): Record<string, unknown> {
  const given = json === undefined ? {} : parseObject(json)
  const properties = propertiesOf(schema)
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new Failure(`--arg takes name=value, not '${pair}'.`)
    const name = pair.slice(0, at)
    given[name] = valueOf(pair.slice(at + 1), properties[name]?.type)
  }
  return given
}

function valueOf(text: string, type: unknown): unknown {
  if (type === 'string') return text
  try {
    return JSON.parse(text)
  } catch {
    // Text without quotes, as people write it; the tool's schema says whether that is right.
    return text
  }
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    throw new Failure(`--args is not valid JSON: ${messageOf(error)}`, { cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Failure(`--args takes one JSON object, such as '{"city": "Paris"}'.`)
}

function propertiesOf(schema: Record<string, unknown> | null): Record<string, { type?: unknown }> {
  const parameters = schema?.['parameters'] as { properties?: Record<string, { type?: unknown }> } | undefined
  return parameters?.properties ?? {}
}
