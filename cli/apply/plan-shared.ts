import { openAsBlob } from 'node:fs'
import type { Block } from '../../shared/schema/block.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { MASKED } from '../../shared/schema/mcp-server.ts'
import { Failure } from '../failure.ts'
import { changes as toolChanges, check, toolsOnServer } from '../tools/server-tools.ts'
import { readToolFile } from '../tools/tool-file.ts'
import type { Wanted, WantedBlock, WantedFile, WantedFolder } from './desired.ts'
import { blockText, differences, type Field, given, has, type Plan, textOf } from './plan.ts'
import { hashOf } from './state.ts'

/** How long a file may take to be read, once it is uploaded. Ms. */
const READ_TIME = 10 * 60_000
const POLL = 100

/** MCP servers that agents take tools from. */
export async function planMcpServers(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  if (desired.mcp_servers.length === 0) return
  const found = (await client.letta.mcpServers.list()) as unknown as Record<string, unknown>[]
  for (const { name, at, type, ...rest } of desired.mcp_servers) {
    const config = given({
      mcp_server_type: type ?? (rest.command === undefined ? 'streamable_http' : 'stdio'),
      ...rest,
      ...(rest.command === undefined ? {} : { args: rest.args ?? [] }),
    })
    const hash = hashOf(config)
    const there = found.find((server) => server['server_name'] === name)
    const record = state.mcp_servers[name]
    const keep = (id: string, made: boolean) => {
      plan.ids.mcp_servers.set(name, id)
      state.mcp_servers[name] = { id, made, config: hash }
    }
    if (!there) {
      const fields = Object.keys(config).map((field) => shownSetting(field, null, config[field]))
      const run = async () => {
        const body = { server_name: name, config }
        const { id } = (await client.letta.post('/v1/mcp-servers/', { body })) as { id: string }
        keep(id, true)
      }
      plan.changes.push({ action: 'create', kind: 'MCP server', name, at, fields, run })
      continue
    }
    const id = String(there['id'])
    plan.ids.mcp_servers.set(name, id)
    // What is secret is answered masked: whether it is the same is known by what was applied last.
    const same = record?.config === hash
    const fields = Object.entries(config).flatMap(([field, value]) => {
      const masked = JSON.stringify(there[field] ?? null).includes(MASKED)
      return has(there[field], value) || (masked && same) ? [] : [shownSetting(field, there[field], value)]
    })
    if (fields.length === 0) {
      keep(id, record?.made ?? false)
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/mcp-servers/${id}`, { body: { config } })
      keep(id, record?.made ?? false)
    }
    plan.changes.push({ action: 'update', kind: 'MCP server', name, at, fields, run })
  }
}

function shownSetting(field: string, before: unknown, after: unknown): Field {
  const secret = field === 'auth_token' || field === 'custom_headers' || field === 'env'
  if (secret) return { field, before: before == null ? null : '(not shown)', after: '(not shown)' }
  return { field, before: textOf(before), after: textOf(after) }
}

/** Tools of files, and that those named are there. */
export async function planTools(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  const wanted = desired.agents.flatMap(({ tools = [], at }) => tools.map((tool) => ({ ...tool, at })))
  const files = new Map<
    string,
    { at: string; file: Awaited<ReturnType<typeof readToolFile>>; path: string }
  >()
  for (const tool of wanted) {
    if (!('path' in tool) || plan.tool_names.has(tool.path)) continue
    const { path, at } = tool
    try {
      const file = await readToolFile(path)
      const { name } = await check(client, file)
      const other = files.get(name)
      if (other)
        plan.mistakes.push(`${at}: two files have the tool '${name}': ${other.file.path} and ${file.path}`)
      files.set(name, { at, file, path })
      plan.tool_names.set(path, name)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      plan.mistakes.push(...error.message.split('\n').map((line) => `${at}: ${line}`))
    }
  }
  const names = [
    ...new Set([...files.keys(), ...wanted.flatMap((tool) => ('name' in tool ? [tool.name] : []))]),
  ]
  const there = names.length === 0 ? new Map<string, never>() : await toolsOnServer(client, names)
  for (const [name, tool] of there) plan.ids.tools.set(name, tool.id)
  for (const [name, { at, file }] of files) {
    const found = there.get(name)
    const record = state.tools[name]
    const { source_code, source_type, settings } = file
    const body = { source_code, source_type, ...settings }
    if (!found) {
      const run = async () => {
        const made = await client.letta.tools.create(body)
        plan.ids.tools.set(name, made.id)
        state.tools[name] = { id: made.id, made: true }
      }
      const fields = [{ field: 'source', before: null, after: source_code }]
      plan.changes.push({ action: 'create', kind: 'tool', name, at, fields, run })
      continue
    }
    state.tools[name] = { id: found.id, made: record?.made ?? false }
    if (toolChanges(file, found) === '') continue
    const fields = differences({ source: found.source_code, ...found }, { source: source_code, ...settings })
    const run = async () => void (await client.letta.tools.update(found.id, body))
    plan.changes.push({ action: 'update', kind: 'tool', name, at, fields, run })
  }
  const missing = wanted.filter((tool) => 'name' in tool && !there.has(tool.name) && !files.has(tool.name))
  if (missing.length === 0) return
  const all: string[] = []
  for await (const { name } of client.letta.tools.list({ limit: 500 })) if (name != null) all.push(name)
  for (const tool of missing)
    if ('name' in tool)
      plan.mistakes.push(
        `${tool.at}: there is no tool '${tool.name}' on the server, and no file of it. ${didYouMean(tool.name, all, '')}`,
      )
}

/** Blocks that agents share. */
export async function planSharedBlocks(plan: Plan): Promise<void> {
  const { client, desired, state, before } = plan
  for (const wanted of desired.shared_blocks) {
    const { label, at } = wanted
    const found = await sharedBlock(plan, wanted)
    const last = before.blocks[label]
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.blocks.create(newBlock(wanted) as { label: string; value: string })
        plan.ids.blocks.set(label, id)
        state.blocks[label] = { id, made: true, value: hashOf(wanted.value) }
      }
      const fields = [{ field: 'value', before: null, after: wanted.value }]
      plan.changes.push({ action: 'create', kind: 'block', name: label, at, fields, run })
      continue
    }
    plan.ids.blocks.set(label, found.id)
    const same = last?.id === found.id ? last : undefined
    const { fields, body, value } = blockChanges(plan, wanted, found, same?.value ?? null, label)
    const record = { id: found.id, made: same?.made ?? false, value }
    if (fields.length === 0) {
      state.blocks[label] = record
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/blocks/${found.id}`, { body })
      state.blocks[label] = record
    }
    plan.changes.push({ action: 'update', kind: 'block', name: label, at, fields, run })
  }
}

