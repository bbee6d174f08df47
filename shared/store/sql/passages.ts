import { sql } from 'kysely'
import type { Actor } from '../../core/ports/actor.ts'
import type {
  NewPassage,
  PassageFilter,
  PassageMatch,
  PassageSearch,
  PassageStore,
} from '../../core/ports/passage-store.ts'
import type { Page } from '../../schema/page.ts'
import type { Passage } from '../../schema/passage.ts'
import { depthFor, fuse, type Fused } from '../fusion.ts'
import { pause } from '../pause.ts'
import { findTerms, queryTerms, type Term } from '../search-text.ts'
import type { Database } from './database.ts'
import { matches, utc } from './full-text.ts'
import { contains, windowOf } from './page.ts'
import { perTerm, type Ranked, rankMatches } from './ranking.ts'
import {
  archivesInScope,
  archivesOfAgent,
  deletePassage,
  insertInto,
  insertPassages,
  passageOf,
  taggedWith,
} from './passage-rows.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'
import type { VectorIndex } from './vector-index.ts'
import { type Among, nearestTexts, withoutVector } from './vector-search.ts'

const NOTHING: Ranked = { seqs: [], coverage: 0 }

/** Archival memory over the archives that are attached to an agent. */
export class SqlPassages implements PassageStore {
  readonly #database: Database
  readonly #index: VectorIndex

  constructor(database: Database, index: VectorIndex) {
    this.#database = database
    this.#index = index
  }

  create(actor: Actor, agent_id: string, passages: readonly NewPassage[]): Promise<Passage[]> {
    return this.#database.write(async (tx) => await insertPassages(tx, actor, agent_id, passages))
  }

  createIn(actor: Actor, archive_id: string, passages: readonly NewPassage[]): Promise<Passage[]> {
    // It counts them in the archive's row, as its deletion writes it.
    return this.#database.write(async (tx) => await insertInto(tx, actor, archive_id, passages), {
      guarded: true,
    })
  }

  list(actor: Actor, filter: PassageFilter, page: Page): Promise<Passage[]> {
    return this.#database.read(async (c) => {
      const sorting = { table: 'passages', column: 'created_at', tie: 'seq' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = inArchives(actor, await idsOf(c, actor, filter.agent_id))
      if (filter.text !== undefined && filter.text !== '')
        rows = rows.where(contains('passages.text', filter.text))
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = await c.all(rows.selectAll('passages').orderBy(window.direction).limit(page.limit))
      const passages = found.map(passageOf)
      return window.turned ? passages.toReversed() : passages
    })
  }

  async search(actor: Actor, search: PassageSearch): Promise<PassageMatch[]> {
    const { vectors, limit } = search
    if (search.query.trim() === '') return []
    if (!vectors || vectors.size === 0 || search.mode === 'fts')
      return this.#matches(
        actor,
        fuse((await this.#database.read(async (c) => await bestOf(c, actor, search, limit))).seqs, [], limit),
      )
    const depth = depthFor(limit)
    const [fts, near] = await Promise.all([
      search.mode === 'vector'
        ? NOTHING
        : this.#database.read(async (c) => await bestOf(c, actor, search, depth)),
      nearestTexts(this.#database, this.#index, actor, { of: 'passages', ...search }, vectors, {
        among: isFiltered(search) ? amongPassages(actor, search) : null,
        limit: depth,
      }),
    ])
    await pause(0)
    const scope = { of: 'passages', ...search } as const
    const unembedded = await withoutVector(this.#database, actor, scope, vectors, fts.seqs)
    return this.#matches(actor, fuse(fts.seqs, near, limit, fts.coverage, unembedded))
  }

  /** The passages behind what was found; one that is gone by now is left out. */
  #matches(actor: Actor, found: readonly Fused<number>[]): Promise<PassageMatch[]> {
    return this.#database.read(async (c) => {
      const rows = await c.all(
        db
          .selectFrom('passages')
          .selectAll()
          .where(
            'seq',
            'in',
            found.map(({ key }) => key),
          )
          .where('organization_id', '=', actor.organization_id),
      )
      const bySeq = new Map(rows.map((row) => [row.seq, passageOf(row)]))
      return found.flatMap(({ key, ...ranks }) => {
        const passage = bySeq.get(key)
        return passage ? [{ passage, ...ranks }] : []
      })
    })
  }

  delete(actor: Actor, agent_id: string, passage_id: string): Promise<boolean> {
    return this.#database.write(
      async (tx) => await deletePassage(tx, actor, await idsOf(tx, actor, agent_id), passage_id),
    )
  }

  vectorBytes(actor: Actor): Promise<number> {
    const size = db
      .selectFrom('vectors')
      .innerJoin('embeddings', 'embeddings.owner', 'vectors.owner')
      .where('embeddings.organization_id', '=', actor.organization_id)
      .where('embeddings.dim', 'is not', null)
      .select(sql<number>`count(*) * embeddings.dim * 4`.as('bytes'))
      .groupBy(['vectors.owner', 'embeddings.dim'])
    return this.#database.read(async (c) => (await c.all(size)).reduce((sum, { bytes }) => sum + bytes, 0))
  }

  deleteFrom(actor: Actor, archive_id: string, passage_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => await deletePassage(tx, actor, [archive_id], passage_id))
  }
}

