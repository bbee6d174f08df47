import * as z from 'zod'
import { groupPatch, newGroup } from '../../core/groups.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { resetMessages } from '../../core/recompile.ts'
import { AppError } from '../../schema/errors.ts'
import { createGroup, group, type Group, managerType, updateGroup } from '../../schema/group.ts'
import { lettaResponseWithAgent } from '../../schema/agent.ts'
import { idSchema } from '../../schema/ids.ts'
import { lettaMessage, messageRequest, messageType } from '../../schema/message.ts'
import { listOf, pageQuery, queryBoolean } from '../../schema/page.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { listShown } from '../letta-messages.ts'
import { route } from '../route.ts'
import { answerTurn, streamTurn, type TurnRequest } from '../turn-response.ts'

const params = z.object({ group_id: idSchema('group') })
const withBlock = params.extend({ block_id: idSchema('block') })
const sorted = { order_by: z.literal('created_at').optional() }

async function groupOf(context: ServerContext, actor: Actor, group_id: string): Promise<Group> {
  const found = await context.deps.store.groups.get(actor, group_id)
  if (!found) throw notFound('Group', group_id)
  return found
}

/** Everybody in a group, its manager first. */
function agentsOf({ manager_agent_id, agent_ids }: Group): string[] {
  return [...new Set([...(manager_agent_id === null ? [] : [manager_agent_id]), ...agent_ids])]
}

/** A message for a sleep-time group is one for the agent that leads it; the other kinds have nobody who would speak. */
async function turnOf<B>(input: {
  actor: Actor
  context: ServerContext
  params: z.output<typeof params>
  body: B
  request: Request
}): Promise<TurnRequest<B>> {
  const { id, manager_type, manager_agent_id } = await groupOf(
    input.context,
    input.actor,
    input.params.group_id,
  )
  if (manager_type !== 'sleeptime' || manager_agent_id === null)
    throw new AppError(
      'invalid_argument',
      `group ${id} is of the kind ${manager_type}, which is kept but not run; send the message to one of its agents, ` +
        'and give agents that shall work together the tools of include_multi_agent_tools',
    )
  return { ...input, agent_id: manager_agent_id, conversation_id: manager_agent_id }
}

