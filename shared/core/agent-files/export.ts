import { type FileSkill, MAX_ENTITIES, type Raw } from '../../schema/agent-file.ts'
import { AGENT_RELATIONS } from '../../schema/agent.ts'
import type { Agent } from '../../schema/agent.ts'
import type { Block } from '../../schema/block.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import type { Folder } from '../../schema/folder.ts'
import type { Group } from '../../schema/group.ts'
import type { Tool } from '../../schema/tool.ts'
import { VERSION } from '../../schema/version.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { agentFields, blockFields, groupFields, type KeptAgent, toolFields } from './entity-fields.ts'
import { type Kept, restore, sameJson } from './kept.ts'
import { serversInFile } from './mcp-servers.ts'
import { FolderNames } from './folders.ts'
import { fileMessageOf } from './message-fields.ts'

/** Messages that are read at once. */
const PAGE = 100

export interface ExportOptions {
  /** Its messages instead of those of the default conversation. */
  conversation_id?: string | null | undefined
  /** Leave out all messages. */
  scrub_messages?: boolean | undefined
  /** Put into the file as they are. */
  skills?: readonly FileSkill[] | null | undefined
}

/**
 * The agent file of an agent, and of the group that it leads, as JSON text in pieces: nothing long is held at once. All
 * messages of the conversation are in it, and which of them are in its context. Secrets have no value. Throws `not_found`
 * for the agent or conversation, before the first piece.
 */
export async function exportAgentFile(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
  options: ExportOptions,
): Promise<AsyncGenerator<string>> {
  const main = await readAgent(deps, actor, agent_id)
  if (!main) throw agentNotFound()
  const conversation = await conversationOf(deps, actor, main.agent, options.conversation_id)
  const group = main.agent.managed_group ?? null
  const members = []
  for (const id of group?.agent_ids ?? []) {
    const member = id === agent_id ? null : await readAgent(deps, actor, id)
    if (member) members.push(member)
  }
  return piecesOf(deps, actor, [main, ...members], { group, conversation, options })
}

/** Not their secrets. */
const RELATIONS = AGENT_RELATIONS.filter((relation) => relation !== 'agent.secrets')

interface Whole {
  agent: Agent
  secret_names: string[]
  kept: KeptAgent | null
  folders: Folder[]
}

/** Which messages are exported of the agent, and which of them are in the context. */
interface Source {
  conversation_id: string
  message_ids: readonly string[]
}

async function readAgent(deps: CoreDeps, actor: Actor, agent_id: string): Promise<Whole | null> {
  const agent = await deps.store.agents.get(actor, agent_id, RELATIONS)
  if (!agent) return null
  return {
    agent,
    secret_names: await deps.store.secrets.names(actor, agent_id),
    kept: (await deps.store.imports.kept(actor, agent_id)) as KeptAgent | null,
    folders: await deps.store.folders.list(actor, { agent_id }, { limit: MAX_ENTITIES, order: 'asc' }),
  }
}

async function conversationOf(
  deps: CoreDeps,
  actor: Actor,
  agent: Agent,
  id: string | null | undefined,
): Promise<Source> {
  if (id == null || id === 'default' || id === agent.id)
    return { conversation_id: agent.id, message_ids: agent.message_ids }
  const found = await deps.store.conversations.get(actor, id)
  if (found?.agent_id !== agent.id)
    throw new AppError('not_found', `The agent '${agent.id}' has no conversation '${id}'.`)
  return { conversation_id: id, message_ids: found.in_context_message_ids }
}

async function* piecesOf(
  deps: CoreDeps,
  actor: Actor,
  wholes: readonly Whole[],
  given: { group: Group | null; conversation: Source; options: ExportOptions },
): AsyncGenerator<string> {
  const { group, conversation, options } = given
  const names = localNames(wholes, group)
  const parts = carriedParts(wholes)
  const folders = new FolderNames(
    deps.store,
    actor,
    wholes.map(({ kept }) => kept?.folders),
  )
  await folders.add(wholes.flatMap((whole) => whole.folders))
  yield '{\n"agents": [\n'
  for (const [i, { agent, kept, secret_names }] of wholes.entries()) {
    const ids = new Map(names.agents)
    if (group) ids.set(group.id, 'group-0')
    const fields = restore(agentFields(agent, agent.tags, secret_names), kept?.agent)
    const head: Raw = {
      ...fields,
      id: names.agents.get(agent.id),
      tool_ids: agent.tools.map(({ id }) => names.tools.get(id)),
      block_ids: agent.blocks.map(({ id }) => names.blocks.get(id)),
      ...(await folders.linksOf(
        { agent_id: agent.id, local: String(names.agents.get(agent.id)), folders: wholes[i]?.folders ?? [] },
        kept?.folders,
      )),
      group_ids: group?.manager_agent_id === agent.id ? ['group-0'] : [],
    }
    yield `${JSON.stringify(head).slice(0, -1)},\n"messages": [`
    const source = i === 0 ? conversation : { conversation_id: agent.id, message_ids: agent.message_ids }
    const context = options.scrub_messages ? [] : source.message_ids
    if (!options.scrub_messages) yield* messagesOf(deps, actor, source, ids)
    const inContext = JSON.stringify(context.flatMap((id) => ids.get(id) ?? []))
    yield `],\n"in_context_message_ids": ${inContext}}${i + 1 < wholes.length ? ',\n' : ''}`
  }
  yield '\n],\n'
  const rest: Record<string, Raw[]> = {
    groups: group ? [groupOf(group, wholes, names)] : [],
    blocks: entities(
      wholes,
      ({ blocks }) => blocks,
      names.blocks,
      'label',
      ({ id }, kept) => kept?.blocks[id],
      blockFields,
    ),
    sources: folders.sources(),
    tools: entities(
      wholes,
      ({ tools }) => tools,
      names.tools,
      'name',
      ({ name }, kept) => kept?.tools[name],
      toolFields,
    ),
    mcp_servers: await serversInFile(
      deps,
      actor,
      wholes.flatMap(({ agent }) => agent.tools),
      parts.mcp_servers,
    ),
    skills: [
      ...parts.skills.filter(({ name }) => !options.skills?.some((skill) => skill.name === name)),
      ...(options.skills ?? []),
    ],
  }
  yield `"files": [`
  yield* folders.files()
  yield `],\n`
  for (const [name, list] of Object.entries(rest))
    yield `"${name}": [${list.map((item) => `\n${JSON.stringify(item)}`).join(',')}${list.length > 0 ? '\n' : ''}],\n`
  for (const [name, value] of Object.entries(parts.more))
    yield `${JSON.stringify(name)}: ${JSON.stringify(value)},\n`
  const metadata = parts.metadata ?? { loci_version: VERSION }
  yield `"metadata": ${JSON.stringify(metadata)},\n"created_at": ${JSON.stringify(deps.clock.now().toISOString())}\n}\n`
}

