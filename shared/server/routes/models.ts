import * as z from 'zod'
import type { ModelPrice } from '../../core/ports/models.ts'
import { embeddingModel, model, modelsOverview, providerType } from '../../schema/model.ts'
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
  route({
    method: 'GET',
    path: '/v1/models/overview',
    summary:
      'Models and embedding models with their prices, and the providers that do not answer, with the reason',
    answer: modelsOverview,
    async handle({ actor, context }) {
      const [{ models, problems, prices }, embedding_models] = await Promise.all([
        context.deps.models.list(actor),
        context.deps.embeddings?.list(actor) ?? [],
      ])
      const priced = models.map((model) => ({ ...model, price: perMillion(prices?.get(model.handle ?? '')) }))
      const shown = problems.map(({ provider, url, message }) => ({ provider, url, message }))
      return { models: priced, embedding_models, problems: shown }
    },
  }),
]

function perMillion(price: ModelPrice | undefined) {
  if (price === undefined) return null
  // Prices a token are tiny fractions: rounded to where the sums of floats end.
  const of = (dollars: number) => Number((dollars * 1_000_000).toPrecision(9))
  const { input, output, cached_input } = price
  return {
    input: of(input),
    output: of(output),
    cached_input: cached_input === undefined ? null : of(cached_input),
  }
}
