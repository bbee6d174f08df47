import * as z from 'zod'
import { AGENT_RELATIONS, agentState } from '../../schema/agent.ts'
import { block, blockVersion, createBlock, updateBlock } from '../../schema/block.ts'
import { idSchema } from '../../schema/ids.ts'
import { identityFilter, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { readRelations, toAgentState } from '../agent-state.ts'
import { blockAnswer, ifVersion } from '../block-version.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ block_id: idSchema('block') })

const filter = {
  label: z.string().optional(),
  name: z.string().optional(),
  templates_only: queryBoolean.optional(),
  project_id: z.string().optional(),
  tags: listOf(z.string()),
  match_all_tags: queryBoolean.optional(),
  label_search: z.string().optional(),
  description_search: z.string().optional(),
  value_search: z.string().optional(),
  connected_to_agents_count_gt: z.coerce.number().int().optional(),
  connected_to_agents_count_lt: z.coerce.number().int().optional(),
  connected_to_agents_count_eq: listOf(z.coerce.number().int()),
  show_hidden_blocks: queryBoolean.optional(),
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/blocks',
    operation: 'list_blocks',
    summary: 'List memory blocks',
    query: z.object({
      ...filter,
      ...identityFilter,
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'asc' }),
    }),
    answer: z.array(block),
    handle: async ({ actor, context, query }) =>
      context.deps.store.blocks.list(actor, { ...query, show_hidden: query.show_hidden_blocks }, query),
  }),
  route({
    method: 'POST',
    path: '/v1/blocks',
    operation: 'create_block',
    summary: 'Create a memory block',
    body: createBlock,
    answer: block,
    handle: async ({ actor, context, body }) =>
      blockAnswer(await context.deps.store.blocks.create(actor, body)),
  }),
  route({
    method: 'GET',
    path: '/v1/blocks/count',
    operation: 'count_blocks',
    summary: 'Count memory blocks',
    query: z.object({ ...filter, ...identityFilter }),
    answer: z.number().int(),
    handle: async ({ actor, context, query }) =>
      context.deps.store.blocks.count(actor, { ...query, show_hidden: query.show_hidden_blocks }),
  }),
  route({
    method: 'GET',
    path: '/v1/blocks/:block_id',
    operation: 'retrieve_block',
    summary: 'Read a memory block',
    params,
    answer: block,
    async handle({ actor, context, params }) {
      const found = await context.deps.store.blocks.get(actor, params.block_id)
      if (!found) throw notFound('Block', params.block_id)
      return blockAnswer(found)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/blocks/:block_id',
    operation: 'modify_block',
    summary: 'Change a memory block',
    params,
    body: updateBlock,
    answer: block,
    async handle({ actor, context, params, body, request }) {
      const changed = await context.deps.store.blocks.update(actor, params.block_id, body, ifVersion(request))
      if (!changed) throw notFound('Block', params.block_id)
      return blockAnswer(changed)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/blocks/:block_id',
    operation: 'delete_block',
    summary: 'Delete a memory block and detach it from every agent',
    params,
    answer: z.null(),
    async handle({ actor, context, params }) {
      if (!(await context.deps.store.blocks.delete(actor, params.block_id)))
        throw notFound('Block', params.block_id)
      return null
    },
  }),
  ...(['attach', 'detach'] as const).map((change) =>
    route({
      method: 'PATCH',
      path: `/v1/blocks/:block_id/identities/${change}/:identity_id`,
      operation: `${change}_identity_${change === 'attach' ? 'to' : 'from'}_block`,
      summary:
        change === 'attach' ? 'Give a memory block to an identity' : 'Take a memory block from an identity',
      params: params.extend({ identity_id: idSchema('identity') }),
      answer: block,
      async handle({ actor, context, params: { block_id, identity_id } }) {
        await context.deps.store.identities[change](actor, identity_id, { block_id })
        const found = await context.deps.store.blocks.get(actor, block_id)
        if (!found) throw notFound('Block', block_id)
        return blockAnswer(found)
      },
    }),
  ),
  route({
    method: 'GET',
    path: '/v1/blocks/:block_id/history',
    operation: 'list_block_versions',
    summary: 'List the versions of a memory block; cursors are version numbers',
    params,
    query: z.object(pageQuery({ limit: 50, order: 'desc' })),
    answer: z.array(blockVersion),
    async handle({ actor, context, params, query }) {
      const versions = await context.deps.store.blocks.history(actor, params.block_id, query)
      if (!versions) throw notFound('Block', params.block_id)
      return versions
    },
  }),
  route({
    method: 'POST',
    path: '/v1/blocks/:block_id/history/:version/restore',
    operation: 'restore_block_version',
    summary: 'Give a memory block the value it had after a version',
    params: params.extend({ version: z.coerce.number().int().min(1) }),
    answer: block,
    async handle({ actor, context, params, request }) {
      const { block_id, version } = params
      const restored = await context.deps.store.blocks.restore(actor, block_id, version, ifVersion(request))
      if (!restored) throw notFound('Block', block_id)
      return blockAnswer(restored)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/blocks/:block_id/agents',
    operation: 'list_agents_for_block',
    summary: 'List the agents that share a memory block',
    params,
    query: z.object({
      include: listOf(z.enum(AGENT_RELATIONS)),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(agentState),
    async handle({ actor, context, params, query, request }) {
      if (!(await context.deps.store.blocks.get(actor, params.block_id)))
        throw notFound('Block', params.block_id)
      const filter = { block_id: params.block_id, show_hidden: true }
      const agents = await readRelations({ actor, context }, request, query.include, (relations) =>
        context.deps.store.agents.list(actor, filter, query, relations),
      )
      return agents.map(toAgentState)
    },
  }),
]
