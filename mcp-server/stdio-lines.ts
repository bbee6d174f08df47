import { type JSONRPCMessage, parseJSONRPCMessage } from '@modelcontextprotocol/server'

/** A longer message is not read, in bytes. */
export const LARGEST_MESSAGE = 10 * 1024 * 1024
/** Of a message that is too long, so much of its beginning and end is looked at for its id. */
const EDGE = 256

/** A line of input: a message with its size in bytes, or why it is none, as the answer it gets (null: it gets none). */
export type Line =
  | { message: JSONRPCMessage; bytes: number }
  | { why: string; answer: { id: string | number | null; code: number } | null }

/**
 * Cuts input into lines and reads them as messages (JSON-RPC 2.0, sections 4 and 5.1). What is no message is answered
 * as an error, with the id where one can be read; a line that is too long is skipped to its end without being kept.
 */
export class LineReader {
  #pieces: Buffer[] = []
  #bytes = 0
  /** Beginning and end of a line that is too long. */
  #skipped: { head: Buffer; tail: Buffer } | null = null

  read(chunk: Buffer): Line[] {
    const lines: Line[] = []
    for (let at = 0; at < chunk.length;) {
      const newline = chunk.indexOf(10, at)
      this.#take(chunk.subarray(at, newline < 0 ? chunk.length : newline))
      if (newline < 0) break
      at = newline + 1
      const line = this.#end()
      if (line) lines.push(line)
    }
    return lines
  }

  #take(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#skipped) {
      this.#skipped.tail = Buffer.concat([this.#skipped.tail, piece.subarray(-EDGE)]).subarray(-EDGE)
      return
    }
    this.#pieces.push(piece)
    if (this.#bytes <= LARGEST_MESSAGE) return
    const whole = Buffer.concat(this.#pieces)
    this.#skipped = { head: Buffer.from(whole.subarray(0, EDGE)), tail: Buffer.from(whole.subarray(-EDGE)) }
    this.#pieces = []
  }

  #end(): Line | null {
    const [bytes, skipped, pieces] = [this.#bytes, this.#skipped, this.#pieces]
    this.#bytes = 0
    this.#skipped = null
    this.#pieces = []
    if (!skipped) return lineOf(Buffer.concat(pieces).toString('utf8'), bytes)
    const id = idAtEdge(skipped.head.toString('utf8'), skipped.tail.toString('utf8'))
    const why = `The message has ${bytes} bytes; one of more than ${LARGEST_MESSAGE} is not read.`
    return { why, answer: { id, code: -32_600 } }
  }
}

function lineOf(text: string, bytes: number): Line | null {
  if (text.trim() === '') return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : String(error)
    return { why: `The message is not JSON: ${why}`, answer: { id: null, code: -32_700 } }
  }
  try {
    return { message: parseJSONRPCMessage(value), bytes }
  } catch {
    return refused(value)
  }
}

function refused(value: unknown): Line {
  if (Array.isArray(value))
    return { why: 'Batches are not read: send one message a line.', answer: { id: null, code: -32_600 } }
  const given = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  const { jsonrpc, method, id, params } = given
  const answered = ('result' in given || 'error' in given) && !('method' in given)
  if (answered) return { why: 'An answer of the host is no JSON-RPC 2.0 message.', answer: null }
  const why =
    jsonrpc !== '2.0'
      ? 'it is no JSON-RPC 2.0 (no "jsonrpc": "2.0")'
      : typeof method !== 'string'
        ? 'its method is no text'
        : params !== undefined && (typeof params !== 'object' || params === null || Array.isArray(params))
          ? 'its params are no object'
          : 'its id is neither a text nor a whole number'
  const known = typeof id === 'string' || typeof id === 'number' ? id : null
  return { why: `The message is no request: ${why}.`, answer: { id: known, code: -32_600 } }
}

/** The id of a request of which only the edges are known, where clients write it: first or last. */
function idAtEdge(head: string, tail: string): string | number | null {
  const id = String.raw`"id"\s*:\s*("[^"\\]*"|\d{1,15})`
  const version = String.raw`"jsonrpc"\s*:\s*"2\.0"`
  const found =
    new RegExp(String.raw`^\s*\{\s*(?:${version}\s*,\s*)?${id}\s*,`).exec(head) ??
    new RegExp(String.raw`\}\s*,\s*(?:${version}\s*,\s*)?${id}\s*(?:,\s*${version}\s*)?\}\s*$`).exec(tail)
  return found?.[1] === undefined ? null : (JSON.parse(found[1]) as string | number)
}
