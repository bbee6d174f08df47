import * as z from 'zod'
import { createAgent, updateAgent } from '../../core/agents.ts'
import { generate } from '../../core/generate.ts'
import { recompilePrompt, resetMessages } from '../../core/recompile.ts'
import { AGENT_RELATIONS, agentState, createAgentBody, updateAgentBody } from '../../schema/agent.ts'
import { AppError } from '../../schema/errors.ts'
import { generateRequest, generateResponse } from '../../schema/generate.ts'
import { group, managerType } from '../../schema/group.ts'
import { idSchema } from '../../schema/ids.ts'
import { stopReason } from '../../schema/message.ts'
import { identityFilter, listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import { isModernClient, readRelations, shownTo, toAgentState } from '../agent-state.ts'
import { asAgentNotFound, notFound } from '../errors.ts'
import { loadImages } from '../images.ts'
import { route } from '../route.ts'
import { routes as blockRoutes } from './agent-blocks.ts'
import { routes as exportRoutes } from './agent-exports.ts'
import { routes as folderRoutes } from './agent-folders.ts'
import { routes as messageRoutes } from './agent-messages.ts'
import { routes as toolRoutes } from './agent-tools.ts'
import { routes as archivalRoutes } from './archival-memory.ts'
import { agentRoutes as archiveRoutes } from './archives.ts'
import { agentRoutes as messageSearchRoutes } from './message-search.ts'
import { agentRoutes as compactionRoutes } from './compactions.ts'
import { routes as scheduleRoutes } from './schedules.ts'

const params = z.object({ agent_id: idSchema('agent') })

const sortBy = z.enum(['created_at', 'updated_at', 'last_run_completion'])

const filter = {
  name: z.string().optional(),
  tags: listOf(z.string()),
  match_all_tags: queryBoolean.optional(),
  query_text: z.string().optional(),
  project_id: z.string().optional(),
  template_id: z.string().optional(),
  base_template_id: z.string().optional(),
  last_stop_reason: stopReason.optional(),
  created_by_id: z.string().optional(),
  ...identityFilter,
  show_hidden_agents: queryBoolean.optional(),
}

/** What an access token may change of an agent: nothing that reaches other things, holds secrets or asks for approval. */
const OPEN_FIELDS = [
  'name',
  'description',
  'system',
  'metadata',
  'tags',
  'timezone',
  'model',
  'context_window_limit',
  'max_tokens',
  'reasoning',
  'parallel_tool_calls',
  'response_format',
  'message_buffer_autoclear',
]

const SECRETS = ['secrets', 'tool_exec_environment_variables']

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents',
    operation: 'list_agents',
    summary: 'List agents',
    query: z.object({
      ...filter,
      include: listOf(z.enum(AGENT_RELATIONS)),
      order_by: sortBy.optional(),
      /** Older spellings of `order_by` and `order`. */
      sort_by: sortBy.optional(),
      ascending: queryBoolean.optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(agentState),
    async handle({ actor, context, query, request }) {
      const { ascending, sort_by, order_by = sort_by } = query
      const agents = await readRelations({ actor, context }, request, query.include, (relations) =>
        context.deps.store.agents.list(
          actor,
          { ...query, order_by, show_hidden: query.show_hidden_agents },
          ascending === undefined ? query : { ...query, order: ascending ? 'asc' : 'desc' },
          relations,
        ),
      )
      return agents.map(toAgentState)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents',
    operation: 'create_agent',
    summary: 'Create an agent',
    body: createAgentBody,
    verbatim: SECRETS,
    answer: agentState,
    async handle({ actor, context, body }) {
      if (body.from_template != null) {
        const { agentFromTemplate } = await import('./agent-from-template.ts')
        return toAgentState(await agentFromTemplate(context, actor, body.from_template, body))
      }
      if (Object.keys(body.memory_variables ?? {}).length > 0)
        throw new AppError(
          'validation',
          "body.memory_variables: they fill the blocks of a template; name it as 'from_template', or write the values into memory_blocks",
        )
      const sequence = body.initial_message_sequence
      const initial_message_sequence = sequence && (await loadImages(sequence, context.download))
      return toAgentState(await createAgent(context.deps, actor, { ...body, initial_message_sequence }))
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/count',
    operation: 'count_agents',
    summary: 'Count agents',
    query: z.object(filter),
    answer: z.number().int(),
    handle: async ({ actor, context, query }) =>
      context.deps.store.agents.count(actor, { ...query, show_hidden: query.show_hidden_agents }),
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id',
    operation: 'retrieve_agent',
    summary: 'Read an agent',
    scoped: { right: 'read_agent' },
    params,
    query: z.object({ include: listOf(z.enum(AGENT_RELATIONS)) }),
    answer: agentState,
    async handle({ access, actor, context, params, query, request }) {
      const found = await readRelations({ actor, context }, request, query.include, (relations) =>
        context.deps.store.agents.get(actor, params.agent_id, relations),
      )
      if (!found) throw notFound('Agent', params.agent_id)
      return toAgentState(shownTo(access, found))
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id',
    operation: 'modify_agent',
    summary: 'Change an agent',
    scoped: { right: 'write_agent', fields: OPEN_FIELDS },
    params,
    body: updateAgentBody,
    verbatim: SECRETS,
    answer: agentState,
    async handle({ access, actor, context, params, body }) {
      const changed = await updateAgent(context.deps, actor, params.agent_id, body)
      if (!changed) throw notFound('Agent', params.agent_id)
      return toAgentState(shownTo(access, changed))
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/agents/:agent_id',
    operation: 'delete_agent',
    summary: 'Delete an agent and its messages',
    params,
    answer: z.object({ message: z.string() }),
    async handle({ actor, context, params }) {
      if (!(await context.deps.store.agents.delete(actor, params.agent_id)))
        throw notFound('Agent', params.agent_id)
      context.runs.agentDeleted(params.agent_id)
      return { message: `Agent ${params.agent_id} was deleted` }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/groups',
    operation: 'list_groups_for_agent',
    summary: 'List the groups that an agent leads or belongs to',
    params,
    query: z.object({
      manager_type: managerType.optional(),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(group),
    async handle({ actor, context, params, query }) {
      const { agent_id } = params
      if (!(await context.deps.store.agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      const { manager_type } = query
      return context.deps.store.groups.list(actor, { agent_id, manager_type, show_hidden: true }, query)
    },
  }),
  ...(['attach', 'detach'] as const).map((change) =>
    route({
      method: 'PATCH',
      path: `/v1/agents/:agent_id/identities/${change}/:identity_id`,
      operation: `${change}_identity_${change === 'attach' ? 'to' : 'from'}_agent`,
      summary: change === 'attach' ? 'Give an agent to an identity' : 'Take an agent from an identity',
      params: params.extend({ identity_id: idSchema('identity') }),
      answer: z.null(),
      async handle({ actor, context, params: { agent_id, identity_id } }) {
        await context.deps.store.identities[change](actor, identity_id, { agent_id })
        return null
      },
    }),
  ),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/generate',
    operation: 'generate_completion',
    summary: "Ask an agent's model once, without the agent: nothing of it is sent, nothing is stored",
    params,
    body: generateRequest,
    answer: generateResponse,
    handle: ({ actor, context, params, body, request }) =>
      context.answers.answer(
        { actor, context, request, agent_id: params.agent_id, what: ['generate', body] },
        (verdict) => {
          verdict(true)
          return generate(context.deps, actor, params.agent_id, body, { signal: request.signal })
        },
      ),
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/reset-messages',
    operation: 'reset_messages',
    summary: "Delete an agent's messages and begin with a fresh system message",
    params,
    body: z.object({ add_default_initial_messages: z.boolean().default(false) }),
    optional_body: true,
    answer: agentState.nullable(),
    async handle({ actor, context, params, body, request }) {
      const { agent_id } = params
      const reset = resetMessages(
        context.deps,
        actor,
        { agent_id, conversation_id: agent_id },
        { first_messages: body?.add_default_initial_messages ?? false },
      )
      await reset.catch(asAgentNotFound(agent_id))
      if (isModernClient(request.headers)) return null
      const found = await context.deps.store.agents.get(actor, agent_id, AGENT_RELATIONS)
      return found && toAgentState(found)
    },
  }),
  ...(['recompile', 'system-prompt/recompile'] as const).map((spelling) =>
    route({
      method: 'POST',
      path: `/v1/agents/:agent_id/${spelling}`,
      operation: spelling === 'recompile' ? 'recompile_agent' : 'recompile_agent_system_prompt',
      summary: "Compile an agent's system message again and answer its text",
      params,
      query: z.object({
        update_timestamp: queryBoolean.default(false),
        dry_run: queryBoolean.default(false),
      }),
      answer: z.string(),
      async handle({ actor, context, params, query }) {
        const { agent_id } = params
        const target = { agent_id, conversation_id: agent_id }
        return recompilePrompt(context.deps, actor, target, query).catch(asAgentNotFound(agent_id))
      },
    }),
  ),
  ...messageRoutes,
  ...compactionRoutes,
  ...scheduleRoutes,
  ...blockRoutes,
  ...exportRoutes,
  ...archivalRoutes,
  ...messageSearchRoutes,
  ...archiveRoutes,
  ...toolRoutes,
  ...folderRoutes,
]
