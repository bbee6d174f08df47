import {
  FILE_VERSION,
  type FileAgent,
  type FileBlock,
  type FileFile,
  type FileGroup,
  type FileMessage,
  fileMessage,
  type FileSource,
  type FileTool,
  type ListName,
  LISTS,
  MAX_ENTITIES,
  type Raw,
} from '../../schema/agent-file.ts'
import { fromOlderFormat, isOlderFormat } from './older-format.ts'
import { refused, refusedBy } from './refused.ts'

/** A part of a file: as it was written, and as it was understood. */
export interface Part<T> {
  raw: Raw
  value: T
  /** Where in the file it is. */
  path: string
}

/** A file of which everything has been checked. */
export interface ReadFile {
  agents: (Part<FileAgent> & { messages: { raw: Raw; value: FileMessage }[] })[]
  blocks: Part<FileBlock>[]
  tools: Part<FileTool>[]
  groups: Part<FileGroup>[]
  files: Part<FileFile>[]
  sources: Part<FileSource>[]
  mcp_servers: Raw[]
  skills: Raw[]
  metadata: Record<string, string> | null
  more: Raw
}

/** Lists that V1 always writes, so that a file without one of them is none. */
const REQUIRED: readonly ListName[] = ['agents']
const KNOWN: ReadonlySet<string> = new Set([...Object.keys(LISTS), 'metadata', 'created_at'])

/** Messages that are checked in one go, before others have their turn. */
const AT_ONCE = 100

/**
 * An agent file of either format, checked to the last reference. `breathe` is awaited now and then. Throws
 * `invalid_argument` that names the field and its path.
 */
export async function readFile(given: unknown, breathe: () => Promise<void>): Promise<ReadFile> {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw refused('the file', 'expected a JSON object, with the agents in a list of that name')
  const file = isOlderFormat(refuseNewer(given as Raw)) ? fromOlderFormat(given as Raw) : (given as Raw)
  for (const name of REQUIRED)
    if (!(name in file))
      throw refused(name, 'it is missing: this is JSON, but no agent file (expected a list of agents here)')
  const lists = Object.fromEntries(
    (Object.keys(LISTS) as ListName[]).map((name) => [name, partsOf(file, name)]),
  ) as unknown as Record<ListName, Part<Raw>[]>
  const rawOf = (name: ListName) => lists[name].map(({ raw }) => raw)
  const parts = <T>(name: ListName) => lists[name] as unknown as Part<T>[]
  if (lists.agents.length === 0) throw refused('agents', 'the list is empty: there is nothing to import')
  const agents = []
  for (const agent of parts<FileAgent>('agents'))
    agents.push({ ...agent, messages: await messagesOf(agent, breathe) })
  const read: ReadFile = {
    agents,
    blocks: parts('blocks'),
    tools: parts('tools'),
    groups: parts('groups'),
    files: parts('files'),
    sources: parts('sources'),
    mcp_servers: rawOf('mcp_servers'),
    skills: rawOf('skills'),
    metadata: metadataOf(file['metadata']),
    more: Object.fromEntries(Object.entries(file).filter(([key]) => !KNOWN.has(key))),
  }
  checkReferences(read)
  return read
}

/** Passes on what this version can read. */
function refuseNewer(file: Raw): Raw {
  const { metadata, version } = file as {
    metadata?: { agent_file_version?: unknown } | null
    version?: unknown
  }
  const found = metadata?.agent_file_version
  if (found !== undefined && !(Number(found) <= FILE_VERSION))
    throw refused(
      'metadata.agent_file_version',
      `the file was written by a newer version (${JSON.stringify(found)}, this Loci reads up to ${FILE_VERSION}); update Loci`,
    )
  if (typeof version === 'string' && Number.parseInt(version, 10) >= 1)
    throw refused('version', `files of version ${version} are newer than this Loci reads; update Loci`)
  return file
}

function partsOf(file: Raw, name: ListName): Part<unknown>[] {
  const given = file[name] ?? []
  if (!Array.isArray(given)) throw refused(name, 'expected a list')
  if (given.length > MAX_ENTITIES)
    throw refused(name, `there are ${given.length} of them; at most ${MAX_ENTITIES} can be imported at once`)
  const seen = new Map<string, number>()
  return given.map((raw: unknown, i) => {
    const path = `${name}[${i}]`
    const result = LISTS[name].safeParse(withoutMessages(raw))
    if (!result.success) throw refusedBy(path, result.error)
    const id = (raw as Raw)['id']
    if (name !== 'skills' && typeof id === 'string') once(seen, id, i, `${path}.id`, name)
    const { messages } = raw as Raw
    return {
      raw: raw as Raw,
      value: Array.isArray(messages) ? { ...result.data, messages } : result.data,
      path,
    }
  })
}

/** Its messages are checked one by one: a long history would be gone through at once. */
function withoutMessages(raw: unknown): unknown {
  const long = typeof raw === 'object' && raw !== null && 'messages' in raw && Array.isArray(raw.messages)
  return long ? { ...raw, messages: [] } : raw
}

function once(seen: Map<string, number>, id: string, i: number, path: string, list: string): void {
  const other = seen.get(id)
  if (other !== undefined) throw refused(path, `'${id}' is the id of ${list}[${other}] already`)
  seen.set(id, i)
}