/** Groups are deprecated in V1: agents that work together send each other messages. */
export const routes = [
  route({
    method: 'GET',
    path: '/v1/groups',
    operation: 'list_groups',
    summary: 'List groups of agents',
    query: z.object({
      manager_type: managerType.optional(),
      project_id: z.string().optional(),
      show_hidden_groups: queryBoolean.optional(),
      ...sorted,
      ...pageQuery({ limit: 50, order: 'asc' }),
    }),
    answer: z.array(group),
    handle: async ({ actor, context, query }) =>
      context.deps.store.groups.list(actor, { ...query, show_hidden: query.show_hidden_groups }, query),
  }),
  route({
    method: 'POST',
    path: '/v1/groups',
    operation: 'create_group',
    summary: 'Create a group of agents; of the kinds of V1 only sleep-time groups do something by themselves',
    body: createGroup,
    answer: group,
    handle: async ({ actor, context, body }) =>
      context.deps.store.groups.create(actor, newGroup(body, context.deps.clock.now())),
  }),
  route({
    method: 'GET',
    path: '/v1/groups/count',
    operation: 'count_groups',
    summary: 'Count groups of agents',
    answer: z.number().int(),
    handle: async ({ actor, context }) => context.deps.store.groups.count(actor),
  }),
  route({
    method: 'GET',
    path: '/v1/groups/:group_id',
    operation: 'retrieve_group',
    summary: 'Read a group of agents',
    params,
    answer: group,
    handle: async ({ actor, context, params }) => groupOf(context, actor, params.group_id),
  }),
  route({
    method: 'PATCH',
    path: '/v1/groups/:group_id',
    operation: 'modify_group',
    summary: 'Change a group of agents; its kind stays',
    params,
    body: updateGroup,
    answer: group,
    async handle({ actor, context, params, body }) {
      const found = await groupOf(context, actor, params.group_id)
      const changed = await context.deps.store.groups.update(actor, found.id, groupPatch(found, body))
      if (!changed) throw notFound('Group', found.id)
      return changed
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/groups/:group_id',
    operation: 'delete_group',
    summary: 'Delete a group; its agents stay',
    params,
    answer: z.object({ message: z.string() }),
    async handle({ actor, context, params }) {
      const { group_id } = params
      if (!(await context.deps.store.groups.delete(actor, group_id))) throw notFound('Group', group_id)
      return { message: `Group ${group_id} was deleted` }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/groups/:group_id/messages',
    operation: 'list_group_messages',
    summary:
      'List the messages of all agents of a group; `after` is newer and `before` older, whatever the order',
    params,
    query: z.object({
      ...sorted,
      ...pageQuery({ limit: 10, order: 'desc' }),
      include_return_message_types: listOf(messageType),
      use_assistant_message: queryBoolean.default(true),
      assistant_message_tool_name: z.string().default('send_message'),
      assistant_message_tool_kwarg: z.string().default('message'),
    }),
    answer: z.array(lettaMessage),
    async handle({ actor, context, params, query }) {
      const agent_ids = agentsOf(await groupOf(context, actor, params.group_id))
      if (agent_ids.length === 0) return []
      return listShown(
        (page, roles) => context.deps.store.messages.list(actor, { agent_ids, roles }, page),
        query,
        { types: query.include_return_message_types, speaking: query },
      )
    },
  }),
  route({
    method: 'POST',
    path: '/v1/groups/:group_id/messages',
    operation: 'send_group_message',
    summary: 'Send a message to the agent that leads a sleep-time group',
    params,
    body: messageRequest,
    answer: lettaResponseWithAgent,
    streams: true,
    async handle(input) {
      const turn = await turnOf(input)
      return input.body.streaming === true ? streamTurn(turn) : answerTurn(turn)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/groups/:group_id/messages/stream',
    operation: 'send_group_message_streaming',
    summary: 'The same, and stream the answer',
    params,
    body: messageRequest,
    answer: 'event-stream',
    handle: async (input) => streamTurn(await turnOf(input)),
  }),
  route({
    method: 'PATCH',
    path: '/v1/groups/:group_id/messages/:message_id',
    operation: 'modify_group_message',
    summary: 'Always 405: messages are never changed',
    params: params.extend({ message_id: z.string() }),
    answer: 'unknown',
    also: [405],
    async handle() {
      throw new AppError('not_allowed', 'messages cannot be changed once they are stored', {
        data: { allow: [] },
      })
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/groups/:group_id/reset-messages',
    operation: 'reset_group_messages',
    summary: "Delete the messages of a group's agents, but for the one that leads it, and begin anew",
    params,
    answer: z.null(),
    async handle({ actor, context, params }) {
      const { agent_ids } = await groupOf(context, actor, params.group_id)
      for (const agent_id of agent_ids)
        await resetMessages(
          context.deps,
          actor,
          { agent_id, conversation_id: agent_id },
          { first_messages: false },
        )
      return null
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/groups/:group_id/blocks/attach/:block_id',
    operation: 'attach_block_to_group',
    summary: 'Attach a block to a group and all of its agents',
    params: withBlock,
    answer: z.null(),
    async handle({ actor, context, params }) {
      await groupOf(context, actor, params.group_id)
      await context.deps.store.groups.attachBlock(actor, params.group_id, params.block_id)
      return null
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/groups/:group_id/blocks/detach/:block_id',
    operation: 'detach_block_from_group',
    summary: 'Detach a block from a group and all of its agents',
    params: withBlock,
    answer: z.null(),
    async handle({ actor, context, params }) {
      await groupOf(context, actor, params.group_id)
      await context.deps.store.groups.detachBlock(actor, params.group_id, params.block_id)
      return null
    },
  }),
]
