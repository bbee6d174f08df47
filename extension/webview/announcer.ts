/** Time between two things that are said, in milliseconds: a reader that is interrupted reads nothing. */
const PAUSE = 1_500

/** Tells assistive technology what is written, sentence by sentence, without interrupting it. */
export interface Announcer {
  /** The answer so far. */
  grown(text: string): void
  /** Something to say by itself, before anything else. */
  say(text: string): void
  /** The answer is complete: what was not said yet is, and `last`. */
  ended(last: string): void
}

/** `tell` puts the text where it is read from. */
export function createAnnouncer(tell: (text: string) => void): Announcer {
  let answer = ''
  let said = 0
  let queue: string[] = []
  let timer: ReturnType<typeof setTimeout> | undefined

  const flush = () => {
    timer = undefined
    const text = queue.join(' ').trim()
    queue = []
    if (text === '') return
    tell(text)
    timer = setTimeout(flush, PAUSE)
  }
  const add = (text: string) => {
    queue.push(text)
    timer ??= setTimeout(flush, 0)
  }
  const addSentences = (all: boolean) => {
    const rest = answer.slice(said)
    const length = all ? rest.length : lastSentence(rest)
    if (length === 0) return
    add(plain(rest.slice(0, length)))
    said += length
  }
  return {
    grown(text) {
      // Another message: what was said of the one before does not count.
      if (!text.startsWith(answer)) said = 0
      answer = text
      addSentences(false)
    },
    say: add,
    ended(last) {
      addSentences(true)
      answer = ''
      said = 0
      add(last)
    },
  }
}

/** Where the last whole sentence, line or item ends. */
function lastSentence(text: string): number {
  let end = 0
  for (const match of text.matchAll(/[.!?:;]\s|\n/g)) end = match.index + match[0].length
  return end
}

/** Without the marks of Markdown, which would be read aloud. */
function plain(text: string): string {
  return text
    .replaceAll(/^\s*(?:[-*+]|#+|>|```\S*)\s*/gm, '')
    .replaceAll(/[*_`]+/g, '')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
}
