import { type ArgumentTypes, checkArguments } from './argument-types.ts'

/** What a parameter of a tool's function is filled with, in the order of the parameters. */
export type Binding =
  /** The argument of that name. */
  | { from: 'argument'; name: string }
  /** An object with these arguments; null: all of them. */
  | { from: 'properties'; names: string[] | null }
  /** What the runner knows. */
  | { from: 'agent_state' | 'agent_id' | 'context' }

/** What to call in a compiled tool. */
export interface ToolEntry {
  /** `tool`: the export is an object with `run(input, context)`. */
  kind: 'function' | 'tool'
  export_name: string
  /** Of a function; empty for a tool. */
  parameters: Binding[]
  /** Of a function. */
  types?: ArgumentTypes
}

/**
 * What the function of a tool is called with. An argument that is not given is undefined, and so takes its default.
 * Throws a TypeError that names those which are missing, as Python does, or of another type than the function's.
 */
export function bindArguments(
  { kind, parameters, types }: Pick<ToolEntry, 'kind' | 'parameters' | 'types'>,
  all: Readonly<Record<string, unknown>>,
  context: { agent_id: string | null; agent_state: unknown },
): unknown[] {
  if (kind === 'tool') return [all, context]
  const given = types ? checkArguments(types, all) : all
  return parameters.map((binding) => {
    switch (binding.from) {
      case 'argument':
        return given[binding.name]
      case 'properties': {
        const names = binding.names ?? Object.keys(given)
        const picked = names.filter((name) => Object.hasOwn(given, name))
        return Object.fromEntries(picked.map((name) => [name, given[name]]))
      }
      case 'context':
        return context
      case 'agent_state':
        return context.agent_state
      case 'agent_id':
        return context.agent_id
    }
  })
}
