import { createServer } from 'node:net'

/** The first free port on loopback from `first` on; throws when the next twenty are taken, too. */
export async function freePortFrom(first: number): Promise<number> {
  for (let port = first; port <= Math.min(first + 20, 65_535); port++) if (await isFree(port)) return port
  throw new Error(`The ports from ${first} on are all taken. Choose another in the setting loci.server.port.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
