import { fleet } from './fleet.ts'

/** The keys that a map may have which is at this path of a fleet; none where it cannot be told. */
export function fleetKeys(path: readonly PropertyKey[]): string[] {
  let schema: unknown = fleet
  for (const step of path) {
    const definition = definitionOf(schema)
    if (definition?.type === 'array') schema = definition.element
    else if (definition?.type === 'record') schema = definition.valueType
    else schema = definition?.shape?.[String(step)]
  }
  return Object.keys(definitionOf(schema)?.shape ?? {})
}

interface Definition {
  type: string
  shape?: Record<string, unknown>
  element?: unknown
  valueType?: unknown
  innerType?: unknown
  out?: unknown
}

/** What a schema is, behind `optional`, `default` and `preprocess`. */
function definitionOf(schema: unknown): Definition | null {
  let definition = (schema as { _zod?: { def: Definition } } | undefined)?._zod?.def ?? null
  for (let depth = 0; depth < 5 && definition; depth++) {
    const inner = definition.type === 'pipe' ? definition.out : definition.innerType
    if (inner === undefined) return definition
    definition = (inner as { _zod?: { def: Definition } })._zod?.def ?? null
  }
  return definition
}
