import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'

/** An address whose other end can be changed, as that of a proxy or a name of DNS is. */
export interface Forwarder {
  port: number
  /** Leads to this socket from now on; who is connected is cut off. */
  to(path: string): void
  /** Cuts whoever is connected off, and lets the other end believe that they are there. */
  cutClients(): void
  /** From now on nothing is said to anybody, who may connect all the same. */
  silence(): void
  close(): Promise<void>
}

/** Forwards TCP connections to a Unix socket; the caller closes it. */
export async function startForwarder(path: string): Promise<Forwarder> {
  let target = path
  let silent = false
  const clients = new Set<Socket>()
  const sockets = new Set<Socket>()
  /** Those who do not hear of the end of the other side. */
  const left = new Set<Socket>()
  const server = createServer((socket) => {
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
    if (silent) return void socket.on('error', () => undefined)
    const other = createConnection(target)
    for (const [one, two] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => left.has(two) || two.destroy())
      one.on('close', () => {
        sockets.delete(one)
        if (!left.has(two)) two.destroy()
      })
      one.pipe(two)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll = () => [...sockets, ...clients].forEach((socket) => socket.destroy())
  return {
    port: (server.address() as AddressInfo).port,
    to(next) {
      target = next
      cutAll()
    },
    cutClients() {
      for (const socket of sockets) {
        if (clients.has(socket)) continue
        left.add(socket)
      }
      for (const socket of clients) socket.unpipe().destroy()
    },
    silence() {
      silent = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    async close() {
      cutAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
