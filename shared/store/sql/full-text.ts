import type { Term } from '../search-text.ts'

/**
 * An owner's id as one word of the index: the few texts of one owner are met first, however many others say the same
 * words.
 */
export function ownerWord(id: string): string {
  return id.replaceAll(/[^\p{L}\p{N}]/gu, '')
}

/** An FTS5 query for texts of one of these owners (null: of all) that have any of the terms. */
export function matchText(owners: readonly string[] | null, terms: readonly Term[]): string {
  const words = terms.map(({ words, prefix }) => `"${words.replaceAll('"', '""')}"${prefix ? '*' : ''}`)
  if (owners === null) return `text : (${words.join(' OR ')})`
  return `owner : (${owners.map((id) => `"${ownerWord(id)}"`).join(' OR ')}) AND text : (${words.join(' OR ')})`
}

/** An instant as times are stored: ISO 8601 in UTC. */
export function utc(instant: string): string {
  const date = new Date(instant)
  return Number.isNaN(date.getTime()) ? instant : date.toISOString()
}
