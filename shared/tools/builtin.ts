import type { BuiltinTool, ToolCallInput, ToolResult } from '../core/ports/tools.ts'
import { AppError } from '../schema/errors.ts'
import type { ToolType } from '../schema/tool.ts'

/** A built-in tool and what it does. A thrown error is what the model reads. */
export interface Builtin extends BuiltinTool {
  run(call: ToolCallInput, options: { signal: AbortSignal }): Promise<ToolResult> | ToolResult
}

/** A property of a tool's arguments, as JSON schema. */
type Property = { type: string; description: string } & Record<string, unknown>

/** A tool with its schema. `required` names the arguments that must be given; descriptions are what the model reads. */
export function builtin(spec: {
  name: string
  type: ToolType
  description: string
  properties: Record<string, Property>
  required: string[]
  parallel?: boolean
  run: Builtin['run']
}): Builtin {
  const { name, type, description, properties, required } = spec
  return {
    name,
    tool_type: type,
    tags: [type],
    enable_parallel_execution: spec.parallel ?? false,
    schema: { name, description, parameters: { type: 'object', properties, required } },
    run: spec.run,
  }
}

/** A successful return, as text the way V1 writes it: nothing is `None`, other values are JSON (reference 3.4). */
export function success(value: unknown): ToolResult {
  const text =
    typeof value === 'string' ? value : value === null || value === undefined ? 'None' : JSON.stringify(value)
  return { status: 'success', func_response: text }
}

/** The error of an argument that has the right type and cannot be right all the same. */
export function valueError(text: string): AppError {
  return new AppError('tool_error', text, { data: { kind: 'ValueError' } })
}

/** A string argument; `fallback` stands for a missing one, without it the argument is required. */
export function stringArgument(call: ToolCallInput, name: string, fallback?: string): string {
  const value = call.arguments[name]
  if (value === undefined || value === null) {
    if (fallback !== undefined) return fallback
    throw new TypeError(`argument '${name}' is missing`)
  }
  if (typeof value !== 'string') throw new TypeError(`argument '${name}' must be a string`)
  return value
}

/** An integer argument; models send numbers as text now and then. */
export function integerArgument(call: ToolCallInput, name: string, fallback: number): number {
  const value = call.arguments[name] ?? fallback
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new TypeError(`argument '${name}' must be a whole number`)
  return number
}

/** A list of strings; a single string counts as a list of one. */
export function stringsArgument(call: ToolCallInput, name: string): string[] {
  const value = call.arguments[name]
  if (value === undefined || value === null) return []
  const items: unknown[] = Array.isArray(value) ? value : [value]
  return items.map((item) => {
    if (typeof item !== 'string') throw new TypeError(`argument '${name}' must be a list of strings`)
    return item
  })
}
