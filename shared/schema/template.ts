import * as z from 'zod'
import { agentName, agentType, type Agent } from './agent.ts'
import type { Block } from './block.ts'
import { AppError } from './errors.ts'
import { idSchema } from './ids.ts'
import { blockLabel, tag } from './names.ts'
import { timestamp } from './page.ts'
import { toolRule } from './tool.ts'

/** There are no projects here: what names one is answered as this, and taken for it. */
export const PROJECT = 'default-project'

/** Characters of a template's name. */
const MAX_TEMPLATE_NAME = 100
/** Words of paths and versions, which a name would be taken for. */
const RESERVED = new Set(['latest', 'current', 'dev', 'save', 'rollback', 'agents'])

/** A version as it is named: a number, the newest saved one, or the working one, which changes. */
export type VersionName = number | 'latest' | 'current'

/** Throws `invalid_argument` for what is no name of a template. */
export function checkTemplateName(name: string): string {
  const problem = !/^[a-zA-Z0-9_-]+$/.test(name)
    ? 'letters, digits, _ and - only'
    : name.length > MAX_TEMPLATE_NAME
      ? `at most ${MAX_TEMPLATE_NAME} characters`
      : RESERVED.has(name.toLowerCase())
        ? 'it is a word with a meaning of its own here'
        : null
  if (problem === null) return name
  throw new AppError(
    'invalid_argument',
    `'${name.slice(0, 120)}' cannot be the name of a template: ${problem}`,
  )
}

/** The version that a text names. Throws `invalid_argument`. */
export function parseVersion(text: string): VersionName {
  if (text === 'latest') return 'latest'
  if (text === 'current' || text === 'dev') return 'current'
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new AppError(
    'invalid_argument',
    `'${text.slice(0, 60)}' is no version of a template: expected a number, 'latest' or 'current'`,
  )
}

/** `name`, `name:version` or `project/name:version`; without a version it is the newest saved one. */
export function parseTemplateRef(text: string): { name: string; version: VersionName } {
  const bare = text.slice(text.lastIndexOf('/') + 1)
  const [name = '', version = 'latest', ...more] = bare.split(':')
  if (more.length > 0) parseVersion([version, ...more].join(':'))
  return { name, version: parseVersion(version) }
}

/** A block of a template; each agent gets one of its own. */
export type TemplateBlock = Pick<
  Block,
  | 'label'
  | 'value'
  | 'limit'
  | 'description'
  | 'read_only'
  | 'preserve_on_migration'
  | 'metadata'
  | 'hidden'
  | 'tags'
> & {
  /** The same in all versions, and in the blocks that are made of it. */
  entity_id: string
}

/** What a version of a template holds. Tools, folders and identities are named, not copied. */
export interface TemplateContent {
  agent: Pick<
    Agent,
    | 'name'
    | 'system'
    | 'agent_type'
    | 'description'
    | 'metadata'
    | 'model'
    | 'embedding'
    | 'llm_config'
    | 'embedding_config'
    | 'model_settings'
    | 'compaction_settings'
    | 'response_format'
    | 'tool_rules'
    | 'message_buffer_autoclear'
    | 'enable_sleeptime'
    | 'timezone'
    | 'max_files_open'
    | 'per_file_view_window_char_limit'
    | 'hidden'
  > & { entity_id: string }
  blocks: TemplateBlock[]
  tags: string[]
  tools: { id: string; name: string }[]
  folder_ids: string[]
  identity_ids: string[]
  /** Names of the variables of its tools; values are given to each agent. */
  tool_variables: string[]
}

/** A template as every route answers it. */
export const template = z.object({
  id: idSchema('template'),
  name: z.string(),
  project_id: z.string(),
  project_slug: z.string(),
  latest_version: z.string(),
  template_deployment_slug: z.string(),
  updated_at: timestamp,
  description: z.string().optional(),
})

/** What became of the agents of a template. */
export const migration = z.object({
  migrated: z.number().int(),
  /** What was done, in a sentence for each agent. */
  agents: z.array(z.object({ agent_id: z.string(), deployment_id: z.string(), done: z.string() })),
  /** Those that stayed as they were, and why. */
  failed: z.array(z.object({ agent_id: z.string(), deployment_id: z.string(), error: z.string() })),
})
export type Migration = z.infer<typeof migration>

/** Answer of a save, with what became of the agents when they were to be migrated (ours). */
export const savedTemplate = template.extend({ migration: migration.optional() })

/** Answer of `GET /v1/templates`. */
export const templateList = z.object({ templates: z.array(template), has_next_page: z.boolean() })

/** Answer of `GET /v1/templates/{project}/{name}/versions`, newest first. */
export const versionList = z.object({
  versions: z.array(
    z.object({
      version: z.string(),
      created_at: timestamp,
      message: z.string().optional(),
      is_latest: z.boolean(),
    }),
  ),
  has_next_page: z.boolean(),
  total_count: z.number().int(),
})

/** Answer of what is done to a template. */
export const templateDone = z.object({ success: z.boolean(), message: z.string().optional() })

const agentFile = z.record(z.string(), z.unknown())
const name = z.string().nullish()

/** Body of `POST /v1/templates`. */
export const createTemplate = z.discriminatedUnion('type', [
  z.object({ type: z.literal('agent'), agent_id: idSchema('agent'), name }),
  z.object({
    type: z.literal('agent_file'),
    agent_file: agentFile,
    name,
    update_existing_tools: z.boolean().nullish(),
  }),
])

