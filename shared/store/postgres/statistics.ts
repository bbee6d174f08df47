import { sql } from 'kysely'
import type { Transaction } from '../sql/database.ts'

/** Fewer new rows change no plan, and autovacuum passes them over, too (`autovacuum_analyze_scale_factor`). */
const NOTICEABLE = { rows: 1000, share: 0.1 }

/**
 * Lets PostgreSQL know of `count` messages of a conversation that came at once. Autovacuum does that within a minute or so;
 * until then all messages of the conversation would be sorted for each page of them, as if they were few.
 */
export async function refreshStatistics(
  tx: Transaction,
  conversation_id: string,
  count: number,
): Promise<void> {
  if (count < NOTICEABLE.rows) return
  const part = await tx.get(
    sql<{ name: string; rows: number }>`select tableoid::regclass::text as name,
        (select greatest(reltuples, 0)::float8 from pg_class where oid = messages.tableoid) as rows
      from messages where conversation_id = ${conversation_id} order by seq desc limit 1`,
  )
  if (!part || count < part.rows * NOTICEABLE.share) return
  // Of who may not do that, PostgreSQL asks no more than to read a warning; whoever does it already is not waited for.
  await tx.run(sql.raw(`analyze (skip_locked) ${part.name}, context_messages`))
}
