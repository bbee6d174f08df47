import { agentName } from '../../schema/agent.ts'
import type { Agent } from '../../schema/agent.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import { isId, newId } from '../../schema/ids.ts'
import { type LlmConfig, llmConfig, type ModelSettings } from '../../schema/model.ts'
import { stopReason } from '../../schema/message.ts'
import { MAX_NAME } from '../../schema/names.ts'
import { type OldAgent, oldAgent } from '../../schema/old-server.ts'
import { newCompactionSettings } from '../context/compaction-settings.ts'
import { defaultSystemPrompt } from '../default-prompts.ts'
import { systemMessage } from '../messages.ts'
import { llmConfigOf, modelSettingsOf } from '../model-settings.ts'
import type { Actor } from '../ports/actor.ts'
import type { NewAgent } from '../ports/agent-store.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ImportedLink } from '../ports/import-store.ts'
import type { BroughtConversation } from '../ports/migration-store.ts'
import { idsHere, type Kind, type Planned } from './bring.ts'
import { hashOf, type Raw, readLeniently } from './read.ts'
import { instantIn, timesOf } from './times.ts'

/** Agents whose messages were brought: the last step makes one visible, and later ones bring what came since. */
export const agents: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const read = readLeniently(oldAgent, raw, notes)
    const agent = await agentOf(deps, actor, read, raw, notes)
    const links = await linksOf(deps, actor, read, notes)
    const conversations = conversationsOf(deps, actor, read, agent)
    const view = viewOf({ ...agent, tags: links.tags, blocks: links.block_ids, tools: links.tool_ids })
    const putAll = async () => {
      for (const made of conversations)
        if (!(await deps.store.migration.putConversation(actor, agent.id, made)))
          notes.push(
            `Somebody went on with ${made.id === agent.id ? 'it' : `its conversation '${made.id}'`} here: its context stays as it is.`,
          )
    }
    const planned: Planned = {
      id: agent.id,
      name: agent.name,
      here: agent.id,
      view,
      notes,
      async add() {
        // Announces it where it has no messages at all.
        await deps.store.migration.addMessages(actor, agent.id, [])
        await putAll()
        const said = await hashOf(view)
        const entry = { kind: 'agent', id: agent.id, here: agent.id, said, stored: said, linked: [] }
        await deps.store.migration.complete(actor, { agent, ...links }, entry)
      },
      async change(here) {
        const { tags, blocks: block_ids, tools: tool_ids, ...patch } = view
        await deps.store.agents.update(actor, here, { ...patch, tags, block_ids, tool_ids })
      },
      async link(here) {
        await putAll()
        return [here]
      },
    }
    return planned
  },
  async view(deps, actor, here) {
    const found = await deps.store.agents.get(actor, here, ['agent.blocks', 'agent.tools', 'agent.tags'])
    if (!found) return null
    const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)
    return viewOf({ ...found, blocks: ids(found.blocks), tools: ids(found.tools) })
  },
}

type Viewed = Omit<Agent, 'blocks' | 'tools' | 'message_ids'> & { blocks: string[]; tools: string[] }

/** What somebody sets, not what happens to it. */
function viewOf(agent: Viewed) {
  const { name, system, agent_type, description, metadata, model, embedding, llm_config } = agent
  const { model_settings, compaction_settings, response_format, tool_rules, timezone, hidden } = agent
  const { message_buffer_autoclear, max_files_open, per_file_view_window_char_limit, project_id } = agent
  return {
    name,
    system,
    agent_type,
    description,
    metadata,
    model,
    embedding,
    llm_config,
    model_settings,
    compaction_settings,
    response_format,
    tool_rules,
    timezone,
    hidden,
    message_buffer_autoclear,
    max_files_open,
    per_file_view_window_char_limit,
    project_id,
    tags: agent.tags,
    blocks: agent.blocks,
    tools: agent.tools,
  }
}

async function agentOf(
  deps: CoreDeps,
  actor: Actor,
  read: OldAgent,
  raw: Raw,
  notes: string[],
): Promise<NewAgent['agent']> {
  const { model, llm_config, settings } = await modelOf(deps, actor, read, raw, notes)
  const last_run_completion = instantIn(raw['last_run_completion'])
  const duration = raw['last_run_duration_ms']
  return {
    id: read.id,
    name: nameFor(read, notes),
    system: read.system ?? defaultSystemPrompt(read.agent_type),
    agent_type: read.agent_type,
    description: read.description ?? null,
    metadata: read.metadata ?? null,
    model,
    embedding: read.embedding ?? read.embedding_config?.handle ?? null,
    llm_config,
    embedding_config: read.embedding_config ?? null,
    model_settings: settings,
    compaction_settings: newCompactionSettings(read.compaction_settings, llm_config),
    response_format: read.response_format ?? llm_config.response_format ?? null,
    tool_rules: read.tool_rules ?? [],
    message_buffer_autoclear: read.message_buffer_autoclear ?? false,
    enable_sleeptime: read.enable_sleeptime ?? null,
    timezone: read.timezone ?? 'UTC',
    max_files_open: read.max_files_open ?? 5,
    per_file_view_window_char_limit: read.per_file_view_window_char_limit ?? 15_000,
    hidden: read.hidden ?? null,
    project_id: read.project_id ?? null,
    template_id: read.template_id ?? null,
    base_template_id: read.base_template_id ?? null,
    deployment_id: read.deployment_id ?? null,
    entity_id: read.entity_id ?? null,
    identity_ids: [],
    ...timesOf(deps, raw),
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    last_run_completion,
    last_run_duration_ms: typeof duration === 'number' ? Math.round(duration) : null,
    last_stop_reason: stopReason.safeParse(raw['last_stop_reason']).data ?? null,
  }
}

