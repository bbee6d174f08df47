import { type FileAgent, type FileGroup, type ImportOptions, type Raw } from '../../schema/agent-file.ts'
import type { CreateBlock } from '../../schema/block.ts'
import { createBlock } from '../../schema/block.ts'
import { isAppError } from '../../schema/errors.ts'
import type { Group } from '../../schema/group.ts'
import { newId } from '../../schema/ids.ts'
import { MAX_NAME } from '../../schema/names.ts'
import type { Tool } from '../../schema/tool.ts'
import { AUTO_MODEL } from '../agents.ts'
import { newCompactionSettings } from '../context/compaction-settings.ts'
import { defaultSystemPrompt, randomAgentName } from '../default-prompts.ts'
import { draftBlock } from '../memory.ts'
import { llmConfigOf, modelSettingsOf } from '../model-settings.ts'
import type { Actor } from '../ports/actor.ts'
import type { NewAgent } from '../ports/agent-store.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { NewGroup } from '../ports/group-store.ts'
import type { ImportedLink, NewImport } from '../ports/import-store.ts'
import type { NewMcpServer } from '../ports/mcp-server-store.ts'
import {
  AGENT_IDS,
  agentFields,
  BLOCK_IDS,
  blockFields,
  GROUP_IDS,
  groupFields,
  type KeptAgent,
} from './entity-fields.ts'
import { keep, type Kept } from './kept.ts'
import { linksOf, type PlannedFolders, planFolders } from './plan-folders.ts'
import { hideSecrets, planSecrets } from './plan-secrets.ts'
import { named, namesOf, type PlannedTool, planTools } from './plan-tools.ts'
import { planServers } from './mcp-servers.ts'
import { nameOfTool, type Part, type ReadFile } from './read-file.ts'
import { refused } from './refused.ts'

/** What an import will make, but for the messages. */
export interface Plan {
  agents: PlannedAgent[]
  blocks: NewImport['blocks']
  new_tools: Tool[]
  changed_tools: Tool[]
  groups: NewGroup[]
  folders: PlannedFolders
  mcp_servers: NewMcpServer[]
  warnings: string[]
  /** New ids by those of the file: of agents and groups. */
  ids: Map<string, string>
}

export interface PlannedAgent {
  /** The agent in the file. */
  part: ReadFile['agents'][number]
  agent: NewAgent['agent']
  tags: string[]
  block_ids: string[]
  tool_ids: string[]
  secrets: Record<string, string>
  folder_ids: string[]
  links: ImportedLink[]
  kept: KeptAgent
}

/** Fields of an agent that name blocks and tools in other words; they are turned into those. */
const SPELT_OUT = ['memory_blocks', 'tools', 'include_base_tools', 'include_multi_agent_tools'] as const

/**
 * Decides what everything in a checked file becomes; nothing is stored. Throws `invalid_argument` for what the file asks
 * for and cannot be had, and what resolving the model that `options` name throws.
 */
export async function planImport(
  deps: CoreDeps,
  actor: Actor,
  file: ReadFile,
  options: ImportOptions,
): Promise<Plan> {
  const plan: Plan = {
    agents: [],
    blocks: [],
    new_tools: [],
    changed_tools: [],
    groups: [],
    folders: { folders: new Map(), files: new Map() },
    mcp_servers: [],
    warnings: [],
    ids: new Map(),
  }
  for (const { value } of file.agents) plan.ids.set(value.id, newId('agent'))
  for (const { value } of file.groups) plan.ids.set(value.id, newId('group'))
  const tools = await planTools(deps, actor, file, options, plan)
  const blocks = planBlocks(file, plan)
  plan.folders = await planFolders(deps, actor, file, options, plan.warnings)
  const secrets = planSecrets(file, options, plan.warnings)
  for (const [i, part] of file.agents.entries()) {
    const own = secrets[i] ?? {}
    plan.agents.push(
      await planAgent(deps, actor, {
        file,
        part,
        first: i === 0,
        options,
        tools,
        blocks,
        secrets: own,
        plan,
      }),
    )
  }
  planGroups(deps, file, blocks, plan)
  plan.mcp_servers = await planServers(deps, actor, file.mcp_servers, plan.warnings)
  warnOfParts(file, plan)
  return plan
}

interface PlannedBlock {
  id: string
  block: CreateBlock
  kept: Kept
}

