import { WebSocket } from 'ws'

/** In milliseconds; nothing that a benchmark waits for on a socket takes as long. */
const DEADLINE = 120_000

/** A frame as far as a benchmark looks at it. */
export interface SocketFrame {
  type: string
  id?: string
  detail?: string
  complete?: boolean
  data?: { message_type?: string }
}

/** An open WebSocket; `onFrame` hears every frame with the time of its arrival. */
export interface BenchSocket {
  send(frame: object): void
  onFrame: (frame: SocketFrame, at: number) => void
  close(): Promise<void>
}

/** Opens one on `/v1/ws`, and resolves when its first frame has come. */
export async function openSocket(url: string): Promise<BenchSocket> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, { perMessageDeflate: false })
  const first = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const socket: BenchSocket = {
    send: (frame) => ws.send(JSON.stringify(frame)),
    onFrame: () => undefined,
    async close() {
      ws.close()
      await closed.promise
    },
  }
  ws.on('error', first.reject)
  ws.on('close', () => closed.resolve())
  ws.on('message', (data: Buffer) => {
    const at = performance.now()
    first.resolve()
    socket.onFrame(JSON.parse(data.toString('utf8')) as SocketFrame, at)
  })
  await within('the first frame of a socket', first.promise)
  return socket
}

/** Rejects with `label` at the deadline. */
export async function within<T>(label: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not in ${DEADLINE} ms: ${label}`)), DEADLINE)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
