import type { Duplex } from 'node:stream'
import { encodeClose, encodeFrame, FrameReader, ProtocolError, type Received } from './frames.ts'

/** What a socket may cost. Times in milliseconds, sizes in bytes. */
export interface SocketLimits {
  /** A message of a client. */
  message_bytes: number
  /** What waits for a reader; nothing more is made for it beyond that. */
  buffer_bytes: number
  /** How long a reader that is behind may read nothing at all. */
  stall_ms: number
  /** How often a peer is asked whether it is there. */
  heartbeat_ms: number
  /** How long the first frame may take where it has to say who asks. */
  auth_ms: number
}

export const SOCKET_LIMITS: SocketLimits = {
  message_bytes: 4 * 1024 * 1024,
  buffer_bytes: 1024 * 1024,
  stall_ms: 30_000,
  heartbeat_ms: 30_000,
  auth_ms: 5_000,
}

/** Close codes of ours, beside those of RFC 6455. */
export const CLOSE = { going_away: 1001, failure: 1011, unauthorized: 4401, slow: 4408 } as const

const TOO_SLOW =
  'nothing was read for too long; connect again and resume runs by run_id and seq_id, events by cursor'

/** How long a peer may take to answer a close frame, in milliseconds. */
const CLOSE_MS = 2_000
/** The same for one that was behind: the frame is behind all that it has not read. */
const CLOSE_SLOW_MS = 10_000

/** The other end of an open WebSocket: keeps it alive, bounds what waits for it, and says why it is closed. */
export class Peer {
  readonly #socket: Duplex
  readonly #limits: SocketLimits
  readonly #heartbeat: NodeJS.Timeout
  readonly #waiting = new Set<() => void>()
  readonly #gone = new AbortController()
  #heard = true
  #closing = false
  #stall: NodeJS.Timeout | undefined

  /** `limit`: bytes that a message may have now. `onText` must not throw. */
  constructor(
    socket: Duplex,
    options: { limits: SocketLimits; limit: () => number; onText: (text: string) => void },
  ) {
    this.#socket = socket
    this.#limits = options.limits
    const reader = new FrameReader(options.limit)
    socket.on('data', (bytes: Buffer) => this.#read(reader, bytes, options.onText))
    socket.on('drain', () => this.#drained())
    socket.on('end', () => socket.end())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#end())
    this.#heartbeat = setInterval(() => this.#beat(), this.#limits.heartbeat_ms)
    this.#heartbeat.unref()
  }

  /** Aborts when nothing can be sent any more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Sends a text, or does nothing when the socket is closed. */
  send(text: string): void {
    if (this.#closing) return
    this.#write(encodeFrame('text', Buffer.from(text)))
  }

  /** Resolves when there is room for more, or nothing can be sent any more. */
  async room(): Promise<void> {
    if (!this.#isFull() || this.#gone.signal.aborted) return
    await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  /** Says why, and cuts the connection when the peer does not answer soon. */
  close(code: number, reason: string): void {
    if (this.#closing) return
    this.#closing = true
    if (!this.#socket.destroyed) this.#socket.end(encodeClose(code, reason))
    // What still comes is not looked at, but the answer may be behind it.
    this.#socket.resume()
    const patience = code === CLOSE.slow ? CLOSE_SLOW_MS : CLOSE_MS
    setTimeout(() => this.#socket.destroy(), patience).unref()
    this.#release()
  }

  /** Takes bytes that came along with the handshake. */
  begin(head: Buffer): void {
    if (head.length > 0) this.#socket.unshift(head)
    this.#socket.resume()
  }

  #read(reader: FrameReader, bytes: Buffer, onText: (text: string) => void): void {
    this.#heard = true
    if (this.#closing) return
    try {
      for (const received of reader.push(bytes)) {
        this.#receive(received, onText)
        if (this.#closing) return
      }
    } catch (error) {
      if (error instanceof ProtocolError) this.close(error.close_code, error.message)
      else this.close(CLOSE.failure, 'the server failed on this frame')
    }
  }

  #receive(received: Received, onText: (text: string) => void): void {
    switch (received.type) {
      case 'text':
        return onText(received.text)
      case 'ping':
        return this.#write(encodeFrame('pong', received.payload))
      case 'pong':
        return
      case 'close':
        return this.close(received.code ?? 1000, '')
    }
  }

  #write(bytes: Buffer): void {
    if (this.#socket.destroyed) return
    this.#socket.write(bytes)
    if (!this.#isFull() || this.#stall) return
    // Who does not read is not read either: commands would only pile up.
    this.#socket.pause()
    this.#watch(this.#socket.writableLength)
  }

  #watch(left: number): void {
    this.#stall = setTimeout(() => {
      const now = this.#socket.writableLength
      if (now < left) return this.#watch(now)
      this.close(CLOSE.slow, TOO_SLOW)
    }, this.#limits.stall_ms)
    this.#stall.unref()
  }

  #isFull(): boolean {
    return this.#socket.writableLength > this.#limits.buffer_bytes
  }

  #drained(): void {
    clearTimeout(this.#stall)
    this.#stall = undefined
    this.#heard = true
    if (!this.#closing) this.#socket.resume()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #beat(): void {
    // The clock of a reader that is behind runs already.
    if (this.#closing || this.#stall) return
    if (!this.#heard) return void this.#socket.destroy()
    this.#heard = false
    this.#write(encodeFrame('ping', Buffer.alloc(0)))
  }

  #release(): void {
    clearInterval(this.#heartbeat)
    clearTimeout(this.#stall)
    this.#gone.abort()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #end(): void {
    this.#closing = true
    this.#release()
  }
}
