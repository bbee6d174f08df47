import type { LociClient } from '../../../shared/client/http.ts'
import { settingsChange, type ToolFile, type ToolSettings } from '../../../shared/client/tool-files.ts'
import type { CheckedTool } from '../../../shared/schema/custom-tool.ts'

/** A tool on the server, as its author's editor needs it. */
export interface ServerTool extends ToolSettings {
  id: string
  name: string
  tool_type: string
  source_type: string | null
  source_code: string | null
}

/** What the source of a tool says, or what is wrong with it; nothing of it runs. Throws what the client throws. */
export async function checkTool(
  client: LociClient,
  { source_code, source_type, settings }: ToolFile,
  options: { signal?: AbortSignal } = {},
): Promise<CheckedTool> {
  const { json_schema, args_json_schema, pip_requirements, npm_requirements } = settings
  const body = { source_code, source_type, json_schema, args_json_schema, pip_requirements, npm_requirements }
  // What our own server answers; the shape is that of shared/schema.
  return (await client.letta.post('/v1/tools/check', { body, ...options })) as CheckedTool
}

/** The tool of this name; null when the server has none. Throws what the client throws. */
export async function toolNamed(client: LociClient, name: string): Promise<ServerTool | null> {
  const { items } = await client.letta.tools.list({ names: [name], limit: 1 })
  return (items[0] as ServerTool | undefined) ?? null
}

/** Whether a push of the file would change the tool. */
export function differs(file: ToolFile, there: ServerTool): boolean {
  return file.source_code !== there.source_code || settingsChange(file.settings, there) !== null
}

/** Makes the tool of the server what the file says; what the file does not say stays as it is. Nothing is done twice. */
export async function pushTool(
  client: LociClient,
  { source_code, source_type, settings }: ToolFile,
  there: ServerTool | null,
): Promise<ServerTool> {
  const { tools } = client.letta
  const body = { source_code, source_type, ...settings }
  return (there ? await tools.update(there.id, body) : await tools.create(body)) as ServerTool
}
