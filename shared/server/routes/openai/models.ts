import * as z from 'zod'
import type { Agent } from '../../../schema/agent.ts'
import { MAX_NAME } from '../../../schema/names.ts'
import { chatModel, chatModels } from '../../../schema/openai.ts'
import { agentOf } from '../../agent-of.ts'
import { route, type Route } from '../../route.ts'

/** How many agents are listed, newest first. */
const MAX_LISTED = 1000

/** Agents as the models of OpenAI's API. */
export const routes: Route[] = [
  route({
    method: 'GET',
    path: '/openai/v1/models',
    operation: 'openai_list_models',
    summary:
      'The agents as models: by their names, by their ids where several have one name; either may be asked for',
    answer: chatModels,
    async handle({ actor, context }) {
      const page = { limit: MAX_LISTED, order: 'desc' } as const
      const agents = await context.deps.store.agents.list(actor, {}, page, [])
      const counts = new Map<string, number>()
      for (const { name } of agents) counts.set(name, (counts.get(name) ?? 0) + 1)
      const data = agents.map((agent) => asModel(agent, counts.get(agent.name) === 1 ? agent.name : agent.id))
      return { object: 'list', data }
    },
  }),
  route({
    method: 'GET',
    path: '/openai/v1/models/:model',
    operation: 'openai_retrieve_model',
    summary: 'An agent as a model, by its id or name',
    params: z.object({ model: z.string().min(1).max(MAX_NAME) }),
    answer: chatModel,
    handle: async ({ actor, context, params: { model } }) =>
      asModel(await agentOf(context, actor, model), model),
  }),
]

function asModel(agent: Agent, id: string): z.infer<typeof chatModel> {
  return {
    id,
    object: 'model',
    created: Math.floor(Date.parse(agent.created_at) / 1000),
    owned_by: 'loci',
    name: agent.name,
    agent_id: agent.id,
  }
}
