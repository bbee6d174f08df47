import * as z from 'zod'
import { agentName, agentTimezone, agentType } from './agent.ts'
import { blockLabel, MAX_NAME, tag } from './names.ts'
import { jsonObject } from './page.ts'
import { toolRule } from './tool.ts'

/**
 * A file of `loci apply`: the agents of a fleet and what they share. The names are those of `lettactl`, beside them those
 * of the API where they differ (`label` for `name` of a block, `model` for `llm_config.model`).
 */

const name = z
  .string()
  .max(MAX_NAME)
  .refine((value) => value.trim() !== '', 'a name of more than spaces is needed')

/** Text, written down here or in a file. A string alone is the text. */
const text = z.preprocess(
  (value) => (typeof value === 'string' ? { value } : value),
  z
    .strictObject({
      value: z.string().optional(),
      from_file: z.string().optional(),
      /** Of `lettactl`: Loci puts nothing before a prompt. */
      disable_base_prompt: z.boolean().optional(),
    })
    .refine(hasOneText, ONE_TEXT()),
)

function hasOneText({ value, from_file }: { value?: string | undefined; from_file?: string | undefined }) {
  return (value === undefined) !== (from_file === undefined)
}

function ONE_TEXT(): string {
  return "give one of 'value' and 'from_file'"
}

const block = z
  .strictObject({
    name: blockLabel.optional(),
    label: blockLabel.optional(),
    description: z.string().optional(),
    limit: z.number().int().min(1).optional(),
    value: z.string().optional(),
    from_file: z.string().optional(),
    /** False: the text of the file replaces what was written into the block since. */
    agent_owned: z.boolean().default(true),
    read_only: z.boolean().optional(),
    tags: z.array(tag).optional(),
    metadata: jsonObject.optional(),
    /** Of `lettactl`, for its readers. */
    version: z.union([z.string(), z.number()]).optional(),
  })
  .refine(
    ({ name, label }) => (name === undefined) !== (label === undefined),
    "a block needs a 'name' (or 'label')",
  )
  .refine((given) => given.value === undefined || given.from_file === undefined, ONE_TEXT())
export type FleetBlock = z.infer<typeof block>

/** A file, or several: a path or a pattern (`docs/*.md`), from the folder of the fleet. */
const folderFile = z
  .string({ error: 'a path is expected; Loci reads no buckets: download their files, and name them' })
  .min(1)

const folder = z.strictObject({
  name,
  description: z.string().optional(),
  instructions: z.string().optional(),
  embedding: z.string().optional(),
  files: z.array(folderFile).optional(),
})
export type FleetFolder = z.infer<typeof folder>

const archive = z.strictObject({
  name,
  description: z.string().optional(),
  embedding: z.string().optional(),
  embedding_config: jsonObject.optional(),
})
export type FleetArchive = z.infer<typeof archive>

const mcpServer = z
  .strictObject({
    name,
    type: z.enum(['stdio', 'sse', 'streamable_http']).optional(),
    server_url: z.string().optional(),
    auth_header: z.string().optional(),
    auth_token: z.string().optional(),
    custom_headers: z.record(z.string(), z.string()).optional(),
    command: z.string().optional(),
    args: z.array(z.string()).optional(),
    env: z.record(z.string(), z.string()).optional(),
  })
  .refine(
    ({ command, server_url }) => (command === undefined) !== (server_url === undefined),
    "an MCP server needs a 'command' to start or a 'server_url'",
  )
export type FleetMcpServer = z.infer<typeof mcpServer>

/** A name of a tool, a path or a pattern (`tools/*`); or a name and where its source is. */
const tool = z.preprocess(
  (value) => (typeof value === 'string' ? { name: value } : value),
  z.strictObject({ name, from_file: z.string().optional() }),
)

const mcpTools = z.strictObject({
  server: name,
  tools: z.union([z.literal('all'), z.array(z.string())]).default('all'),
})

