import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { health } from '../../schema/event.ts'
import { listOf } from '../../schema/page.ts'
import { VERSION } from '../../schema/version.ts'
import type { ServerContext } from '../context.ts'
import { shuttingDown } from '../errors.ts'
import { route } from '../route.ts'

/** With a key, only who has it may include anything: see `gate`. */
const query = z.object({ include: listOf(z.literal('usage')) })

export const routes = [
  route({
    method: 'GET',
    path: '/v1/health',
    operation: 'check_health',
    summary:
      'Whether the server answers, and its version; with `include=usage` how much there is of everything',
    query,
    answer: health,
    handle: async ({ actor, context, query }) => ({
      version: VERSION,
      status: 'ok',
      ...(query.include?.includes('usage') ? { usage: await usageOf(context, actor) } : {}),
    }),
  }),
  route({
    method: 'GET',
    path: '/v1/ready',
    operation: 'check_readiness',
    summary:
      'Whether this server takes requests; 503 with the reason when it shuts down, or the store cannot be written',
    answer: health,
    async handle({ context }) {
      if (context.closing.aborted) throw shuttingDown(' and takes no more requests')
      await context.deps.store.ready()
      return { version: VERSION, status: 'ok' }
    },
  }),
]

async function usageOf({ deps: { store } }: ServerContext, actor: Actor) {
  const [agents, tools, blocks, { total_files, total_size }] = await Promise.all([
    store.agents.count(actor, { show_hidden: true }),
    store.tools.count(actor, {}),
    store.blocks.count(actor, { show_hidden: true }),
    store.folders.stats(actor, { files: false }),
  ])
  return { agents, tools, blocks, files: total_files, file_bytes: total_size }
}