/** The block that agents of the fleet share already: the one made before, or the only one that nobody else has. */
async function sharedBlock(plan: Plan, { label, at }: Wanted<WantedBlock>): Promise<Block | null> {
  const { client, before, desired } = plan
  const query = { label, limit: 100 }
  const all = (await client.letta.blocks.list(query)).items as unknown as Block[]
  const made = all.find(({ id }) => id === before.blocks[label]?.id)
  if (made) return made
  const sharing = new Set(
    desired.agents.flatMap((agent) => (agent.shared_blocks?.includes(label) ? [agent.name] : [])),
  )
  const mine: Block[] = []
  for (const found of all) {
    const users = (await client.letta.blocks.agents.list(found.id, { limit: 100 })).items
    if (users.every(({ name }) => sharing.has(name))) mine.push(found)
  }
  if (mine.length > 1)
    plan.mistakes.push(
      `${at}: several blocks are called '${label}' (${mine.map(({ id }) => id).join(', ')}); delete those that are not meant`,
    )
  return mine[0] ?? null
}

/** The body of a new block. */
export function newBlock({
  at: _at,
  agent_owned: _owned,
  ...block
}: Wanted<WantedBlock>): Record<string, unknown> {
  return given(block)
}

/** What changes in a block, and the hash of the text that is the fleet's afterwards. `shown` names it. */
export function blockChanges(
  plan: Plan,
  wanted: Wanted<WantedBlock>,
  found: Block,
  last: string | null,
  shown: string,
): { fields: Field[]; body: Record<string, unknown>; value: string | null } {
  const { description, limit, read_only, tags, metadata, value } = wanted
  const settings = given({ description, limit, read_only, tags, metadata })
  const fields = differences({ ...found }, settings)
  const body = Object.fromEntries(fields.map(({ field }) => [field, settings[field]]))
  if (metadata) body['metadata'] = { ...found.metadata, ...metadata }
  const text = blockText(wanted, found.value, last)
  if (text === 'write') {
    fields.push({ field: 'value', before: found.value, after: value })
    body['value'] = value
  }
  if (text === 'keep' && last !== hashOf(value))
    plan.notes.push(
      `${wanted.at}: the text of block '${shown}' was written by others since and stays; 'agent_owned: false' would replace it.`,
    )
  return { fields, body, value: text === 'keep' ? last : hashOf(value) }
}

