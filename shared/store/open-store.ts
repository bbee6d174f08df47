import { mkdir } from 'node:fs/promises'
import type { Store } from '../core/ports/store.ts'
import { readAddress } from './postgres/address.ts'
import { openSqliteStore, type SqliteStoreOptions } from './sqlite/sqlite-store.ts'

/**
 * Opens the store of a data directory; with an `address` (`postgres://…`) the one in that database, and the directory
 * keeps what belongs to this machine. The caller closes it. Throws `invalid_argument`, `store_unavailable`, `store_newer`.
 */
export async function openStore({
  address,
  onNotice,
  ...options
}: SqliteStoreOptions & {
  address: string | null
  /** Hears in a sentence what of a database the operator may want to set up in another way; must not throw. */
  onNotice?: (sentence: string) => void
}): Promise<Store> {
  if (address === null) return openSqliteStore(options)
  await mkdir(options.directory, { recursive: true, mode: 0o700 })
  const { openPostgresStore } = await import('./postgres/postgres-store.ts')
  return openPostgresStore({ ...options, address, onNotice })
}

/** Where a database is, for people: without user and password. Throws `invalid_argument` for what is no address. */
export function placeOf(address: string): string {
  return readAddress(address).place
}
