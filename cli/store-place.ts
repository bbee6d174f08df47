import { Failure } from './failure.ts'

/** Options of a command that works on a store itself. */
export interface StorePlace {
  data?: string
  /** `postgres://…` */
  store?: string
}

/**
 * The data directory, for a command that works on files. Throws a `Failure` when agents are in PostgreSQL: `instead` makes
 * the command line that does it there, of the address without its password.
 */
export function ownDirectory(
  { directory, database }: { directory: string; database: { place: string; tools: string } | null },
  what: string,
  instead: (address: string) => string,
): string {
  if (database === null) return directory
  const { place, tools } = database
  throw new Failure(
    `Agents are in PostgreSQL (${place}), not in ${directory}: ${what} with PostgreSQL's own programs, which ask for the ` +
      `password or read it from PGPASSWORD or ~/.pgpass:\n  ${instead(`'${tools.replaceAll("'", "'\\''")}'`)}`,
  )
}
