import type { LociClient } from './http.ts'
import { AppError, messageOf } from '../schema/errors.ts'

/** The folder of a workspace's tools, part by part. */
export const TOOLS_FOLDER = ['.loci', 'tools'] as const

const LANGUAGES: Record<string, 'python' | 'typescript'> = {
  '.py': 'python',
  '.ts': 'typescript',
  '.mts': 'typescript',
}

/** What a tool has that its source does not say; in `<name>.tool.json` beside the source. */
export interface ToolSettings {
  description?: string | null
  tags?: string[] | null
  return_char_limit?: number
  default_requires_approval?: boolean | null
  enable_parallel_execution?: boolean | null
  json_schema?: Record<string, unknown> | null
  args_json_schema?: Record<string, unknown> | null
  pip_requirements?: { name: string; version?: string | null }[] | null
  npm_requirements?: { name: string; version?: string | null }[] | null
}

const SETTINGS: ReadonlySet<string> = new Set<keyof ToolSettings>([
  'description',
  'tags',
  'return_char_limit',
  'default_requires_approval',
  'enable_parallel_execution',
  'json_schema',
  'args_json_schema',
  'pip_requirements',
  'npm_requirements',
])

/** A tool as it lies in a workspace. */
export interface ToolFile {
  /** As people write it. */
  path: string
  source_type: 'python' | 'typescript'
  source_code: string
  settings: ToolSettings
}

/** What the file of this name is written in; null when it is of no language that tools have. */
export function languageOf(path: string): ToolFile['source_type'] | null {
  return LANGUAGES[extensionOf(path)] ?? null
}

/** Whether a file of this name, in a folder of tools, is one, and no test of one. */
export function isToolName(name: string): boolean {
  if (languageOf(name) === null || name.endsWith('.d.ts') || name.startsWith('_')) return false
  return !isTestName(name)
}

/** Whether a file of this name, in a folder of tools, is the unit test of one. */
export function isTestName(name: string): boolean {
  return extensionOf(name) === '.py' ? name.startsWith('test_') : /\.test\.m?ts$/.test(name)
}

/** The file of the settings of the tool in this one; folders stay as they are. */
export function settingsName(path: string): string {
  return path.slice(0, path.length - extensionOf(path).length) + '.tool.json'
}

/** The name of the unit test of the tool in the file of this name, whether or not there is one. */
export function testName(name: string): string {
  const extension = extensionOf(name)
  const stem = name.slice(0, name.length - extension.length)
  return extension === '.py' ? `test_${name}` : `${stem}.test${extension}`
}

/** The name of the file whose unit test has this name. */
export function testedName(name: string): string {
  return extensionOf(name) === '.py' ? name.replace(/^test_/, '') : name.replace(/\.test(\.m?ts)$/, '$1')
}

/** The name of the file that a tool of a server is written to. */
export function fileName(tool: { name: string; source_type: ToolFile['source_type'] }): string {
  return tool.name + (tool.source_type === 'python' ? '.py' : '.ts')
}

/** Reads the text of settings. Throws `invalid_argument`, naming the file as `shown`, for what a tool does not have. */
export function parseToolSettings(text: string, shown: string): ToolSettings {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid_argument', `${shown} is not valid JSON: ${messageOf(cause)}`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new AppError('invalid_argument', `${shown} must hold one JSON object.`)
  const unknown = Object.keys(value).filter((key) => !SETTINGS.has(key))
  if (unknown.length > 0)
    throw new AppError(
      'invalid_argument',
      `${shown} has '${unknown.join("', '")}', which no tool has; it may hold ${[...SETTINGS].join(', ')}.`,
    )
  return value
}

/** What a source says of its tool when nothing is given besides it. */
interface SourceSchema {
  json_schema: Record<string, unknown> | null
}

/**
 * What a tool of a server has that its source does not say: the settings of its file. `says` is what the source says, as
 * `readSource` finds it.
 */
export function settingsOf(tool: ToolSettings, says: SourceSchema): ToolSettings {
  const { tags, return_char_limit, default_requires_approval, enable_parallel_execution } = tool
  const { pip_requirements, npm_requirements, args_json_schema } = tool
  return {
    ...(tags?.length ? { tags } : {}),
    ...(return_char_limit === undefined || return_char_limit === 50_000 ? {} : { return_char_limit }),
    ...(default_requires_approval ? { default_requires_approval } : {}),
    ...(enable_parallel_execution ? { enable_parallel_execution } : {}),
    ...givenSchema(tool, says.json_schema),
    ...(args_json_schema ? { args_json_schema } : {}),
    ...(pip_requirements?.length ? { pip_requirements } : {}),
    ...(npm_requirements?.length ? { npm_requirements } : {}),
  }
}

/** The description or the schema that was given for a tool, if any was: with it a push makes the same tool again. */
function givenSchema(
  { json_schema, description }: ToolSettings,
  derived: SourceSchema['json_schema'],
): ToolSettings {
  if (!json_schema || jsonText(json_schema) === jsonText(derived)) return {}
  const described = derived && { ...derived, description: json_schema['description'] }
  if (jsonText(json_schema) !== jsonText(described)) return { json_schema }
  return description ? { description } : {}
}

/**
 * What the source of a tool says by itself; its schema is null where it cannot be read (or where nothing can read it: a
 * Python tool on a server without Python), so that its schema must have been given. Throws what the client throws.
 */
export async function readSource(
  { letta }: Pick<LociClient, 'letta'>,
  {
    source_code,
    source_type,
    args_json_schema,
  }: ToolSettings & Pick<ToolFile, 'source_code' | 'source_type'>,
): Promise<SourceSchema> {
  const body = { source_code, source_type, args_json_schema }
  try {
    // What our own server answers; the shape is that of shared/schema.
    return (await letta.post('/v1/tools/check', { body })) as SourceSchema
  } catch (error) {
    if ((error as { status?: unknown } | null)?.status === 400) return { json_schema: null }
    throw error
  }
}

/** What a push of these settings would change in the tool: the settings before and after, as JSON; null when nothing. */
export function settingsChange(
  settings: ToolSettings,
  there: ToolSettings | undefined,
): { before: string; after: string } | null {
  const wanted = Object.entries(settings).filter(
    ([key, value]) => value !== null && jsonText(there?.[key as keyof ToolSettings]) !== jsonText(value),
  )
  if (wanted.length === 0) return null
  const old = wanted.flatMap(([key]) => (there ? [[key, there[key as keyof ToolSettings]]] : []))
  return { before: jsonText(Object.fromEntries(old)), after: jsonText(Object.fromEntries(wanted)) }
}

/** JSON for people, with the keys of objects in one order: equal values have equal texts. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(sorted(value), null, 2)}\n`
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value ?? null
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, sorted(field)]),
  )
}

function extensionOf(path: string): string {
  return /\.[^./\\]+$/.exec(path)?.[0] ?? ''
}
