import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { type Job, job } from '../../schema/job.ts'
import { pageQuery, queryBoolean } from '../../schema/page.ts'
import type { Run } from '../../schema/run.ts'
import { cancelBatch, cancelRuns } from '../cancel.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ job_id: z.string() })
const ACTIVE = ['created', 'running'] as const

/** Null for what is no batch: each is a job too. */
const batchOf = ({ deps }: ServerContext, actor: Actor, job_id: string) =>
  deps.store.batches.get(actor, job_id)

async function existing(context: ServerContext, actor: Actor, job_id: string) {
  const found = await context.deps.store.turns.getRun(actor, job_id)
  if (!found) throw notFound('Job', job_id)
  return found
}

/** A run under V1's older name. */
function toJob(actor: Actor, run: Run): Job {
  return {
    id: run.id,
    job_type: 'run',
    status: run.status,
    stop_reason: run.stop_reason,
    background: run.background,
    agent_id: run.agent_id,
    metadata: run.metadata,
    created_at: run.created_at,
    updated_at: run.completed_at ?? run.created_at,
    completed_at: run.completed_at,
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    callback_url: run.callback_url,
    callback_sent_at: run.callback_sent_at,
    callback_status_code: run.callback_status_code,
    callback_error: run.callback_error,
    ttft_ns: run.ttft_ns,
    total_duration_ns: run.total_duration_ns,
  }
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/jobs',
    operation: 'list_jobs',
    summary: 'List runs under their older name; `source_id` has none, files are read without a job',
    query: z.object({
      source_id: z.string().optional(),
      active: queryBoolean.default(false),
      /** Of older clients; `order` decides. */
      ascending: queryBoolean.default(true),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(job),
    async handle({ actor, context, query }) {
      if (query.source_id !== undefined) return []
      const filter = query.active ? { statuses: [...ACTIVE] } : {}
      const runs = await context.deps.store.turns.listRuns(actor, filter, query)
      return runs.map((run) => toJob(actor, run))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/jobs/active',
    operation: 'list_active_jobs',
    summary: 'List runs that have not ended under their older name',
    query: z.object({
      source_id: z.string().optional(),
      before: z.string().optional(),
      after: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(50),
      ascending: queryBoolean.default(true),
    }),
    answer: z.array(job),
    async handle({ actor, context, query }) {
      if (query.source_id !== undefined) return []
      const page = { ...query, order: query.ascending ? ('asc' as const) : ('desc' as const) }
      const runs = await context.deps.store.turns.listRuns(actor, { statuses: [...ACTIVE] }, page)
      return runs.map((run) => toJob(actor, run))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/jobs/:job_id',
    operation: 'retrieve_job',
    summary: 'Read a run under its older name, or a batch',
    params,
    answer: job,
    handle: async ({ actor, context, params: { job_id } }) =>
      (await batchOf(context, actor, job_id)) ?? toJob(actor, await existing(context, actor, job_id)),
  }),
  route({
    method: 'DELETE',
    path: '/v1/jobs/:job_id',
    operation: 'delete_job',
    summary: 'Delete a run that has ended, with its steps; its messages stay',
    params,
    answer: job,
    async handle({ actor, context, params }) {
      const found = await existing(context, actor, params.job_id)
      await context.deps.store.turns.deleteRun(actor, found.id)
      return toJob(actor, found)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/jobs/:job_id/cancel',
    operation: 'cancel_job',
    summary: 'Cancel a run, or a batch',
    params,
    answer: job,
    async handle({ actor, context, params }) {
      if (await batchOf(context, actor, params.job_id)) {
        await cancelBatch(context, actor, params.job_id)
        return batchOf(context, actor, params.job_id)
      }
      const { id, agent_id, conversation_id } = await existing(context, actor, params.job_id)
      await cancelRuns(context, actor, {
        agent_id,
        conversation_id: conversation_id ?? agent_id,
        run_ids: [id],
      })
      return toJob(actor, await existing(context, actor, id))
    },
  }),
]
