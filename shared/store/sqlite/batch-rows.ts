import type { Actor } from '../../core/ports/actor.ts'
import type { Batch, BatchCounts, BatchItem, BatchItemError, ProviderBatchState } from '../../schema/batch.ts'
import type { Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, sqlite } from './query.ts'
import type { BatchItemRow, BatchRow } from './tables.ts'

const countsOf = query<{ batch: string }>()((p) =>
  sqlite
    .selectFrom('batch_items')
    .select((eb) => ['status', eb.fn.countAll<number>().as('n')])
    .where('batch_id', '=', p.batch)
    .groupBy('status'),
)
const unfinished = query<{ batch: string }>()((p) =>
  sqlite
    .selectFrom('batch_items')
    .select('id')
    .where('batch_id', '=', p.batch)
    .where('status', 'in', ['pending', 'running'])
    .limit(1),
)

/** A batch of the actor's organisation. */
export function readBatchRow(connection: Connection, actor: Actor, id: string): BatchRow | undefined {
  return connection.get(
    sqlite
      .selectFrom('batches')
      .selectAll()
      .where('id', '=', id)
      .where('organization_id', '=', actor.organization_id),
  )
}

/** The batch of a row, with how many of its requests are in which state. */
export function batchOfRow(connection: Connection, row: BatchRow): Batch {
  const status = row.status as Batch['status']
  const stop_reasons = {
    running: null,
    completed: 'end_turn',
    failed: 'error',
    cancelled: 'cancelled',
  } as const
  return {
    id: row.id,
    job_type: 'batch',
    status,
    stop_reason: stop_reasons[status],
    background: true,
    agent_id: null,
    metadata: {
      requests: readCounts(connection, row.id),
      ...(row.provider_batch === 1 ? { provider_batch: readLocal(connection, row.id) } : {}),
    },
    created_at: row.created_at,
    updated_at: row.updated_at,
    completed_at: row.completed_at,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.created_by_id,
    callback_url: row.callback_url,
    callback_sent_at: row.callback_sent_at,
    callback_status_code: row.callback_status_code,
    callback_error: row.callback_error,
    ttft_ns: null,
    total_duration_ns:
      row.completed_at === null
        ? null
        : Math.max(0, Date.parse(row.completed_at) - Date.parse(row.created_at)) * 1e6,
  }
}

/** The item of a row. */
export function batchItemOfRow(row: Omit<BatchItemRow, 'seq'>): BatchItem {
  return {
    id: row.id,
    batch_id: row.batch_id,
    agent_id: row.agent_id,
    status: row.status as BatchItem['status'],
    run_id: row.run_id,
    error: row.error === null ? null : (JSON.parse(row.error) as BatchItemError),
    created_at: row.created_at,
    completed_at: row.completed_at,
  }
}

/** Ends the batch if each of its requests has; one that was cancelled stays so. */
export function endIfDone(tx: Transaction, batch_id: string): void {
  if (unfinished.get(tx, { batch: batch_id })) return
  const row = tx.get(sqlite.selectFrom('batches').selectAll().where('id', '=', batch_id))
  if (!row || row.completed_at !== null) return
  const { completed, failed } = readCounts(tx, batch_id)
  const outcome = completed > 0 ? 'completed' : failed > 0 ? 'failed' : 'cancelled'
  const now = new Date().toISOString()
  tx.run(
    sqlite
      .updateTable('batches')
      .set({ status: row.status === 'running' ? outcome : row.status, completed_at: now, updated_at: now })
      .where('id', '=', batch_id),
  )
}

/** How many requests of a provider's batch ask their model itself, and why the first one does. */
function readLocal(connection: Connection, batch: string): ProviderBatchState {
  const [first, ...more] = connection.all(
    sqlite
      .selectFrom('batch_items')
      .select('local_reason')
      .where('batch_id', '=', batch)
      .where('local_reason', 'is not', null)
      .orderBy('seq'),
  )
  return { local_requests: first ? more.length + 1 : 0, local_reason: first?.local_reason ?? null }
}

function readCounts(connection: Connection, batch: string): BatchCounts {
  const counts = { total: 0, pending: 0, running: 0, completed: 0, failed: 0, cancelled: 0 }
  for (const { status, n } of countsOf.all(connection, { batch })) {
    counts[status as BatchItem['status']] = n
    counts.total += n
  }
  return counts
}
