import type { Actor } from '../../core/ports/actor.ts'
import type { BlockVersion } from '../../schema/block.ts'
import type { Page } from '../../schema/page.ts'
import { unknownCursor } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

const valueOf = query<{ block: string; version: number; org: string }>()((p) =>
  db
    .selectFrom('block_history')
    .select('after')
    .where('block_id', '=', p.block)
    .where('version', '=', p.version)
    .where('organization_id', '=', p.org),
)

/** The value a block had after this version; null when there is no such version. */
export async function valueAfter(
  connection: Connection,
  actor: Actor,
  block: string,
  version: number,
): Promise<string | null> {
  return (await valueOf.get(connection, { block, version, org: actor.organization_id }))?.after ?? null
}

/** A page of a block's versions. Throws `not_found` for a cursor that is no version of it. */
export async function readHistory(
  connection: Connection,
  actor: Actor,
  block_id: string,
  page: Page,
): Promise<BlockVersion[]> {
  const ascending = page.order === 'asc'
  const cursor = async (text: string) => {
    const version = /^\d{1,15}$/.test(text) ? Number(text) : 0
    if ((await valueAfter(connection, actor, block_id, version)) === null) throw unknownCursor(text)
    return version
  }
  let rows = db
    .selectFrom('block_history')
    .selectAll()
    .where('block_id', '=', block_id)
    .where('organization_id', '=', actor.organization_id)
  if (page.after !== undefined) rows = rows.where('version', ascending ? '>' : '<', await cursor(page.after))
  if (page.before !== undefined)
    rows = rows.where('version', ascending ? '<' : '>', await cursor(page.before))
  // With `before` alone it is the page that ends at the cursor.
  const turned = page.before !== undefined && page.after === undefined
  const found = await connection.all(
    rows.orderBy('version', ascending === turned ? 'desc' : 'asc').limit(page.limit),
  )
  return (turned ? found.toReversed() : found).map((row) => ({
    block_id: row.block_id,
    version: row.version,
    before: row.before,
    after: row.after,
    changes: row.changes === null ? {} : (JSON.parse(row.changes) as BlockVersion['changes']),
    user_id: row.user_id,
    agent_id: row.agent_id,
    run_id: row.run_id,
    created_at: row.created_at,
  }))
}
