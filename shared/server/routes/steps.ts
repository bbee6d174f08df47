import * as z from 'zod'
import { readTrace } from '../../core/traces.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { idSchema } from '../../schema/ids.ts'
import { lettaMessage } from '../../schema/message.ts'
import { endInstant, instant, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { feedback, modifyFeedback, stepMetrics, stepState } from '../../schema/run.ts'
import { providerTrace } from '../../schema/trace.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { listMessages } from '../letta-messages.ts'
import { route } from '../route.ts'
import { toStepMetrics, toStepState } from '../step-state.ts'

const params = z.object({ step_id: idSchema('step') })

async function existing(context: ServerContext, actor: Actor, step_id: string) {
  const found = await context.deps.store.turns.getStep(actor, step_id)
  if (!found) throw notFound('Step', step_id)
  return found
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/steps',
    operation: 'list_steps',
    summary: 'List steps',
    query: z.object({
      agent_id: idSchema('agent').optional(),
      model: z.string().optional(),
      feedback: feedback.optional(),
      has_feedback: queryBoolean.optional(),
      tags: listOf(z.string()),
      start_date: instant.optional(),
      end_date: endInstant.optional(),
      /** Of V1's traces, which Loci does not have: nothing has such an id. */
      trace_ids: listOf(z.string()),
      project_id: z.string().optional(),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(stepState),
    async handle({ actor, context, query }) {
      if (query.trace_ids?.length || query.project_id !== undefined) return []
      const steps = await context.deps.store.turns.listSteps(actor, query, query)
      return steps.map(toStepState)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/steps/:step_id',
    operation: 'retrieve_step',
    summary: 'Read a step',
    params,
    answer: stepState,
    handle: async ({ actor, context, params }) => toStepState(await existing(context, actor, params.step_id)),
  }),
  route({
    method: 'GET',
    path: '/v1/steps/:step_id/metrics',
    operation: 'retrieve_metrics_for_step',
    summary: 'How long the parts of a step took',
    params,
    answer: stepMetrics,
    handle: async ({ actor, context, params }) =>
      toStepMetrics(await existing(context, actor, params.step_id)),
  }),
  route({
    method: 'GET',
    path: '/v1/steps/:step_id/trace',
    operation: 'retrieve_trace_for_step',
    summary: 'What went to the model in a step and what came back; null when that is not kept any more',
    params,
    answer: providerTrace.nullable(),
    handle: async ({ actor, context, params }) =>
      readTrace(context.deps, actor, await existing(context, actor, params.step_id)),
  }),
  route({
    method: 'GET',
    path: '/v1/steps/:step_id/messages',
    operation: 'list_messages_for_step',
    summary: 'List the messages of a step',
    params,
    query: z.object({
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'asc' }),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      await existing(context, actor, params.step_id)
      const filter = { step_id: params.step_id, include_err: true }
      const stored = await context.deps.store.messages.list(actor, filter, query)
      return listMessages(stored, { order: query.order })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/steps/:step_id/feedback',
    operation: 'modify_feedback_for_step',
    summary: 'Say what a step was worth; null takes it back',
    params,
    body: modifyFeedback,
    answer: stepState,
    async handle({ actor, context, params, body }) {
      const { step_id } = params
      const patch = {
        ...(body.feedback === undefined ? {} : { feedback: body.feedback }),
        ...(body.tags == null ? {} : { tags: body.tags }),
      }
      const changed = await context.deps.store.turns.updateStep(actor, step_id, patch)
      if (!changed) throw notFound('Step', step_id)
      return toStepState(changed)
    },
  }),
]
