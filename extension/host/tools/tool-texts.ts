import type { ServerTool } from './server-tool.ts'

/** What says whether a tool has a source, and in which language. */
export type SourceOrNone = Pick<ServerTool, 'name' | 'source_type' | 'source_code'>

/** The text of a tool of the server: its source, or what the model is told of one that has none. */
export function describeTool(tool: ServerTool | null): string {
  if (!tool) return ''
  const { source_code, source_type, json_schema } = tool
  if (source_code !== null && source_type !== 'json') return source_code
  return schemaText(json_schema ?? { name: tool.name })
}

/** A schema for people, its arguments in the order of the source; empty when there is none. */
export function schemaText(schema: Record<string, unknown> | null | undefined): string {
  return schema ? `${JSON.stringify(schema, null, 2)}\n` : ''
}
