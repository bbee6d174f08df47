import type { RetentionStore } from '../../core/ports/retention-store.ts'
import type { RetentionKind } from '../../schema/retention.ts'
import type { Database, Transaction } from './database.ts'
import { MessageRetention } from './message-retention.ts'
import type { Connection } from './query.ts'
import { sqlite } from './query.ts'
import { deleteChunks } from './run-chunks.ts'
import { inSlices } from './slices.ts'
import { forgetTraces } from './traces.ts'

const ROWS = { first: 20, most: 500 }
const ENDED = ['completed', 'failed', 'cancelled']
const HOUR_MS = 3_600_000

/** Of one kind and one organisation. */
interface Rule {
  table: 'runs' | 'batches' | 'usage_hours'
  count(c: Connection, org: string, before: Date): number
  /** Deletes some, so many rows at the most. Null: there are none. */
  delete(tx: Transaction, org: string, before: Date, rows: number): number | null
}

const RULES: Record<Exclude<RetentionKind, 'messages' | 'events'>, Rule> = {
  runs: {
    table: 'runs',
    count: (c, org, before) => c.get(oldRuns(org, before).select(COUNT))?.n ?? 0,
    delete(tx, org, before, rows) {
      const run = tx.get(oldRuns(org, before).select('id').orderBy('created_at').orderBy('id').limit(1))
      if (!run) return null
      if (deleteChunks(tx, [run.id], rows) === rows) return 0
      forgetTraces(tx, run.id)
      tx.run(sqlite.deleteFrom('steps').where('organization_id', '=', org).where('run_id', '=', run.id))
      tx.run(sqlite.deleteFrom('run_otids').where('run_id', '=', run.id))
      return tx.run(sqlite.deleteFrom('runs').where('id', '=', run.id))
    },
  },
  batches: {
    table: 'batches',
    count: (c, org, before) => c.get(oldBatches(org, before).select(COUNT))?.n ?? 0,
    delete(tx, org, before, rows) {
      const batch = tx.get(oldBatches(org, before).select('id').orderBy('created_at').orderBy('id').limit(1))
      if (!batch) return null
      const items = sqlite.selectFrom('batch_items').select('seq').where('batch_id', '=', batch.id)
      const gone = tx.run(sqlite.deleteFrom('batch_items').where('seq', 'in', items.limit(rows)))
      if (gone === rows) return 0
      return tx.run(sqlite.deleteFrom('batches').where('id', '=', batch.id))
    },
  },
  usage: {
    table: 'usage_hours',
    count: (c, org, before) => c.get(oldUsage(org, before).select(COUNT))?.n ?? 0,
    delete(tx, org, before, rows) {
      const last = tx.all(oldUsage(org, before).select('hour').orderBy('hour').limit(rows)).at(-1)
      if (!last) return null
      // Hours go whole.
      return tx.run(
        sqlite.deleteFrom('usage_hours').where('organization_id', '=', org).where('hour', '<=', last.hour),
      )
    },
  },
}

/** Deletes what is older than a time. */
export class SqliteRetention implements RetentionStore {
  readonly #database: Database
  readonly #messages: MessageRetention

  constructor(database: Database) {
    this.#database = database
    this.#messages = new MessageRetention(database)
  }

  countOlder(kind: RetentionKind, before: Date): Promise<number> {
    if (kind === 'messages') return this.#messages.count(before)
    return this.#database.read((c) => {
      if (kind === 'events') return c.get(oldEvents(before).select(COUNT))?.n ?? 0
      const rule = RULES[kind]
      return organizationsOf(c, rule.table).reduce((sum, org) => sum + rule.count(c, org, before), 0)
    })
  }

  async deleteOlder(kind: RetentionKind, before: Date, { signal }: { signal: AbortSignal }): Promise<number> {
    if (kind === 'messages') return this.#messages.delete(before, signal)
    // Looked at first without the lock: mostly there is nothing to do.
    if ((await this.countOlder(kind, before)) === 0) return 0
    let deleted = 0
    await inSlices(this.#database, ROWS, (tx, rows) => {
      if (signal.aborted || this.#database.closed) return false
      const gone = kind === 'events' ? deleteEvents(tx, before, rows) : deleteSome(tx, kind, before, rows)
      deleted += gone ?? 0
      return gone !== null
    })
    return deleted
  }
}

/** Of the first organisation that has some; null when none has. */
function deleteSome(tx: Transaction, kind: keyof typeof RULES, before: Date, rows: number): number | null {
  const rule = RULES[kind]
  for (const org of organizationsOf(tx, rule.table)) {
    const gone = rule.delete(tx, org, before, rows)
    if (gone !== null) return gone
  }
  return null
}

function deleteEvents(tx: Transaction, before: Date, rows: number): number | null {
  const ids = tx.all(oldEvents(before).select('id').orderBy('id').limit(rows)).map((row) => row.id)
  return ids.length === 0 ? null : tx.run(sqlite.deleteFrom('events').where('id', 'in', ids))
}

/** Whose rows are in a table: a step in its index for each. */
function organizationsOf(c: Connection, table: Rule['table']): string[] {
  const found: string[] = []
  for (;;) {
    const next = c.get(
      sqlite
        .selectFrom(table)
        .select('organization_id')
        .where('organization_id', '>', found.at(-1) ?? '')
        .orderBy('organization_id')
        .limit(1),
    )
    if (!next) return found
    found.push(next.organization_id)
  }
}

const COUNT = sqlite.fn.countAll<number>().as('n')

function oldRuns(org: string, before: Date) {
  return sqlite
    .selectFrom('runs')
    .where('organization_id', '=', org)
    .where('created_at', '<', before.toISOString())
    .where('completed_at', '<', before.toISOString())
    .where('status', 'in', ENDED)
}

function oldBatches(org: string, before: Date) {
  return sqlite
    .selectFrom('batches')
    .where('organization_id', '=', org)
    .where('created_at', '<', before.toISOString())
    .where('completed_at', '<', before.toISOString())
}

/** The newest event stays: cursors are held against it. */
function oldEvents(before: Date) {
  const newest = sqlite.selectFrom('events').select((e) => e.fn.max('id').as('id'))
  return sqlite.selectFrom('events').where('date', '<', before.toISOString()).where('id', '<', newest)
}

function oldUsage(org: string, before: Date) {
  return sqlite
    .selectFrom('usage_hours')
    .where('organization_id', '=', org)
    .where('hour', '<', Math.floor(before.getTime() / HOUR_MS))
}
