import { resolve } from 'node:path'
import { loadMaintenance, loadSettings, resolveDataDirectory } from '../../shared/server/main.ts'
import { Failure } from '../failure.ts'

/** Options of a command that works on a store itself. */
export interface StorePlace {
  data?: string
  /** `postgres://…` */
  store?: string
}

/** The data directory that is meant, and the database in whose place it would be; null: none. */
export async function placeOfStore(
  options: StorePlace,
): Promise<{ directory: string; address: string | null }> {
  const directory = options.data === undefined ? resolveDataDirectory(process.env) : resolve(options.data)
  const { openConfig, storeAddress } = await loadSettings()
  return { directory, address: storeAddress(options.store, process.env, await openConfig(directory)) }
}

/**
 * The data directory, for a command that works on files. Throws a `Failure` when agents are in PostgreSQL: `instead` makes
 * the command line that does it there, of the address without its password.
 */
export async function ownDirectory(
  options: StorePlace,
  what: string,
  instead: (address: string) => string,
): Promise<string> {
  const { directory, address } = await placeOfStore(options)
  if (address === null) return directory
  const { readAddress } = await loadMaintenance()
  const { place, tools } = readAddress(address)
  throw new Failure(
    `Agents are in PostgreSQL (${place}), not in ${directory}: ${what} with PostgreSQL's own programs, which ask for the ` +
      `password or read it from PGPASSWORD or ~/.pgpass:\n  ${instead(`'${tools.replaceAll("'", "'\\''")}'`)}`,
  )
}
