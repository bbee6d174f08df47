/**
 * Scripts that are written without spaces between words. A word index sees a whole sentence of them as one word, so
 * their text is cut into pairs of neighbouring characters.
 */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+/gu
const WORD = /[\p{L}\p{N}\p{Co}]/u
const MARKS = /\p{M}/gu
/** A query longer than this is cut: it is a pasted page, not a search. */
const MAX_TERMS = 48
/** Characters of a message that are indexed; what comes later is stored, not found. */
const MAX_INDEXED = 100_000

/** A message's text as the word index gets it: pairs of characters instead of unspaced runs. */
export function indexText(text: string): string {
  return normal(text.slice(0, MAX_INDEXED)).replaceAll(UNSPACED, (run) => {
    const characters = Array.from(run.replaceAll(MARKS, ''))
    // The last character alone, so that a query of one character finds it too.
    return ` ${pairs(characters).join(' ')} ${characters.at(-1) ?? ''} `
  })
}

/** One thing a query asks for: words that must follow each other, or the start of a word. */
export interface Term {
  words: string
  prefix: boolean
}

/**
 * A query's terms. It is plain words: every operator of a search engine is text. Quoted text is a phrase. Empty for a
 * query that has no letter or digit in it.
 */
export function queryTerms(query: string): Term[] {
  const terms: Term[] = []
  for (const [, phrase, word] of normal(query).matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const text = phrase ?? word ?? ''
    const runs = text.match(UNSPACED) ?? []
    for (const part of text.split(UNSPACED)) {
      if (WORD.test(part)) terms.push({ words: part.trim(), prefix: false })
    }
    for (const run of runs) {
      const characters = Array.from(run.replaceAll(MARKS, ''))
      if (characters.length === 1) terms.push({ words: characters.join(''), prefix: true })
      else if (characters.length > 1) terms.push({ words: pairs(characters).join(' '), prefix: false })
    }
    if (terms.length >= MAX_TERMS) break
  }
  return terms.slice(0, MAX_TERMS)
}

/** A word long enough to stand for those that begin with it. */
const BEGINNING = /^[\p{L}\p{N}]{3,}$/u

/**
 * What `find` answers for each term; a word that is nowhere is looked for as the beginning of others, so that a name
 * half typed finds it.
 */
export async function findTerms<Found>(
  terms: readonly Term[],
  find: (terms: readonly Term[]) => Promise<Found[][]>,
): Promise<Found[][]> {
  const found = await find(terms)
  const nowhere = terms.flatMap((term, i) =>
    found[i]?.length === 0 && !term.prefix && BEGINNING.test(term.words) ? [{ term, i }] : [],
  )
  if (nowhere.length === 0) return found
  const more = await find(nowhere.map(({ term }) => ({ ...term, prefix: true })))
  for (const [at, { i }] of nowhere.entries()) found[i] = more[at] ?? []
  return found
}

function pairs(characters: readonly string[]): string[] {
  return characters.slice(1).map((character, i) => `${characters[i] ?? ''}${character}`)
}

/** Full-width and half-width forms are one; NUL would end SQLite's text. */
function normal(text: string): string {
  return text.normalize('NFKC').replaceAll('\0', ' ')
}