/** Body of `PATCH /v1/templates/{name}`. */
export const updateTemplate = z.object({
  agent_file_json: agentFile,
  update_existing_tools: z.boolean().default(false),
  save_existing_changes: z.boolean().default(false),
})

/** Body of `POST /v1/templates/{name}/save`. */
export const saveTemplate = z.object({
  message: z.string().max(10_000).nullish(),
  migrate_agents: z.boolean().nullish(),
  preserve_environment_variables_on_migration: z.boolean().nullish(),
  preserve_core_memories_on_migration: z.boolean().nullish(),
  preserve_sources_on_migration: z.boolean().nullish(),
  block_reconciliation_strategy: z.enum(['reconcile-all', 'preserve-deleted']).nullish(),
})

const variables = z.record(z.string().max(200), z.string()).nullish()

/** Body of `POST /v1/templates/{project}/{name}/deployments/{id}/migrate`. */
export const migrateDeployment = z.object({
  version: z.string(),
  preserve_tool_variables: z.boolean().nullish(),
  preserve_core_memories: z.boolean().nullish(),
  preserve_sources: z.boolean().nullish(),
  memory_variables: variables,
})

/** Body of `POST /v1/templates/{name:version}/agents`. */
export const createFromTemplate = z.object({
  agent_name: agentName.nullish(),
  tags: z.array(tag.min(1)).nullish(),
  identity_ids: z.array(idSchema('identity')).nullish(),
  memory_variables: variables,
  tool_variables: variables,
  initial_message_sequence: z
    .array(
      z.object({
        role: z.enum(['user', 'system', 'assistant']),
        content: z.string(),
        name: z.string().nullish(),
        otid: z.string().nullish(),
        sender_id: z.string().nullish(),
        batch_item_id: z.string().nullish(),
        group_id: z.string().nullish(),
      }),
    )
    .nullish(),
})
export type CreateFromTemplate = z.infer<typeof createFromTemplate>

/** Answer to it. */
export const createdFromTemplate = z.object({
  agent_ids: z.array(z.string()),
  deployment_id: idSchema('deployment'),
  group_id: z.string().nullable(),
})

const snapshotVariables = z
  .object({
    version: z.string(),
    data: z.array(z.object({ key: z.string(), defaultValue: z.string().nullable(), type: z.string() })),
  })
  .nullable()

/** Answer of `GET …/snapshot`: what a version holds, in V1's words. */
export const templateSnapshot = z.object({
  agents: z.array(
    z.object({
      model: z.string(),
      systemPrompt: z.string(),
      toolIds: z.array(z.string()).nullable(),
      sourceIds: z.array(z.string()).nullable(),
      memoryVariables: snapshotVariables,
      toolVariables: snapshotVariables,
      tags: z.array(z.string()).nullable(),
      identityIds: z.array(z.string()).nullable(),
      toolRules: z.array(toolRule).nullable(),
      agentType: agentType,
      properties: z
        .object({
          enable_reasoner: z.boolean().nullable(),
          put_inner_thoughts_in_kwargs: z.boolean().nullable(),
          context_window_limit: z.number().nullable(),
          max_tokens: z.number().nullable(),
          max_reasoning_tokens: z.number().nullable(),
          max_files_open: z.number().nullable(),
          message_buffer_autoclear: z.boolean().nullable(),
          verbosity_level: z.string().nullable(),
          reasoning_effort: z.string().nullable(),
          per_file_view_window_char_limit: z.number().nullable(),
          parallel_tool_calls: z.boolean().nullable(),
          temperature: z.number().nullable(),
        })
        .nullable(),
      entityId: z.string(),
      name: z.string(),
    }),
  ),
  blocks: z.array(
    z.object({
      entityId: z.string(),
      label: z.string(),
      value: z.string(),
      limit: z.number().int(),
      description: z.string(),
      preserveOnMigration: z.boolean().nullable(),
      readOnly: z.boolean(),
    }),
  ),
  relationships: z.array(z.object({ agentEntityId: z.string(), blockEntityId: z.string() })),
  configuration: z.object({}),
  type: z.enum(['classic', 'sleeptime']),
  version: z.string(),
})
export type TemplateSnapshot = z.infer<typeof templateSnapshot>

const { agents: snapshotAgents, blocks: snapshotBlocks } = templateSnapshot.shape
const snapshotBlock = snapshotBlocks.element

/** Body of `PUT …/snapshot`: what is absent stays, and `blocks` are all that there are. */
export const changedSnapshot = z.object({
  agents: z
    .array(
      snapshotAgents.element
        .extend({
          properties: snapshotAgents.element.shape.properties.unwrap().partial().nullable(),
          toolIds: z.array(idSchema('tool')).nullable(),
          sourceIds: z.array(idSchema('source')).nullable(),
          identityIds: z.array(idSchema('identity')).nullable(),
          tags: z.array(tag.min(1)).nullable(),
        })
        .partial(),
    )
    .length(1, 'a template has one agent')
    .optional(),
  blocks: z
    .array(snapshotBlock.partial().extend({ label: blockLabel, value: z.string() }))
    .refine((blocks) => new Set(blocks.map(({ label }) => label)).size === blocks.length, {
      error: 'each block needs a label of its own',
    })
    .optional(),
})
export type ChangedSnapshot = z.infer<typeof changedSnapshot>
