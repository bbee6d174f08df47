import type { Readable } from 'node:stream'

/** Bytes of stdout, and of stderr, that a call keeps; what comes after is read and thrown away. */
export const KEPT_OUTPUT = 256 * 1024

/** Bytes of output after which a call is ended: reading them is work for the server. */
export const MAX_OUTPUT = 64 * 1024 * 1024

/** What a process writes to one of its two streams. */
export interface ToolOutput {
  /** From now on output is that of a call; it ends with the mark of `token`. */
  begin(token: string): void
  /** Resolves when the mark was read, or the stream has ended. */
  ended: Promise<void>
  /** What was written since `begin` (without a call: since the start), as lines. */
  lines(): string[]
}

/** Reads all that a stream brings, in bounded memory. `onFlood` is called once, when it is more than `MAX_OUTPUT`. */
export function collectOutput(stream: Readable, onFlood: () => void): ToolOutput {
  let kept: Buffer[] = []
  let keptBytes = 0
  let seen = 0
  let mark: Buffer | null = null
  // The end of what was read, in which a mark may have begun.
  let tail: Buffer = Buffer.alloc(0)
  let cut = false
  let marked = false
  let finish = Promise.withResolvers<void>()

  const keep = (bytes: Buffer) => {
    if (bytes.length === 0) return
    const room = KEPT_OUTPUT - keptBytes
    if (bytes.length > room) cut = true
    if (room <= 0) return
    kept.push(bytes.subarray(0, room))
    keptBytes += Math.min(bytes.length, room)
  }
  stream.on('data', (chunk: Buffer) => {
    seen += chunk.length
    if (seen > MAX_OUTPUT && seen - chunk.length <= MAX_OUTPUT) onFlood()
    if (marked) return
    if (!mark) return keep(chunk)
    const bytes: Buffer = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk
    const end = bytes.indexOf(mark)
    if (end >= 0) {
      keep(bytes.subarray(0, end))
      tail = Buffer.alloc(0)
      marked = true
      return finish.resolve()
    }
    const from = Math.max(0, bytes.length - mark.length + 1)
    keep(bytes.subarray(0, from))
    tail = Buffer.from(bytes.subarray(from))
  })
  const end = () => {
    keep(tail)
    tail = Buffer.alloc(0)
    finish.resolve()
  }
  stream.once('end', end)
  stream.once('close', end)
  stream.once('error', end)

  return {
    begin(token) {
      kept = []
      keptBytes = 0
      seen = 0
      cut = false
      marked = false
      mark = Buffer.from(`\n${token}\n`)
      if (!stream.readableEnded && !stream.destroyed) finish = Promise.withResolvers<void>()
    },
    get ended() {
      return finish.promise
    },
    lines() {
      const text = Buffer.concat([...kept, ...(marked ? [] : [tail])]).toString()
      const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
      if (!cut) return lines
      // Its last character may have been cut, too.
      const last = (lines.at(-1) ?? '').replace(/\uFFFD$/, '')
      return [...lines.slice(0, -1), `${last}…`, `[output cut after ${KEPT_OUTPUT / 1024} KB]`]
    },
  }
}
