import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
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
      const { events } = context.deps.store
      const asked = query.after ?? lastEventId(request)
      // A restored backup knows fewer events than its clients, and old events are dropped.
      const reset = asked !== undefined && asked !== 0 && !(await events.reaches(asked))
      const after = asked === undefined || reset ? await events.lastId() : asked
      const abort = new AbortController()
      const signal = AbortSignal.any([abort.signal, context.closing])
      return eventStream(encodeFeed(context, actor, { after, reset }, signal), {
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

/** The cursor that a browser sends by itself when it connects again; throws `validation` for what is none. */
function lastEventId(request: Request): number | undefined {
  const header = request.headers.get('last-event-id')?.trim() ?? ''
  if (header === '') return undefined
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw new AppError(
    'validation',
    `header.Last-Event-ID: expected the number of an event, received '${header}'`,
  )
}

async function* encodeFeed(
  context: ServerContext,
  actor: Actor,
  { after, reset }: { after: number; reset: boolean },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const ready = { id: after, ...(reset ? { reset } : {}) }
  yield encodeEvent({ event: 'ready', id: String(after), data: JSON.stringify(ready) })
  for await (const event of context.deps.store.events.watch(actor, after, { signal }))
    yield encodeEvent({ id: String(event.id), data: JSON.stringify(event) })
}