/** Archives that agents search. */
export async function planArchives(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  for (const { at, name, ...settings } of desired.archives) {
    const [found] = (await client.letta.archives.list({ name, limit: 10 })).items
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.archives.create(given({ name, ...settings }) as { name: string })
        plan.ids.archives.set(name, id)
        state.archives[name] = { id, made: true }
      }
      const fields = differences({}, settings)
      plan.changes.push({ action: 'create', kind: 'archive', name, at, fields, run })
      continue
    }
    plan.ids.archives.set(name, found.id)
    state.archives[name] = { id: found.id, made: state.archives[name]?.made ?? false }
    const there = { description: found.description, embedding: embeddingOf(found, settings) }
    const fields = differences(there, settings)
    if (fields.length === 0) continue
    const body = given(settings)
    const run = async () => void (await client.letta.patch(`/v1/archives/${found.id}`, { body }))
    plan.changes.push({ action: 'update', kind: 'archive', name, at, fields, run })
  }
}

/** Without a model that can be reached there is none: that one is asked for is no difference then. */
function embeddingOf(
  { embedding_config }: { embedding_config?: { handle?: string | null } | null },
  { embedding }: { embedding?: string | undefined },
): string | undefined {
  return embedding_config?.handle || embedding
}

interface HaveFile {
  id: string
  name: string
}

/** Folders and their files. */
export async function planFolders(plan: Plan): Promise<void> {
  const { client, desired, state, before } = plan
  for (const wanted of desired.folders) {
    const { name, at, files, ...settings } = wanted
    const [found] = (await client.letta.folders.list({ name, limit: 10 })).items
    const last = before.folders[name]
    if (!found) {
      const run = async () => {
        const { id } = await client.letta.folders.create(given({ name, ...settings }) as { name: string })
        plan.ids.folders.set(name, id)
        state.folders[name] = { id, made: true, files: {} }
        await upload(plan, wanted, id, files)
      }
      const fields = [
        ...differences({}, settings),
        ...files.map((file) => ({ field: 'file', before: null, after: file.name })),
      ]
      plan.changes.push({ action: 'create', kind: 'folder', name, at, fields, run })
      continue
    }
    plan.ids.folders.set(name, found.id)
    const known = last?.id === found.id ? last : { id: found.id, made: false, files: {} }
    state.folders[name] = { ...known, files: { ...known.files } }
    const there: HaveFile[] = []
    for await (const file of client.letta.folders.files.list(found.id, { limit: 500 }))
      there.push({ id: file.id ?? '', name: file.original_file_name ?? file.file_name ?? '' })
    const changed = files.filter(
      (file) => known.files[file.name] !== file.sha256 || !there.some(({ name: one }) => one === file.name),
    )
    const gone = there.filter(
      (file) => Object.hasOwn(known.files, file.name) && !files.some(({ name: one }) => one === file.name),
    )
    const removed = plan.prune ? gone : []
    if (!plan.prune) plan.stale.push(...gone.map((file) => `file ${name}/${file.name}`))
    const there_settings = {
      description: found.description,
      instructions: found.instructions,
      embedding: embeddingOf(found, settings),
    }
    const setting_fields = differences(there_settings, settings)
    const fields = [
      ...setting_fields,
      ...changed.map((file) => {
        const before = there.some(({ name: one }) => one === file.name) ? file.name : null
        return { field: 'file', before, after: before === null ? file.name : `${file.name} (changed)` }
      }),
      ...removed.map((file) => ({ field: 'file', before: file.name, after: null })),
    ]
    if (fields.length === 0) continue
    const run = async () => {
      if (setting_fields.length > 0)
        await client.letta.patch(`/v1/folders/${found.id}`, { body: given(settings) })
      await upload(plan, wanted, found.id, changed)
      for (const file of removed) {
        await client.letta.folders.files.delete(file.id, { folder_id: found.id })
        delete state.folders[name]?.files[file.name]
      }
    }
    plan.changes.push({ action: 'update', kind: 'folder', name, at, fields, run })
  }
}

/** Uploads files in place of those of their names, and waits until they have been read. */
async function upload(
  plan: Plan,
  { name, at }: Wanted<WantedFolder>,
  folder_id: string,
  files: readonly WantedFile[],
): Promise<void> {
  const { letta } = plan.client
  const reading: { id: string; file: WantedFile }[] = []
  for (const file of files) {
    const blob = new File([await openAsBlob(file.path)], file.name)
    const made = await letta.folders.files.upload(folder_id, { file: blob, duplicate_handling: 'replace' })
    reading.push({ id: made.id ?? '', file })
  }
  const deadline = Date.now() + READ_TIME
  for (const { id, file } of reading) {
    for (;;) {
      const now = await letta.folders.files.retrieve(id, { folder_id })
      if (now.processing_status === 'completed') break
      if (now.processing_status === 'error' || Date.now() > deadline) {
        const why = now.error_message ?? 'it is still being read'
        plan.notes.push(`${at}: the file '${file.name}' of folder '${name}' was not read: ${why}`)
        break
      }
      await new Promise((resolve) => setTimeout(resolve, POLL))
    }
    const record = plan.state.folders[name]
    if (record) record.files[file.name] = file.sha256
  }
}
