import * as z from 'zod'
import { idSchema } from './ids.ts'
import { jsonObject } from './page.ts'

export const TOOL_TYPES = [
  'custom',
  'letta_core',
  'letta_memory_core',
  'letta_multi_agent_core',
  'letta_sleeptime_core',
  'letta_voice_sleeptime_core',
  'letta_builtin',
  'letta_files_core',
  'external_langchain',
  'external_composio',
  'external_mcp',
] as const
export const toolType = z.enum(TOOL_TYPES)
export type ToolType = z.infer<typeof toolType>

/** A package that the code of a tool imports; no version: the newest. */
export const requirement = z.object({ name: z.string(), version: z.string().nullish() })

/** Characters of a tool's return that reach the model, unless the tool says otherwise (reference 3.4). */
export const DEFAULT_RETURN_CHAR_LIMIT = 50_000

/** A tool as every route answers it (V1 `Tool`). Built-in tools have no source. */
export const tool = z.object({
  id: idSchema('tool'),
  tool_type: toolType,
  name: z.string(),
  description: z.string().nullable(),
  source_type: z.string().nullable(),
  source_code: z.string().nullable(),
  json_schema: jsonObject.nullable(),
  args_json_schema: jsonObject.nullable(),
  tags: z.array(z.string()),
  return_char_limit: z.number().int(),
  pip_requirements: z.array(requirement).nullable(),
  npm_requirements: z.array(requirement).nullable(),
  default_requires_approval: z.boolean().nullable(),
  enable_parallel_execution: z.boolean().nullable(),
  metadata_: jsonObject.nullable(),
  project_id: z.string().nullable(),
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
})
export type Tool = z.infer<typeof tool>

/** What the model is told of a tool: the `json_schema` of V1, already OpenAI's function shape. */
export interface ToolSchema {
  name: string
  description: string
  parameters: {
    type: 'object'
    properties: Record<string, unknown>
    required: string[]
    [key: string]: unknown
  }
}

const base = { tool_name: z.string(), prompt_template: z.string().nullish() }
const toolCallNode = z.object({ name: z.string(), args: jsonObject.nullish() })

/** The nine tool rules (reference 3.5). As in V1 a rule has no fields but its own. */
export const toolRule = z.discriminatedUnion('type', [
  z.strictObject({ ...base, type: z.literal('run_first'), args: jsonObject.nullish() }),
  z.strictObject({ ...base, type: z.literal('exit_loop') }),
  z.strictObject({ ...base, type: z.literal('continue_loop') }),
  z
    .strictObject({
      ...base,
      type: z.literal('constrain_child_tools'),
      children: z.array(z.string()),
      child_arg_nodes: z.array(toolCallNode).nullish(),
    })
    .refine((rule) => (rule.child_arg_nodes ?? []).every((node) => rule.children.includes(node.name)), {
      error: 'each of them must name one of the children',
      path: ['child_arg_nodes'],
    }),
  z.strictObject({
    ...base,
    type: z.literal('conditional'),
    child_output_mapping: z.record(z.string(), z.string()),
    default_child: z.string().nullish(),
    require_output_mapping: z.boolean().default(false),
  }),
  z.strictObject({ ...base, type: z.literal('max_count_per_step'), max_count_limit: z.number().int() }),
  z.strictObject({ ...base, type: z.literal('parent_last_tool'), children: z.array(z.string()) }),
  z.strictObject({ ...base, type: z.literal('required_before_exit') }),
  z.strictObject({ ...base, type: z.literal('requires_approval') }),
])
export type ToolRule = z.infer<typeof toolRule>

/** The rules with another name for a tool. */
export function renamedInRules(rules: readonly ToolRule[], from: string, to: string): ToolRule[] {
  const name = (tool: string) => (tool === from ? to : tool)
  return rules.map((rule) => {
    const renamed = { ...rule, tool_name: name(rule.tool_name) }
    switch (renamed.type) {
      case 'constrain_child_tools': {
        const nodes = renamed.child_arg_nodes?.map((node) => ({ ...node, name: name(node.name) }))
        return {
          ...renamed,
          children: renamed.children.map(name),
          ...(nodes ? { child_arg_nodes: nodes } : {}),
        }
      }
      case 'parent_last_tool':
        return { ...renamed, children: renamed.children.map(name) }
      case 'conditional': {
        const mapping = Object.entries(renamed.child_output_mapping).map(([key, tool]) => [key, name(tool)])
        return {
          ...renamed,
          child_output_mapping: Object.fromEntries(mapping) as Record<string, string>,
          ...(renamed.default_child == null ? {} : { default_child: name(renamed.default_child) }),
        }
      }
      default:
        return renamed
    }
  })
}

/** Body of `POST /v1/tools/search`. */
export const toolSearch = z.object({
  query: z.string().max(10_000).nullish(),
  search_mode: z.enum(['vector', 'fts', 'hybrid']).default('hybrid'),
  tool_types: z.array(toolType).nullish(),
  tags: z.array(z.string()).nullish(),
  limit: z.number().int().min(1).max(100).default(50),
})
export type ToolSearch = z.infer<typeof toolSearch>

/** A tool that was found (V1 `ToolSearchResult`). */
export const toolSearchResult = z.object({
  tool,
  embedded_text: z.string().nullable(),
  fts_rank: z.number().int().nullable(),
  vector_rank: z.number().int().nullable(),
  combined_score: z.number(),
})
export type ToolSearchResult = z.infer<typeof toolSearchResult>
