import { importOptions } from '../../schema/agent-file.ts'
import { type Agent, AGENT_RELATIONS } from '../../schema/agent.ts'
import type { Block } from '../../schema/block.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { TemplateContent } from '../../schema/template.ts'
import { addServers } from '../agent-files/mcp-servers.ts'
import { partsOf } from '../agent-files/plan-folders.ts'
import { planImport } from '../agent-files/plan.ts'
import { readFile } from '../agent-files/read-file.ts'
import { draftBlock } from '../memory.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'

/** What a template of this agent holds: no messages, no values of secrets. Throws `not_found`. */
export async function contentOfAgent(
  deps: CoreDeps,
  actor: Actor,
  agent_id: string,
): Promise<TemplateContent> {
  const relations = AGENT_RELATIONS.filter((relation) => relation !== 'agent.secrets')
  const agent = await deps.store.agents.get(actor, agent_id, relations)
  if (!agent) throw agentNotFound()
  return contentOf(agent, {
    blocks: agent.blocks,
    tags: agent.tags,
    tools: agent.tools,
    folder_ids: (agent.sources ?? []).map(({ id }) => id),
    identity_ids: agent.identity_ids,
    tool_variables: await deps.store.secrets.names(actor, agent_id),
  })
}

/**
 * The same of the agent in an agent file. Its tools, folders and MCP servers are stored as an import would, the tools
 * that are there stay as they are unless `update_tools`; the agent is not. Throws `invalid_argument` that names what in
 * the file is wrong; nothing is stored then.
 */
export async function contentOfFile(
  deps: CoreDeps,
  actor: Actor,
  file: unknown,
  options: { update_tools: boolean; breathe: () => Promise<void> },
): Promise<TemplateContent> {
  const read = await readFile(file, options.breathe)
  const plan = await planImport(
    deps,
    actor,
    read,
    importOptions.parse({
      strip_messages: true,
      append_copy_suffix: false,
      override_existing_tools: options.update_tools,
    }),
  )
  const mains = plan.agents.filter(({ agent }) => !isCompanion(agent))
  const [main, second] = mains.length === 0 ? plan.agents : mains
  if (!main || second)
    throw new AppError(
      'invalid_argument',
      `The agent file has ${mains.length} agents, and a template is made of one (with its sleep-time companion, if it has one); export that one alone.`,
    )
  const folders = [...plan.folders.folders.values()].map(({ folder }) => folder)
  const ids = folders.map(({ id }) => id)
  const { imports } = deps.store
  const { new_tools, changed_tools } = plan
  let complete = false
  try {
    await imports.begin(actor, ids)
    for (const part of plan.folders.files.values()) await imports.addFile(actor, part.staged, partsOf(part))
    await imports.complete(actor, { agents: [], blocks: [], new_tools, changed_tools, groups: [], folders })
    complete = true
    await addServers(deps, actor, plan.mcp_servers, [...new_tools, ...changed_tools])
  } finally {
    if (!complete) await imports.abandon(actor, ids)
  }
  const own = new Map(plan.blocks.map(({ id, block }) => [id, block]))
  const page = { limit: Math.max(1, main.tool_ids.length), order: 'asc' as const }
  const tools =
    main.tool_ids.length === 0 ? [] : await deps.store.tools.list(actor, { tool_ids: main.tool_ids }, page)
  return contentOf(main.agent, {
    blocks: main.block_ids.flatMap((id) => {
      const block = own.get(id)
      return block ? draftBlock(id, block) : []
    }),
    tags: main.tags,
    tools: main.tool_ids.flatMap((id) => tools.find((tool) => tool.id === id) ?? []),
    folder_ids: main.folder_ids,
    identity_ids: [],
    tool_variables: Object.keys(main.secrets),
  })
}

/** The content with the identities that its agent and blocks of the same labels have in the version before. */
export function withEntitiesOf(content: TemplateContent, before: TemplateContent): TemplateContent {
  const entities = new Map(before.blocks.map(({ label, entity_id }) => [label, entity_id]))
  return {
    ...content,
    agent: { ...content.agent, entity_id: before.agent.entity_id },
    blocks: content.blocks.map((block) => ({
      ...block,
      entity_id: entities.get(block.label) ?? block.entity_id,
    })),
  }
}

function isCompanion({ agent_type }: Pick<Agent, 'agent_type'>): boolean {
  return agent_type === 'sleeptime_agent' || agent_type === 'voice_sleeptime_agent'
}

function contentOf(
  agent: Omit<TemplateContent['agent'], 'entity_id'>,
  parts: {
    blocks: readonly Block[]
    tools: readonly { id: string; name: string }[]
  } & Pick<TemplateContent, 'tags' | 'folder_ids' | 'identity_ids' | 'tool_variables'>,
): TemplateContent {
  const { tags, folder_ids, identity_ids, tool_variables } = parts
  return {
    agent: {
      entity_id: newId('entity'),
      name: agent.name,
      system: agent.system,
      agent_type: agent.agent_type,
      description: agent.description,
      metadata: agent.metadata,
      model: agent.model,
      embedding: agent.embedding,
      llm_config: agent.llm_config,
      embedding_config: agent.embedding_config,
      model_settings: agent.model_settings,
      compaction_settings: agent.compaction_settings,
      response_format: agent.response_format,
      tool_rules: agent.tool_rules,
      message_buffer_autoclear: agent.message_buffer_autoclear,
      enable_sleeptime: agent.enable_sleeptime,
      timezone: agent.timezone,
      max_files_open: agent.max_files_open,
      per_file_view_window_char_limit: agent.per_file_view_window_char_limit,
      hidden: agent.hidden,
    },
    blocks: parts.blocks.map((block) => ({
      entity_id: newId('entity'),
      label: block.label,
      value: block.value,
      limit: block.limit,
      description: block.description,
      read_only: block.read_only,
      preserve_on_migration: block.preserve_on_migration,
      metadata: block.metadata,
      hidden: block.hidden,
      tags: block.tags,
    })),
    tags: [...tags],
    tools: parts.tools.map(({ id, name }) => ({ id, name })),
    folder_ids: [...folder_ids],
    identity_ids: [...identity_ids],
    tool_variables: [...tool_variables],
  }
}
