import { stripVTControlCharacters, styleText } from 'node:util'

/**
 * True when colours make sense on this stream: a terminal, and NO_COLOR not set (https://no-color.org). FORCE_COLOR has
 * the last word: 0 and false are no, anything else is yes, in a pipe as well (https://force-color.org).
 */
export function hasColor(stream: NodeJS.WriteStream): boolean {
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return stream.isTTY && !NO_COLOR && TERM !== 'dumb'
}

type Painter = (text: string, stream?: NodeJS.WriteStream) => string

function painter(format: 'dim' | 'bold' | 'red' | 'green' | 'yellow' | 'cyan'): Painter {
  return (text, stream = process.stdout) =>
    hasColor(stream) ? styleText(format, text, { validateStream: false }) : text
}

export const dim = painter('dim')
export const bold = painter('bold')
export const red = painter('red')
export const green = painter('green')
export const yellow = painter('yellow')
export const cyan = painter('cyan')

/** Columns to write in; COLUMNS counts where there is no terminal, 80 where there is nothing. */
export function columns(stream: NodeJS.WriteStream = process.stdout): number {
  const wanted = stream.isTTY ? stream.columns : Number(process.env['COLUMNS'])
  return Number.isInteger(wanted) && wanted >= 20 ? wanted : 80
}

/**
 * Text of a model, an agent or a server, made harmless for a terminal: no escape sequences (they could set the title,
 * the clipboard or the cursor), no other control character but newline and tab, no bidirectional overrides.
 */
export function plain(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, '').replace(/\r\n?/g, '\n').replace(CONTROL, '')
}

/* oxlint-disable no-control-regex -- control characters are what these find */
/** CSI, and the string sequences (OSC, DCS, SOS, PM, APC) with what they carry, in 7- and 8-bit form. */
const ESCAPE_SEQUENCE =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]/g
const OPEN_SEQUENCE = /(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)|\r)$/
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g
/* oxlint-enable no-control-regex */

/** `plain` for text that comes in pieces: a sequence (or CR LF) that is cut in two is still one. */
export function plainPieces(): (piece: string) => string {
  let open = ''
  return (piece) => {
    const text = open + piece
    const tail = OPEN_SEQUENCE.exec(text)?.index ?? text.length
    // Not for ever: an answer must not wait for the end of a sequence that never comes.
    const cut = text.length - tail > 1000 ? text.length : tail
    open = text.slice(cut)
    return plain(text.slice(0, cut))
  }
}

const segmenter = new Intl.Segmenter()
/** What takes two columns: East Asian wide and fullwidth characters, and emoji. */
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u
// oxlint-disable-next-line no-control-regex -- printable ASCII is what it is about
const NARROW = /^[\x20-\x7e]*$/

/** How many columns of a terminal a text without line breaks takes; what styles it takes none. */
export function displayWidth(text: string): number {
  const bare = stripVTControlCharacters(text)
  if (NARROW.test(bare)) return bare.length
  let width = 0
  for (const { segment } of segmenter.segment(bare)) width += WIDE.test(segment) ? 2 : 1
  return width
}

/** One line of at most `width` columns. */
export function oneLine(text: string, width: number): string {
  const flat = plain(text).replace(/\s+/g, ' ').trim()
  if (displayWidth(flat) <= width) return flat
  let shown = ''
  let left = Math.max(1, width - 1)
  for (const { segment } of segmenter.segment(flat)) {
    left -= displayWidth(segment)
    if (left < 0) break
    shown += segment
  }
  return `${shown}…`
}

/** Paragraphs broken at spaces so that no line is wider than `width`, unless a single word is. */
export function wrap(text: string, width: number, indent = ''): string {
  return text
    .split('\n')
    .map((paragraph) => {
      const lines: string[] = []
      let line = ''
      for (const word of paragraph.split(' ')) {
        if (line && indent.length + line.length + 1 + word.length > width) {
          lines.push(indent + line)
          line = word
        } else line = line ? `${line} ${word}` : word
      }
      return [...lines, indent + line].join('\n')
    })
    .join('\n')
}
