import { health } from '../../schema/event.ts'
import { VERSION } from '../../schema/version.ts'
import { route } from '../route.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/v1/health',
    operation: 'check_health',
    summary: 'Whether the server answers, and its version',
    answer: health,
    handle: async () => ({ version: VERSION, status: 'ok' }),
  }),
  route({
    method: 'GET',
    path: '/v1/ready',
    operation: 'check_readiness',
    summary: 'Whether the store answers too; 503 when it does not',
    answer: health,
    async handle({ context }) {
      await context.deps.store.ready()
      return { version: VERSION, status: 'ok' }
    },
  }),
]
