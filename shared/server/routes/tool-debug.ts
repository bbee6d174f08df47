import * as z from 'zod'
import { debugRunOf, debugTool, endDebugRun } from '../../core/tools/debug-tool.ts'
import { idSchema } from '../../schema/ids.ts'
import { debugRun, debugState, debugTool as debugBody } from '../../schema/tool-debug.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const one = z.object({ tool_id: idSchema('tool') })
const path = '/v1/tools/:tool_id/debug'

/** Debugging of tools, ours: an editor arms a tool, waits for its call, and attaches to what it then reads here. */
export const routes = [
  route({
    demands: 'owner',
    method: 'POST',
    path,
    summary: "Let a debugger stop the tool's next call, in a file of the developer",
    params: one,
    body: debugBody,
    answer: debugRun,
    async handle({ actor, context, params, body }) {
      const armed = await debugTool(context.deps, actor, params.tool_id, body.path)
      if (!armed) throw notFound('Tool', params.tool_id)
      return armed
    },
  }),
  route({
    method: 'GET',
    path,
    summary: 'Read the debug run of a tool, at once or when its state has changed',
    params: one,
    query: z.object({
      /** Wait until it is in another state than this. */
      state: debugState.optional(),
      wait_seconds: z.coerce.number().min(0).max(50).default(25),
    }),
    answer: debugRun,
    async handle({ actor, context, params, query, request }) {
      const { state, wait_seconds } = query
      const signal = AbortSignal.any([
        request.signal,
        context.closing,
        AbortSignal.timeout(Math.round(wait_seconds * 1000)),
      ])
      const found = await debugRunOf(context.deps, actor, params.tool_id, { state, signal })
      if (!found) throw notFound('Debug run of tool', params.tool_id)
      return found
    },
  }),
  route({
    demands: 'owner',
    method: 'DELETE',
    path,
    summary: 'End the debug run of a tool',
    params: one,
    answer: z.null(),
    async handle({ actor, context, params }) {
      if (!(await endDebugRun(context.deps, actor, params.tool_id)))
        throw notFound('Debug run of tool', params.tool_id)
      return null
    },
  }),
]
