import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type { TagFilter } from '../../core/ports/agent-store.ts'
import type { Page } from '../../schema/page.ts'
import { contains } from './page.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'

/** A page of the distinct tags of agents and blocks, by code point. Any text is a cursor, also one that is no tag. */
export async function readTags(
  connection: Connection,
  actor: Actor,
  filter: TagFilter,
  page: Page,
): Promise<string[]> {
  const of = (table: 'agent_tags' | 'block_tags') =>
    db.selectFrom(table).select('tag').where('organization_id', '=', actor.organization_id)
  let rows = db.selectFrom(of('agent_tags').union(of('block_tags')).as('tags')).select('tag')
  if (filter.name !== undefined) rows = rows.where('tag', '=', filter.name)
  if (filter.query_text !== undefined) rows = rows.where(contains('tag', filter.query_text))
  const ascending = page.order === 'asc'
  if (page.after !== undefined) rows = rows.where('tag', ascending ? '>' : '<', page.after)
  if (page.before !== undefined) rows = rows.where('tag', ascending ? '<' : '>', page.before)
  const turned = page.before !== undefined && page.after === undefined
  const direction = ascending !== turned ? sql`tag asc` : sql`tag desc`
  const tags = (await connection.all(rows.orderBy(direction).limit(page.limit))).map((row) => row.tag)
  return turned ? tags.toReversed() : tags
}