async function messagesOf(
  agent: Part<FileAgent>,
  breathe: () => Promise<void>,
): Promise<{ raw: Raw; value: FileMessage }[]> {
  const seen = new Map<string, number>()
  const messages = []
  for (const [i, raw] of (agent.value.messages ?? []).entries()) {
    const path = `${agent.path}.messages[${i}]`
    const result = fileMessage.safeParse(raw)
    if (!result.success) throw refusedBy(path, result.error)
    const { id, agent_id } = result.data
    once(seen, id, i, `${path}.id`, `${agent.path}.messages`)
    if (agent_id != null && agent_id !== agent.value.id)
      throw refused(`${path}.agent_id`, `'${agent_id}' is not the agent that the message is in`)
    messages.push({ raw: raw as Raw, value: result.data })
    if (i % AT_ONCE === AT_ONCE - 1) await breathe()
  }
  return messages
}

function metadataOf(given: unknown): Record<string, string> | null {
  if (given === undefined || given === null) return null
  if (typeof given !== 'object' || Array.isArray(given)) throw refused('metadata', 'expected an object')
  for (const [key, value] of Object.entries(given))
    if (typeof value !== 'string') throw refused(`metadata.${key}`, 'expected a string')
  return given as Record<string, string>
}

/** Everything that names another part of the file must find it. */
function checkReferences(file: ReadFile): void {
  const idsOf = (parts: readonly { value: { id: string } }[]) => new Set(parts.map(({ value }) => value.id))
  const [agents, blocks, tools, groups] = [
    idsOf(file.agents),
    idsOf(file.blocks),
    idsOf(file.tools),
    idsOf(file.groups),
  ]
  const [sources, files] = [idsOf(file.sources), idsOf(file.files)]
  const find = (
    ids: readonly string[] | null | undefined,
    known: ReadonlySet<string>,
    path: string,
    kind: string,
  ) => {
    const seen = new Set<string>()
    for (const [i, id] of (ids ?? []).entries()) {
      if (!known.has(id)) throw refused(`${path}[${i}]`, `the file has no ${kind} '${id}'`)
      if (seen.has(id)) throw refused(`${path}[${i}]`, `'${id}' is named twice`)
      seen.add(id)
    }
  }
  for (const { value, path } of file.files)
    if (!sources.has(value.source_id))
      throw refused(`${path}.source_id`, `the file has no source '${value.source_id}' for '${value.id}'`)
  for (const { value, path, messages } of file.agents) {
    find(value.tool_ids, tools, `${path}.tool_ids`, 'tool')
    find(value.block_ids, blocks, `${path}.block_ids`, 'block')
    find(value.group_ids, groups, `${path}.group_ids`, 'group')
    find(value.source_ids, sources, `${path}.source_ids`, 'source')
    find(value.folder_ids, sources, `${path}.folder_ids`, 'source')
    for (const [i, link] of (value.files_agents ?? []).entries()) {
      if (!files.has(link.file_id))
        throw refused(`${path}.files_agents[${i}].file_id`, `the file has no file '${link.file_id}'`)
      if (!sources.has(link.source_id))
        throw refused(`${path}.files_agents[${i}].source_id`, `the file has no source '${link.source_id}'`)
    }
    find(value.in_context_message_ids, idsOf(messages), `${path}.in_context_message_ids`, 'message')
    refuseTwice(
      (value.block_ids ?? []).map(
        (id) => file.blocks.find((block) => block.value.id === id)?.value.label ?? '',
      ),
      (label, i) => refused(`${path}.block_ids[${i}]`, `the agent has two blocks with the label '${label}'`),
    )
  }
  refuseTwice(
    file.tools.map(({ value }) => nameOfTool(value)),
    (name, i) => refused(`tools[${i}].name`, `two tools have the name '${name}'`),
  )
  for (const [i, { value }] of file.tools.entries())
    if (nameOfTool(value) === '') throw refused(`tools[${i}].name`, 'a tool needs a name')
  checkGroups(file, { agents, blocks, find })
}

/** The name of a tool; older files have it in its schema alone. */
export function nameOfTool(tool: FileTool): string {
  const inSchema = tool.json_schema?.['name']
  return tool.name ?? (typeof inSchema === 'string' ? inSchema : '')
}

function refuseTwice(names: readonly string[], refuse: (name: string, i: number) => Error): void {
  const seen = new Set<string>()
  for (const [i, name] of names.entries()) {
    if (seen.has(name)) throw refuse(name, i)
    seen.add(name)
  }
}

/** Groups lead from managers to members, and never back. */
function checkGroups(
  file: ReadFile,
  known: {
    agents: ReadonlySet<string>
    blocks: ReadonlySet<string>
    find: (
      ids: readonly string[] | null | undefined,
      known: ReadonlySet<string>,
      path: string,
      kind: string,
    ) => void
  },
): void {
  const below = new Map<string, string[]>()
  for (const { value, path } of file.groups) {
    known.find(value.agent_ids, known.agents, `${path}.agent_ids`, 'agent')
    known.find(value.shared_block_ids, known.blocks, `${path}.shared_block_ids`, 'block')
    const manager = value.manager_config?.manager_agent_id
    if (manager == null) continue
    if (!known.agents.has(manager))
      throw refused(`${path}.manager_config.manager_agent_id`, `the file has no agent '${manager}'`)
    below.set(manager, [...(below.get(manager) ?? []), ...value.agent_ids])
  }
  for (const { value, path } of file.groups) {
    const manager = value.manager_config?.manager_agent_id
    if (manager == null) continue
    const reached = new Set<string>()
    const toVisit = [...value.agent_ids]
    for (let id = toVisit.pop(); id !== undefined; id = toVisit.pop()) {
      if (id === manager)
        throw refused(`${path}.agent_ids`, `the groups go in a circle: '${manager}' would lead itself`)
      if (reached.has(id)) continue
      reached.add(id)
      toVisit.push(...(below.get(id) ?? []))
    }
  }
}
