import type { Socket } from 'node:net'
import { type RawData, WebSocket } from 'ws'
import type { SocketLimits } from './sockets.ts'

/** Close codes of ours, beside those of RFC 6455. */
export const CLOSE = {
  going_away: 1001,
  unsupported: 1003,
  too_big: 1009,
  failure: 1011,
  unauthorized: 4401,
  not_found: 4404,
  slow: 4408,
} as const

const TOO_SLOW =
  'nothing was read for too long; connect again and resume runs by run_id and seq_id, events by cursor'

/** The other end of an open WebSocket: sees whether it is there, bounds what waits for it, and says why it is closed. */
export class Peer {
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #limits: SocketLimits
  readonly #waiting: (() => void)[] = []
  /** More waits for the reader than it may; over when all of it was taken. */
  #isFull = false
  /** Bytes it had sent at the last heartbeat; null when it was not asked then. */
  #read: number | null = null

  /** `socket` is what `ws` is on. `onText` and `onGone`, which is called once, must not throw. */
  constructor(
    ws: WebSocket,
    socket: Socket,
    options: { limits: SocketLimits; onText: (text: string) => void; onGone: () => void },
  ) {
    this.#ws = ws
    this.#socket = socket
    this.#limits = options.limits
    ws.on('message', (data: RawData, isBinary: boolean) => {
      if (ws.readyState !== WebSocket.OPEN) return
      if (isBinary) this.close(CLOSE.unsupported, 'binary frames are not taken; send JSON as text')
      else options.onText(textOf(data))
    })
    // What a peer does wrong; it is closed already with the code for that.
    ws.on('error', () => undefined)
    ws.once('close', () => {
      this.#release()
      options.onGone()
    })
    socket.on('drain', () => this.#drained())
    // Only while much waits: nothing of it was taken for that long.
    socket.on('timeout', () => this.close(CLOSE.slow, TOO_SLOW))
  }

  /** Whether anything can be sent. */
  get isOpen(): boolean {
    return this.#ws.readyState === WebSocket.OPEN
  }

  /** Sends a text, or does nothing when the socket is closed. */
  send(text: string): void {
    if (!this.isOpen) return
    this.#ws.send(text)
    if (this.#isFull || this.#ws.bufferedAmount <= this.#limits.buffer_bytes) return
    this.#isFull = true
    this.#socket.setTimeout(this.#limits.stall_ms)
    // Who does not read is not read either: commands would only pile up.
    this.#ws.pause()
  }

  /** Resolves when there is room for more, or nothing can be sent any more. */
  async room(): Promise<void> {
    if (this.#isFull && this.isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Reads no more than has come. */
  pause(): void {
    this.#ws.pause()
  }

  /** Goes on reading. */
  resume(): void {
    if (!this.#isFull) this.#ws.resume()
  }

  /** Cuts a peer that has sent nothing since it was asked whether it is there, and asks the others. */
  beat(): void {
    // The clock of a reader that is behind runs already, and it is not read.
    if (!this.isOpen || this.#isFull) return
    const { bytesRead } = this.#socket
    if (this.#read === bytesRead) return this.#ws.terminate()
    this.#read = bytesRead
    this.#ws.ping()
  }

  /** Says why; the connection is cut when the peer does not answer. `reason` has at most 123 bytes. */
  close(code: number, reason: string): void {
    if (!this.isOpen) return
    this.#ws.close(code, reason)
    this.#release()
    // The answer may be behind what is not looked at any more.
    this.#ws.resume()
  }

  #drained(): void {
    if (!this.#isFull) return
    this.#isFull = false
    this.#read = null
    this.#socket.setTimeout(0)
    if (this.isOpen) this.#ws.resume()
    this.#wake()
  }

  #release(): void {
    this.#socket.setTimeout(0)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** Text comes as one buffer: nobody has asked for fragments. */
function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data as ArrayBuffer).toString('utf8')
}