function planBlocks(file: ReadFile, plan: Plan): Map<string, PlannedBlock> {
  const planned = new Map<string, PlannedBlock>()
  const homes = new Map<string, string>()
  for (const { value } of file.agents)
    for (const id of value.block_ids ?? []) if (!homes.has(id)) homes.set(id, plan.ids.get(value.id) ?? '')
  for (const { raw, value } of file.blocks) {
    const id = newId('block')
    const block = createBlock.parse(value)
    plan.blocks.push({ id, block, agent_id: homes.get(value.id) ?? null })
    planned.set(value.id, { id, block, kept: keep(raw, blockFields(draftBlock(id, block)), BLOCK_IDS) })
  }
  return planned
}

async function planAgent(
  deps: CoreDeps,
  actor: Actor,
  given: {
    file: ReadFile
    part: ReadFile['agents'][number]
    first: boolean
    options: ImportOptions
    tools: ReadonlyMap<string, PlannedTool>
    blocks: ReadonlyMap<string, PlannedBlock>
    secrets: Record<string, string>
    plan: Plan
  },
): Promise<PlannedAgent> {
  const { file, part, first, options, tools, blocks, secrets, plan } = given
  const { value, raw, path } = part
  const id = plan.ids.get(value.id) ?? newId('agent')
  const agent_type = value.agent_type ?? 'letta_v1_agent'
  const now = deps.clock.now().toISOString()
  const { model, llm_config, model_settings, overridden } = await modelOf(deps, actor, part, options, plan)
  const override = first ? (options.name ?? options.override_name) : null
  const own = value.name ?? randomAgentName()
  const suffix = options.append_copy_suffix ? '_copy' : ''
  const name = override ?? own.slice(0, MAX_NAME - suffix.length) + suffix
  const embedding = options.embedding ?? options.override_embedding_handle
  const agent: NewAgent['agent'] = {
    id,
    name,
    system: value.system ?? defaultSystemPrompt(agent_type),
    agent_type,
    description: value.description ?? null,
    metadata: value.metadata ?? null,
    model,
    embedding: embedding ?? value.embedding ?? value.embedding_config?.handle ?? null,
    llm_config,
    embedding_config: embedding === null ? (value.embedding_config ?? null) : null,
    model_settings,
    compaction_settings: newCompactionSettings(value.compaction_settings, llm_config),
    response_format: value.response_format ?? llm_config.response_format ?? null,
    tool_rules: value.tool_rules ?? [],
    message_buffer_autoclear: value.message_buffer_autoclear ?? false,
    enable_sleeptime: value.enable_sleeptime ?? null,
    timezone: value.timezone ?? 'UTC',
    max_files_open: value.max_files_open ?? 5,
    per_file_view_window_char_limit: value.per_file_view_window_char_limit ?? 15_000,
    hidden: value.hidden ?? null,
    project_id: options.project_id ?? value.project_id ?? null,
    template_id: value.template_id ?? null,
    base_template_id: value.base_template_id ?? null,
    deployment_id: null,
    entity_id: null,
    identity_ids: [],
    created_at: now,
    updated_at: now,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    last_run_completion: null,
    last_run_duration_ms: null,
    last_stop_reason: null,
  }
  const tags = [...new Set(value.tags ?? [])]
  const planned = (value.block_ids ?? []).flatMap((local) => blocks.get(local) ?? [])
  const inline = inlineBlocks(part, plan, id, planned)
  const toolsOf = [
    ...(value.tool_ids ?? []).flatMap((local) => tools.get(local) ?? []),
    ...namesOf(value).map((wanted, i) => named(wanted, tools, `${path}.tools[${i}]`)),
  ].filter(({ tool }, i, all) => all.findIndex((other) => other.tool.id === tool.id) === i)
  const kept = keep(
    spelled(raw, inline.length > 0),
    agentFields(agent, tags, Object.keys(secrets)),
    AGENT_IDS,
  )
  if (name !== own || value.name == null) delete kept['name']
  for (const key of overridden) delete kept[key]
  if (embedding !== null) for (const key of ['embedding', 'embedding_config']) delete kept[key]
  if (options.project_id !== null) delete kept['project_id']
  hideSecrets(kept, value, Object.keys(secrets))
  const { folder_ids, links, kept: keptLinks } = linksOf(part, plan.folders)
  return {
    part,
    agent,
    tags,
    block_ids: [...planned.map((block) => block.id), ...inline],
    tool_ids: toolsOf.map(({ tool }) => tool.id),
    secrets,
    folder_ids,
    links,
    kept: {
      agent: kept,
      blocks: Object.fromEntries(planned.map((block) => [block.id, block.kept])),
      tools: Object.fromEntries(toolsOf.map(({ tool, kept: own }) => [tool.name, own])),
      groups: {},
      folders: { ...keptFolders(file, part, first, plan.folders), ...keptLinks },
      ...keptParts(file, first),
    },
  }
}

