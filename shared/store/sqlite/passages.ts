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
import { queryTerms, type Term } from '../search-text.ts'
import type { Database } from './database.ts'
import { matchText, utc } from './full-text.ts'
import { contains, windowOf } from './page.ts'
import { bestMatches, perTerm } from './ranking.ts'
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
import { sqlite } from './query.ts'

/** Dampens the first ranks in reciprocal rank fusion, as is usual. */
const RRF_K = 60

/** Archival memory over the archives that are attached to an agent. */
export class SqlitePassages implements PassageStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  create(actor: Actor, agent_id: string, passages: readonly NewPassage[]): Promise<Passage[]> {
    return this.#database.write((tx) => insertPassages(tx, actor, agent_id, passages))
  }

  createIn(actor: Actor, archive_id: string, passages: readonly NewPassage[]): Promise<Passage[]> {
    return this.#database.write((tx) => insertInto(tx, actor, archive_id, passages))
  }

  list(actor: Actor, filter: PassageFilter, page: Page): Promise<Passage[]> {
    return this.#database.read((c) => {
      const sorting = { table: 'passages', column: 'created_at', tie: 'seq' } as const
      const window = windowOf(c, actor.organization_id, sorting, page)
      let rows = inArchives(actor, idsOf(c, actor, filter.agent_id))
      if (filter.text !== undefined && filter.text !== '')
        rows = rows.where(contains('passages.text', filter.text))
      for (const condition of window.conditions) rows = rows.where(condition)
      const found = c.all(rows.selectAll('passages').orderBy(window.direction).limit(page.limit))
      const passages = found.map(passageOf)
      return window.turned ? passages.toReversed() : passages
    })
  }

  search(actor: Actor, search: PassageSearch): Promise<PassageMatch[]> {
    return this.#database.read((c) => {
      const found = bestOf(c, actor, search)
      const rows = c.all(
        sqlite
          .selectFrom('passages')
          .selectAll()
          .where('seq', 'in', found)
          .where('organization_id', '=', actor.organization_id),
      )
      const bySeq = new Map(rows.map((row) => [row.seq, passageOf(row)]))
      return found.flatMap((seq, i) => {
        const passage = bySeq.get(seq)
        return passage
          ? [{ passage, rrf_score: 1 / (RRF_K + i + 1), vector_rank: null, fts_rank: i + 1 }]
          : []
      })
    })
  }

  delete(actor: Actor, agent_id: string, passage_id: string): Promise<boolean> {
    return this.#database.write((tx) => deletePassage(tx, actor, idsOf(tx, actor, agent_id), passage_id))
  }

  vectorBytes(actor: Actor): Promise<number> {
    const size = sqlite
      .selectFrom('vectors')
      .innerJoin('embeddings', 'embeddings.owner', 'vectors.owner')
      .where('embeddings.organization_id', '=', actor.organization_id)
      .where('embeddings.dim', 'is not', null)
      .select(sql<number>`count(*) * embeddings.dim * 4`.as('bytes'))
      .groupBy('vectors.owner')
    return this.#database.read((c) => c.all(size).reduce((sum, { bytes }) => sum + bytes, 0))
  }

  deleteFrom(actor: Actor, archive_id: string, passage_id: string): Promise<boolean> {
    return this.#database.write((tx) => deletePassage(tx, actor, [archive_id], passage_id))
  }
}

function idsOf(connection: Connection, actor: Actor, agent_id: string): string[] {
  return archivesOfAgent(connection, actor, agent_id).map((archive) => archive.id)
}

/** Places of the passages that fit a search best; whole rows would have to be sorted with their texts. */
function bestOf(connection: Connection, actor: Actor, search: PassageSearch): number[] {
  const query = search.query.trim()
  const attached = archivesInScope(connection, actor, search)
  if (query === '' || attached.length === 0) return []
  const archives = attached.map((archive) => archive.id)
  const terms = queryTerms(query)
  const { tags = [], tag_match_mode = 'any', start_date, end_date } = search
  let rows = inArchives(actor, archives)
  if (tags.length > 0) rows = rows.where(taggedWith(tags, tag_match_mode))
  if (start_date !== undefined) rows = rows.where('passages.created_at', '>=', utc(start_date))
  if (end_date !== undefined) rows = rows.where('passages.created_at', '<', utc(end_date))
  // What has no letter or digit in it (an emoji) is in no word index.
  if (terms.length === 0) {
    const having = rows.select('passages.seq').where(contains('passages.text', query))
    return connection.all(having.orderBy('passages.seq', 'desc').limit(search.limit)).map((row) => row.seq)
  }
  const having = (term: Term) =>
    rows
      .innerJoin('passages_fts', 'passages_fts.rowid', 'passages.seq')
      .where(sql<boolean>`passages_fts match ${matchText(archives, [term])}`)
      .select(['passages.seq', sql<number>`octet_length(passages.text)`.as('length')])
      .orderBy('passages_fts.rowid', 'desc')
      .limit(perTerm(terms.length))
  return bestMatches(
    terms.map((term) => connection.all(having(term))),
    attached.reduce((sum, archive) => sum + archive.passage_count, 0),
    search.limit,
  )
}

function inArchives(actor: Actor, archives: readonly string[]) {
  return sqlite
    .selectFrom('passages')
    .where('passages.organization_id', '=', actor.organization_id)
    .where('passages.archive_id', 'in', archives)
}
