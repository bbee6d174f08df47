import { constants, existsSync, openAsBlob } from 'node:fs'
import { access, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describeFailure, type LociClient } from '../../shared/client/http.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { printJson, writeOut } from '../print.ts'
import { bytes, count, progressLine } from '../progress.ts'
import { plain } from '../terminal.ts'
import { type Place, withClient } from '../with-client.ts'

export interface ExportOptions extends Place {
  /** `-` is stdout. */
  output?: string
  force?: boolean
  messages: boolean
  conversation?: string
  json?: boolean
}

export interface ImportOptions extends Place {
  name?: string
  model?: string
  messages: boolean
  keepTools?: boolean
  json?: boolean
}

/** `loci export`: writes an agent file, whole or not at all. */
export async function runExport(nameOrId: string, options: ExportOptions): Promise<void> {
  await withClient(options, async (client) => {
    const agent = await client.findAgent(nameOrId)
    const output = options.output ?? `${agent.name.replaceAll(/[^\p{L}\p{N}_ -]/gu, '_')}.af`
    if (output !== '-' && !options.force && existsSync(output))
      throw new Failure(
        `${output} is there already: nothing was written. Replace it with --force, or name another file with --output.`,
      )
    const query = {
      scrub_messages: !options.messages,
      ...(options.conversation === undefined ? {} : { conversation_id: options.conversation }),
    }
    const response = await client.letta.agents.exportFile(agent.id, query).asResponse()
    if (!response.body) throw new Failure(`What answers at ${client.url} has sent no file.`)
    const size = await write(output, response.body)
    if (options.json) printJson({ file: output, bytes: size, agent_id: agent.id })
    else if (output !== '-')
      process.stderr.write(`${plain(`Wrote ${agent.name} to ${output} (${bytes(size)}).`)}\n`)
  })
}

interface Imported {
  file: string
  agent_ids: string[]
  warnings: string[]
  /** Why nothing of it was imported; null when it was. */
  error: string | null
}

/**
 * `loci import`: the ids of the new agents on stdout, what is not in use yet on stderr. Of several files each is imported
 * by itself: a bad one stops no other.
 */
export async function runImport(named: readonly string[], options: ImportOptions): Promise<void> {
  const found = await filesIn(named)
  const files = [...found.keys()]
  const [only] = files
  const nothing = only === undefined ? null : found.get(only)
  if (nothing && files.length === 1) throw new Failure(nothing)
  if (only !== undefined && files.length === 1 && named[0] === only) return importOne(only, options)
  if (options.name !== undefined)
    throw new Failure('--name is for a single file: agents of several keep their own names.')
  const results: Imported[] = []
  await withClient(options, async (client) => {
    const progress = progressLine()
    for (const [i, file] of files.entries()) {
      progress.show(`Importing ${file} (${i + 1} of ${files.length})`, i / files.length)
      const result: Imported = { file, agent_ids: [], warnings: [], error: null }
      results.push(result)
      try {
        const missing = found.get(file)
        if (missing) throw new Failure(missing)
        Object.assign(result, await send(client, file, await read(file), options))
      } catch (error) {
        result.error = error instanceof Failure ? error.message : describeFailure(error, client.url)
      }
      progress.end()
      if (options.json) continue
      for (const warning of result.warnings) complain(`${file}: ${warning}`)
      if (result.error !== null) complain(`${file} was not imported: ${result.error}`)
      for (const id of result.agent_ids) process.stdout.write(`${plain(id)}\t${plain(file)}\n`)
    }
  })
  const failed = results.filter(({ error }) => error !== null)
  if (options.json)
    printJson({ files: results, imported: results.length - failed.length, failed: failed.length })
  const agents = results.reduce((sum, { agent_ids }) => sum + agent_ids.length, 0)
  process.stderr.write(
    `${count(agents, 'agent')} of ${count(results.length - failed.length, 'file')} imported${failed.length > 0 ? `; ${count(failed.length, 'file')} could not be` : ''}.\n`,
  )
  if (failed.length > 0) process.exitCode = EXIT.failure
}

async function importOne(file: string, options: ImportOptions): Promise<void> {
  const blob = await read(file)
  await withClient(options, async (client) => {
    const progress = progressLine()
    progress.show(`Importing ${bytes(blob.size)} …`)
    const { agent_ids, warnings } = await send(client, file, blob, options).finally(() => progress.end())
    if (options.json) return printJson({ agent_ids, warnings })
    for (const warning of warnings) complain(warning)
    for (const id of agent_ids) process.stdout.write(`${plain(id)}\n`)
  })
}

async function send(
  client: LociClient,
  file: string,
  blob: Blob,
  options: ImportOptions,
): Promise<{ agent_ids: string[]; warnings: string[] }> {
  const { agent_ids, ...answer } = await client.letta.agents.importFile(
    {
      file: new File([blob], basename(file)),
      append_copy_suffix: false,
      strip_messages: !options.messages,
      override_existing_tools: options.keepTools !== true,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.model === undefined ? {} : { model: options.model }),
    },
    // A second try would make a second agent.
    { maxRetries: 0 },
  )
  const { warnings = [] } = answer as { warnings?: string[] }
  return { agent_ids, warnings }
}

/**
 * The files that are named, and of each folder its agent files by name, those of folders in it too. A folder without any
 * stands for itself, with the reason; of a file it is null.
 */
async function filesIn(named: readonly string[]): Promise<Map<string, string | null>> {
  const files = new Map<string, string | null>()
  for (const path of named) {
    const isFolder = await stat(path).then(
      (found) => found.isDirectory(),
      // Reading it says why it cannot be.
      () => false,
    )
    if (!isFolder) {
      files.set(path, null)
      continue
    }
    try {
      const entries = await readdir(path, { recursive: true, withFileTypes: true })
      const found: string[] = []
      for (const entry of entries) {
        if (!/\.af(?:\.json)?$/i.test(entry.name)) continue
        const file = join(entry.parentPath, entry.name)
        if (entry.isFile() || (entry.isSymbolicLink() && (await meansFile(file)))) found.push(file)
      }
      if (found.length === 0) files.set(path, `There is no agent file (.af) in ${path}.`)
      for (const file of found.sort()) files.set(file, null)
    } catch (error) {
      files.set(path, `${path} cannot be read: ${messageOf(error)}`)
    }
  }
  return files
}

/** Whether a link leads to a file, or nowhere: reading it says so then. */
function meansFile(link: string): Promise<boolean> {
  return stat(link).then(
    (found) => found.isFile(),
    () => true,
  )
}

/** The file, which is read as it is sent. */
async function read(file: string): Promise<Blob> {
  try {
    // Says what a blob would not.
    await access(file, constants.R_OK)
    return await openAsBlob(file)
  } catch (error) {
    throw new Failure(`${file} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

/** Writes beside the file first, so that an export that is broken off replaces nothing. Answers the bytes. */
async function write(output: string, body: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0
  const progress = progressLine()
  const pieces = async function* () {
    for await (const piece of body) {
      size += piece.length
      if (output !== '-') progress.show(`Writing ${output}: ${bytes(size)}`)
      yield piece
    }
  }
  if (output === '-') {
    for await (const piece of pieces()) if (!(await writeOut(piece))) break
    return size
  }
  const temporary = `${output}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600).catch((error: unknown) => {
      throw new Failure(`${output} cannot be written: ${messageOf(error)}`, { cause: error })
    })
    try {
      for await (const piece of pieces()) await file.write(piece)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, output)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    progress.end()
  }
  return size
}
