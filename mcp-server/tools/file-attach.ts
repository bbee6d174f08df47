import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import * as z from 'zod'
import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { localPath } from '../local-files.ts'
import type { AgentState } from '../letta.ts'
import { defineTool, type ToolCall } from '../tool.ts'
import { aborted } from '../turn/send.ts'

/** How long an upload is waited for, and how often it is looked at, in milliseconds. */
const WAIT_MS = 20_000
const LOOK_MS = 100
/** A larger file is uploaded over the API. In bytes. */
const LARGEST = 50 * 1024 * 1024

export const fileAttach = defineTool({
  name: 'file_attach',
  title: 'Give an agent a file',
  description: 'Gives an agent a file to read and search: by path, as text with a name, or a whole folder.',
  about: 'agent',
  input: {
    path: z.string().optional().describe('Absolute path of a local file'),
    name: z.string().optional().describe('With text: the file name'),
    text: z.string().optional(),
    folder: z.string().optional().describe('Existing Loci folder, by name or id'),
  },
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(input, call) {
    const { path, name, text, folder } = input
    const given = [path, text, folder].filter((one) => one !== undefined).length
    if (given !== 1) throw new AppError('invalid_argument', 'Give one of path, text (with name) and folder.')
    if (text !== undefined && (name === undefined || name.trim() === ''))
      throw new AppError('invalid_argument', 'text needs a name, such as notes.md.')
    const agent = await call.agent()
    if (folder !== undefined) return attachFolder(call, agent, folder)
    const file =
      path === undefined
        ? new File([text ?? ''], name ?? 'notes.md', { type: 'text/plain' })
        : await localFile(call, path)
    return upload(call, agent, file)
  },
})

async function localFile({ settings }: ToolCall, path: string): Promise<File> {
  localPath(settings, path)
  try {
    const found = await stat(path)
    if (!found.isFile()) throw new AppError('invalid_argument', `${path} is no file.`)
    if (found.size > LARGEST)
      throw new AppError('too_large', `${path} has ${found.size} bytes; at most ${LARGEST} are taken here.`)
    return new File([await readFile(path)], basename(path))
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : String(code)
    throw new AppError('invalid_argument', `${path} cannot be attached: ${why}.`, { cause })
  }
}

async function attachFolder({ client, signal }: ToolCall, agent: AgentState, named: string): Promise<string> {
  const { items } = await client.letta.folders.list({ limit: 1000 }, { signal })
  const found = items.find(({ id, name }) => id === named || name === named)
  if (!found) {
    const hint = didYouMean(
      named,
      items.map(({ name }) => name),
      'There are no folders yet: give path, or name and text.',
    )
    throw new AppError('not_found', `There is no folder '${named}'. ${hint}`)
  }
  await client.letta.agents.folders.attach(found.id, { agent_id: agent.id }, { signal })
  return `${agent.name} has the files of folder '${found.name}' now. file_search looks into them.`
}

/** Marks the folder of an agent's own. */
const OWNER = 'files_of_agent'

async function ownFolder({ client, signal }: ToolCall, agent: AgentState): Promise<{ id: string }> {
  const { items } = await client.letta.agents.folders.list(agent.id, { limit: 100 }, { signal })
  const own = items.find(({ metadata }) => metadata?.[OWNER] === agent.id)
  if (own) return own
  const called = `Files of ${agent.name}`
  const taken = (await client.letta.folders.list({ name: called }, { signal })).items.length > 0
  const made = await client.letta.folders.create(
    { name: taken ? `${called} (${agent.id})` : called, metadata: { [OWNER]: agent.id } },
    { signal, maxRetries: 0 },
  )
  await client.letta.agents.folders.attach(made.id, { agent_id: agent.id }, { signal })
  return made
}

/** Into a folder of the agent's own, which is made when it has none. */
async function upload(call: ToolCall, agent: AgentState, file: File): Promise<string> {
  const { client, signal } = call
  const folder = await ownFolder(call, agent)
  const uploaded = await client.letta.folders.files.upload(
    folder.id,
    { file, duplicate_handling: 'replace' },
    { signal, maxRetries: 0 },
  )
  const id = uploaded.id ?? ''
  call.progress(`Reading ${file.name}`)
  return call.aside(() => untilRead(call, agent, { folder_id: folder.id, id, name: file.name }))
}

async function untilRead(
  { client, signal }: ToolCall,
  agent: AgentState,
  { folder_id, id, name }: { folder_id: string; id: string; name: string },
): Promise<string> {
  for (const end = performance.now() + WAIT_MS; performance.now() < end;) {
    const now = await client.letta.folders.files.retrieve(id, { folder_id }, { signal })
    if (now.processing_status === 'error')
      throw new AppError(
        'unsupported_media_type',
        `${name} could not be read: ${now.error_message ?? 'nobody knows why'}.`,
      )
    if (now.processing_status === 'completed')
      return `${agent.name} has ${name} now (agent://${agent.id}/files/${id}). file_search looks into it.`
    await aborted(AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]))
    signal.throwIfAborted()
  }
  return `${name} is still being read; ${agent.name} will have it. file_search lists it.`
}
