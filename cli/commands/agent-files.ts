import { constants, existsSync, openAsBlob } from 'node:fs'
import { access, open, rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { messageOf } from '../../shared/schema/errors.ts'
import { complain, Failure } from '../failure.ts'
import { printJson, writeOut } from '../print.ts'
import { bytes, progressLine } from '../progress.ts'
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

/** `loci import`: the ids of the new agents on stdout, what is not in use yet on stderr. */
export async function runImport(file: string, options: ImportOptions): Promise<void> {
  const blob = await read(file)
  await withClient(options, async (client) => {
    const progress = progressLine()
    progress.show(`Importing ${bytes(blob.size)} …`)
    const { agent_ids, ...answer } = await client.letta.agents
      .importFile(
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
      .finally(() => progress.end())
    const { warnings = [] } = answer as { warnings?: string[] }
    if (options.json) return printJson({ agent_ids, warnings })
    for (const warning of warnings) complain(warning)
    for (const id of agent_ids) process.stdout.write(`${plain(id)}\n`)
  })
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
