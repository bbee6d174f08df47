import * as z from 'zod'
import { route } from '../route.ts'

const BYTES = { MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }

export const routes = [
  route({
    method: 'GET',
    path: '/v1/embeddings/total_storage_size',
    operation: 'get_total_storage_size',
    summary: 'How much the vectors of passages take up',
    query: z.object({ 'storage-unit': z.enum(['MB', 'GB', 'TB']).default('GB') }),
    answer: z.number(),
    handle: async ({ actor, context, query }) =>
      (await context.deps.store.vectors.bytes(actor)) / BYTES[query['storage-unit']],
  }),
]