/** A secret of an agent's tools; a string alone is its value. */
const secret = z.preprocess(
  (value) => (typeof value === 'string' ? { value } : value),
  z
    .strictObject({
      value: z.string().optional(),
      from_env: z.string().optional(),
      /** Without the variable the secret that the agent has stays. */
      preserve_existing: z.boolean().optional(),
    })
    .refine(
      ({ value, from_env }) => (value === undefined) !== (from_env === undefined),
      "give one of 'value' and 'from_env'",
    ),
)

const agent = z
  .strictObject({
    name: agentName,
    agent_type: agentType.optional(),
    description: z.string().optional(),
    system_prompt: text.optional(),
    system: text.optional(),
    model: z.string().min(1).optional(),
    context_window_limit: z.number().int().min(1).optional(),
    llm_config: z
      .strictObject({
        model: z.string().min(1).optional(),
        context_window: z.number().int().min(1).optional(),
        max_tokens: z.number().int().min(1).optional(),
      })
      .optional(),
    max_tokens: z.number().int().min(1).optional(),
    reasoning: z.boolean().optional(),
    model_settings: jsonObject.optional(),
    compaction_settings: jsonObject.optional(),
    response_format: jsonObject.optional(),
    parallel_tool_calls: z.boolean().optional(),
    embedding: z.string().optional(),
    embedding_config: jsonObject.optional(),
    timezone: agentTimezone.optional(),
    metadata: jsonObject.optional(),
    hidden: z.boolean().optional(),
    tags: z.array(tag.min(1)).optional(),
    memory_blocks: z.array(block).optional(),
    shared_blocks: z.array(name).optional(),
    tools: z.array(tool).optional(),
    tool_rules: z.array(toolRule).optional(),
    include_base_tools: z.boolean().optional(),
    include_base_tool_rules: z.boolean().optional(),
    include_multi_agent_tools: z.boolean().optional(),
    enable_sleeptime: z.boolean().optional(),
    mcp_tools: z.array(mcpTools).optional(),
    archives: z.array(archive).optional(),
    folders: z.array(folder).optional(),
    shared_folders: z.array(name).optional(),
    secrets: z.record(z.string().min(1), secret).optional(),
    conversations: z
      .array(z.strictObject({ summary: name, isolated_blocks: z.array(z.string()).optional() }))
      .optional(),
    /** Sent once, when the agent is made. */
    first_message: z.string().min(1).optional(),
    /** Of `lettactl`; see `NOT_OURS`. */
    memory: z.unknown().optional(),
    lettabot: z.unknown().optional(),
  })
  .refine(
    ({ system, system_prompt }) => system === undefined || system_prompt === undefined,
    "give one of 'system_prompt' and 'system'",
  )
  .refine(
    ({ model, llm_config }) => model === undefined || llm_config?.model === undefined,
    "give one of 'model' and 'llm_config.model'",
  )
export type FleetAgent = z.infer<typeof agent>

/** See the top of this file. */
export const fleet = z.strictObject({
  /** What the fleet is called: what an earlier apply of the same name made is what `--prune` may remove. */
  fleet: name.optional(),
  /** Where paths begin, from the folder of the file. */
  root_path: z.string().min(1).optional(),
  shared_blocks: z.array(block).optional(),
  shared_folders: z.array(folder).optional(),
  mcp_servers: z.array(mcpServer).optional(),
  agents: z.array(agent).optional(),
  'global-secrets': z.unknown().optional(),
  preserve_secrets: z.unknown().optional(),
  providers: z.unknown().optional(),
  prune_missing_providers: z.unknown().optional(),
})
export type Fleet = z.infer<typeof fleet>
/** A mistake in a file of a fleet. */
export type FleetIssue = z.core.$ZodIssue

/** Keys of `lettactl` that Loci has nothing for, and what to do instead. */
export const NOT_OURS: Readonly<Record<string, string>> = {
  providers: 'connect providers with `loci connect`',
  prune_missing_providers: 'connect providers with `loci connect`',
  'global-secrets': "give each agent its 'secrets'",
  preserve_secrets: 'secrets that the file does not name are always kept',
  memory: 'Loci keeps memory in blocks, archives and folders',
  lettabot: 'it is of another program',
}
