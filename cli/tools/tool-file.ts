import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
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
import { messageOf } from '../../shared/schema/errors.ts'
import { Failure } from '../failure.ts'

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
  const source_code = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure(`${path} cannot be read: ${messageOf(error)}`, { cause: error })
  })
  const beside = settingsName(path)
  const settings = existsSync(beside) ? parseToolSettings(await readFile(beside, 'utf8'), shown(beside)) : {}
  return { path: shown(path), source_type, source_code, settings }
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
    if (languageOf(path) !== null) {
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
        .filter(isToolName)
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
