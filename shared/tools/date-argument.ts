import type { ToolCallInput } from '../core/ports/tools.ts'
import { instantOf } from '../schema/time.ts'
import { stringArgument, valueError } from './builtin.ts'

/**
 * A day or ISO 8601 time as an instant, read in the agent's time zone; with `end` a day counts whole. Undefined when it is
 * not given.
 */
export function dateArgument(
  call: ToolCallInput,
  name: string,
  options: { end?: boolean } = {},
): string | undefined {
  const text = stringArgument(call, name, '')
  if (text.trim() === '') return undefined
  const instant = instantOf(text, call.agent.timezone, options)
  if (instant === null)
    throw valueError(`${name} '${text}' is not a date; use YYYY-MM-DD or an ISO 8601 time`)
  return instant
}
