import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import type { Template, TemplateVersion } from '../../core/ports/template-store.ts'
import { createFromTemplate, migrateAgents, type MigrationOptions } from '../../core/templates/agents.ts'
import { contentOfAgent, contentOfFile, withEntitiesOf } from '../../core/templates/content.ts'
import { contentOfSnapshot, snapshotOf } from '../../core/templates/snapshot.ts'
import { randomAgentName } from '../../core/default-prompts.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import {
  changedSnapshot,
  checkTemplateName,
  createdFromTemplate,
  createFromTemplate as createFromTemplateBody,
  createTemplate,
  type Migration,
  migrateDeployment,
  parseTemplateRef,
  parseVersion,
  PROJECT,
  savedTemplate,
  saveTemplate,
  template,
  templateDone,
  templateList,
  type TemplateContent,
  templateSnapshot,
  updateTemplate,
  type VersionName,
  versionList,
} from '../../schema/template.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { breather } from '../json-slices.ts'
import { route } from '../route.ts'

type Body<S extends z.ZodType> = z.output<S>

/** There are no projects: whatever one is named, it is this organisation's only one. */
const project = z.object({ project_id: z.string() })
const named = z.object({ template_name: z.string() })
const versioned = z.object({ template_version: z.string() })
const window = {
  offset: z.coerce.number().int().min(0).max(1_000_000).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).optional(),
}
const success = z.object({ success: z.boolean() })

