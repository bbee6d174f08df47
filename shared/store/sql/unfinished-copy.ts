import { AppError } from '../../schema/errors.ts'
import type { Finding } from '../finding.ts'
import type { Connection } from './query.ts'
import { db, query } from './query.ts'

/** The row of `meta` that a store has while it is the target of a copy that is not complete. */
const KEY = 'copy'

/** How far a copy is. */
export interface CopyMark {
  /** Where from, for people: without a password. */
  from: string
  started_at: string
  /** What the source was when the copy began (`sourceMark`). */
  source: string
  /** Names the key that its secrets are encrypted with; null when there is none to name. */
  key: string | null
  /** The table that is being copied, and the key of its last row that is here; null once all of them are. */
  at: { table: string; after: readonly unknown[] | null } | null
  /** Rows that are here. */
  rows: number
}

const markRow = query<object>()(() => db.selectFrom('meta').select('value').where('key', '=', KEY))
const put = query<{ value: string }>()((p) =>
  db
    .insertInto('meta')
    .values({ key: KEY, value: p.value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: p.value })),
)
const drop = query<object>()(() => db.deleteFrom('meta').where('key', '=', KEY))

/** The copy of which this store is the unfinished target; null when it is none. */
export async function readCopyMark(connection: Connection): Promise<CopyMark | null> {
  const row = await markRow.get(connection, {})
  return row ? (JSON.parse(row.value) as CopyMark) : null
}

/** Says how far the copy is; null: it is complete. */
export async function writeCopyMark(connection: Connection, mark: CopyMark | null): Promise<void> {
  if (mark) await put.send(connection, { value: JSON.stringify(mark) })
  else await drop.send(connection, {})
}

/** What doctor says of a store that has this mark, as it is stored: no Loci opens it. */
export function unfinishedCopyFinding(value: string, place: string): Finding {
  const { from, started_at } = JSON.parse(value) as CopyMark
  return {
    check: 'copy',
    status: 'error',
    message: `a copy of ${from} into ${place} began ${started_at} and is not complete`,
    mend: 'give the same command again (loci store copy --from … --to …), or give it up with --discard',
    data: { from, started_at },
  }
}

/** Throws `store_unavailable` for a store that is the target of a copy which is not complete. */
export async function refuseUnfinishedCopy(connection: Connection, place: string): Promise<void> {
  const mark = await readCopyMark(connection)
  if (!mark) return
  throw new AppError(
    'store_unavailable',
    `${place} is not complete: a copy of ${mark.from} into it began ${mark.started_at} and has not ended. To go on, give ` +
      'the same command again (loci store copy --from … --to …); to give it up: loci store copy --discard --to ….',
  )
}