/** Of the folders and files those that the agent names, and with the first agent those that none does. */
function keptFolders(
  file: ReadFile,
  { value }: ReadFile['agents'][number],
  first: boolean,
  planned: PlannedFolders,
): Pick<KeptAgent['folders'], 'folders' | 'loose' | 'files'> {
  const named = (agent: FileAgent) =>
    new Set([
      ...(agent.source_ids ?? []),
      ...(agent.folder_ids ?? []),
      ...(agent.files_agents ?? []).map((link) => link.source_id),
    ])
  const own = named(value)
  const anybodys = new Set(file.agents.flatMap((agent) => [...named(agent.value)]))
  const loose = first ? [...planned.folders.keys()].filter((local) => !anybodys.has(local)) : []
  const mine = [...planned.folders].filter(([local]) => own.has(local) || loose.includes(local))
  const ids = new Set(mine.map(([, { folder }]) => folder.id))
  const files = [...planned.files.values()].filter(({ staged }) => ids.has(staged.folder_id))
  return {
    folders: Object.fromEntries(mine.map(([, { folder, kept }]) => [folder.id, kept])),
    loose: loose.flatMap((local) => planned.folders.get(local)?.folder.id ?? []),
    files: Object.fromEntries(files.map(({ staged, kept }) => [staged.id, kept])),
  }
}

/** What nothing here stands for yet. */
function keptParts(
  file: ReadFile,
  first: boolean,
): Omit<KeptAgent, 'agent' | 'blocks' | 'tools' | 'groups' | 'folders'> {
  return {
    mcp_servers: first ? file.mcp_servers.map(withoutCredentials) : [],
    skills: first ? file.skills : [],
    metadata: file.metadata,
    more: first ? file.more : {},
  }
}

/** Blocks that are written inside the agent; answers their ids. */
function inlineBlocks(
  { value, path }: ReadFile['agents'][number],
  plan: Plan,
  agent_id: string,
  others: readonly PlannedBlock[],
): string[] {
  const labels = new Set(others.map(({ block }) => block.label))
  return (value.memory_blocks ?? []).map((block, i) => {
    if (labels.has(block.label))
      throw refused(`${path}.memory_blocks[${i}]`, `the agent has two blocks with the label '${block.label}'`)
    labels.add(block.label)
    const id = newId('block')
    plan.blocks.push({ id, block, agent_id })
    return id
  })
}

/** An agent whose blocks and tools have ids by now. */
function spelled(raw: Raw, inline: boolean): Raw {
  const spelt: Raw = { ...raw }
  if (inline) spelt['memory_blocks'] = []
  if (Array.isArray(raw['tools']) && raw['tools'].length > 0) spelt['tools'] = []
  for (const key of SPELT_OUT.slice(2)) if (raw[key] === true && raw['tool_ids'] == null) spelt[key] = false
  return spelt
}

async function modelOf(
  deps: CoreDeps,
  actor: Actor,
  { value, path }: Part<FileAgent>,
  options: ImportOptions,
  plan: Plan,
): Promise<
  Pick<NewAgent['agent'], 'model' | 'llm_config' | 'model_settings'> & { overridden: readonly string[] }
> {
  const override = options.model ?? options.override_model_handle
  const type = value.agent_type ?? 'letta_v1_agent'
  const config = value.llm_config
  if (override !== null) {
    const { handle, info } = await deps.models.resolve(actor, override)
    const window = Math.min(
      value.context_window_limit ?? config?.context_window ?? Infinity,
      info.max_context_window,
    )
    const llm_config = llmConfigOf(info, type, { context_window_limit: window })
    return {
      model: handle,
      llm_config,
      model_settings: modelSettingsOf(info, llm_config, null),
      overridden: ['model', 'llm_config', 'model_settings', 'context_window_limit', 'response_format'],
    }
  }
  const asked =
    value.model ??
    config?.handle ??
    (config ? `${config.provider_name ?? config.model_endpoint_type}/${config.model}` : null)
  const found = await deps.models.resolve(actor, asked ?? AUTO_MODEL).catch((error: unknown) => {
    if (!isAppError(error)) throw error
    if (!config)
      throw refused(
        asked === null ? `${path}.llm_config` : `${path}.model`,
        `${error.message} Name another model for the import with 'model'.`,
      )
    plan.warnings.push(
      `Agent '${value.name ?? value.id}' uses the model '${asked}', which is not connected here: ${error.message}`,
    )
    return null
  })
  const llm_config = config ?? (found ? llmConfigOf(found.info, type, value) : null)
  if (!llm_config) throw refused(`${path}.llm_config`, 'the file says no model')
  const model_settings = found
    ? modelSettingsOf(found.info, llm_config, value.model_settings)
    : value.model_settings
  return { model: found?.handle ?? asked, llm_config, model_settings: model_settings ?? null, overridden: [] }
}

