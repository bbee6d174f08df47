import { bringMessages } from '../../core/migration/history.ts'
import { bringObjects } from '../../core/migration/kinds.ts'
import {
  askKnown,
  knownObjects,
  migratedMessages,
  migratedObjects,
  migratedProgress,
  migrateMessages,
  migrateObjects,
  migrationProgress,
} from '../../schema/migration.ts'
import { route, type Route } from '../route.ts'

/** What `loci migrate` brings from another server: things with the ids that they had there. */
export const routes: Route[] = [
  route({
    method: 'POST',
    path: '/v1/migration/objects',
    summary: 'Bring things of another V1 server with their ids, each once; tells what became of each',
    demands: 'admin',
    body: migrateObjects,
    answer: migratedObjects,
    handle: async ({ actor, context, body }) => ({
      results: await bringObjects(context.deps, actor, body.objects),
    }),
  }),
  route({
    method: 'POST',
    path: '/v1/migration/messages',
    summary: 'Bring messages of an agent, which is seen once it is brought itself',
    demands: 'admin',
    body: migrateMessages,
    answer: migratedMessages,
    handle: ({ actor, context, body }) => bringMessages(context.deps, actor, body.agent_id, body.messages),
  }),
  route({
    method: 'POST',
    path: '/v1/migration/known',
    summary: 'Which things of another server were brought before',
    demands: 'admin',
    body: askKnown,
    answer: knownObjects,
    async handle({ actor, context, body: { kind, ids } }) {
      const entries = await context.deps.store.migration.brought(actor, kind, ids)
      return { ids: entries.map(({ id }) => id) }
    },
  }),
  route({
    method: 'POST',
    path: '/v1/migration/progress',
    summary: 'How far an agent of another server has come',
    demands: 'admin',
    body: migrationProgress,
    answer: migratedProgress,
    handle: ({ actor, context, body }) => context.deps.store.migration.progress(actor, body.agent_id),
  }),
]