/** Each operation is served without a project and, as V1 did, below one. */
export const routes = [
  route({
    method: 'GET',
    path: '/v1/templates',
    operation: 'templates.listTemplates',
    summary: 'List templates, the last changed first',
    query: z.object({
      ...window,
      name: z.string().optional(),
      exact: z.string().optional(),
      search: z.string().optional(),
      template_id: z.string().optional(),
      version: z.string().optional(),
      sort_by: z.enum(['updated_at', 'created_at']).optional(),
      /** Of V1's projects; without effect. */
      project_id: z.string().optional(),
      project_slug: z.string().optional(),
    }),
    answer: templateList,
    async handle({ actor, context, query }) {
      const { offset = 0, limit = 50, exact, version, ...filter } = query
      const wanted = version === undefined ? 'latest' : parseVersion(version)
      const found = await context.deps.store.templates.list(
        actor,
        {
          ...filter,
          exact: exact !== undefined && exact !== 'false',
          ...(typeof wanted === 'number' ? { version: wanted } : {}),
        },
        { offset, limit: limit + 1 },
      )
      const templates = found.slice(0, limit).map((one) => toTemplate(one, wanted))
      return { templates, has_next_page: found.length > limit }
    },
  }),
  ...(['', '/:project_id'] as const).flatMap((below) => [
    route({
      method: 'POST',
      path: `/v1/templates${below}`,
      operation: `templates.createTemplate${below === '' ? 'NoProject' : ''}`,
      summary: 'Make a template of an agent, or of an agent file; that is its version 1',
      ...(below === '' ? {} : { params: project }),
      body: createTemplate,
      answer: template,
      status: 201,
      handle: ({ actor, context, body }) => create(context, actor, body),
    }),
    route({
      method: 'POST',
      path: `/v1/templates${below}/:template_version/agents`,
      operation: `templates.createAgentsFromTemplate${below === '' ? 'NoProject' : ''}`,
      summary:
        "Make an agent from a version of a template: 'name', 'name:latest', 'name:3' or 'name:current'",
      params: below === '' ? versioned : project.extend(versioned.shape),
      body: createFromTemplateBody,
      optional_body: true,
      answer: createdFromTemplate,
      status: 201,
      async handle({ actor, context, params, body }) {
        const { found, version } = await versionOf(context, actor, params.template_version)
        const agent = await createFromTemplate(context.deps, actor, found, version, body)
        const group = agent.managed_group ?? null
        const others = (group?.agent_ids ?? []).filter((id) => id !== agent.id)
        return {
          agent_ids: [agent.id, ...others],
          deployment_id: agent.deployment_id,
          group_id: group?.id ?? null,
        }
      },
    }),
    route({
      method: 'POST',
      path: below === '' ? '/v1/templates/:template_name/save' : '/v1/templates/:project_id/:template_name',
      operation: `templates.saveTemplateVersion${below === '' ? 'NoProject' : ''}`,
      summary: 'Save the working version as a new one, which never changes',
      params: below === '' ? named : project.extend(named.shape),
      body: saveTemplate,
      optional_body: true,
      answer: savedTemplate,
      handle: ({ actor, context, params, body }) => save(context, actor, params.template_name, body),
    }),
    route({
      method: 'DELETE',
      path: `/v1/templates${below}/:template_name`,
      operation: `templates.deleteTemplate${below === '' ? 'NoProject' : ''}`,
      summary: 'Delete a template with all of its versions; its agents stay',
      params: below === '' ? named : project.extend(named.shape),
      answer: success,
      async handle({ actor, context, params }) {
        const found = await templateOf(context, actor, params.template_name)
        if (!(await context.deps.store.templates.delete(actor, found.id))) throw missing(params.template_name)
        return { success: true }
      },
    }),
    route({
      method: below === '' ? 'PATCH' : 'PUT',
      path:
        below === '' ? '/v1/templates/:template_name' : '/v1/templates/:project_id/:template_name/agent-file',
      operation: `templates.updateCurrentTemplateFromAgentFile${below === '' ? 'NoProject' : ''}`,
      summary: 'Make the working version of a template what an agent file says',
      params: below === '' ? named : project.extend(named.shape),
      body: updateTemplate,
      answer: templateDone,
      handle: ({ actor, context, params, body }) => update(context, actor, params.template_name, body),
    }),
    route({
      method: 'POST',
      path: `/v1/templates${below}/:template_name/rollback`,
      operation: `templates.rollbackTemplate${below === '' ? 'NoProject' : ''}`,
      summary: 'Make the working version what a saved one was; unsaved changes become a version before',
      params: below === '' ? named : project.extend(named.shape),
      body: z.object({ version: z.string() }),
      answer: templateDone,
      handle: ({ actor, context, params, body }) =>
        rollback(context, actor, params.template_name, body.version),
    }),
  ]),
  route({
    method: 'GET',
    path: '/v1/templates/:project_id/:template_version/snapshot',
    operation: 'templates.getTemplateSnapshot',
    summary: 'What a version of a template holds',
    params: project.extend(versioned.shape),
    answer: templateSnapshot,
    async handle({ actor, context, params }) {
      const { version } = await versionOf(context, actor, params.template_version)
      return snapshotOf(version.content, version.version)
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/templates/:project_id/:template_version/snapshot',
    operation: 'templates.setCurrentTemplateFromSnapshot',
    summary: "Change the working version ('name:current') to what a snapshot says",
    params: project.extend(versioned.shape),
    body: changedSnapshot,
    answer: templateDone,
    async handle({ actor, context, params, body }) {
      const { name, version } = parseTemplateRef(params.template_version)
      if (version !== 'current')
        throw new AppError('invalid_argument', `a saved version never changes: name '${name}:current'`)
      const found = await templateOf(context, actor, name)
      const current = await saved(context, actor, found, 'current')
      const content = await contentOfSnapshot(context.deps, actor, current.content, body)
      if (!(await context.deps.store.templates.setCurrent(actor, found.id, content, null)))
        throw missing(name)
      return { success: true, message: `The working version of ${found.name} was updated` }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/templates/:project_id/:template_version/fork',
    operation: 'templates.forkTemplate',
    summary: 'Make a template of a version of another one',
    params: project.extend(versioned.shape),
    body: z.object({ name: z.string().nullish() }),
    optional_body: true,
    answer: template,
    async handle({ actor, context, params, body }) {
      const { found, version } = await versionOf(context, actor, params.template_version)
      const made = `Forked from ${found.name}:${version.version ?? 'current'}`
      return toTemplate(await store(context, actor, body.name, version.content, made))
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/templates/:project_id/:template_name/name',
    operation: 'templates.renameTemplate',
    summary: 'Rename a template',
    params: project.extend(named.shape),
    body: z.object({ new_name: z.string() }),
    answer: success,
    handle: ({ actor, context, params, body }) =>
      change(context, actor, params.template_name, { name: checkTemplateName(body.new_name) }),
  }),
  route({
    method: 'PATCH',
    path: '/v1/templates/:project_id/:template_name/description',
    operation: 'templates.updateTemplateDescription',
    summary: 'Describe a template',
    params: project.extend(named.shape),
    body: z.object({ description: z.string().max(10_000).nullish() }),
    optional_body: true,
    answer: success,
    handle: ({ actor, context, params, body }) =>
      change(context, actor, params.template_name, { description: body.description ?? null }),
  }),
  route({
    method: 'GET',
    path: '/v1/templates/:project_id/:name/versions',
    operation: 'templates.listTemplateVersions',
    summary: 'List the saved versions of a template, newest first',
    params: project.extend({ name: z.string() }),
    query: z.object(window),
    answer: versionList,
    async handle({ actor, context, params, query: { offset = 0, limit = 50 } }) {
      const found = await templateOf(context, actor, params.name)
      const { versions, total } = await context.deps.store.templates.versions(actor, found.id, {
        offset,
        limit: limit + 1,
      })
      return {
        versions: versions.slice(0, limit).map(({ version, message, created_at }) => ({
          version: String(version),
          created_at,
          ...(message === null ? {} : { message }),
          is_latest: version === found.latest_version,
        })),
        has_next_page: versions.length > limit,
        total_count: total,
      }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/templates/:project_id/:template_name/deployments/:deployment_id/migrate',
    operation: 'templates.migrateDeployment',
    summary: 'Bring the agent of a deployment to a version of its template',
    params: project.extend({ ...named.shape, deployment_id: z.string() }),
    body: migrateDeployment,
    answer: templateDone,
    async handle({ actor, context, params, body }) {
      const found = await templateOf(context, actor, params.template_name)
      const to = await saved(context, actor, found, parseVersion(body.version))
      const { deployment_id } = params
      const deployment = await context.deps.store.templates.deployment(actor, deployment_id)
      if (!deployment || deployment.template_id !== found.id) throw notFound('Deployment', deployment_id)
      const report = await migrateAgents(context.deps, actor, found, to, [deployment], {
        preserve_core_memories: body.preserve_core_memories ?? false,
        preserve_tool_variables: body.preserve_tool_variables ?? true,
        preserve_sources: body.preserve_sources ?? false,
        delete_blocks: false,
        memory_variables: body.memory_variables ?? {},
      })
      return done(report)
    },
  }),
]

async function create(
  context: ServerContext,
  actor: Actor,
  body: Body<typeof createTemplate>,
): Promise<Body<typeof template>> {
  if (body.name != null) checkTemplateName(body.name)
  if (body.type === 'agent')
    return toTemplate(
      await store(context, actor, body.name, await contentOfAgent(context.deps, actor, body.agent_id)),
    )
  // Before tools of the file are stored.
  if (body.name != null && (await context.deps.store.templates.get(actor, body.name)))
    throw new AppError('conflict', `There is a template named '${body.name}' already; take another name.`)
  const content = await contentOfFile(context.deps, actor, body.agent_file, {
    update_tools: body.update_existing_tools ?? false,
    breathe: breather(),
  })
  return toTemplate(await store(context, actor, body.name, content))
}

async function save(
  context: ServerContext,
  actor: Actor,
  name: string,
  body: Body<typeof saveTemplate>,
): Promise<Body<typeof savedTemplate>> {
  const { templates } = context.deps.store
  const before = await templateOf(context, actor, name)
  const now = await templates.save(actor, before.id, body.message ?? null)
  if (!now) throw missing(name)
  if (body.migrate_agents !== true) return toTemplate(now)
  const to = await saved(context, actor, now, now.latest_version)
  const options: MigrationOptions = {
    preserve_core_memories: body.preserve_core_memories_on_migration ?? false,
    preserve_tool_variables: body.preserve_environment_variables_on_migration ?? true,
    preserve_sources: body.preserve_sources_on_migration ?? false,
    delete_blocks: body.block_reconciliation_strategy === 'reconcile-all',
    memory_variables: {},
  }
  const agents = await templates.deployments(actor, now.id)
  return { ...toTemplate(now), migration: await migrateAgents(context.deps, actor, now, to, agents, options) }
}

async function update(
  context: ServerContext,
  actor: Actor,
  name: string,
  body: Body<typeof updateTemplate>,
): Promise<Body<typeof templateDone>> {
  const { templates } = context.deps.store
  const found = await templateOf(context, actor, name)
  const read = await contentOfFile(context.deps, actor, body.agent_file_json, {
    update_tools: body.update_existing_tools,
    breathe: breather(),
  })
  const current = await saved(context, actor, found, 'current')
  const content = withEntitiesOf(read, current.content)
  const first = body.save_existing_changes ? 'Saved before an update from an agent file' : null
  const changed = await templates.setCurrent(actor, found.id, content, first)
  if (!changed) throw missing(name)
  const before = changed.saved === null ? '' : `; what it was before is version ${changed.saved}`
  return { success: true, message: `The working version of ${found.name} was updated${before}` }
}

async function rollback(
  context: ServerContext,
  actor: Actor,
  name: string,
  wanted: string,
): Promise<Body<typeof templateDone>> {
  const version = parseVersion(wanted)
  if (version === 'current')
    throw new AppError('invalid_argument', `'${wanted}' is the working version itself: name a saved one`)
  const found = await templateOf(context, actor, name)
  const message = `Saved before the rollback to version ${wanted}`
  const back = await context.deps.store.templates.rollback(actor, found.id, version, message)
  if (!back) throw missing(name)
  const before = back.saved === null ? '' : `; its unsaved changes are version ${back.saved}`
  return {
    success: true,
    message: `The working version of ${found.name} is version ${back.to} again${before}`,
  }
}

async function change(
  context: ServerContext,
  actor: Actor,
  name: string,
  patch: Partial<Pick<Template, 'name' | 'description'>>,
): Promise<{ success: boolean }> {
  const found = await templateOf(context, actor, name)
  if (!(await context.deps.store.templates.update(actor, found.id, patch))) throw missing(name)
  return { success: true }
}

/** Stores a template; one without a name is given one that is free. */
async function store(
  context: ServerContext,
  actor: Actor,
  name: string | null | undefined,
  content: TemplateContent,
  message: string | null = null,
): Promise<Template> {
  const made = {
    id: newId('template'),
    name: name == null ? `${randomAgentName()}-${crypto.randomUUID().slice(0, 8)}` : checkTemplateName(name),
    description: null,
    created_at: new Date().toISOString(),
  }
  return context.deps.store.templates.create(actor, made, content, message)
}

/** A template by its name or id, with or without a project in front. Throws `not_found`. */
async function templateOf(context: ServerContext, actor: Actor, text: string): Promise<Template> {
  const name = text.slice(text.lastIndexOf('/') + 1)
  const found = await context.deps.store.templates.get(actor, name)
  if (!found) throw missing(name)
  return found
}

/** A version of a template: `name`, `name:latest`, `name:3` or `name:current`. Throws `not_found`. */
export async function versionOf(
  context: ServerContext,
  actor: Actor,
  text: string,
): Promise<{ found: Template; version: TemplateVersion }> {
  const { name, version } = parseTemplateRef(text)
  const found = await templateOf(context, actor, name)
  return { found, version: await saved(context, actor, found, version) }
}

async function saved(
  context: ServerContext,
  actor: Actor,
  found: Template,
  version: VersionName,
): Promise<TemplateVersion> {
  const there = await context.deps.store.templates.version(actor, found.id, version)
  if (there) return there
  throw new AppError(
    'not_found',
    `Template '${found.name}' has no version ${version}; the newest is ${found.latest_version}.`,
  )
}

function missing(name: string): AppError {
  return notFound('Template', name.slice(0, 120))
}

function done({ agents, failed }: Migration): Body<typeof templateDone> {
  const [failure] = failed
  if (failure) throw new AppError('conflict', `Agent ${failure.agent_id} was not migrated: ${failure.error}`)
  const [one] = agents
  if (!one) throw new AppError('conflict', 'The agent was deleted before it was migrated.')
  return { success: true, message: `Agent ${one.agent_id} was migrated ${one.done}` }
}

function toTemplate(stored: Template, version: VersionName = 'latest'): Body<typeof template> {
  const { id, name, latest_version, updated_at, description } = stored
  const shown = version === 'latest' ? latest_version : version
  return {
    id,
    name,
    project_id: PROJECT,
    project_slug: PROJECT,
    latest_version: String(latest_version),
    template_deployment_slug: `${PROJECT}/${name}:${shown}`,
    updated_at,
    ...(description === null ? {} : { description }),
  }
}
