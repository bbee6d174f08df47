/** A client that does what no library would: bytes as they are, on a connection that a test can leave half done. */
import { connect, type Socket } from 'node:net'

export interface BareClient {
  socket: Socket
  /** What has come so far. */
  readonly text: string
  send(bytes: string): void
  /** Resolves with everything that came once the server has closed; rejects with `label` after `ms`. */
  ended(label: string, ms?: number): Promise<string>
}

/** Connects to a server of HTTP; what is still open at the end is for the caller to destroy. */
export async function bareClient(url: string, first = ''): Promise<BareClient> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.on('data', (piece) => (text += piece.toString('latin1')))
  // A server that cuts us off is what is waited for.
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  if (first !== '') socket.write(first, 'latin1')
  return {
    socket,
    get text() {
      return text
    },
    send: (bytes) => void socket.write(bytes, 'latin1'),
    async ended(label, ms = 15_000) {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error(`not in ${ms} ms: ${label}; so far: ${text}`)), ms)
      await Promise.race([closed, late.promise]).finally(() => clearTimeout(timer))
      return text
    },
  }
}
