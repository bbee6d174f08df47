import { type Agent, createAgent as createAgentBody } from '../../schema/agent.ts'
import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { CreateFromTemplate, Migration, TemplateContent } from '../../schema/template.ts'
import { createAgent } from '../agents.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { Deployment, Migrated, Template, TemplateVersion } from '../ports/template-store.ts'
import { fillVariables } from './variables.ts'

/** Makes an agent from a version of a template. Throws `invalid_argument` for a tool of it that is gone. */
export async function createFromTemplate(
  deps: CoreDeps,
  actor: Actor,
  template: Template,
  { id: version_id, version, content }: TemplateVersion,
  asked: CreateFromTemplate,
): Promise<Agent> {
  const deployment_id = newId('deployment')
  const memory_variables = asked.memory_variables ?? {}
  const origin = { template_id: version_id, base_template_id: template.id, deployment_id }
  const { name: _, ...settled } = content.agent
  // Settled already; they may name a model that is not connected now.
  const { entity_id: _entity, compaction_settings: _compaction, ...settings } = settled
  const body = createAgentBody.parse({
    ...settings,
    name: asked.agent_name,
    include_base_tools: false,
    include_base_tool_rules: false,
    tool_ids: await toolIdsOf(deps, actor, content),
    folder_ids: content.folder_ids,
    identity_ids: [...content.identity_ids, ...(asked.identity_ids ?? [])],
    tags: [...content.tags, ...(asked.tags ?? [])],
    secrets: asked.tool_variables,
    memory_blocks: content.blocks.map((block) => ({
      ...block,
      ...origin,
      value: fillVariables(block.value, memory_variables),
    })),
    template_id: version_id,
    base_template_id: template.id,
  })
  const { initial_message_sequence } = asked
  return createAgent(
    deps,
    actor,
    { ...body, initial_message_sequence },
    {
      agent: settled,
      deployment: { id: deployment_id, template_id: template.id, version, memory_variables },
    },
  )
}

export interface MigrationOptions {
  /** Values of blocks that are there stay. */
  preserve_core_memories: boolean
  /** Variables of tools that the version does not name stay. */
  preserve_tool_variables: boolean
  /** Folders that the version does not have stay. */
  preserve_sources: boolean
  /** Blocks that the version does not have go. */
  delete_blocks: boolean
  /** Beside those that the agent was made with. */
  memory_variables: Readonly<Record<string, string>>
}

/**
 * Brings agents of a template to a version, each in one transaction: what fails for one is told, and the others go on.
 * Throws `invalid_argument` for a tool of the version that is gone, before the first.
 */
export async function migrateAgents(
  deps: CoreDeps,
  actor: Actor,
  template: Template,
  to: TemplateVersion,
  deployments: readonly Deployment[],
  options: MigrationOptions,
): Promise<Migration> {
  const tool_ids = await toolIdsOf(deps, actor, to.content)
  const report: Migration = { migrated: 0, agents: [], failed: [] }
  for (const deployment of deployments) {
    const place = { agent_id: deployment.agent_id, deployment_id: deployment.id }
    try {
      const done = await migrateOne(deps, actor, template, to, deployment, { ...options, tool_ids })
      // It was deleted meanwhile.
      if (!done) continue
      report.migrated++
      report.agents.push({ ...place, done: told(done, to) })
    } catch (error) {
      if (!isAppError(error)) throw error
      report.failed.push({ ...place, error: messageOf(error) })
    }
  }
  return report
}

async function migrateOne(
  deps: CoreDeps,
  actor: Actor,
  template: Template,
  to: TemplateVersion,
  deployment: Deployment,
  options: MigrationOptions & { tool_ids: string[] },
): Promise<Migrated | null> {
  const { content } = to
  const { entity_id, name: _name, enable_sleeptime: _companion, ...agent } = content.agent
  const before =
    deployment.version === null
      ? null
      : await deps.store.templates.version(actor, template.id, deployment.version)
  const memory_variables = { ...deployment.memory_variables, ...options.memory_variables }
  return deps.store.templates.migrate(actor, {
    deployment_id: deployment.id,
    template_id: template.id,
    to,
    agent: { ...agent, entity_id },
    tags: { before: before?.content.tags ?? [], after: content.tags },
    tool_ids: options.tool_ids,
    folder_ids: content.folder_ids,
    keep_folders: options.preserve_sources,
    identity_ids: content.identity_ids,
    only_secrets: options.preserve_tool_variables ? null : content.tool_variables,
    blocks: content.blocks.map((block) => ({
      ...block,
      value: fillVariables(block.value, memory_variables),
    })),
    keep_values: options.preserve_core_memories,
    delete_blocks: options.delete_blocks,
    memory_variables,
  })
}

function told({ from, blocks, tools }: Migrated, { version }: TemplateVersion): string {
  const nameOf = (number: number | null) => (number === null ? 'the working version' : `version ${number}`)
  const list = Object.entries(blocks).flatMap(([what, labels]) =>
    labels.length === 0 ? [] : `${what}: ${labels.join(', ')}`,
  )
  const changes = [
    ...list.map((text) => `blocks ${text}`),
    ...(tools.added > 0 ? [`tools added: ${tools.added}`] : []),
    ...(tools.removed > 0 ? [`tools removed: ${tools.removed}`] : []),
  ]
  return `from ${nameOf(from)} to ${nameOf(version)}${changes.length > 0 ? `; ${changes.join('; ')}` : ''}`
}

/** The tools as they are there now: by id, or, made anew, by name. */
async function toolIdsOf({ store }: CoreDeps, actor: Actor, { tools }: TemplateContent): Promise<string[]> {
  if (tools.length === 0) return []
  const page = { limit: tools.length, order: 'asc' as const }
  const byId = await store.tools.list(actor, { tool_ids: tools.map(({ id }) => id) }, page)
  const ids = new Set(byId.map(({ id }) => id))
  const missing = tools.filter(({ id }) => !ids.has(id)).map(({ name }) => name)
  const byName = missing.length === 0 ? [] : await store.tools.list(actor, { names: missing }, page)
  return tools.map(({ id, name }) => {
    const found = ids.has(id) ? id : byName.find((tool) => tool.name === name)?.id
    if (found !== undefined) return found
    throw new AppError(
      'invalid_argument',
      `the template has the tool '${name}', which is not here any more; make it again, or save a version without it`,
    )
  })
}
