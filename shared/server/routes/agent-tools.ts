import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { runToolForAgent } from '../../core/tools/run-for-agent.ts'
import { agentState } from '../../schema/agent.ts'
import { runAgentTool, toolExecutionResult } from '../../schema/custom-tool.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { pageQuery, queryBoolean } from '../../schema/page.ts'
import { tool } from '../../schema/tool.ts'
import { isModernClient, readRelations, toAgentState } from '../agent-state.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'
import { allShown } from '../shown-tools.ts'

const params = z.object({ agent_id: idSchema('agent') })
const linked = params.extend({ tool_id: idSchema('tool') })

/** Clients from 1.0 on get null, older ones the whole agent (reference 1.3). */
async function attachAnswer(context: ServerContext, actor: Actor, agent_id: string, request: Request) {
  if (isModernClient(request.headers)) return null
  const found = await readRelations({ actor, context }, request, undefined, (relations) =>
    context.deps.store.agents.get(actor, agent_id, relations),
  )
  if (!found) throw notFound('Agent', agent_id)
  return toAgentState(found)
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/tools',
    operation: 'list_tools_for_agent',
    summary: "List an agent's tools",
    params,
    query: z.object({
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 10, order: 'desc' }),
    }),
    answer: z.array(tool),
    async handle({ actor, context, params, query }) {
      if (!(await context.deps.store.agents.get(actor, params.agent_id, [])))
        throw notFound('Agent', params.agent_id)
      const tools = await context.deps.store.tools.list(actor, { agent_id: params.agent_id }, query)
      return allShown(context, tools)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/tools/attach/:tool_id',
    operation: 'attach_tool_to_agent',
    summary: 'Attach a tool to an agent',
    params: linked,
    answer: agentState.nullable(),
    async handle({ actor, context, params, request }) {
      await context.deps.store.agents.attachTool(actor, params.agent_id, params.tool_id)
      return attachAnswer(context, actor, params.agent_id, request)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/tools/detach/:tool_id',
    operation: 'detach_tool_from_agent',
    summary: 'Detach a tool from an agent',
    params: linked,
    answer: agentState.nullable(),
    async handle({ actor, context, params, request }) {
      await context.deps.store.agents.detachTool(actor, params.agent_id, params.tool_id)
      return attachAnswer(context, actor, params.agent_id, request)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/tools/:tool_name/run',
    operation: 'run_tool_for_agent',
    summary: 'Run a tool of an agent as the agent would, with its secrets and its memory',
    params: params.extend({ tool_name: z.string() }),
    body: runAgentTool,
    verbatim: ['args'],
    optional_body: true,
    answer: toolExecutionResult,
    handle: async ({ actor, context, params, body, request }) =>
      context.calls.run({ request, context }, [actor, params, body], (signal) =>
        runToolForAgent(
          context.deps,
          actor,
          { ...params, args: body.args },
          { messagingOf: (agent) => context.runs.messagingOf(actor, agent), signal },
        ),
      ),
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/tools/approval/:tool_name',
    operation: 'modify_approval_for_tool',
    summary: 'Say whether calls of a tool of the agent wait for an approval',
    params: params.extend({ tool_name: z.string() }),
    query: z.object({ requires_approval: queryBoolean.optional() }),
    // The TypeScript client sends the name of its own parameter.
    body: z.strictObject({ requires_approval: z.boolean(), body_requires_approval: z.boolean() }).partial(),
    optional_body: true,
    answer: agentState.nullable(),
    async handle({ actor, context, params, query, body, request }) {
      const required = body.requires_approval ?? body.body_requires_approval ?? query.requires_approval
      if (required === undefined)
        throw new AppError('validation', 'body.requires_approval: say true or false')
      await context.deps.store.agents.setToolApproval(actor, params.agent_id, params.tool_name, required)
      return attachAnswer(context, actor, params.agent_id, request)
    },
  }),
]
