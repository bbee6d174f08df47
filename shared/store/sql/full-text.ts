import { sql } from 'kysely'
import type { Term } from '../search-text.ts'
import { mapped, portable } from './query.ts'

/**
 * An owner's id as one word of the index: the few texts of one owner are met first, however many others say the same
 * words.
 */
export function ownerWord(id: string): string {
  return id.replaceAll(/[^\p{L}\p{N}]/gu, '')
}

/** Whether a text of one of these owners (null: of all) has a term. */
export function matches(
  index: 'messages_fts' | 'passages_fts',
  owners: readonly string[] | null,
  term: Term,
) {
  const words = term.prefix
    ? sql`to_tsquery('loci', ${`${plainWords(term.words).trim().replaceAll(' ', ' <-> ')}:*`})`
    : sql`phraseto_tsquery('loci', ${plainWords(term.words)})`
  const ofOwners = owners && owners.map((id) => `'=${ownerWord(id)}'`).join(' | ')
  return portable<boolean>({
    sqlite: sql`${sql.table(index)} match ${matchText(owners, [term])}`,
    postgres: sql`${sql.ref(`${index}.text`)} @@ ${ofOwners === null ? words : sql`(${ofOwners}::tsquery && ${words})`}`,
  })
}

/** A text (of `indexText`) as its index takes it, with its owner's word. */
export function indexed(owner: string, text: string) {
  const word = mapped(owner, (id: string) => `'=${id}'`)
  return portable<string>({
    sqlite: sql`${text}`,
    postgres: sql`to_tsvector('loci', ${mapped(text, fittingWords)}) || ${word}::tsvector`,
  })
}

/** A statement that puts texts (of `indexText`) into an index of PostgreSQL, many at once. */
export function indexedTexts(
  index: 'messages_fts' | 'passages_fts',
  texts: readonly { rowid: number; owner: string; text: string }[],
) {
  const rows = texts.map(({ rowid, owner, text }) => ({
    rowid,
    owner,
    words: plainWords(text),
    mark: `'=${owner}'`,
  }))
  return sql`insert into ${sql.table(index)} (rowid, owner, text)
    select rowid, owner, to_tsvector('loci', words) || mark::tsvector
    from json_to_recordset(${JSON.stringify(rows)}::json) as r (rowid bigint, owner text, words text, mark text)`
}

/** An FTS5 query for texts of one of these owners (null: of all) that have any of the terms. */
export function matchText(owners: readonly string[] | null, terms: readonly Term[]): string {
  const words = terms.map(({ words, prefix }) => `"${words.replaceAll('"', '""')}"${prefix ? '*' : ''}`)
  if (owners === null) return `text : (${words.join(' OR ')})`
  return `owner : (${owners.map((id) => `"${ownerWord(id)}"`).join(' OR ')}) AND text : (${words.join(' OR ')})`
}

/** What a tsvector may hold, in bytes, with room for the owner's word. */
const MAX_VECTOR = 1_000_000
/** What a place of a word costs in it beside its letters. */
const PER_WORD = 8
/** A text that is shorter fits, whatever is in it: a word and its space are two characters. */
const ALWAYS_FITS = MAX_VECTOR / (4 + PER_WORD)

/** `plainWords`, without those that there is no room for: of very many different words in one text the last. */
function fittingWords(text: string): string {
  const words = plainWords(text)
  if (words.length <= ALWAYS_FITS) return words
  let room = MAX_VECTOR
  const fitting: string[] = []
  for (const word of words.split(' ')) {
    room -= Buffer.byteLength(word) + PER_WORD
    if (room < 0) break
    fitting.push(word)
  }
  return fitting.join(' ')
}

const BETWEEN_WORDS = /[^\p{L}\p{N}\p{Co}\p{M}]+/gu
const MARKS = /\p{M}/gu

/**
 * Words with one space between them, in small letters and without accents, as FTS5's `unicode61` cuts a text.
 * PostgreSQL's own parser would find host names, numbers with signs, and files in it.
 */
function plainWords(text: string): string {
  return text
    .replaceAll(BETWEEN_WORDS, ' ')
    .normalize('NFD')
    .replaceAll(MARKS, '')
    .normalize('NFC')
    .toLowerCase()
}

/** An instant as times are stored: ISO 8601 in UTC. */
export function utc(instant: string): string {
  const date = new Date(instant)
  return Number.isNaN(date.getTime()) ? instant : date.toISOString()
}
