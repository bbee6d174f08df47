import * as z from 'zod'
import { idSchema } from '../../schema/ids.ts'
import { providerType } from '../../schema/model.ts'
import { pageQuery } from '../../schema/page.ts'
import type { Page } from '../../schema/page.ts'
import {
  checkProvider,
  createProvider,
  type ProviderState,
  providerState,
  updateProvider,
} from '../../schema/provider.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ provider_id: idSchema('provider') })
const message = z.object({ message: z.string() })

/** One page of a list that is short, and in the order of its making. Throws `not_found` for an unknown cursor. */
function pageOf(all: readonly ProviderState[], { after, before, limit, order }: Page): ProviderState[] {
  const list = order === 'desc' ? all.toReversed() : all
  const place = (id: string | undefined, none: number) => {
    if (id === undefined) return none
    const at = list.findIndex((provider) => provider.id === id)
    if (at < 0) throw notFound('Provider', id)
    return at
  }
  const from = place(after, -1) + 1
  const to = place(before, list.length)
  return after === undefined && before !== undefined
    ? list.slice(Math.max(from, to - limit), to)
    : list.slice(from, Math.min(to, from + limit))
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/providers',
    operation: 'list_providers',
    summary: 'List the providers that were added; those of the environment serve models without being listed',
    query: z.object({
      name: z.string().optional(),
      provider_type: providerType.optional(),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(providerState),
    async handle({ context, query }) {
      const { name, provider_type } = query
      const wanted = (await context.providers.list()).filter(
        (provider) =>
          (name === undefined || provider.name === name) &&
          (provider_type === undefined || provider.provider_type === provider_type),
      )
      return pageOf(wanted, query)
    },
  }),
  route({
    demands: 'owner',
    method: 'POST',
    path: '/v1/providers',
    operation: 'create_provider',
    summary:
      'Add a provider; its models can be used at once. The key is kept in config.json and never answered',
    body: createProvider,
    answer: providerState,
    handle: async ({ context, body }) => context.providers.create(body),
  }),
  route({
    demands: 'owner',
    method: 'POST',
    path: '/v1/providers/check',
    operation: 'check_provider',
    summary: 'Ask a provider for its models with a key, without keeping it',
    body: checkProvider,
    answer: message,
    async handle({ context, body }) {
      await context.providers.check(body)
      return { message: `Valid api key for provider_type=${body.provider_type}` }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/providers/:provider_id',
    operation: 'retrieve_provider',
    summary: 'Read a provider, without its key',
    params,
    answer: providerState,
    async handle({ context, params }) {
      const found = (await context.providers.list()).find(({ id }) => id === params.provider_id)
      if (!found) throw notFound('Provider', params.provider_id)
      return found
    },
  }),
  route({
    demands: 'owner',
    method: 'PATCH',
    path: '/v1/providers/:provider_id',
    operation: 'modify_provider',
    summary: "Change a provider's key or address",
    params,
    body: updateProvider,
    answer: providerState,
    async handle({ context, params, body }) {
      const changed = await context.providers.update(params.provider_id, body)
      if (!changed) throw notFound('Provider', params.provider_id)
      return changed
    },
  }),
  route({
    demands: 'owner',
    method: 'DELETE',
    path: '/v1/providers/:provider_id',
    operation: 'delete_provider',
    summary: 'Delete a provider and its key; agents that use its models keep their handle',
    params,
    answer: message,
    async handle({ context, params }) {
      const { provider_id } = params
      if (!(await context.providers.delete(provider_id))) throw notFound('Provider', provider_id)
      return { message: `Provider ${provider_id} was deleted` }
    },
  }),
  route({
    demands: 'owner',
    method: 'POST',
    path: '/v1/providers/:provider_id/check',
    operation: 'check_existing_provider',
    summary: 'Ask a provider for its models with the key that is kept',
    params,
    answer: message,
    async handle({ context, params }) {
      if (!(await context.providers.checkExisting(params.provider_id)))
        throw notFound('Provider', params.provider_id)
      return { message: 'Valid api key' }
    },
  }),
  route({
    demands: 'owner',
    method: 'PATCH',
    path: '/v1/providers/:provider_id/refresh',
    operation: 'refresh_provider_models',
    summary: "Read a provider's list of models again",
    params,
    answer: providerState,
    async handle({ context, params }) {
      const refreshed = await context.providers.refresh(params.provider_id)
      if (!refreshed) throw notFound('Provider', params.provider_id)
      return refreshed
    },
  }),
]