async function idsOf(connection: Connection, actor: Actor, agent_id: string): Promise<string[]> {
  return (await archivesOfAgent(connection, actor, agent_id)).map((archive) => archive.id)
}

/** Places of the passages that fit a search best; whole rows would have to be sorted with their texts. */
async function bestOf(
  connection: Connection,
  actor: Actor,
  search: PassageSearch,
  limit: number,
): Promise<Ranked> {
  const query = search.query.trim()
  const attached = await archivesInScope(connection, actor, search)
  if (query === '' || attached.length === 0) return NOTHING
  const archives = attached.map((archive) => archive.id)
  const terms = queryTerms(query)
  const rows = narrowed(inArchives(actor, archives), search)
  // What has no letter or digit in it (an emoji) is in no word index.
  if (terms.length === 0) {
    const having = rows.select('passages.seq').where(contains('passages.text', query))
    const seqs = (await connection.all(having.orderBy('passages.seq', 'desc').limit(limit))).map(
      (row) => row.seq,
    )
    return { seqs, coverage: 1 }
  }
  const having = (term: Term) =>
    rows
      .innerJoin('passages_fts', 'passages_fts.rowid', 'passages.seq')
      .where(matches('passages_fts', archives, term))
      .select(['passages.seq', sql<number>`octet_length(passages.text)`.as('length')])
      .orderBy('passages_fts.rowid', 'desc')
      .limit(perTerm(terms.length))
  return rankMatches(
    await findTerms(
      terms,
      // Asked together: on another machine together takes the time of the slowest.
      async (asked) => await Promise.all(asked.map((term) => connection.all(having(term)))),
    ),
    attached.reduce((sum, archive) => sum + archive.passage_count, 0),
    limit,
  )
}

function isFiltered({ tags = [], start_date, end_date }: PassageSearch): boolean {
  return tags.length > 0 || start_date !== undefined || end_date !== undefined
}

function narrowed(rows: ReturnType<typeof inArchives>, search: PassageSearch) {
  const { tags = [], tag_match_mode = 'any', start_date, end_date } = search
  let narrow = rows
  if (tags.length > 0) narrow = narrow.where(taggedWith(tags, tag_match_mode))
  if (start_date !== undefined) narrow = narrow.where('passages.created_at', '>=', utc(start_date))
  if (end_date !== undefined) narrow = narrow.where('passages.created_at', '<', utc(end_date))
  return narrow
}

/** The numbers of an archive's passages that a search's filters let through. */
function amongPassages(actor: Actor, search: PassageSearch): Among {
  return async (connection, archive_id, after, limit) =>
    (
      await connection.all(
        narrowed(inArchives(actor, [archive_id]), search)
          .select('passages.seq')
          .where('passages.seq', '>', after)
          .orderBy('passages.seq')
          .limit(limit),
      )
    ).map(({ seq }) => seq)
}

function inArchives(actor: Actor, archives: readonly string[]) {
  return db
    .selectFrom('passages')
    .where('passages.organization_id', '=', actor.organization_id)
    .where('passages.archive_id', 'in', archives)
}
