import { createAgent } from '../../schema/agent.ts'
import { DEFAULT_BLOCK_LIMIT } from '../../schema/block.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type {
  ChangedSnapshot,
  TemplateBlock,
  TemplateContent,
  TemplateSnapshot,
} from '../../schema/template.ts'
import { applySettings, llmConfigOf, modelSettingsOf } from '../model-settings.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { variablesOf } from './variables.ts'

/** What a version holds, as V1's hosted service showed it; `version` null is the working one. */
export function snapshotOf(content: TemplateContent, version: number | null): TemplateSnapshot {
  const { agent, blocks } = content
  const { llm_config } = agent
  return {
    agents: [
      {
        entityId: agent.entity_id,
        name: agent.name,
        model: agent.model ?? llm_config.handle ?? llm_config.model,
        systemPrompt: agent.system,
        agentType: agent.agent_type,
        toolIds: content.tools.map(({ id }) => id),
        sourceIds: content.folder_ids,
        identityIds: content.identity_ids,
        tags: content.tags,
        toolRules: agent.tool_rules,
        memoryVariables: listed(variablesOf(content)),
        toolVariables: listed(content.tool_variables),
        properties: {
          enable_reasoner: llm_config.enable_reasoner ?? null,
          put_inner_thoughts_in_kwargs: llm_config.put_inner_thoughts_in_kwargs ?? null,
          context_window_limit: llm_config.context_window,
          max_tokens: llm_config.max_tokens ?? null,
          max_reasoning_tokens: llm_config.max_reasoning_tokens ?? null,
          max_files_open: agent.max_files_open,
          message_buffer_autoclear: agent.message_buffer_autoclear,
          verbosity_level: llm_config.verbosity ?? null,
          reasoning_effort: llm_config.reasoning_effort ?? null,
          per_file_view_window_char_limit: agent.per_file_view_window_char_limit,
          parallel_tool_calls: llm_config.parallel_tool_calls ?? null,
          temperature: llm_config.temperature ?? null,
        },
      },
    ],
    blocks: blocks.map((block) => ({
      entityId: block.entity_id,
      label: block.label ?? '',
      value: block.value,
      limit: block.limit,
      description: block.description ?? '',
      preserveOnMigration: block.preserve_on_migration,
      readOnly: block.read_only,
    })),
    relationships: blocks.map(({ entity_id }) => ({
      agentEntityId: agent.entity_id,
      blockEntityId: entity_id,
    })),
    configuration: {},
    type: agent.enable_sleeptime === true ? 'sleeptime' : 'classic',
    version: version === null ? 'current' : String(version),
  }
}

function listed(keys: readonly string[]) {
  return { version: '1', data: keys.map((key) => ({ key, defaultValue: null, type: 'string' })) }
}

/** The content with what a snapshot says; what it does not say stays. Throws `not_found` for what it names and is not there. */
export async function contentOfSnapshot(
  deps: CoreDeps,
  actor: Actor,
  before: TemplateContent,
  { agents, blocks }: ChangedSnapshot,
): Promise<TemplateContent> {
  const given = agents?.[0] ?? {}
  const properties = given.properties ?? {}
  const tools = given.toolIds == null ? before.tools : await toolsOf(deps, actor, [...new Set(given.toolIds)])
  for (const id of given.sourceIds ?? [])
    if (!(await deps.store.folders.get(actor, id)))
      throw new AppError('not_found', `There is no folder '${id}'.`)
  for (const id of given.identityIds ?? [])
    if (!(await deps.store.identities.get(actor, id)))
      throw new AppError('not_found', `There is no identity '${id}'.`)
  return {
    ...before,
    agent: {
      ...before.agent,
      ...(await modelOf(deps, actor, before.agent, given.model, properties)),
      name: given.name ?? before.agent.name,
      system: given.systemPrompt ?? before.agent.system,
      agent_type: given.agentType ?? before.agent.agent_type,
      tool_rules: given.toolRules ?? before.agent.tool_rules,
      max_files_open: properties.max_files_open ?? before.agent.max_files_open,
      message_buffer_autoclear: properties.message_buffer_autoclear ?? before.agent.message_buffer_autoclear,
      per_file_view_window_char_limit:
        properties.per_file_view_window_char_limit ?? before.agent.per_file_view_window_char_limit,
    },
    blocks: blocks ? blocks.map((block) => blockOf(block, before.blocks)) : before.blocks,
    tags: given.tags ?? before.tags,
    tools,
    folder_ids: given.sourceIds ?? before.folder_ids,
    identity_ids: given.identityIds ?? before.identity_ids,
    tool_variables: given.toolVariables?.data.map(({ key }) => key) ?? before.tool_variables,
  }
}

async function toolsOf({ store }: CoreDeps, actor: Actor, ids: string[]): Promise<TemplateContent['tools']> {
  if (ids.length === 0) return []
  const found = await store.tools.list(actor, { tool_ids: ids }, { limit: ids.length, order: 'asc' })
  return ids.map((id) => {
    const tool = found.find((one) => one.id === id)
    if (!tool) throw new AppError('not_found', `There is no tool '${id}'.`)
    return { id, name: tool.name }
  })
}

/** Settings with what the snapshot says of them; another model begins with its own. */
async function modelOf(
  deps: CoreDeps,
  actor: Actor,
  before: TemplateContent['agent'],
  model: string | undefined,
  properties: NonNullable<NonNullable<ChangedSnapshot['agents']>[number]['properties']>,
): Promise<Partial<TemplateContent['agent']>> {
  const said = Object.values(properties).some((value) => value !== null)
  if ((model === undefined || model === before.model) && !said) return {}
  const { handle, info } = await deps.models.resolve(actor, model ?? before.model ?? '')
  const asked = createAgent.partial().parse({
    context_window_limit: properties.context_window_limit,
    max_tokens: properties.max_tokens,
    parallel_tool_calls: properties.parallel_tool_calls,
    reasoning: properties.enable_reasoner,
    max_reasoning_tokens: properties.max_reasoning_tokens,
    model_settings: properties.temperature == null ? undefined : { temperature: properties.temperature },
  })
  const same = handle === before.model
  const llm_config = applySettings(same ? before.llm_config : llmConfigOf(info, before.agent_type, {}), asked)
  return {
    model: handle,
    llm_config,
    model_settings: modelSettingsOf(info, llm_config, null, same ? before.model_settings : null),
  }
}

/** A block is the one of its entity, or of its label. */
function blockOf(
  given: NonNullable<ChangedSnapshot['blocks']>[number],
  before: readonly TemplateBlock[],
): TemplateBlock {
  const own =
    before.find(({ entity_id }) => entity_id === given.entityId) ??
    before.find(({ label }) => label === given.label)
  return {
    entity_id: own?.entity_id ?? newId('entity'),
    label: given.label,
    value: given.value,
    limit: given.limit ?? own?.limit ?? DEFAULT_BLOCK_LIMIT,
    description: given.description ?? own?.description ?? null,
    read_only: given.readOnly ?? own?.read_only ?? false,
    preserve_on_migration: given.preserveOnMigration ?? own?.preserve_on_migration ?? null,
    metadata: own?.metadata ?? null,
    hidden: own?.hidden ?? null,
    tags: own?.tags ?? [],
  }
}
