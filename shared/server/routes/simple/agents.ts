import * as z from 'zod'
import { createAgent, updateAgent } from '../../../core/agents.ts'
import { pageQuery, listOf } from '../../../schema/page.ts'
import { createSimpleAgent, simpleAgent, updateSimpleAgent } from '../../../schema/simple.ts'
import { route, type Route } from '../../route.ts'
import { agentOf } from '../../agent-of.ts'
import { agentParams, SHOWN, toSimpleAgent } from './shown-agent.ts'
import { routes as batchRoutes } from './batch.ts'
import { routes as conversationRoutes } from './conversations.ts'
import { memoryBlocks, writeMemory } from './memory.ts'
import { routes as messageRoutes } from './messages.ts'
import { modelHandle } from './model-of.ts'
import { withName } from './names.ts'
import { toolIds } from './tool-ids.ts'

/** The simple API: agents by id or name. What it does are the turns and agents of `/v1`. */
export const routes: Route[] = [
  route({
    method: 'GET',
    path: '/agents',
    operation: 'simple_list_agents',
    summary: 'List agents, newest first',
    query: z.object({
      name: z.string().optional(),
      tags: listOf(z.string()),
      query_text: z.string().optional(),
      ...pageQuery({ limit: 1000, order: 'desc' }),
    }),
    answer: z.array(simpleAgent),
    handle: async ({ actor, context, query }) =>
      (await context.deps.store.agents.list(actor, query, query, SHOWN)).map(toSimpleAgent),
  }),
  route({
    method: 'POST',
    path: '/agents',
    operation: 'simple_create_agent',
    summary:
      'Create an agent; its model with or without its provider, fields in snake_case or camelCase. A name that is taken is a 409',
    body: createSimpleAgent,
    answer: simpleAgent,
    async handle({ actor, context, body }) {
      const { persona, human, model, ...rest } = body
      const others = rest.memory_blocks != null || rest.block_ids != null
      const memory_blocks = memoryBlocks({ persona, human }, rest.memory_blocks ?? [], others)
      const handle = model == null ? null : await modelHandle(context, actor, model)
      const create = () => createAgent(context.deps, actor, { ...rest, memory_blocks, model: handle })
      return toSimpleAgent(await withName(context, actor, rest.name, create))
    },
  }),
  route({
    method: 'GET',
    path: '/agents/:agent',
    operation: 'simple_retrieve_agent',
    summary: 'Read an agent, by its id or name',
    params: agentParams,
    answer: simpleAgent,
    handle: async ({ actor, context, params }) =>
      toSimpleAgent(await agentOf(context, actor, params.agent, SHOWN)),
  }),
  route({
    method: 'PATCH',
    path: '/agents/:agent',
    operation: 'simple_modify_agent',
    summary: 'Change an agent; `tools` (names) replaces all of them',
    params: agentParams,
    body: updateSimpleAgent,
    answer: simpleAgent,
    async handle({ actor, context, params, body }) {
      const { persona, human, model, tools, ...rest } = body
      const { id, name } = await agentOf(context, actor, params.agent)
      const chosen = model == null ? null : await modelHandle(context, actor, model)
      const tool_ids = tools == null ? rest.tool_ids : await toolIds(context, actor, tools)
      const change = () => updateAgent(context.deps, actor, id, { ...rest, tool_ids, model: chosen })
      await (rest.name == null || rest.name === name ? change() : withName(context, actor, rest.name, change))
      await writeMemory(context, actor, id, { persona, human })
      return toSimpleAgent(await agentOf(context, actor, id, SHOWN))
    },
  }),
  route({
    method: 'DELETE',
    path: '/agents/:agent',
    operation: 'simple_delete_agent',
    summary: 'Delete an agent and its messages',
    params: agentParams,
    answer: z.object({ message: z.string() }),
    async handle({ actor, context, params }) {
      const { id, name } = await agentOf(context, actor, params.agent)
      await context.deps.store.agents.delete(actor, id)
      context.runs.agentDeleted(id)
      return { message: `Agent ${name} (${id}) was deleted` }
    },
  }),
  ...conversationRoutes,
  ...messageRoutes,
  ...batchRoutes,
]
