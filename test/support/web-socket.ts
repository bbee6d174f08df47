import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { eventually } from './loci.ts'

/** A frame of the server. */
export interface Frame {
  type: string
  id?: string | null
  status?: number
  detail?: string
  cursor?: number
  complete?: boolean
  body?: unknown
  data?: Record<string, unknown>
}

/** An open socket of Node's own client, and what came on it. */
export interface OpenSocket {
  frames: Frame[]
  /** Settles when it is closed, for whatever reason. */
  closed: Promise<{ code: number; reason: string }>
  send(frame: object | string | Uint8Array<ArrayBuffer>): void
  /** The first frame like this, which may have come already. */
  frame(label: string, isIt: (frame: Frame) => boolean): Promise<Frame>
  /** All frames of a command, when it has ended. */
  ended(id: string): Promise<Frame[]>
  close(): Promise<void>
}

/** Opens a socket; rejects when the server refuses it. */
export async function openSocket(
  url: string,
  { path = '/v1/ws', headers }: { path?: string; headers?: Record<string, string> } = {},
): Promise<OpenSocket> {
  // Node's client takes headers, which the types of browsers do not know.
  const Client = WebSocket as unknown as new (url: string, options?: object) => WebSocket
  const socket = new Client(url.replace('http', 'ws') + path, headers ? { headers } : undefined)
  const frames: Frame[] = []
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
  socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  socket.addEventListener('message', ({ data }) => frames.push(JSON.parse(String(data)) as Frame))
  await new Promise<void>((open, reject) => {
    socket.addEventListener('open', () => open(), { once: true })
    socket.addEventListener('error', () => reject(new Error('the socket was refused')), { once: true })
  })
  const frame = (label: string, isIt: (frame: Frame) => boolean) =>
    eventually(label, () => frames.find(isIt) ?? null)
  return {
    frames,
    closed,
    frame,
    send: (data) =>
      socket.send(typeof data === 'string' || data instanceof Uint8Array ? data : JSON.stringify(data)),
    async ended(id) {
      await frame(
        `the end of command ${id}`,
        (one) => one.id === id && ['done', 'result', 'error'].includes(one.type),
      )
      return frames.filter((one) => one.id === id)
    },
    async close() {
      socket.close()
      await closed
    },
  }
}

/** A socket without a client: the bytes as they are, for what no client would send. */
export interface RawSocket {
  socket: Socket
  /** What has come, the handshake's answer included. */
  received(): Buffer
  /** Sends a masked frame; `first` is its first byte (0x81: a whole text). */
  frame(first: number, payload: string | Buffer): void
  /** The code and reason of the close frame that came last of all. */
  closeFrame(): Promise<{ code: number; reason: string }>
}

/** Sends a handshake with these headers and path, and resolves when the answer's head has come. */
export async function openRaw(
  url: string,
  { path = '/v1/ws', headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<RawSocket> {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  const pieces: Buffer[] = []
  socket.on('data', (bytes) => pieces.push(bytes)).on('error', () => undefined)
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const all = {
    host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  const received = () => Buffer.concat(pieces)
  await eventually('an answer to the handshake', () => (received().includes('\r\n\r\n') ? true : null))
  return {
    socket,
    received,
    frame: (first, payload) => void socket.write(maskedFrame(first, Buffer.from(payload))),
    async closeFrame() {
      await ended
      const bytes = received()
      let at = bytes.indexOf('\r\n\r\n') + 4
      for (;;) {
        const short = (bytes[at + 1] ?? 0) & 0x7f
        const [head, length] =
          short === 126
            ? [4, bytes.readUInt16BE(at + 2)]
            : short === 127
              ? [10, Number(bytes.readBigUInt64BE(at + 2))]
              : [2, short]
        const payload = bytes.subarray(at + head, at + head + length)
        assert.ok(at < bytes.length, 'a close frame came before the end')
        if (bytes[at] === 0x88) return { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
        at += head + length
      }
    },
  }
}

function maskedFrame(first: number, payload: Buffer): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0))])
}
