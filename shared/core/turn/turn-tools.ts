import type { Agent } from '../../schema/agent.ts'
import type { ClientTool } from '../../schema/message.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import { ToolRules } from './tool-rules.ts'

/** The tools of one turn: those of the agent, those that the client of this request runs itself, and their rules. */
export interface TurnTools {
  /** In the order the model is shown them. */
  schemas: readonly ToolSchema[]
  /** Names of tools that the client runs. */
  client: ReadonlySet<string>
  rules: ToolRules
}

/** A client's tool hides one of the agent's of the same name. */
export function turnTools(agent: Agent, client_tools: readonly ClientTool[]): TurnTools {
  const client = new Set(client_tools.map((tool) => tool.name))
  const own = agent.tools.flatMap((tool) =>
    tool.json_schema && !client.has(tool.name) ? [tool.json_schema as unknown as ToolSchema] : [],
  )
  const schemas = [...own, ...client_tools.map(schemaOf)]
  const names = schemas.map((schema) => schema.name)
  return { schemas, client, rules: new ToolRules(agent.tool_rules, names) }
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
