import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { agentState } from '../../schema/agent.ts'
import { block, updateBlock } from '../../schema/block.ts'
import { blockEdit } from '../../schema/block-edit.ts'
import { idSchema } from '../../schema/ids.ts'
import { pageQuery } from '../../schema/page.ts'
import { readAll, toAgentState } from '../agent-state.ts'
import { blockAnswer, ifVersion } from '../block-version.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })
const labelled = params.extend({ block_label: z.string() })
const linked = params.extend({ block_id: idSchema('block') })

async function agentWith(context: ServerContext, actor: Actor, agent_id: string) {
  const found = await readAll({ actor, context }, (relations) =>
    context.deps.store.agents.get(actor, agent_id, relations),
  )
  if (!found) throw notFound('Agent', agent_id)
  return found
}

async function blockOf(context: ServerContext, actor: Actor, agent_id: string, label: string) {
  const { agents, blocks } = context.deps.store
  const [found] = await blocks.list(actor, { agent_id, label, show_hidden: true }, { limit: 1, order: 'asc' })
  if (found) return found
  if (!(await agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
  throw notFound('Block with label', label)
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/core-memory',
    operation: 'retrieve_agent_memory',
    summary: "Read an agent's core memory",
    scoped: { right: 'read_agent' },
    params,
    answer: agentState.shape.memory,
    handle: async ({ actor, context, params }) =>
      toAgentState(await agentWith(context, actor, params.agent_id)).memory,
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/core-memory/variables',
    operation: 'agents.getAgentVariables',
    summary: 'The variables that an agent of a template was made with',
    params,
    answer: z.object({ variables: z.record(z.string(), z.string()) }),
    async handle({ actor, context, params: { agent_id } }) {
      const { agents, templates } = context.deps.store
      if (!(await agents.get(actor, agent_id, []))) throw notFound('Agent', agent_id)
      return { variables: (await templates.deploymentOf(actor, agent_id))?.memory_variables ?? {} }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/core-memory/blocks',
    operation: 'list_core_memory_blocks',
    summary: "List an agent's memory blocks",
    scoped: { right: 'read_agent' },
    params,
    query: z.object({
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 100, order: 'desc' }),
    }),
    answer: z.array(block),
    async handle({ actor, context, params, query }) {
      if (!(await context.deps.store.agents.get(actor, params.agent_id, [])))
        throw notFound('Agent', params.agent_id)
      return context.deps.store.blocks.list(actor, { agent_id: params.agent_id, show_hidden: true }, query)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/core-memory/blocks/:block_label',
    operation: 'retrieve_core_memory_block',
    summary: "Read an agent's memory block by its label",
    scoped: { right: 'read_agent' },
    params: labelled,
    answer: block,
    handle: async ({ actor, context, params }) =>
      blockAnswer(await blockOf(context, actor, params.agent_id, params.block_label)),
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/core-memory/blocks/:block_label',
    operation: 'modify_core_memory_block',
    summary: "Change an agent's memory block by its label",
    scoped: { right: 'write_agent', fields: ['value', 'description', 'limit', 'metadata'] },
    params: labelled,
    body: updateBlock,
    answer: block,
    async handle({ actor, context, params, body, request }) {
      const found = await blockOf(context, actor, params.agent_id, params.block_label)
      const changed = await context.deps.store.blocks.update(actor, found.id, body, ifVersion(request))
      if (!changed) throw notFound('Block', found.id)
      return blockAnswer(changed)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/core-memory/blocks/:block_label/edit',
    operation: 'edit_core_memory_block',
    summary:
      "Append to an agent's memory block, replace a part of it or set it, whatever others write meanwhile",
    scoped: { right: 'write_agent', fields: ['mode', 'text', 'old_text'] },
    params: labelled,
    body: blockEdit,
    answer: block,
    async handle({ actor, context, params, body }) {
      const { id } = await blockOf(context, actor, params.agent_id, params.block_label)
      const edited = await context.deps.store.blocks.edit(actor, id, body)
      if (!edited) throw notFound('Block', id)
      return blockAnswer(edited)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/core-memory/blocks/attach/:block_id',
    operation: 'attach_core_memory_block',
    summary: 'Attach a memory block to an agent',
    params: linked,
    answer: agentState,
    async handle({ actor, context, params }) {
      await context.deps.store.agents.attachBlock(actor, params.agent_id, params.block_id)
      return toAgentState(await agentWith(context, actor, params.agent_id))
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/core-memory/blocks/detach/:block_id',
    operation: 'detach_core_memory_block',
    summary: 'Detach a memory block from an agent',
    params: linked,
    answer: agentState,
    async handle({ actor, context, params }) {
      await context.deps.store.agents.detachBlock(actor, params.agent_id, params.block_id)
      return toAgentState(await agentWith(context, actor, params.agent_id))
    },
  }),
]
