import * as z from 'zod'
import type { ToolFilter } from '../../core/ports/tool-store.ts'
import { searchTools } from '../../core/tool-search.ts'
import { idSchema } from '../../schema/ids.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { TOOL_TYPES, tool, toolSearch, toolSearchResult, toolType, type ToolType } from '../../schema/tool.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

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

export const routes = [
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
    handle: async ({ actor, context, query }) => context.deps.store.tools.list(actor, toFilter(query), query),
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
  route({
    method: 'GET',
    path: '/v1/tools/:tool_id',
    operation: 'retrieve_tool',
    summary: 'Read a tool',
    params: z.object({ tool_id: idSchema('tool') }),
    answer: tool,
    async handle({ actor, context, params }) {
      const found = await context.deps.store.tools.get(actor, params.tool_id)
      if (!found) throw notFound('Tool', params.tool_id)
      return found
    },
  }),
]
