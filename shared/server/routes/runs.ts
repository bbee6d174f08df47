import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { spansOf } from '../../core/traces.ts'
import { lettaMessage, stopReason } from '../../schema/message.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { run, runMetrics, runStatus, runUsage, type Step, stepState } from '../../schema/run.ts'
import { span } from '../../schema/trace.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { listMessages, speakingOf } from '../letta-messages.ts'
import { route } from '../route.ts'
import { runStreamRoutes } from './run-stream.ts'
import { toRunMetrics, toStepState, usageOf } from '../step-state.ts'

const params = z.object({ run_id: z.string() })
const ACTIVE = ['created', 'running'] as const

/** Steps and messages that are read at once when all of a run's are wanted. */
const BATCH = 1000

async function existing(context: ServerContext, actor: Actor, run_id: string) {
  const found = await context.deps.store.turns.getRun(actor, run_id)
  if (!found) throw notFound('Run', run_id)
  return found
}

async function allSteps({ deps }: ServerContext, actor: Actor, run_id: string): Promise<Step[]> {
  const steps: Step[] = []
  for (;;) {
    const after = steps.at(-1)?.id
    const page = { limit: BATCH, order: 'asc' as const, after }
    const next = await deps.store.turns.listSteps(actor, { run_id }, page)
    steps.push(...next)
    if (next.length < BATCH) return steps
  }
}

/** Ids of the tools that a run called, as far as they still exist. */
async function toolsUsed({ deps }: ServerContext, actor: Actor, run_id: string): Promise<string[]> {
  const names = new Set<string>()
  for (let after: string | undefined; ;) {
    const page = { limit: BATCH, order: 'asc' as const, after }
    const messages = await deps.store.messages.list(actor, { run_id, include_err: true }, page)
    for (const message of messages) for (const result of message.tool_returns) names.add(result.name)
    if (messages.length < BATCH) break
    after = messages.at(-1)?.id
  }
  if (names.size === 0) return []
  const tools = await deps.store.tools.list(actor, { names: [...names] }, { limit: names.size, order: 'asc' })
  return tools.map((tool) => tool.id)
}

/** A default conversation is stored under its agent's id, and `default` alone names no conversation. */
const filter = {
  agent_id: z.string().optional(),
  agent_ids: listOf(z.string()),
  statuses: listOf(runStatus),
  background: queryBoolean.optional(),
  stop_reason: stopReason.optional(),
  conversation_id: z.string().optional(),
}

export const routes = [
  ...runStreamRoutes,
  route({
    method: 'GET',
    path: '/v1/runs',
    operation: 'list_runs',
    summary: 'List runs',
    query: z.object({
      ...filter,
      active: queryBoolean.optional(),
      ascending: queryBoolean.optional(),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(run),
    handle: async ({ actor, context, query }) =>
      context.deps.store.turns.listRuns(
        actor,
        {
          ...query,
          ...(query.conversation_id === 'default' ? { conversation_id: query.agent_id } : {}),
          ...(query.active ? { statuses: [...ACTIVE] } : {}),
        },
        query.ascending ? { ...query, order: 'asc' } : query,
      ),
  }),
  route({
    method: 'GET',
    path: '/v1/runs/active',
    operation: 'list_active_runs',
    summary: 'List runs that have not ended',
    query: z.object({ agent_id: z.string().optional(), background: queryBoolean.optional() }),
    answer: z.array(run),
    handle: async ({ actor, context, query }) =>
      context.deps.store.turns.listRuns(
        actor,
        { ...query, statuses: [...ACTIVE] },
        { limit: BATCH, order: 'desc' },
      ),
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id',
    operation: 'retrieve_run',
    summary: 'Read a run',
    scoped: { right: 'read_messages', of: 'run' },
    params,
    answer: run,
    handle: async ({ actor, context, params }) => existing(context, actor, params.run_id),
  }),
  route({
    method: 'DELETE',
    path: '/v1/runs/:run_id',
    operation: 'delete_run',
    summary: 'Delete a run that has ended, with its steps; its messages stay',
    params,
    answer: z.null(),
    async handle({ actor, context, params }) {
      if (!(await context.deps.store.turns.deleteRun(actor, params.run_id)))
        throw notFound('Run', params.run_id)
      return null
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/messages',
    operation: 'list_messages_for_run',
    summary: 'List the messages of a run',
    scoped: { right: 'read_messages', of: 'run' },
    params,
    query: z.object({
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'asc' }),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      const speaking = speakingOf(await existing(context, actor, params.run_id))
      const filter = { run_id: params.run_id, include_err: true }
      const stored = await context.deps.store.messages.list(actor, filter, query)
      return listMessages(stored, { order: query.order, speaking })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/steps',
    operation: 'list_steps_for_run',
    summary: 'List the steps of a run',
    params,
    query: z.object({
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(stepState),
    async handle({ actor, context, params, query }) {
      await existing(context, actor, params.run_id)
      const steps = await context.deps.store.turns.listSteps(actor, { run_id: params.run_id }, query)
      return steps.map(toStepState)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/usage',
    operation: 'retrieve_usage_for_run',
    summary: 'Tokens that a run used',
    scoped: { right: 'read_messages', of: 'run' },
    params,
    answer: runUsage,
    async handle({ actor, context, params }) {
      await existing(context, actor, params.run_id)
      return usageOf(await allSteps(context, actor, params.run_id))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/metrics',
    operation: 'retrieve_metrics_for_run',
    summary: 'How long a run took, its steps and the tools it used',
    params,
    answer: runMetrics,
    async handle({ actor, context, params }) {
      const found = await existing(context, actor, params.run_id)
      const steps = await allSteps(context, actor, params.run_id)
      return toRunMetrics(found, steps, await toolsUsed(context, actor, params.run_id))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/runs/:run_id/trace',
    operation: 'retrieve_trace_for_run',
    summary: 'A run as spans: its steps, their model calls and tools',
    params,
    query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(1000) }),
    answer: z.array(span),
    async handle({ actor, context, params, query }) {
      const found = await existing(context, actor, params.run_id)
      return spansOf(found, await allSteps(context, actor, params.run_id)).slice(0, query.limit)
    },
  }),
]
