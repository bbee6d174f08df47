import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import {
  isToolName,
  languageOf,
  parseToolSettings,
  settingsName,
  testName,
  TOOLS_FOLDER as FOLDER,
  type ToolFile,
} from '../../shared/client/tool-files.ts'
import { MAX_TOOL_SOURCE } from '../../shared/schema/tool-name.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'
import { bytes } from '../progress.ts'

/** Where tools of a workspace are. */
export const TOOLS_FOLDER = join(...FOLDER)

/** Where the unit test of a tool is, whether or not there is one. */
export function testPath(path: string): string {
  return join(dirname(path), testName(basename(path)))
}

/** Reads a tool and its settings. Throws a `Failure` that names the file, or `invalid_argument` for its settings. */
export async function readToolFile(path: string): Promise<ToolFile> {
  const source_type = languageOf(path)
  if (!source_type) throw new Failure(`${path} is no tool: tools are .ts or .py files.`)
  const source_code = await readText(path)
  if (source_code.length > MAX_TOOL_SOURCE)
    throw new Failure(
      `${path} has ${source_code.length.toLocaleString('en')} characters, and ${MAX_TOOL_SOURCE.toLocaleString('en')} is the most: keep data in files, or use a package.`,
    )
  const beside = settingsName(path)
  const settings = existsSync(beside) ? parseToolSettings(await readText(beside), shown(beside)) : {}
  return { path: shown(path), source_type, source_code, settings }
}

/** A file of text, byte for byte; what never ends, such as a pipe or a device, is not even opened. */
async function readText(path: string): Promise<string> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new Error('it is no file')
    if (found.size > MAX_BYTES)
      throw new Error(`it has ${bytes(found.size)}, and ${bytes(MAX_BYTES)} is the most`)
    return utf8.decode(await readFile(path))
  } catch (error) {
    const why = error instanceof TypeError ? 'it is not UTF-8; save it as such' : messageOf(error)
    throw new Failure(`${path} cannot be read: ${why}.`, { cause: error })
  }
}

const MAX_BYTES = MAX_TOOL_SOURCE * 4
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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
    if (languageOf(path) !== null) {
      found.push(path)
      continue
    }
    const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
      throw new Failure(`${path} is neither a .ts or .py file nor a folder: ${messageOf(error)}`, {
        cause: error,
      })
    })
    found.push(
      ...entries
        .filter((entry) => !entry.isDirectory() && isToolName(entry.name))
        .map(({ name }) => name)
        .toSorted()
        .map((name) => join(path, name)),
    )
  }
  if (found.length === 0) throw new Failure(`There is no tool in ${paths.join(', ')}.`)
  return found
}

function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short === '' || short.startsWith('..') ? path : short
}
