import * as z from 'zod'
import { chooseEmbedding } from '../../core/search/embedding-choice.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { EmbeddingStatus } from '../../core/ports/vector-store.ts'
import { AGENT_RELATIONS, agentState } from '../../schema/agent.ts'
import { archive, type Archive, createArchive, updateArchive } from '../../schema/archive.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import { listOf, pageQuery } from '../../schema/page.ts'
import { createPassage, createPassages, passage, type CreatePassage } from '../../schema/passage.ts'
import { toAgentState } from '../agent-state.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'

const params = z.object({ archive_id: idSchema('archive') })
const agentParams = z.object({ agent_id: idSchema('agent'), archive_id: idSchema('archive') })

function newPassage(context: ServerContext, body: CreatePassage) {
  return {
    id: newId('passage'),
    text: body.text,
    tags: body.tags ?? [],
    metadata: body.metadata ?? {},
    created_at: body.created_at ?? context.deps.clock.now().toISOString(),
  }
}

/** How far an archive's passages are embedded. */
function stateOf({ model, waiting, problem }: EmbeddingStatus) {
  return { model, status: problem !== null ? 'error' : waiting ? 'waiting' : 'completed', error: problem }
}

/** An archive with how far its passages are embedded, or why they are not. */
async function withState({ deps }: ServerContext, actor: Actor, found: Archive): Promise<Archive> {
  const status = await deps.store.vectors.status(actor, found.id)
  if (!status) return found
  const isThere = await deps.embeddings?.resolve(actor, status.model).catch(() => null)
  const problem =
    status.problem ??
    (isThere ? null : `${status.model} is no embedding model that can be reached: search is by words`)
  return { ...found, metadata: { ...found.metadata, embedding: stateOf({ ...status, problem }) } }
}

const empty = () => new Response(null, { status: 204 })

export const routes = [
  route({
    method: 'POST',
    path: '/v1/archives',
    operation: 'create_archive',
    summary: 'Create an archive',
    body: createArchive,
    answer: archive,
    async handle({ actor, context, body }) {
      const made = await context.deps.store.archives.create(actor, {
        id: newId('archive'),
        name: body.name,
        description: body.description ?? null,
        metadata: null,
        embedding: await chooseEmbedding(context.deps, actor, body),
        created_at: context.deps.clock.now().toISOString(),
      })
      return withState(context, actor, made)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/archives',
    operation: 'list_archives',
    summary: 'List archives',
    query: z.object({
      name: z.string().optional(),
      agent_id: idSchema('agent').optional(),
      order_by: z.literal('created_at').optional(),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(archive),
    handle: ({ actor, context, query }) => context.deps.store.archives.list(actor, query, query),
  }),
  route({
    method: 'GET',
    path: '/v1/archives/:archive_id',
    operation: 'retrieve_archive',
    summary: 'Read an archive',
    params,
    answer: archive,
    async handle({ actor, context, params }) {
      const found = await context.deps.store.archives.get(actor, params.archive_id)
      if (!found) throw notFound('Archive', params.archive_id)
      return withState(context, actor, found)
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/archives/:archive_id',
    operation: 'modify_archive',
    summary: 'Change an archive',
    params,
    body: updateArchive,
    answer: archive,
    async handle({ actor, context, params, body }) {
      const { name, description, embedding } = body
      const found = await context.deps.store.archives.update(actor, params.archive_id, {
        ...(name == null ? {} : { name }),
        ...(description == null ? {} : { description }),
        ...(embedding == null
          ? {}
          : { embedding: await chooseEmbedding(context.deps, actor, { embedding }) }),
      })
      if (!found) throw notFound('Archive', params.archive_id)
      return withState(context, actor, found)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/archives/:archive_id',
    operation: 'delete_archive',
    summary: 'Delete an archive with its passages',
    params,
    answer: 'empty',
    async handle({ actor, context, params }) {
      if (!(await context.deps.store.archives.delete(actor, params.archive_id)))
        throw notFound('Archive', params.archive_id)
      return empty()
    },
  }),
  route({
    method: 'GET',
    path: '/v1/archives/:archive_id/agents',
    operation: 'list_agents_for_archive',
    summary: 'List the agents that an archive is attached to',
    params,
    query: z.object({
      include: listOf(z.enum(AGENT_RELATIONS)),
      ...pageQuery({ limit: 50, order: 'desc' }),
    }),
    answer: z.array(agentState),
    async handle({ actor, context, params, query }) {
      const { agents, archives } = context.deps.store
      if (!(await archives.get(actor, params.archive_id))) throw notFound('Archive', params.archive_id)
      const { include = [], ...page } = query
      const filter = { archive_id: params.archive_id, show_hidden: true }
      return (await agents.list(actor, filter, page, include)).map(toAgentState)
    },
  }),
  route({
    method: 'POST',
    path: '/v1/archives/:archive_id/passages',
    operation: 'create_passage_in_archive',
    summary: 'Add a passage to an archive',
    params,
    body: createPassage,
    answer: passage,
    async handle({ actor, context, params, body }) {
      const { passages } = context.deps.store
      const [created] = await passages.createIn(actor, params.archive_id, [newPassage(context, body)])
      return created
    },
  }),
  route({
    method: 'POST',
    path: '/v1/archives/:archive_id/passages/batch',
    operation: 'create_passages_in_archive',
    summary: 'Add passages to an archive',
    params,
    body: createPassages,
    answer: z.array(passage),
    handle: ({ actor, context, params, body }) =>
      context.deps.store.passages.createIn(
        actor,
        params.archive_id,
        body.passages.map((item) => newPassage(context, item)),
      ),
  }),
  route({
    method: 'DELETE',
    path: '/v1/archives/:archive_id/passages/:passage_id',
    operation: 'delete_passage_from_archive',
    summary: 'Delete a passage of an archive',
    params: params.extend({ passage_id: idSchema('passage') }),
    answer: 'empty',
    async handle({ actor, context, params }) {
      const { passages } = context.deps.store
      if (!(await passages.deleteFrom(actor, params.archive_id, params.passage_id)))
        throw notFound('Passage', params.passage_id)
      return empty()
    },
  }),
]

/** What is served under `/v1/agents/{id}/archives`. */
export const agentRoutes = [
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/archives/attach/:archive_id',
    operation: 'attach_archive_to_agent',
    summary: 'Attach an archive to an agent',
    params: agentParams,
    answer: z.null(),
    async handle({ actor, context, params }) {
      await context.deps.store.archives.attach(actor, params.agent_id, params.archive_id)
      return null
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/agents/:agent_id/archives/detach/:archive_id',
    operation: 'detach_archive_from_agent',
    summary: 'Detach an archive from an agent',
    params: agentParams,
    answer: z.null(),
    async handle({ actor, context, params }) {
      await context.deps.store.archives.detach(actor, params.agent_id, params.archive_id)
      return null
    },
  }),
]
