import { randomBytes } from 'node:crypto'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { WebSocket } from 'ws'
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

/** An open socket, and what came on it. */
export interface OpenSocket {
  ws: WebSocket
  /** What it is on, for bytes that no client would send. */
  socket: Socket
  frames: Frame[]
  /** Settles when it is closed, for whatever reason. */
  closed: Promise<{ code: number; reason: string }>
  send(frame: object | string): void
  /** The first frame like this, which may have come already. */
  frame(label: string, isIt: (frame: Frame) => boolean): Promise<Frame>
  /** All frames of a command, when it has ended. */
  ended(id: string): Promise<Frame[]>
  close(): Promise<void>
}

interface OpenOptions {
  path?: string
  headers?: Record<string, string>
  /** Answer pings; true by default. */
  autoPong?: boolean
  /** Whom an `https:` address is believed. */
  ca?: string
}

/** Opens a socket; rejects with the status and text of the answer when the server refuses it. */
export async function openSocket(
  url: string,
  { path = '/v1/ws', headers = {}, autoPong = true, ca }: OpenOptions = {},
): Promise<OpenSocket> {
  let socket: Socket | undefined
  const createConnection = (options: NetConnectOpts) =>
    (socket = ca === undefined ? connect(options) : connectTls({ ...(options as ConnectionOptions), ca }))
  const options = { headers, autoPong, createConnection: createConnection as typeof connect }
  const ws = new WebSocket(url.replace('http', 'ws') + path, options)
  const frames: Frame[] = []
  const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
  ws.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString('utf8')) as Frame))
  ws.on('close', (code, reason) => resolve({ code, reason: reason.toString('utf8') }))
  await new Promise<void>((open, reject) => {
    ws.once('open', open)
    ws.once('unexpected-response', (request, answer) => {
      answer.setEncoding('utf8').on('data', (text: string) => {
        reject(new Error(`${answer.statusCode} ${text}`))
        request.destroy()
      })
    })
    ws.on('error', reject)
  })
  if (!socket) throw new Error('a socket is open on no connection')
  const frame = (label: string, isIt: (frame: Frame) => boolean) =>
    eventually(label, () => frames.find(isIt) ?? null)
  return {
    ws,
    socket,
    frames,
    closed,
    frame,
    send: (data) => ws.send(typeof data === 'string' ? data : JSON.stringify(data)),
    async ended(id) {
      await frame(
        `the end of command ${id}`,
        (one) => one.id === id && ['done', 'result', 'error'].includes(one.type),
      )
      return frames.filter((one) => one.id === id)
    },
    async close() {
      ws.close()
      await closed
    },
  }
}

/** The status with which a handshake is answered, and the words; 101 when the socket opens. */
export async function handshake(url: string, options: OpenOptions = {}): Promise<string> {
  try {
    await (await openSocket(url, options)).close()
    return '101'
  } catch (error) {
    return (error as Error).message
  }
}

/** A masked frame; `first` is its first byte (0x81: a whole text). */
export function maskedFrame(first: number, text: string | Buffer): Buffer {
  const payload = Buffer.from(text)
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i & 3] ?? 0))])
}
