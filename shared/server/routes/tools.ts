import * as z from 'zod'
import type { ToolFilter } from '../../core/ports/tool-store.ts'
import { searchTools } from '../../core/tool-search.ts'
import { deleteTool, updateTool as changeTool, upsertTool } from '../../core/tools/own-tools.ts'
import { checkSource, runSource, schemaOfSource } from '../../core/tools/run-source.ts'
import {
  checkedTool,
  checkTool,
  createTool,
  generateToolSchema,
  runToolSource,
  updateTool,
} from '../../schema/custom-tool.ts'
import { idSchema } from '../../schema/ids.ts'
import { lettaMessage } from '../../schema/message.ts'
import { jsonObject, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { TOOL_TYPES, tool, toolSearch, toolSearchResult, toolType, type ToolType } from '../../schema/tool.ts'
import { notFound } from '../errors.ts'
import { toolReturnFields } from '../letta-messages.ts'
import { wireDate } from '../message-fields.ts'
import { route } from '../route.ts'
import { allShown, shown } from '../shown-tools.ts'
import { routes as olderMcpRoutes } from './older-mcp-servers.ts'
import { routes as debugRoutes } from './tool-debug.ts'

/** Types come repeated or separated by commas (reference 8.1). */
const typeList = z.preprocess(
  (value) =>
    value === undefined
      ? undefined
      : [value].flat().flatMap((v) => (typeof v === 'string' ? v.split(',') : [v])),
  z.array(toolType).optional(),
)

const filter = {
  name: z.string().optional(),
  names: listOf(z.string()),
  tool_ids: listOf(z.string()),
  search: z.string().optional(),
  tool_types: typeList,
  exclude_tool_types: typeList,
  return_only_letta_tools: queryBoolean.optional(),
  exclude_letta_tools: queryBoolean.optional(),
}

const OWN_TYPES = TOOL_TYPES.filter((type) => type.startsWith('letta_'))

function toFilter(query: z.output<ReturnType<typeof z.object<typeof filter>>>): ToolFilter {
  const { return_only_letta_tools, exclude_letta_tools, ...rest } = query
  const exclude: ToolType[] = [...(rest.exclude_tool_types ?? []), ...(exclude_letta_tools ? OWN_TYPES : [])]
  return {
    ...rest,
    ...(return_only_letta_tools ? { tool_types: OWN_TYPES } : {}),
    ...(exclude.length > 0 ? { exclude_tool_types: exclude } : {}),
  }
}

const SOURCE = ['source_code', 'json_schema', 'args_json_schema']
const one = z.object({ tool_id: idSchema('tool') })

export const routes = [
  route({
    method: 'POST',
    path: '/v1/tools',
    operation: 'create_tool',
    summary: 'Make a tool from its source, or change the one of its name',
    body: createTool,
    verbatim: SOURCE,
    answer: tool,
    handle: async ({ actor, context, body }) => shown(context, await upsertTool(context.deps, actor, body)),
  }),
  route({
    method: 'PUT',
    path: '/v1/tools',
    operation: 'upsert_tool',
    summary: 'Make a tool from its source, or change the one of its name',
    body: createTool,
    verbatim: SOURCE,
    answer: tool,
    handle: async ({ actor, context, body }) => shown(context, await upsertTool(context.deps, actor, body)),
  }),
  route({
    method: 'GET',
    path: '/v1/tools',
    operation: 'list_tools',
    summary: 'List tools',
    query: z.object({
      ...filter,
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(tool),
    handle: async ({ actor, context, query }) =>
      allShown(context, await context.deps.store.tools.list(actor, toFilter(query), query)),
  }),
  route({
    method: 'GET',
    path: '/v1/tools/count',
    operation: 'count_tools',
    summary: 'Count tools',
    query: z.object(filter),
    answer: z.number().int(),
    handle: async ({ actor, context, query }) => context.deps.store.tools.count(actor, toFilter(query)),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/search',
    operation: 'search_tools',
    summary: 'Search tools by the words of their name, description, arguments and tags',
    body: toolSearch,
    answer: z.array(toolSearchResult),
    handle: async ({ actor, context, body }) => searchTools(context.deps, actor, body),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/add-base-tools',
    operation: 'add_base_tools',
    summary: 'Make sure that the built-in tools are there',
    answer: z.array(tool),
    async handle({ actor, context }) {
      const { store, tools } = context.deps
      await store.tools.seed(actor, tools.builtins)
      const names = tools.builtins.map((builtin) => builtin.name)
      return store.tools.list(actor, { names }, { limit: names.length, order: 'asc' })
    },
  }),
  ...olderMcpRoutes,
  ...debugRoutes,
  route({
    method: 'POST',
    path: '/v1/tools/run',
    operation: 'run_tool_from_source',
    summary: 'Run the source of a tool, without an agent; nothing is stored',
    body: runToolSource,
    verbatim: [...SOURCE, 'args', 'env_vars'],
    answer: lettaMessage,
    async handle({ actor, context, body, request }) {
      const { name, ...result } = await context.calls.run({ request, context }, [actor, body], (signal) =>
        runSource(context.deps, actor, body, { signal }),
      )
      // V1 says it so: it is no message of anybody's.
      const nobody = { id: 'null', otid: null, sender_id: null, step_id: null, run_id: null, seq_id: null }
      const date = wireDate(context.deps.clock.now().toISOString())
      return { ...nobody, date, ...toolReturnFields([{ ...result, tool_call_id: 'null', name }]) }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tools/generate-schema',
    operation: 'generate_json_schema',
    summary: 'Read the JSON schema of a tool from its source',
    body: generateToolSchema,
    verbatim: ['code'],
    answer: jsonObject,
    handle: async ({ context, body: { code, source_type } }) =>
      schemaOfSource(context.deps, { source_code: code, source_type }),
  }),
  route({
    method: 'POST',
    path: '/v1/tools/check',
    summary: 'Look at the source of a tool: its schema, its permissions, and what is wrong, with lines',
    body: checkTool,
    verbatim: SOURCE,
    answer: checkedTool,
    handle: async ({ context, body }) => checkSource(context.deps, body),
  }),
  route({
    method: 'GET',
    path: '/v1/tools/:tool_id',
    operation: 'retrieve_tool',
    summary: 'Read a tool',
    params: one,
    answer: tool,
    async handle({ actor, context, params }) {
      const found = await context.deps.store.tools.get(actor, params.tool_id)
      if (!found) throw notFound('Tool', params.tool_id)
      return shown(context, found)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/tools/:tool_id',
    operation: 'modify_tool',
    summary: 'Change a tool',
    params: one,
    body: updateTool,
    verbatim: SOURCE,
    answer: tool,
    async handle({ actor, context, params, body }) {
      const changed = await changeTool(context.deps, actor, params.tool_id, body)
      if (!changed) throw notFound('Tool', params.tool_id)
      return shown(context, changed)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/tools/:tool_id',
    operation: 'delete_tool',
    summary: 'Delete a tool, also from the agents that have it',
    params: one,
    answer: z.null(),
    async handle({ actor, context, params }) {
      if (!(await deleteTool(context.deps, actor, params.tool_id))) throw notFound('Tool', params.tool_id)
      return null
    },
  }),
]
