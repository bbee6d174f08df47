import type { Agent } from '../../schema/agent.ts'
import { messageOf } from '../../schema/errors.ts'
import type { ClientTool, StoredToolCall } from '../../schema/message.ts'
import type { Tool, ToolSchema } from '../../schema/tool.ts'
import type { ToolWall } from '../ports/custom-tools.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { ToolRules } from './tool-rules.ts'

/** The tools of one turn: those of the agent, those that the client of this request runs itself, and their rules. */
export interface TurnTools {
  /** In the order the model is shown them. */
  schemas: readonly ToolSchema[]
  /** Names of tools that the client runs. */
  client: ReadonlySet<string>
  /** Why calls of a tool wait for an approval though no rule says so, by name. */
  guarded: ReadonlyMap<string, string>
  rules: ToolRules
}

/**
 * A client's tool hides one of the agent's of the same name. Where there is no `wall` between the code of tools and the
 * machine, what users have written waits for an approval, unless the tool itself says that it need not.
 */
export function turnTools(
  agent: Agent,
  client_tools: readonly ClientTool[],
  wall: ToolWall | null = null,
): TurnTools {
  const given = new Set(client_tools.map((tool) => tool.name))
  const own = agent.tools.filter((tool) => tool.json_schema && !given.has(tool.name))
  const schemas = [
    ...own.map(({ json_schema }) => json_schema as unknown as ToolSchema),
    ...client_tools.map(schemaOf),
  ]
  const names = schemas.map((schema) => schema.name)
  const unwalled = own.filter((tool) => wall && isGuarded(tool, wall))
  return {
    schemas,
    client: new Set([...given, ...own.filter(isClientTool).map(({ name }) => name)]),
    guarded: new Map(unwalled.map(({ name }) => [name, wall?.description ?? ''])),
    rules: new ToolRules(agent.tool_rules, names),
  }
}

/** Whether this is a schema without code: its calls are put to the client (V1's `source_type` json). */
export function isClientTool({ tool_type, source_type }: Tool): boolean {
  return tool_type === 'custom' && source_type === 'json'
}

/** Whether this is code of a user. */
export function isCode(tool: Tool): boolean {
  return tool.tool_type === 'custom' && !isClientTool(tool)
}

/** Whether calls of a tool wait for an approval because nothing keeps its code away from the machine. */
export function isGuarded(tool: Tool, wall: ToolWall): boolean {
  return wall.kind === 'none' && isCode(tool) && tool.default_requires_approval !== false
}

function schemaOf({ name, description, parameters }: ClientTool): ToolSchema {
  const { properties, required, ...rest } = parameters ?? {}
  return {
    name,
    description: description ?? '',
    parameters: {
      ...rest,
      type: 'object',
      properties: (properties ?? {}) as Record<string, unknown>,
      required: Array.isArray(required) ? (required as string[]) : [],
    },
  }
}

/** What keeps the code of the agent's tools away from the machine; null for an agent without such tools. */
export async function wallOf({ tools }: Agent, { custom }: CoreDeps): Promise<ToolWall | null> {
  if (!custom || !tools.some(isCode)) return null
  // Nobody knows: then it is none.
  return custom.wall().catch((error: unknown) => ({ kind: 'none' as const, description: messageOf(error) }))
}

/** Why these calls wait though no rule says that they should: nothing keeps the code of their tools away. */
export function guardReason({ guarded }: TurnTools, calls: readonly StoredToolCall[]): string | null {
  const names = [...new Set(calls.map((call) => call.function.name))].filter((name) => guarded.has(name))
  const [first] = names
  if (first === undefined) return null
  return `The code of ${names.join(', ')} could do anything on this machine: ${guarded.get(first) ?? ''}`
}
