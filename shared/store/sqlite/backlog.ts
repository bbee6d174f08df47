import { sql } from 'kysely'
import type { Backlog } from '../../core/ports/store.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'

const count = sql<number>`count(*)`.as('n')
// As the partial indexes have them, so that they are what is counted.
const requests = query()(() =>
  sqlite
    .selectFrom('batch_items')
    .select(count)
    .where(sql<boolean>`status = 'pending'`),
)
const files = query()(() =>
  sqlite
    .selectFrom('files')
    .select(count)
    .where(sql<boolean>`status in ('pending', 'parsing') and deleted = 0`),
)
const embeddings = query()(() =>
  sqlite
    .selectFrom('embeddings')
    .select(count)
    .where(sql<boolean>`waiting = 1`),
)

/** What waits, counted in indexes that hold nothing else. */
export function readBacklog(connection: Connection): Backlog {
  const [batch_requests, waiting, texts] = [requests, files, embeddings].map(
    (query) => query.get(connection, {})?.n ?? 0,
  )
  return { batch_requests: batch_requests ?? 0, files: waiting ?? 0, embeddings: texts ?? 0 }
}
