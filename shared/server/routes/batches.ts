import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { batch, batchItem, batchMessages, createBatch } from '../../schema/batch.ts'
import { newId } from '../../schema/ids.ts'
import type { MessageRole } from '../../schema/message.ts'
import { pageQuery } from '../../schema/page.ts'
import { toBatchMessage } from '../batch-messages.ts'
import { cancelBatch } from '../cancel.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route, type Route } from '../route.ts'

const params = z.object({ batch_id: z.string() })
const page = (order: 'asc' | 'desc') => ({
  order_by: z.literal('created_at').optional(),
  ...pageQuery({ limit: 100, order }),
})
/** What an agent answers with. */
const ANSWERS: MessageRole[] = ['assistant', 'tool', 'approval']

async function existing({ deps }: ServerContext, actor: Actor, batch_id: string) {
  const found = await deps.store.batches.get(actor, batch_id)
  if (!found) throw notFound('Batch', batch_id)
  return found
}

export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/messages/batches',
    operation: 'create_batch',
    summary: 'Queue messages for agents; `callback_url` is told when each of them has ended',
    body: createBatch,
    answer: batch,
    async handle({ actor, context, body }) {
      const { agents, batches } = context.deps.store
      for (const agent_id of new Set(body.requests.map((request) => request.agent_id)))
        if (!(await agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      const items = body.requests.map((request) => {
        return { id: newId('batch_item'), agent_id: request.agent_id, request }
      })
      const created = await batches.create(actor, {
        id: newId('job'),
        callback_url: body.callback_url ?? null,
        provider_batch: body.provider_batch,
        items,
      })
      context.batches.wake()
      return created
    },
  }),
  route({
    method: 'GET',
    path: '/v1/messages/batches',
    operation: 'list_batches',
    summary: 'List batches',
    query: z.object(page('desc')),
    answer: z.array(batch),
    handle: async ({ actor, context, query }) => context.deps.store.batches.list(actor, query),
  }),
  route({
    method: 'GET',
    path: '/v1/messages/batches/:batch_id',
    operation: 'retrieve_batch',
    summary: 'Read a batch: its status, and how many of its requests are in which state',
    params,
    answer: batch,
    handle: async ({ actor, context, params }) => existing(context, actor, params.batch_id),
  }),
  route({
    method: 'GET',
    path: '/v1/messages/batches/:batch_id/items',
    summary: 'List the requests of a batch in their order, each with its state, run and error',
    params,
    query: z.object(page('asc')),
    answer: z.array(batchItem),
    async handle({ actor, context, params, query }) {
      await existing(context, actor, params.batch_id)
      return context.deps.store.batches.items(actor, params.batch_id, query)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/messages/batches/:batch_id/messages',
    operation: 'list_messages_for_batch',
    summary: 'List what the agents of a batch have answered so far; `after` follows `order`',
    params,
    query: z.object({ ...page('desc'), agent_id: z.string().optional() }),
    answer: batchMessages,
    async handle({ actor, context, params: { batch_id }, query }) {
      await existing(context, actor, batch_id)
      const { agent_id, order, limit, before, after } = query
      const { batches, messages } = context.deps.store
      // Lists of messages take `after` as newer: in the contract it is what comes next.
      const cursors = order === 'asc' ? { before, after } : { before: after, after: before }
      const filter = { batch_id, agent_id, roles: ANSWERS, include_err: true }
      const stored = await messages.list(actor, filter, { limit, order, ...cursors })
      const run_ids = [...new Set(stored.flatMap(({ run_id }) => run_id ?? []))]
      const items = await batches.itemsOfRuns(actor, batch_id, run_ids)
      return {
        messages: stored.map((message) => toBatchMessage(message, items.get(message.run_id ?? '') ?? null)),
      }
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/messages/batches/:batch_id/cancel',
    operation: 'cancel_batch',
    summary: 'End what of a batch has not begun, and cancel what runs',
    params,
    answer: z.null(),
    async handle({ actor, context, params: { batch_id } }) {
      await cancelBatch(context, actor, batch_id)
      return null
    },
  }),
]
