import { isGuest } from '../../core/ports/actor.ts'
import { AppError } from '../../schema/errors.ts'
import { route } from '../route.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/metrics',
    summary: 'What this process does, in the text format of Prometheus (server.metrics in config.json)',
    demands: 'admin',
    answer: 'unknown',
    async handle({ actor, context }) {
      // They are of everybody who uses this process.
      if (isGuest(actor))
        throw new AppError(
          'forbidden',
          'metrics are shown to the owner of this server and their admins alone',
        )
      if (!context.metrics)
        throw new AppError(
          'not_found',
          'this server has no metrics; switch them on with: loci config set server.metrics true',
        )
      const { text, content_type } = await context.metrics.text()
      return new Response(text, { headers: { 'content-type': content_type, 'cache-control': 'no-store' } })
    },
  }),
]
