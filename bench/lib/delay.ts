import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'

/** A way to a database that takes longer, as to one in another house. */
export interface Delayed extends AsyncDisposable {
  readonly address: string
}

/** Listens on loopback and passes everything on to the server of `address` and back, each way `ms` later. */
export async function startDelay(address: string, ms: number): Promise<Delayed> {
  const { searchParams, pathname } = new URL(address)
  const socket = join(searchParams.get('host') ?? '', '.s.PGSQL.5432')
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (near) => {
    const far = createConnection(socket)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      // Timers of one length fire in order.
      from.on('data', (bytes) => void setTimeout(() => to.write(bytes), ms))
      from.on('close', () => setTimeout(() => to.destroy(), ms))
      from.on('error', () => to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `postgres://loci@127.0.0.1:${port}${pathname}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const one of sockets) one.destroy()
      await closed
    },
  }
}
