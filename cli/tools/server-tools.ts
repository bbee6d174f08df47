import { createTwoFilesPatch } from 'diff'
import { type CheckedTool, checkedTool } from '../../shared/schema/custom-tool.ts'
import type { LociClient } from '../../shared/client/http.ts'
import { settingsChange, type ToolFile, type ToolSettings } from '../../shared/client/tool-files.ts'
import { Failure } from '../failure.ts'

/** A tool on a server, as the commands need it. */
export interface ServerTool extends ToolSettings {
  id: string
  name: string
  tool_type: string
  source_type: string | null
  source_code: string | null
}

/** What the code of a tool says about it. Throws a `Failure` with file, line and column for what cannot be read. */
export async function check(client: LociClient, file: ToolFile): Promise<CheckedTool & { name: string }> {
  const { json_schema, args_json_schema } = file.settings
  const { source_code, source_type } = file
  const body = { source_code, source_type, json_schema, args_json_schema }
  const checked = checkedTool.parse(await client.letta.post('/v1/tools/check', { body }))
  const { name, errors } = checked
  if (errors.length > 0 || name === null) {
    const lines = errors.map(({ message, line, column }) => `${place(file.path, line, column)}: ${message}`)
    throw new Failure(lines.join('\n'))
  }
  return { ...checked, name }
}

/** `weather.ts:3:14`, as editors and terminals open it. */
export function place(path: string, line: number | null, column: number | null): string {
  return [path, line, column].filter((part) => part !== null).join(':')
}

/** The tools of these names; without names, all that are somebody's own code. */
export async function toolsOnServer(
  client: LociClient,
  names?: readonly string[],
): Promise<Map<string, ServerTool>> {
  const found = new Map<string, ServerTool>()
  const filter = names === undefined ? { tool_types: ['custom'] } : { names: [...names] }
  for await (const tool of client.letta.tools.list({ ...filter, limit: 100 }))
    found.set(tool.name ?? '', tool as ServerTool)
  return found
}

/** What a push of the file would change, as a unified diff; empty when nothing. */
export function changes(file: ToolFile, there: ServerTool | undefined): string {
  const label = there ? `${there.name} on the server` : '/dev/null'
  const before = there?.source_code ?? ''
  const source = before === file.source_code ? '' : patch(label, file.path, before, file.source_code)
  const settings = settingsChange(file.settings, there)
  if (!settings) return source
  const { before: old, after } = settings
  return source + patch(`${label} (settings)`, `${file.path} (settings)`, old, after)
}

function patch(from: string, to: string, before: string, after: string): string {
  return createTwoFilesPatch(from, to, before, after, undefined, undefined, { context: 2 })
    .split('\n')
    .filter((line) => !/^=+$/.test(line))
    .join('\n')
}
