import type { FileBatch, FileChunk, FilePiece } from './file-store.ts'

/** Longer lines are broken: files are read by lines. */
export const MAX_LINE = 4_000
/** Characters of a piece of text as it is stored, and of a batch, about. */
const PIECE = 8_000
const BATCH = 20_000
/** Characters that a file may have; more is no text that an agent reads. */
const MAX_CHARACTERS = 200_000_000

/**
 * A text in batches: pieces of whole lines as they are stored, and the chunks that are found by search. Chunks begin where
 * a paragraph, a heading or a top-level line of code does, where they can. Throws for a text without a word.
 */
export function* batches(text: string, chunk_chars: number): Generator<FileBatch> {
  if (text.length > MAX_CHARACTERS)
    throw new Error(
      `it has more than ${MAX_CHARACTERS / 1e6} million characters of text; divide it, and upload the parts`,
    )
  const chunker = new Chunker(chunk_chars)
  let piece: string[] = []
  let first_line = 0
  let size = 0
  let batch: FileBatch = { pieces: [], chunks: [] }
  let batched = 0
  let any = false
  const close = () => {
    const whole: FilePiece = { first_line, text: piece.join('\n') }
    batch.pieces.push(whole)
    batched += whole.text.length
    first_line += piece.length
    piece = []
    size = 0
  }
  for (const line of linesOf(text)) {
    any ||= /\S/.test(line)
    piece.push(line)
    size += line.length + 1
    batch.chunks.push(...chunker.add(line))
    if (size < PIECE) continue
    close()
    if (batched < BATCH) continue
    yield batch
    batch = { pieces: [], chunks: [] }
    batched = 0
  }
  if (!any) throw new Error('there is no text in it')
  batch.chunks.push(...chunker.end())
  if (piece.length > 0) close()
  yield batch
}

/** Lines, whatever ends them, without NUL and lone surrogates, the longest ones broken. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from <= text.length;) {
    let end = text.indexOf('\n', from)
    if (end < 0) {
      // What ends with a line end has no empty line behind it.
      if (from === text.length && from > 0) return
      end = text.length
    }
    for (const part of text.slice(from, end).split(/\r(?!$)/)) {
      const line = clean(part)
      yield* broken(line)
    }
    from = end + 1
  }
}

/** A line in parts that are short enough, none of which ends in the middle of a character. */
function* broken(line: string): Generator<string> {
  for (let at = 0; at === 0 || at < line.length;) {
    const end = wholeEnd(line, at + MAX_LINE)
    yield line.slice(at, end).toWellFormed()
    at = end
  }
}

/** The place, or the one before it when it stands between the halves of a character. */
function wholeEnd(text: string, end: number): number {
  const code = text.charCodeAt(end - 1)
  return end < text.length && code >= 0xd800 && code < 0xdc00 ? end - 1 : end
}

function clean(line: string): string {
  return line
    .replaceAll('\0', '')
    .replace(/\r$/, '')
    .replace(/^\uFEFF/, '')
    .replaceAll('\f', '')
}

class Chunker {
  readonly #target: number
  #lines: string[] = []
  #first = 0
  #line = 0
  #size = 0
  #blank = true

  constructor(target: number) {
    this.#target = target
  }

  /** The chunks that this line has ended. */
  *add(line: string): Generator<FileChunk> {
    const begins = /^#{1,6}\s/.test(line) || (this.#blank && /^\S/.test(line))
    const full = this.#size + line.length > this.#target
    if (this.#lines.length > 0 && (full || (begins && this.#size > this.#target / 2))) yield* this.#close()
    this.#lines.push(line)
    this.#size += line.length + 1
    this.#blank = line.trim() === ''
    this.#line++
  }

  end(): Generator<FileChunk> {
    return this.#close()
  }

  *#close(): Generator<FileChunk> {
    const text = this.#lines.join('\n')
    const place = { first_line: this.#first, last_line: this.#line - 1 }
    this.#first = this.#line
    this.#lines = []
    this.#size = 0
    if (text.trim() === '') return
    // A line of its own that is longer than a chunk is cut between words.
    for (const part of cut(text, this.#target)) yield { text: part, ...place }
  }
}

function* cut(text: string, target: number): Generator<string> {
  let from = 0
  while (text.length - from > target * 1.5) {
    const space = text.lastIndexOf(' ', from + target)
    const end = space > from + target / 2 ? space : wholeEnd(text, from + target)
    yield text.slice(from, end).toWellFormed()
    from = end
  }
  const rest = text.slice(from)
  if (rest.trim() !== '') yield rest.toWellFormed()
}
