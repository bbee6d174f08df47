import { createTwoFilesPatch } from 'diff'
import type { LociClient } from '../../shared/client/http.ts'
import type { Desired } from './desired.ts'
import type { FleetState } from '../../shared/schema/fleet-state.ts'
import { hashOf } from './state.ts'

/** One thing that an apply does, or would do. */
export interface Change {
  action: 'create' | 'update' | 'delete'
  kind: 'agent' | 'block' | 'tool' | 'folder' | 'archive' | 'MCP server'
  name: string
  /** Where the file says so; null for what it says no more. */
  at: string | null
  fields: Field[]
  run(): Promise<void>
}

/** What becomes of a part of something; null: it was not there, or is not any more. */
export interface Field {
  field: string
  before: string | null
  after: string | null
}

/** One part of what becomes of an agent. */
export interface Step {
  fields: Field[]
  /** Fields of a PATCH of the agent, which is sent before any `run`. */
  body?: Record<string, unknown>
  run?: (agent_id: string) => Promise<unknown>
}

/** What there is to do, and what is known while it is done. */
export interface Plan {
  readonly client: LociClient
  readonly desired: Desired
  /** What an earlier apply has made. */
  readonly before: FleetState
  /** The same after this one; grows as changes run. */
  readonly state: FleetState
  /** Whether what an earlier apply made is removed. */
  readonly prune: boolean
  readonly changes: Change[]
  /** What `--prune` would remove, where it is not asked for. */
  readonly stale: string[]
  /** What the user should know, and nobody has to change. */
  readonly notes: string[]
  /** What is wrong with the fleet, seen beside what the server has. */
  readonly mistakes: string[]
  /** Ids by name, once there are any. */
  readonly ids: Record<'tools' | 'blocks' | 'folders' | 'archives' | 'mcp_servers', Map<string, string>>
  /** Names of the tools in files, by path. */
  readonly tool_names: Map<string, string>
}

/** A plan that does nothing yet. */
export function newPlan(client: LociClient, desired: Desired, before: FleetState, prune: boolean): Plan {
  return {
    client,
    desired,
    before,
    state: structuredClone(before),
    prune,
    changes: [],
    stale: [],
    notes: [],
    mistakes: [],
    ids: {
      tools: new Map(),
      blocks: new Map(),
      folders: new Map(),
      archives: new Map(),
      mcp_servers: new Map(),
    },
    tool_names: new Map(),
  }
}

/** Whether an earlier apply has made something, also one that was broken off. */
export function wasMade(
  { before }: Plan,
  kind: Change['kind'],
  name: string,
  record: { made: boolean } | undefined,
): boolean {
  return record?.made ?? before.creating.includes(`${kind} ${name}`)
}

/** A value as text for a field. */
export function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Whether something has all that is wanted of it; what else an object has does not count. */
export function has(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(found) && found.length === wanted.length && wanted.every((item, i) => has(found[i], item))
    )
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof found !== 'object' || found === null) return false
    return Object.entries(wanted).every(([key, value]) => has((found as Record<string, unknown>)[key], value))
  }
  return found === wanted || (wanted === null && found === undefined)
}

/** An object without what is undefined, as bodies are sent. */
export function given(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** The fields of something that are not as wanted. */
export function differences(
  found: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): Field[] {
  return Object.entries(wanted).flatMap(([field, value]) =>
    value === undefined || has(found[field], value)
      ? []
      : [{ field, before: textOf(found[field]), after: textOf(value) }],
  )
}

/**
 * What becomes of the text of a block: the one of the file, unless it belongs to agents and one of them has written since
 * the last apply. `last` is the hash of what that apply left there.
 */
export function blockText(
  wanted: { value: string; agent_owned: boolean },
  found: string,
  last: string | null,
): 'same' | 'write' | 'keep' {
  if (found === wanted.value) return 'same'
  if (!wanted.agent_owned || (last !== null && hashOf(found) === last)) return 'write'
  return 'keep'
}

/** A unified diff of two texts, without its head and what it says of the last line's end. */
export function textDiff(before: string, after: string): string {
  const lines = createTwoFilesPatch('', '', before, after, undefined, undefined, { context: 2 }).split('\n')
  return lines
    .slice(lines.findIndex((line) => line.startsWith('@@')))
    .filter((line) => !line.startsWith('\\'))
    .join('\n')
    .trimEnd()
}

/** What comes new, by names. */
export const namesAdded = (field: string, names: readonly string[] = []): Field[] =>
  names.map((name) => ({ field, before: null, after: name }))

/** An id that is known by now. */
export function idOf(plan: Plan, kind: keyof Plan['ids'], name: string): string {
  const id = plan.ids[kind].get(name)
  if (id === undefined) throw new Error(`no id of ${name} (${kind})`)
  return id
}
