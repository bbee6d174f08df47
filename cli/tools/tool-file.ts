import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, extname, join, relative } from 'node:path'
import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'

/** Where tools of a workspace are. */
export const TOOLS_FOLDER = join('.loci', 'tools')

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
  /** As people write it: from the current directory. */
  path: string
  source_type: 'python' | 'typescript'
  source_code: string
  settings: ToolSettings
}

export function settingsPath(path: string): string {
  return path.slice(0, -extname(path).length) + '.tool.json'
}

/** Where the unit test of a tool is, whether or not there is one. */
export function testPath(path: string): string {
  const name = basename(path, extname(path))
  const file = extname(path) === '.py' ? `test_${name}.py` : `${name}.test${extname(path)}`
  return join(dirname(path), file)
}

/** Reads a tool and its settings. Throws a `Failure` that names the file. */
export async function readToolFile(path: string): Promise<ToolFile> {
  const source_type = LANGUAGES[extname(path)]
  if (!source_type) throw new Failure(`${path} is no tool: tools are .ts or .py files.`)
  const source_code = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure(`${path} cannot be read: ${messageOf(error)}`, { cause: error })
  })
  return { path: shown(path), source_type, source_code, settings: await readSettings(settingsPath(path)) }
}

/** The tools that are meant: the files named, those in folders named, or all of the workspace's. */
export async function findToolFiles(paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) {
    if (!existsSync(TOOLS_FOLDER))
      throw new Failure(
        `There is no folder ${TOOLS_FOLDER} here. Make a tool with \`loci tools new\`, or name a file.`,
      )
    paths = [TOOLS_FOLDER]
  }
  const found: string[] = []
  for (const path of paths) {
    if (extname(path) in LANGUAGES) {
      found.push(path)
      continue
    }
    const names = await readdir(path).catch((error: unknown) => {
      throw new Failure(`${path} is neither a .ts or .py file nor a folder: ${messageOf(error)}`, {
        cause: error,
      })
    })
    found.push(
      ...names
        .filter(isTool)
        .toSorted()
        .map((name) => join(path, name)),
    )
  }
  if (found.length === 0) throw new Failure(`There is no tool in ${paths.join(', ')}.`)
  return found
}

function isTool(name: string): boolean {
  const extension = extname(name)
  if (!(extension in LANGUAGES) || name.endsWith('.d.ts') || name.startsWith('_')) return false
  return extension === '.py' ? !name.startsWith('test_') : !/\.test\.m?ts$/.test(name)
}

async function readSettings(path: string): Promise<ToolSettings> {
  if (!existsSync(path)) return {}
  const text = await readFile(path, 'utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Failure(`${shown(path)} is not valid JSON: ${messageOf(error)}`, { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Failure(`${shown(path)} must hold one JSON object.`)
  const unknown = Object.keys(value).filter((key) => !SETTINGS.has(key))
  if (unknown.length > 0)
    throw new Failure(
      `${shown(path)} has '${unknown.join("', '")}', which no tool has; it may hold ${[...SETTINGS].join(', ')}.`,
    )
  return value
}

function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short === '' || short.startsWith('..') ? path : short
}
