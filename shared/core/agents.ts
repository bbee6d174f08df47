import type { Agent, CreateAgent, UpdateAgent } from '../schema/agent.ts'
import type { CreateBlock } from '../schema/block.ts'
import { AppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import type { TemplateContent } from '../schema/template.ts'
import type { Tool } from '../schema/tool.ts'
import { baseToolNames, MULTI_AGENT_TOOLS, rulesOf, wantsBaseRules } from './agent-tools.ts'
import { defaultBlockDescription, defaultSystemPrompt, randomAgentName } from './default-prompts.ts'
import {
  changedCompactionSettings,
  checkSummariser,
  newCompactionSettings,
} from './context/compaction-settings.ts'
import { firstMessages } from './first-messages.ts'
import { draftBlock } from './memory.ts'
import { systemMessage } from './messages.ts'
import { applySettings, checkFallbacks, llmConfigOf, modelSettingsOf } from './model-settings.ts'
import type { Actor } from './ports/actor.ts'
import type { AgentPatch, Companion, NewAgent } from './ports/agent-store.ts'
import type { CoreDeps } from './ports/deps.ts'
import type { Deployment } from './ports/template-store.ts'
import { compilePrompt, renderPrompt } from './prompt.ts'
import { chooseEmbedding } from './search/embedding-choice.ts'
import { canHaveCompanion, companionBody, companionGroup } from './teams/companion.ts'

/** The handle that stands for "whatever model is best here". */
export const AUTO_MODEL = 'letta/auto'

/**
 * Creates an agent with its blocks, tools and first system message (defaults: reference 2.2), and with
 * `enable_sleeptime` the companion that looks after its memory (2.6). `made`: from a template, whose settings are
 * settled: they are taken as they are.
 */
export async function createAgent(
  deps: CoreDeps,
  actor: Actor,
  body: CreateAgent,
  made?: {
    agent: Omit<TemplateContent['agent'], 'name'>
    deployment: Omit<Deployment, 'agent_id'>
  },
): Promise<Agent> {
  const drafted = await draftAgent(deps, actor, body)
  const { id: agent_id } = drafted.agent
  const main = made ? { ...drafted.agent, ...made.agent, deployment_id: made.deployment.id } : drafted.agent
  const wanted = main.enable_sleeptime === true && canHaveCompanion(main.agent_type)
  return deps.store.agents.create(actor, {
    ...drafted,
    agent: main,
    // In the order of the template, too.
    ...(made ? { tool_ids: body.tool_ids ?? [], deployment: { ...made.deployment, agent_id } } : {}),
    ...(wanted ? { companion: await draftCompanion(deps, actor, main) } : {}),
  })
}

/** The companion of an agent, and their group. */
async function draftCompanion(deps: CoreDeps, actor: Actor, main: NewAgent['agent']): Promise<Companion> {
  const agent = await draftAgent(deps, actor, companionBody(main))
  return { agent, group: companionGroup(main, agent.agent.id, deps.clock.now()) }
}

async function draftAgent(deps: CoreDeps, actor: Actor, body: CreateAgent): Promise<NewAgent> {
  const now = deps.clock.now()
  const id = newId('agent')
  const model = await deps.models.resolve(actor, body.model ?? body.llm_config?.handle ?? AUTO_MODEL)
  await checkFallbacks(deps.models, actor, model.handle, body.model_settings)
  await checkSummariser(deps.models, actor, body.compaction_settings)
  const new_blocks = (body.memory_blocks ?? []).map(withDescription)
  const block_ids = unique(body.block_ids ?? [])
  const tools = await toolsOf(deps, actor, body)
  const tool_ids = unique([...tools.map((tool) => tool.id), ...(body.tool_ids ?? [])])
  const llm_config = llmConfigOf(model.info, body.agent_type, body)
  const embedding = await chooseEmbedding(deps, actor, body)
  const agent: Omit<Agent, 'blocks' | 'tools' | 'tags' | 'message_ids'> = {
    id,
    name: body.name ?? randomAgentName(),
    system: body.system ?? defaultSystemPrompt(body.agent_type),
    agent_type: body.agent_type,
    description: body.description ?? null,
    metadata: body.metadata ?? null,
    model: model.handle,
    embedding: embedding?.handle ?? null,
    llm_config,
    embedding_config: embedding?.config ?? body.embedding_config ?? null,
    model_settings: modelSettingsOf(model.info, llm_config, body.model_settings),
    compaction_settings: newCompactionSettings(body.compaction_settings, llm_config),
    response_format: llm_config.response_format ?? null,
    tool_rules: rulesOf(body.tool_rules ?? [], tools, {
      base: wantsBaseRules(body.agent_type, llm_config.model, body.include_base_tool_rules),
    }),
    message_buffer_autoclear:
      body.agent_type === 'workflow_agent' || (body.message_buffer_autoclear ?? false),
    enable_sleeptime: body.enable_sleeptime ?? null,
    timezone: body.timezone ?? 'UTC',
    ...fileLimits(llm_config.context_window, body),
    hidden: body.hidden ?? ((body.tags ?? []).includes('role:subagent') ? true : null),
    project_id: body.project_id ?? null,
    template_id: body.template_id ?? null,
    base_template_id: body.base_template_id ?? null,
    deployment_id: null,
    entity_id: null,
    identity_ids: unique(body.identity_ids ?? []),
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    last_run_completion: null,
    last_run_duration_ms: null,
    last_stop_reason: null,
  }
  const linked = await Promise.all(block_ids.map((block_id) => deps.store.blocks.get(actor, block_id)))
  const blocks = [
    ...new_blocks.map((block) => draftBlock('', block)),
    ...linked.filter((block) => block !== null),
  ]
  const text = renderPrompt(compilePrompt({ ...agent, blocks }), {
    agent_id: id,
    conversation_id: 'default',
    compiled_at: now,
    timezone: agent.timezone,
    recall_count: 0,
  })
  return {
    agent,
    tags: unique(body.tags ?? []),
    new_blocks,
    block_ids,
    tool_ids,
    folder_ids: unique([...(body.folder_ids ?? []), ...(body.source_ids ?? [])]),
    secrets: body.secrets ?? body.tool_exec_environment_variables ?? {},
    system_message: systemMessage(
      text,
      { agent_id: id, conversation_id: id, run_id: null, step_id: null },
      now,
    ),
    first_messages: firstMessages(agent, tools, body.initial_message_sequence, now),
  }
}

/** Changes what `body` names; null and absent leave a field as it is (reference 2.5). Null when there is no agent. */
export async function updateAgent(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
  body: UpdateAgent,
): Promise<Agent | null> {
  const enable = body.enable_sleeptime === true
  const present = await deps.store.agents.get(actor, agent_id, enable ? ['agent.managed_group'] : [])
  if (!present) return null
  const patch: AgentPatch = { updated_at: deps.clock.now().toISOString(), last_updated_by_id: actor.user_id }
  const {
    model,
    llm_config,
    model_settings,
    context_window_limit,
    parallel_tool_calls,
    max_tokens,
    reasoning,
    response_format,
    tags,
    embedding,
    identity_ids,
    compaction_settings,
    folder_ids,
    source_ids,
    secrets,
    tool_exec_environment_variables,
    ...plain
  } = body
  for (const [key, value] of Object.entries(plain)) if (value != null) Object.assign(patch, { [key]: value })
  if (tags != null) patch.tags = unique(tags)
  if (embedding != null || plain.embedding_config != null) {
    const chosen = await chooseEmbedding(deps, actor, { embedding, embedding_config: plain.embedding_config })
    patch.embedding = chosen?.handle ?? null
    patch.embedding_config = chosen?.config ?? plain.embedding_config ?? null
  }
  if (folder_ids != null || source_ids != null)
    patch.folder_ids = unique([...(folder_ids ?? []), ...(source_ids ?? [])])
  if (identity_ids != null) patch.identity_ids = unique(identity_ids)
  const variables = secrets ?? tool_exec_environment_variables
  if (variables != null) patch.secrets = variables
  const touchesModel = [
    model,
    llm_config,
    model_settings,
    context_window_limit,
    parallel_tool_calls,
    max_tokens,
    reasoning,
    response_format,
  ]
  if (touchesModel.some((value) => value != null)) {
    const handle = model ?? llm_config?.handle ?? present.model ?? AUTO_MODEL
    const info = (await deps.models.resolve(actor, handle)).info
    const same = model == null || model === present.model
    const keep = same ? present.llm_config : llmConfigOf(info, present.agent_type, {})
    const asked = {
      llm_config,
      model_settings,
      context_window_limit,
      parallel_tool_calls,
      max_tokens,
      reasoning,
      response_format,
    }
    await checkFallbacks(deps.models, actor, info.handle ?? handle, model_settings)
    patch.model = info.handle ?? handle
    patch.llm_config = applySettings(keep, asked)
    const before = present.model_settings
    const provider_type = same ? before?.provider_type : undefined
    patch.model_settings = modelSettingsOf(
      info,
      patch.llm_config,
      provider_type === undefined ? model_settings : { provider_type, ...model_settings },
      before,
    )
    patch.response_format = patch.llm_config.response_format ?? null
  }
  await checkSummariser(deps.models, actor, compaction_settings)
  if (compaction_settings != null || patch.llm_config) {
    const models = { before: present.llm_config, now: patch.llm_config ?? present.llm_config }
    patch.compaction_settings = changedCompactionSettings(
      present.compaction_settings,
      compaction_settings,
      models,
    )
  }
  const led = present.managed_group?.manager_type
  if (enable && led !== 'sleeptime' && led !== 'voice_sleeptime' && canHaveCompanion(present.agent_type)) {
    const { blocks: _b, tools: _t, tags: _g, message_ids: _m, ...main } = present
    const companion = await draftCompanion(deps, actor, { ...main, ...asMain(patch) })
    await deps.store.agents.addCompanion(actor, agent_id, companion)
  }
  return deps.store.agents.update(actor, agent_id, patch)
}

/** What of a patch the companion takes over. */
function asMain({ name, model, timezone, llm_config }: AgentPatch) {
  const taken = { name, model, timezone, llm_config }
  return Object.fromEntries(Object.entries(taken).filter(([, value]) => value !== undefined))
}

/** The tools that a new agent gets, in order: those of its type, those asked for by name, those asked for by id. */
async function toolsOf(deps: CoreDeps, actor: Actor, body: CreateAgent): Promise<Tool[]> {
  const base = body.include_base_tools
    ? baseToolNames(body.agent_type, { sleeptime: body.enable_sleeptime === true })
    : []
  const asked = unique([...base, ...(body.tools ?? [])])
  const extra = body.include_multi_agent_tools ? MULTI_AGENT_TOOLS : []
  const byName = new Map<string, Tool>()
  const names = unique([...asked, ...extra])
  if (names.length > 0) {
    const page = { limit: names.length, order: 'asc' } as const
    for (const tool of await deps.store.tools.list(actor, { names }, page)) byName.set(tool.name, tool)
  }
  for (const name of asked)
    if (!byName.has(name))
      throw new AppError(
        'invalid_argument',
        `there is no tool named '${name}'; list them with GET /v1/tools/`,
      )
  const tools = names.flatMap((name) => byName.get(name) ?? [])
  const tool_ids = unique(body.tool_ids ?? []).filter((id) => !tools.some((tool) => tool.id === id))
  if (tool_ids.length === 0) return tools
  // An id that is not there is refused by the store, which names it.
  const page = { limit: tool_ids.length, order: 'asc' } as const
  return [...tools, ...(await deps.store.tools.list(actor, { tool_ids }, page))]
}

function withDescription(block: CreateBlock): CreateBlock {
  return { ...block, description: block.description ?? defaultBlockDescription(block.label) }
}

/** How much of its files an agent may have open, by its context window (reference 2.2). */
function fileLimits(context_window: number, body: CreateAgent) {
  const row = [
    { upTo: 8_000, files: 3, chars: 5_000 },
    { upTo: 32_000, files: 5, chars: 15_000 },
    { upTo: 128_000, files: 10, chars: 25_000 },
    { upTo: 200_000, files: 10, chars: 40_000 },
    { upTo: Infinity, files: 15, chars: 40_000 },
  ].find((r) => context_window <= r.upTo)
  return {
    max_files_open: body.max_files_open ?? row?.files ?? 5,
    per_file_view_window_char_limit: body.per_file_view_window_char_limit ?? row?.chars ?? 50_000,
  }
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}
