import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import type { ServerContext } from '../context.ts'
import { route } from '../route.ts'
import { encodeEvent, eventStream } from '../sse.ts'

const KEEP_ALIVE_MS = 15_000

export const routes = [
  route({
    method: 'GET',
    path: '/v1/events',
    operation: 'stream_events',
    summary: 'Changes of agents, blocks, tools and runs as they happen, by any process on this store',
    query: z.object({ after: z.coerce.number().int().min(0).optional() }),
    answer: 'event-stream',
    async handle({ actor, context, query, request }) {
      const header = Number(request.headers.get('last-event-id') ?? Number.NaN)
      const resume = Number.isInteger(header) && header >= 0 ? header : undefined
      const after = query.after ?? resume ?? (await context.deps.store.events.lastId())
      const abort = new AbortController()
      const signal = AbortSignal.any([abort.signal, context.closing])
      return eventStream(encodeFeed(context, actor, after, signal), {
        abort,
        keepAliveMs: KEEP_ALIVE_MS,
        keepAlive: () => ': keep-alive\n\n',
        onError: (error) => {
          context.onFailure('GET /v1/events', error)
          return ''
        },
      })
    },
  }),
]

async function* encodeFeed(
  context: ServerContext,
  actor: Actor,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield encodeEvent({ event: 'ready', id: String(after), data: JSON.stringify({ id: after }) })
  for await (const event of context.deps.store.events.watch(actor, after, { signal }))
    yield encodeEvent({ id: String(event.id), data: JSON.stringify(event) })
}
