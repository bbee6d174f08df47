import * as z from 'zod'
import { readTrace } from '../../core/traces.ts'
import { idSchema } from '../../schema/ids.ts'
import { providerTrace } from '../../schema/trace.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/v1/telemetry/:step_id',
    operation: 'retrieve_provider_trace',
    summary: 'The trace of a step, by its older path',
    params: z.object({ step_id: idSchema('step') }),
    answer: providerTrace.nullable(),
    async handle({ actor, context, params }) {
      const step = await context.deps.store.turns.getStep(actor, params.step_id)
      if (!step) throw notFound('Step', params.step_id)
      return readTrace(context.deps, actor, step)
    },
  }),
]
