/** The wire format of WebSockets (RFC 6455, section 5), the server's side, without extensions. */

/** What a peer sent, as far as it is whole. */
export type Received =
  | { type: 'text'; text: string }
  | { type: 'ping'; payload: Buffer }
  | { type: 'pong' }
  | { type: 'close'; code: number | null }

/** What breaks the protocol: the socket is closed with this code (RFC 6455, 7.4.1) and a reason for its user. */
export class ProtocolError extends Error {
  readonly close_code: number

  constructor(close_code: number, reason: string) {
    super(reason)
    this.close_code = close_code
  }
}

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const NO_BYTES = Buffer.alloc(0)

/** Puts frames together from bytes, however they are cut. */
export class FrameReader {
  readonly #limit: () => number
  #pieces: Buffer[] = []
  #length = 0
  /** The text so far, in a buffer with room for more; null between messages. */
  #message: { bytes: Buffer; length: number } | null = null

  /** `limit`: bytes that a message may have now. */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  /** What is whole with these bytes. Throws `ProtocolError`, after which nothing more is read. */
  *push(bytes: Buffer): Generator<Received> {
    if (bytes.length > 0) this.#pieces.push(bytes)
    this.#length += bytes.length
    for (;;) {
      const frame = this.#next()
      if (!frame) return
      const received = this.#receive(frame)
      if (received) yield received
    }
  }

  #next(): { fin: boolean; opcode: number; payload: Buffer } | null {
    if (this.#length < 2) return null
    const head = this.#peek(Math.min(this.#length, 14))
    const [first = 0, second = 0] = head
    const opcode = first & 0x0f
    const fin = (first & 0x80) !== 0
    if ((first & 0x70) !== 0)
      throw new ProtocolError(1002, 'a reserved bit is set; no extension was agreed on')
    if ((second & 0x80) === 0) throw new ProtocolError(1002, 'frames of a client must be masked')
    const short = second & 0x7f
    const size = short === 126 ? 4 : short === 127 ? 10 : 2
    if (opcode >= OPCODE.close && (!fin || short > 125))
      throw new ProtocolError(1002, 'control frames are whole, with 125 bytes at most')
    if (opcode === OPCODE.binary)
      throw new ProtocolError(1003, 'binary frames are not taken; send JSON as text')
    if (this.#length < size + 4) return null
    const length =
      short === 126 ? head.readUInt16BE(2) : short === 127 ? Number(head.readBigUInt64BE(2)) : short
    // Refused before it is held: nobody makes this process keep what it will not take.
    const before = opcode === OPCODE.continuation ? (this.#message?.length ?? 0) : 0
    if (before + length > this.#limit())
      throw new ProtocolError(1009, `a message may have ${this.#limit()} bytes at most`)
    if (this.#length < size + 4 + length) return null
    const frame = this.#peek(size + 4 + length)
    const mask = frame.subarray(size, size + 4)
    const payload = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) payload[i] = (frame[size + 4 + i] ?? 0) ^ (mask[i & 3] ?? 0)
    this.#skip(size + 4 + length)
    return { fin, opcode, payload }
  }

  #receive({ fin, opcode, payload }: { fin: boolean; opcode: number; payload: Buffer }): Received | null {
    switch (opcode) {
      case OPCODE.text:
        if (this.#message) throw new ProtocolError(1002, 'a message begins inside another one')
        if (fin) return { type: 'text', text: decode(payload) }
        this.#message = { bytes: payload, length: payload.length }
        return null
      case OPCODE.continuation: {
        const message = this.#message
        if (!message) throw new ProtocolError(1002, 'a continuation of no message')
        append(message, payload)
        if (!fin) return null
        this.#message = null
        return { type: 'text', text: decode(message.bytes.subarray(0, message.length)) }
      }
      case OPCODE.close:
        if (payload.length === 1) throw new ProtocolError(1002, 'half a close code')
        return { type: 'close', code: payload.length === 0 ? null : payload.readUInt16BE(0) }
      case OPCODE.ping:
        return { type: 'ping', payload }
      case OPCODE.pong:
        return { type: 'pong' }
      default:
        throw new ProtocolError(1002, `frames of type ${opcode} are unknown`)
    }
  }

  /** The first bytes, in one piece. */
  #peek(length: number): Buffer {
    const [first = NO_BYTES] = this.#pieces
    if (first.length < length) this.#pieces = [Buffer.concat(this.#pieces)]
    return (this.#pieces[0] ?? NO_BYTES).subarray(0, length)
  }

  /** Of bytes that `#peek` has put into one piece. */
  #skip(length: number): void {
    const [first = NO_BYTES, ...rest] = this.#pieces
    this.#pieces = first.length === length ? rest : [first.subarray(length), ...rest]
    this.#length -= length
  }
}

/** A message of many small parts costs no more than it is long. */
function append(message: { bytes: Buffer; length: number }, more: Buffer): void {
  const needed = message.length + more.length
  if (needed > message.bytes.length) {
    const bytes = Buffer.allocUnsafe(Math.max(needed, 2 * message.bytes.length))
    message.bytes.copy(bytes, 0, 0, message.length)
    message.bytes = bytes
  }
  more.copy(message.bytes, message.length)
  message.length = needed
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ProtocolError(1007, 'the text is not valid UTF-8')
  }
}

/** A frame of the server: whole and unmasked. */
export function encodeFrame(type: 'text' | 'close' | 'ping' | 'pong', payload: Buffer): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = 0x80 | OPCODE[type]
  if (length < 126) head[1] = length
  else if (length < 65_536) {
    head[1] = 126
    head.writeUInt16BE(length, 2)
  } else {
    head[1] = 127
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  return Buffer.concat([head, payload])
}

/** Bytes that the reason of a close frame may have. */
const REASON_BYTES = 123

/** A close frame; of a reason that is too long, the beginning. */
export function encodeClose(code: number, reason: string): Buffer {
  let text = reason
  while (Buffer.byteLength(text) > REASON_BYTES) text = text.slice(0, -1)
  const payload = Buffer.alloc(2 + Buffer.byteLength(text))
  payload.writeUInt16BE(code, 0)
  payload.write(text, 2)
  return encodeFrame('close', payload)
}
