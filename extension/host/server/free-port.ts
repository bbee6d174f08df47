import { createServer } from 'node:net'
import { t } from '../l10n.ts'

/** The first free port on loopback from `first` on; throws when the next twenty are taken, too. */
export async function freePortFrom(first: number): Promise<number> {
  for (let port = first; port <= Math.min(first + 20, 65_535); port++) if (await isFree(port)) return port
  throw new Error(
    t('The ports from {0} on are all taken. Choose another in the setting loci.server.port.', first),
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
