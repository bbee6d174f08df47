import type { BuiltinTool, ToolCallInput, ToolResult } from '../core/ports.ts'

/** A built-in tool and what it does. A thrown error is what the model reads. */
export interface Builtin extends BuiltinTool {
  run(call: ToolCallInput): Promise<ToolResult> | ToolResult
}

/** A successful return. */
export function success(text: string): ToolResult {
  return { status: 'success', func_response: text }
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
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new TypeError(`argument '${name}' must be a whole number`)
  return number
}
