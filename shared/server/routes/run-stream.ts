import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { conversationRef } from '../../schema/conversation.ts'
import { AppError } from '../../schema/errors.ts'
import { idSchema } from '../../schema/ids.ts'
import { type RetrieveStream, retrieveStream } from '../../schema/run-stream.ts'
import type { ServerContext } from '../context.ts'
import { conversationOf } from '../conversation-of.ts'
import { notFound } from '../errors.ts'
import { route } from '../route.ts'
import { BATCH_SIZE, streamRecorded } from '../run-stream.ts'

/** How often a run is looked for by its otid, and how long apart, in milliseconds: its request may be on its way. */
const OTID_TRIES = 3
const OTID_PAUSE_MS = 100

const STREAM_FIELDS = Object.keys(retrieveStream.shape)

export const runStreamRoutes = [
  route({
    method: 'POST',
    path: '/v1/runs/:run_id/stream',
    operation: 'retrieve_stream_for_run',
    summary: 'Resume the stream of a background run from any chunk on, and follow it to its end',
    scoped: { right: 'read_messages', of: 'run', fields: STREAM_FIELDS },
    params: z.object({ run_id: z.string() }),
    body: retrieveStream,
    optional_body: true,
    answer: 'event-stream',
    handle: async ({ actor, context, params, body }) =>
      streamRecorded(context, actor, params.run_id, optionsOf(body)),
  }),
]

export const conversationStreamRoutes = [
  route({
    method: 'POST',
    path: '/v1/conversations/:conversation_id/stream',
    operation: 'retrieve_conversation_stream',
    summary:
      'Resume the stream of a background run of a conversation: the run named, or the newest active one',
    scoped: { right: 'read_messages', of: 'conversation', fields: STREAM_FIELDS },
    params: z.object({ conversation_id: conversationRef }),
    query: z.object({ agent_id: idSchema('agent').optional() }),
    body: retrieveStream,
    optional_body: true,
    answer: 'event-stream',
    async handle({ actor, context, params, query, body }) {
      const agent_id = body.agent_id ?? query.agent_id
      const { target } = await conversationOf(context, actor, params.conversation_id, agent_id)
      const run_id = await runOf(context, actor, target, body)
      return streamRecorded(context, actor, run_id, optionsOf(body))
    },
  }),
]

function optionsOf(body: RetrieveStream) {
  const { starting_after, include_pings, batch_size } = body
  return { starting_after, include_pings: include_pings ?? true, batch_size: batch_size ?? BATCH_SIZE }
}

/** The run of this conversation that is meant. */
async function runOf(
  { deps }: ServerContext,
  actor: Actor,
  target: { agent_id: string; conversation_id: string },
  { run_id, otid }: RetrieveStream,
): Promise<string> {
  const { streams, turns } = deps.store
  if (run_id != null) {
    const run = await turns.getRun(actor, run_id)
    if ((run?.conversation_id ?? run?.agent_id) !== target.conversation_id) throw notFound('Run', run_id)
    return run_id
  }
  if (otid != null) {
    for (let tries = 1; ; tries++) {
      const found = await streams.findRun(actor, target.conversation_id, otid)
      if (found !== null) return found
      if (tries === OTID_TRIES)
        throw new AppError(
          'not_found',
          `no run of this conversation has had a message with the otid '${otid}'`,
        )
      await new Promise((resolve) => setTimeout(resolve, OTID_PAUSE_MS))
    }
  }
  const [active] = await turns.listRuns(
    actor,
    { ...target, statuses: ['created', 'running'] },
    { limit: 1, order: 'desc' },
  )
  if (active) return active.id
  throw new AppError(
    'invalid_argument',
    'no run is active in this conversation; name an ended one with run_id to read its stream again',
  )
}
