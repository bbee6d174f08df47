import * as z from 'zod'
import { embeddingModel, model, providerType } from '../../schema/model.ts'
import { listOf } from '../../schema/page.ts'
import { route } from '../route.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/v1/models',
    operation: 'list_models',
    summary: 'Language models that can be used now',
    query: z.object({
      provider_category: listOf(z.enum(['base', 'byok'])),
      provider_name: z.string().optional(),
      provider_type: providerType.optional(),
    }),
    answer: z.array(model),
    async handle({ actor, context, query }) {
      const { models } = await context.deps.models.list(actor)
      return models.filter(
        (m) =>
          (query.provider_name === undefined || m.provider_name === query.provider_name) &&
          (query.provider_type === undefined || m.provider_type === query.provider_type) &&
          (query.provider_category === undefined ||
            query.provider_category.includes(m.provider_category ?? 'base')),
      )
    },
  }),
  route({
    method: 'GET',
    path: '/v1/models/embedding',
    operation: 'list_embedding_models',
    summary: 'Embedding models that can be used now',
    answer: z.array(embeddingModel),
    handle: async ({ actor, context }) => (await context.deps.embeddings?.list(actor)) ?? [],
  }),
]
