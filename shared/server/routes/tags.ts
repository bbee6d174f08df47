import * as z from 'zod'
import { pageQuery } from '../../schema/page.ts'
import { route } from '../route.ts'

const filter = { name: z.string().optional(), query_text: z.string().optional() }

export const routes = [
  route({
    method: 'GET',
    path: '/v1/tags',
    operation: 'list_tags',
    summary: 'List the distinct tags of agents and blocks; cursors are tags',
    query: z.object({
      ...filter,
      order_by: z.literal('name').optional(),
      ...pageQuery({ limit: 50, order: 'asc' }),
    }),
    answer: z.array(z.string()),
    handle: async ({ actor, context, query }) => context.deps.store.agents.listTags(actor, query, query),
  }),
]