function nameFor({ name, id }: OldAgent, notes: string[]): string {
  const given = name ?? id
  if (agentName.safeParse(given).success) return given
  const plain = given.replaceAll(/[^\p{L}\p{M}\p{N}_ '-]+/gu, '-').slice(0, MAX_NAME)
  const named = plain.trim() === '' ? id : plain
  notes.push(`Its name has characters that names of agents do not have; it is called '${named}' here.`)
  return named
}

async function modelOf(
  deps: CoreDeps,
  actor: Actor,
  read: OldAgent,
  raw: Raw,
  notes: string[],
): Promise<{ model: string | null; llm_config: LlmConfig; settings: ModelSettings | null }> {
  const config = read.llm_config
  const asked =
    read.model ??
    config?.handle ??
    (config ? `${config.provider_name ?? config.model_endpoint_type}/${config.model}` : null)
  const found =
    asked === null
      ? null
      : await deps.models.resolve(actor, asked).catch((error: unknown) => {
          if (!isAppError(error)) throw error
          notes.push(
            `It uses the model '${asked}', which is not connected here: it cannot answer until you connect that (loci connect) or give it another.`,
          )
          return null
        })
  // Of a provider that is not known here, what else it says is kept.
  const other = llmConfig.safeParse({ ...(raw['llm_config'] as object), model_endpoint_type: 'openai' }).data
  const llm_config = config ?? (found ? llmConfigOf(found.info, read.agent_type, read) : other)
  if (!llm_config) throw new AppError('invalid_argument', 'The old server does not say which model it uses.')
  const settings = found
    ? modelSettingsOf(found.info, llm_config, read.model_settings)
    : (read.model_settings ?? null)
  return { model: found?.handle ?? asked, llm_config, settings }
}

/** What is linked with an agent, as far as it is here. */
async function linksOf(deps: CoreDeps, actor: Actor, read: OldAgent, notes: string[]) {
  const ids = (list: { id: string }[] | null | undefined) => (list ?? []).map(({ id }) => id)
  const find = async (
    kind: 'block' | 'tool' | 'folder' | 'archive' | 'identity',
    wanted: readonly string[],
  ) => {
    const { here, missing } = await idsHere(deps, actor, kind, wanted)
    const names = missing.map((id) => {
      const named = [...(read.tools ?? []), ...(read.sources ?? []), ...(read.blocks ?? [])].find(
        (one) => one.id === id,
      )
      return `'${named?.name ?? id}'`
    })
    if (missing.length > 0)
      notes.push(
        `It has been brought without ${names.join(', ')} (${kind}), which could not come: see there.`,
      )
    return here
  }
  const block_ids = await existing(await find('block', ids(read.blocks)), (id) =>
    deps.store.blocks.get(actor, id),
  )
  const tool_ids = await existing(await find('tool', ids(read.tools)), (id) =>
    deps.store.tools.get(actor, id),
  )
  const folder_ids = await existing(await find('folder', ids(read.sources)), (id) =>
    deps.store.folders.get(actor, id),
  )
  const archive_ids = await existing(await find('archive', read.archive_ids ?? []), (id) =>
    deps.store.archives.get(actor, id),
  )
  const identity_ids = (await idsHere(deps, actor, 'identity', read.identity_ids ?? [])).here
  const links: ImportedLink[] = []
  for (const file of read.files ?? []) {
    const there = await deps.store.files.get(actor, file.file_id)
    if (!there || !folder_ids.includes(there.source_id)) continue
    links.push({
      file_id: file.file_id,
      folder_id: there.source_id,
      is_open: file.is_open,
      start_line: file.start_line == null ? null : Math.max(0, file.start_line - 1),
      end_line: file.end_line == null ? null : Math.max(0, file.end_line),
      last_accessed_at: instantIn(file['last_accessed_at']),
    })
  }
  const given = [...(read.secrets ?? []), ...(read.tool_exec_environment_variables ?? [])]
  const secrets = Object.fromEntries(given.map(({ key, value }) => [key, value]))
  const tags = [...new Set(read.tags)]
  return { tags, block_ids, tool_ids, folder_ids, archive_ids, identity_ids, links, secrets }
}

async function existing(ids: readonly string[], get: (id: string) => Promise<unknown>): Promise<string[]> {
  const there: string[] = []
  for (const id of new Set(ids)) if (await get(id)) there.push(id)
  return there
}

/** The default conversation first. */
function conversationsOf(
  deps: CoreDeps,
  actor: Actor,
  read: OldAgent,
  agent: NewAgent['agent'],
): BroughtConversation[] {
  const own = {
    id: agent.id,
    summary: null,
    model: null,
    model_settings: null,
    last_message_at: null,
    created_at: agent.created_at,
    updated_at: agent.created_at,
    message_ids: read.message_ids ?? [],
    isolated_block_ids: [],
  }
  const others = (read.conversations ?? []).flatMap((one) => {
    if (!isId('conv', one.id)) return []
    const said: Raw = one
    return [
      {
        id: one.id,
        summary: one.summary ?? null,
        model: one.model ?? null,
        model_settings: one.model_settings ?? null,
        last_message_at: instantIn(said['last_message_at']),
        ...timesOf(deps, said),
        message_ids: one.in_context_message_ids ?? [],
        isolated_block_ids: one.isolated_block_ids ?? [],
      },
    ]
  })
  return [own, ...others].map((made) => ({
    ...made,
    system_message: {
      ...systemMessage(
        agent.system,
        { agent_id: agent.id, conversation_id: made.id, run_id: null, step_id: null },
        new Date(made.created_at),
      ),
      id: newId('message'),
    },
  }))
}
