import { styleText } from 'node:util'

/** True when colours make sense on this stream: a terminal, and NO_COLOR not set (https://no-color.org). */
function hasColor(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

function style(format: 'dim' | 'bold', text: string, stream: NodeJS.WriteStream): string {
  return hasColor(stream) ? styleText(format, text, { validateStream: false }) : text
}

export const dim = (text: string, stream: NodeJS.WriteStream = process.stdout) => style('dim', text, stream)
export const bold = (text: string, stream: NodeJS.WriteStream = process.stdout) => style('bold', text, stream)

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

/** One line of at most `width` characters. */
export function oneLine(text: string, width: number): string {
  const flat = plain(text).replace(/\s+/g, ' ').trim()
  return flat.length > width ? `${flat.slice(0, Math.max(1, width - 1))}…` : flat
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
