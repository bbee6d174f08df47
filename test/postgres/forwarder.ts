import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'

/** An address whose other end can be changed, as that of a proxy or a name of DNS is. */
export interface Forwarder {
  port: number
  /** Leads to this socket from now on; who is connected is cut off. */
  to(path: string): void
  close(): Promise<void>
}

/** Forwards TCP connections to a Unix socket; the caller closes it. */
export async function startForwarder(path: string): Promise<Forwarder> {
  let target = path
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const other = createConnection(target)
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => two.destroy())
      one.on('close', () => {
        sockets.delete(one)
        two.destroy()
      })
      one.pipe(two)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll = () => sockets.forEach((socket) => socket.destroy())
  return {
    port: (server.address() as AddressInfo).port,
    to(next) {
      target = next
      cutAll()
    },
    async close() {
      cutAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
