import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'
import type { CallQueue } from './call-queue.ts'
import { LineReader } from './stdio-lines.ts'

/** More that the host has not read than this, and it is not listened to until it has. In bytes. */
const UNREAD = 8 * 1024 * 1024
/** More that the host has asked for and was not answered than this, and it is not listened to either. In bytes. */
const UNANSWERED = 64 * 1024 * 1024

/**
 * MCP over this process's stdin and stdout, a message a line. Unlike the SDK's it answers what is no message, goes on after
 * one that is too large, and takes no more than it can keep: from a host that does not read its answers, or asks faster
 * than it is answered.
 */
export class StdioTransport implements Transport {
  onmessage?: Transport['onmessage']
  onerror?: Transport['onerror']
  onclose?: Transport['onclose']
  readonly #queue: Pick<CallQueue, 'hold' | 'release'>
  readonly #lines = new LineReader()
  /** Sizes of requests that have no answer yet, by id. */
  readonly #open = new Map<string | number, number>()
  #unanswered = 0
  #unread = false
  #drained: (() => void)[] = []
  #closed = false

  constructor(queue: Pick<CallQueue, 'hold' | 'release'>) {
    this.#queue = queue
  }

  start(): Promise<void> {
    process.stdin
      .on('data', this.#ondata)
      .on('error', this.#fail)
      .on('end', this.#onend)
      .on('close', this.#onend)
    // Stays after the end: a write of the last moment may still fail.
    process.stdout.on('error', this.#fail).on('drain', this.#ondrain)
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('The connection has ended.'))
    if (!('method' in message) && message.id !== undefined) this.#settle(message.id)
    const kept = process.stdout.write(`${JSON.stringify(message)}\n`)
    if (process.stdout.writableLength > UNREAD && !this.#unread) {
      this.#unread = true
      this.#queue.hold()
      this.#listen()
    }
    return kept ? Promise.resolve() : new Promise((resolve) => this.#drained.push(resolve))
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    process.stdin.off('data', this.#ondata).off('end', this.#onend).off('close', this.#onend).pause()
    this.#ondrain()
    this.onclose?.()
    return Promise.resolve()
  }

  readonly #ondata = (chunk: Buffer) => {
    for (const line of this.#lines.read(chunk)) {
      if (this.#closed) return
      if ('message' in line) this.#take(line.message, line.bytes)
      else {
        this.onerror?.(new Error(line.why))
        if (line.answer) this.#refuse(line.answer, line.why)
      }
    }
    this.#listen()
  }

  #take(message: JSONRPCMessage, bytes: number): void {
    if ('method' in message && 'id' in message) {
      this.#settle(message.id)
      this.#open.set(message.id, bytes)
      this.#unanswered += bytes
    } else if ('method' in message && message.method === 'notifications/cancelled') {
      // It gets no answer.
      const id = message.params?.['requestId']
      if (typeof id === 'string' || typeof id === 'number') this.#settle(id)
    }
    this.onmessage?.(message)
  }

  #settle(id: string | number): void {
    this.#unanswered -= this.#open.get(id) ?? 0
    if (this.#open.delete(id)) this.#listen()
  }

  #refuse({ id, code }: { id: string | number | null; code: number }, message: string): void {
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } })}\n`)
  }

  /** Listens to the host, or not, by what is kept for it. */
  #listen(): void {
    if (this.#closed) return
    const full = this.#unread || this.#unanswered > UNANSWERED
    if (full === process.stdin.isPaused()) return
    if (full) process.stdin.pause()
    else process.stdin.resume()
  }

  readonly #ondrain = () => {
    for (const resolve of this.#drained.splice(0)) resolve()
    if (!this.#unread) return
    this.#unread = false
    this.#queue.release()
    this.#listen()
  }

  readonly #fail = (error: Error) => {
    if (this.#closed) return
    this.onerror?.(error)
    void this.close()
  }

  readonly #onend = () => void this.close()
}
