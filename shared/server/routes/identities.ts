import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { AGENT_RELATIONS, agentState } from '../../schema/agent.ts'
import { block } from '../../schema/block.ts'
import {
  createIdentity,
  identity,
  identityProperties,
  identityQuery,
  updateIdentity,
} from '../../schema/identity.ts'
import { idSchema } from '../../schema/ids.ts'
import { listOf, pageQuery } from '../../schema/page.ts'
import { readRelations, toAgentState } from '../agent-state.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ identity_id: idSchema('identity') })

const page = {
  order_by: z.literal('created_at').optional(),
  ...pageQuery({ limit: 50, order: 'desc' }),
}

async function existing(context: ServerContext, actor: Actor, identity_id: string) {
  const found = await context.deps.store.identities.get(actor, identity_id)
  if (!found) throw notFound('Identity', identity_id)
  return found
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/identities',
    operation: 'list_identities',
    summary: 'List identities',
    query: z.object({ ...identityQuery, ...page }),
    answer: z.array(identity),
    handle: async ({ actor, context, query }) => context.deps.store.identities.list(actor, query, query),
  }),
  route({
    method: 'POST',
    path: '/v1/identities',
    operation: 'create_identity',
    summary: 'Create an identity',
    body: createIdentity,
    answer: identity,
    handle: async ({ actor, context, body }) => context.deps.store.identities.create(actor, body),
  }),
  route({
    method: 'PUT',
    path: '/v1/identities',
    operation: 'upsert_identity',
    summary: 'Create an identity, or change the one that has this key',
    body: createIdentity,
    answer: identity,
    handle: async ({ actor, context, body }) => context.deps.store.identities.upsert(actor, body),
  }),
  route({
    method: 'GET',
    path: '/v1/identities/count',
    operation: 'count_identities',
    summary: 'Count identities',
    answer: z.number().int(),
    handle: async ({ actor, context }) => context.deps.store.identities.count(actor),
  }),
  route({
    method: 'GET',
    path: '/v1/identities/:identity_id',
    operation: 'retrieve_identity',
    summary: 'Read an identity',
    params,
    answer: identity,
    handle: async ({ actor, context, params }) => existing(context, actor, params.identity_id),
  }),
  route({
    method: 'PATCH',
    path: '/v1/identities/:identity_id',
    operation: 'update_identity',
    summary: 'Change an identity; agents, blocks and properties are added to those it has',
    params,
    body: updateIdentity,
    answer: identity,
    async handle({ actor, context, params, body }) {
      const changed = await context.deps.store.identities.update(actor, params.identity_id, body)
      if (!changed) throw notFound('Identity', params.identity_id)
      return changed
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/identities/:identity_id',
    operation: 'delete_identity',
    summary: 'Delete an identity; its agents and blocks stay',
    params,
    answer: z.null(),
    async handle({ actor, context, params }) {
      if (!(await context.deps.store.identities.delete(actor, params.identity_id)))
        throw notFound('Identity', params.identity_id)
      return null
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/identities/:identity_id/properties',
    operation: 'upsert_properties_for_identity',
    summary: 'Set the properties of an identity by their keys; others stay',
    params,
    body: identityProperties,
    answer: identity,
    async handle({ actor, context, params, body }) {
      const { identity_id } = params
      const changed = await context.deps.store.identities.update(actor, identity_id, { properties: body })
      if (!changed) throw notFound('Identity', identity_id)
      return changed
    },
  }),
  route({
    method: 'GET',
    path: '/v1/identities/:identity_id/agents',
    operation: 'list_agents_for_identity',
    summary: 'List the agents of an identity',
    params,
    query: z.object({ include: listOf(z.enum(AGENT_RELATIONS)), ...page }),
    answer: z.array(agentState),
    async handle({ actor, context, params, query, request }) {
      const { id: identity_id } = await existing(context, actor, params.identity_id)
      const filter = { identity_id, show_hidden: true }
      const agents = await readRelations({ actor, context }, request, query.include, (relations) =>
        context.deps.store.agents.list(actor, filter, query, relations),
      )
      return agents.map(toAgentState)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/identities/:identity_id/blocks',
    operation: 'list_blocks_for_identity',
    summary: 'List the memory blocks of an identity',
    params,
    query: z.object(page),
    answer: z.array(block),
    async handle({ actor, context, params, query }) {
      const { id: identity_id } = await existing(context, actor, params.identity_id)
      return context.deps.store.blocks.list(actor, { identity_id, show_hidden: true }, query)
    },
  }),
]
