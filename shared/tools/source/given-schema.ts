import type { DeriveOptions } from '../../core/ports/custom-tools.ts'
import type { ToolSchema } from '../../schema/tool.ts'

type Parameters = ToolSchema['parameters']

/** What a schema of arguments, such as one of pydantic, is as the parameters of a function. */
export function parametersOf(args_json_schema: Readonly<Record<string, unknown>>): Parameters {
  const { title: _title, description: _description, properties, required, ...rest } = args_json_schema
  return {
    ...rest,
    type: 'object',
    properties: isRecord(properties) ? properties : {},
    required: Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [],
  }
}

/** The schema of a tool: what was given for it wins over what its source says. */
export function schemaOf(
  found: { name: string; description: string; parameters: Parameters | null },
  { json_schema, args_json_schema }: DeriveOptions,
): ToolSchema {
  if (json_schema)
    return {
      ...json_schema,
      description: json_schema.description || found.description,
      parameters: parametersOf(isRecord(json_schema.parameters) ? json_schema.parameters : {}),
    }
  const described = args_json_schema?.['description']
  return {
    name: found.name,
    description: found.description || (typeof described === 'string' ? described : ''),
    parameters: args_json_schema
      ? parametersOf(args_json_schema)
      : (found.parameters ?? { type: 'object', properties: {}, required: [] }),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
