/** Kinds of characters that tokenizers cut between. */
const SPACE = 0
const BREAK = 1
const DIGIT = 2
const SMALL = 3
const CAPITAL = 4
const MARK = 5
/** A letter that is not ASCII but of a script with words: accents, Greek, Cyrillic, Arabic … */
const OTHER = 6
/** Scripts without spaces, or with syllables as letters: Chinese, Japanese, Korean, Thai … */
const WIDE = 7
/** Half of a character beyond the basic plane: emoji, rare ideographs. */
const HALF = 8

/**
 * About how many tokens a text is for a typical tokenizer of today, without any of their tables: one pass over the
 * characters, counting what tokenizers cut at. For one model and one kind of text it is off by up to a third;
 * `ContextMeter` learns the rest from the usage that the provider reports. Pure and linear.
 */
export function countTokens(text: string): number {
  let tokens = 0
  let i = 0
  const end = text.length
  while (i < end) {
    const from = i
    const kind = kindOf(text.charCodeAt(i++))
    if (kind === SMALL || kind === CAPITAL) {
      // Capitals, then small letters; the next capital begins another word, as in camelCase.
      let last = kind
      while (i < end) {
        const next = kindOf(text.charCodeAt(i))
        if (next !== SMALL && (next !== CAPITAL || last !== CAPITAL)) break
        last = next
        i++
      }
      tokens += wordTokens(i - from, kind === CAPITAL && last === CAPITAL)
    } else {
      while (i < end && kindOf(text.charCodeAt(i)) === kind) i++
      tokens += runTokens(kind, i - from)
    }
  }
  return tokens
}

/** Most words are in every vocabulary; long ones are put together. Capitals are rarer. */
function wordTokens(length: number, capitals: boolean): number {
  if (capitals) return length <= 2 ? 0.9 : length * 0.42
  return length <= 6 ? 1 : 1 + (length - 6) * 0.14
}

function runTokens(kind: number, length: number): number {
  switch (kind) {
    case SPACE:
      // One space belongs to the word that follows it.
      return length === 1 ? 0.03 : 0.6
    case BREAK:
      return 0.7
    case DIGIT:
      return Math.ceil(length / 3)
    case MARK:
      return length === 1 ? 0.85 : 1 + (length - 2) * 0.3
    case OTHER:
      return 0.25 + length * 0.27
    case WIDE:
      return length * 0.82
    default:
      return length * 0.8
  }
}

function kindOf(code: number): number {
  if (code < 128) {
    if (code >= 97 && code <= 122) return SMALL
    if (code === 32 || code === 9) return SPACE
    if (code >= 65 && code <= 90) return CAPITAL
    if (code >= 48 && code <= 57) return DIGIT
    if (code === 10 || code === 13) return BREAK
    return MARK
  }
  if (code >= 0xd800 && code <= 0xdfff) return HALF
  if (code >= 0x2e80 || (code >= 0x0e00 && code <= 0x0eff) || (code >= 0x1000 && code <= 0x11ff)) return WIDE
  if (code >= 0x2000 && code <= 0x2bff) return MARK
  return OTHER
}