/** The messages of a conversation up to the newest of its context; their names go into `ids`. */
async function* messagesOf(
  deps: CoreDeps,
  actor: Actor,
  { conversation_id, message_ids }: Source,
  ids: Map<string, string>,
): AsyncGenerator<string> {
  const filter = { conversation_id, include_err: false }
  // What a turn adds meanwhile is not in the context that was read: the file is of one moment.
  const [newest] = await deps.store.messages.list(actor, filter, { limit: 1, order: 'desc' })
  const known = new Set(message_ids)
  let after: string | undefined
  let n = 0
  for (let last = newest === undefined; !last;) {
    const page = { limit: PAGE, order: 'asc' as const, ...(after === undefined ? {} : { after }) }
    const messages = await deps.store.messages.list(actor, filter, page)
    let text = ''
    for (const message of messages) {
      ids.set(message.id, `message-${n}`)
      text += `${n > 0 ? ',' : ''}\n${JSON.stringify(fileMessageOf(message, ids))}`
      n++
      known.delete(message.id)
      last ||= message.id === newest?.id
      if (last) break
    }
    if (text !== '') yield text
    after = messages.at(-1)?.id
    last ||= messages.length < PAGE
  }
}

interface Names {
  agents: Map<string, string>
  blocks: Map<string, string>
  tools: Map<string, string>
}

/** Ids of the file, in the order in which the agents have things. */
function localNames(wholes: readonly Whole[], group: Group | null): Names {
  const name = (prefix: string, ids: readonly string[]) =>
    new Map([...new Set(ids)].map((id, i) => [id, `${prefix}-${i}`]))
  return {
    agents: name(
      'agent',
      wholes.map(({ agent }) => agent.id),
    ),
    blocks: name('block', [
      ...wholes.flatMap(({ agent }) => agent.blocks.map(({ id }) => id)),
      ...(group?.shared_block_ids ?? []),
    ]),
    tools: name(
      'tool',
      wholes.flatMap(({ agent }) => agent.tools.map(({ id }) => id)),
    ),
  }
}

/** Blocks or tools of all agents, each once, sorted as V1 sorts them. */
function entities<T extends Block | Tool>(
  wholes: readonly Whole[],
  of: (agent: Agent) => readonly T[],
  names: ReadonlyMap<string, string>,
  by: 'label' | 'name',
  keptOf: (entity: T, kept: KeptAgent | null) => Kept | undefined,
  fields: (entity: T) => Raw,
): Raw[] {
  const found = new Map<string, Raw>()
  for (const { agent, kept } of wholes)
    for (const entity of of(agent)) {
      if (found.has(entity.id)) continue
      found.set(entity.id, { ...restore(fields(entity), keptOf(entity, kept)), id: names.get(entity.id) })
    }
  const keyOf = ({ [by]: key }: Raw) => (typeof key === 'string' ? key : '')
  return [...found.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
}

function groupOf(group: Group, wholes: readonly Whole[], names: Names): Raw {
  const local = (id: string) => names.agents.get(id) ?? id
  const kept = wholes.map((whole) => whole.kept?.groups[group.id]).find((own) => own !== undefined)
  return {
    ...restore(groupFields(group, local), kept),
    id: 'group-0',
    agent_ids: group.agent_ids.flatMap((id) => names.agents.get(id) ?? []),
    shared_block_ids: group.shared_block_ids.flatMap((id) => names.blocks.get(id) ?? []),
  }
}

/** What was kept of the files that the agents came from. */
function carriedParts(wholes: readonly Whole[]) {
  const parts = {
    mcp_servers: [] as Raw[],
    skills: [] as Raw[],
    metadata: null as Record<string, string> | null,
    more: {} as Raw,
  }
  for (const { kept } of wholes) {
    for (const list of ['mcp_servers', 'skills'] as const)
      for (const item of kept?.[list] ?? [])
        if (!parts[list].some((known) => sameJson(known, item))) parts[list].push(item)
    parts.metadata ??= kept?.metadata ?? null
    parts.more = { ...kept?.more, ...parts.more }
  }
  return parts
}