function planGroups(
  deps: CoreDeps,
  file: ReadFile,
  blocks: ReadonlyMap<string, PlannedBlock>,
  plan: Plan,
): void {
  const idOf = (local: string) => plan.ids.get(local) ?? local
  const back = new Map([...plan.ids].map(([local, id]) => [id, local]))
  for (const { raw, value } of file.groups) {
    const group = groupOf(value, {
      id: idOf(value.id),
      idOf,
      shared: (value.shared_block_ids ?? []).flatMap((local) => blocks.get(local)?.id ?? []),
    })
    plan.groups.push({ ...group, created_at: deps.clock.now().toISOString() })
    const home = group.manager_agent_id ?? group.agent_ids[0]
    const owner = plan.agents.find(({ agent }) => agent.id === home)
    const local = (id: string) => back.get(id) ?? id
    if (owner) owner.kept.groups[group.id] = keep(raw, groupFields(group, local), GROUP_IDS)
    if (group.manager_agent_id === null)
      plan.warnings.push(
        `Group '${value.id}' has no manager: it was imported, but an export of one of its agents does not bring it.`,
      )
  }
}

function groupOf(
  value: FileGroup,
  { id, idOf, shared }: { id: string; idOf: (local: string) => string; shared: string[] },
): Group {
  const config = value.manager_config ?? { manager_type: 'round_robin' as const }
  const sleeps = config.manager_type === 'sleeptime'
  return {
    id,
    manager_type: config.manager_type,
    manager_agent_id: config.manager_agent_id == null ? null : idOf(config.manager_agent_id),
    agent_ids: value.agent_ids.map(idOf),
    description: value.description,
    sleeptime_agent_frequency: config.sleeptime_agent_frequency ?? null,
    turns_counter: sleeps ? 0 : null,
    last_processed_message_id: null,
    shared_block_ids: shared,
    project_id: value.project_id ?? null,
    template_id: null,
    base_template_id: null,
    deployment_id: null,
    termination_token: config.termination_token ?? null,
    max_turns: config.max_turns ?? null,
    max_message_buffer_length: config.max_message_buffer_length ?? null,
    min_message_buffer_length: config.min_message_buffer_length ?? null,
    hidden: value.hidden ?? null,
  }
}

/** A server of a file as it may be written into one: without what a person's secrets are in. */
function withoutCredentials(server: Raw): Raw {
  const { token: _t, auth_token: _a, custom_headers: _h, stdio_config, ...rest } = server
  if (stdio_config === undefined) return rest
  if (typeof stdio_config !== 'object' || stdio_config === null) return { ...rest, stdio_config }
  const { env: _e, ...config } = stdio_config as Raw
  return { ...rest, stdio_config: config }
}

function warnOfParts(file: ReadFile, plan: Plan): void {
  const kept = 'kept for the next export of the agent, but not used here yet'
  const namesOfRaw = (parts: readonly Raw[], key: string) =>
    parts.map((part) => `'${String(part[key] ?? part['id'])}'`).join(', ')
  if (file.skills.length > 0) plan.warnings.push(`Skills ${namesOfRaw(file.skills, 'name')} were ${kept}.`)
  const more = Object.keys(file.more)
  if (more.length > 0)
    plan.warnings.push(`Fields that no agent file of V1 has (${more.join(', ')}) were ${kept}.`)
  const used = new Set(file.agents.flatMap(({ value }) => value.tool_ids ?? []))
  for (const { value } of file.tools)
    if (!used.has(value.id))
      plan.warnings.push(
        `Tool '${nameOfTool(value)}' is attached to no agent of the file; it was imported as it is.`,
      )
}
