import * as z from 'zod'
import { lettaMessage } from '../../schema/message.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { run, runStatus, step } from '../../schema/run.ts'
import type { Actor } from '../../core/ports.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { listMessages } from '../letta-messages.ts'
import { route } from '../route.ts'

const params = z.object({ run_id: z.string() })

async function existing(context: ServerContext, actor: Actor, run_id: string) {
  const found = await context.deps.store.turns.getRun(actor, run_id)
  if (!found) throw notFound('Run', run_id)
  return found
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/runs',
    summary: 'List runs',
    query: z.object({
      agent_id: z.string().optional(),
      statuses: listOf(runStatus),
      conversation_id: z.string().optional(),
      background: queryBoolean.optional(),
      stop_reason: z.string().optional(),
      active: queryBoolean.optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(run),
    handle: async ({ actor, context, query }) =>
      context.deps.store.turns.listRuns(
        actor,
        { ...query, ...(query.active ? { statuses: ['created', 'running'] } : {}) },
        query,
      ),
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id',
    summary: 'Read a run',
    params,
    answer: run,
    handle: async ({ actor, context, params }) => existing(context, actor, params.run_id),
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/messages',
    summary: 'List the messages of a run',
    params,
    query: z.object(pageQuery({ limit: 100, order: 'asc' })),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      await existing(context, actor, params.run_id)
      const stored = await context.deps.store.messages.list(actor, { run_id: params.run_id }, query)
      return listMessages(stored, { order: query.order })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/steps',
    summary: 'List the steps of a run',
    params,
    query: z.object(pageQuery({ limit: 100, order: 'desc' })),
    answer: z.array(step),
    async handle({ actor, context, params, query }) {
      await existing(context, actor, params.run_id)
      return context.deps.store.turns.listSteps(actor, { run_id: params.run_id }, query)
    },
  }),
]
