import type { Client } from 'pg'
import type { ConnectionSettings } from './address.ts'

/** How the connections of a database get there. */
export interface Route {
  /** Through a pooler: the statements of one connection may come to several of the server. */
  pooler: boolean
  /** Whether a connection can be had that stays one connection of the server, with its locks and what it listens for. */
  stays: boolean
}

/**
 * Whether a pooler is between: it tells its clients of a process of its own making, as the real one is another from one
 * transaction to the next. Whether it keeps them together for a session cannot be seen, so none is relied on.
 */
export async function isThroughPooler(client: Client): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const [row] = rows as { pid: number }[]
  return 'processID' in client && client.processID !== row?.pid
}

/** What to tell the operator of a server whose direct connection is a pooler's; null when nothing is wrong. */
export function adviceAbout(
  settings: ConnectionSettings,
  found: {
    /** A pooler is on the way that should be direct. */ direct: boolean
    /** No other way was given. */ same: boolean
  },
): string | null {
  // They have said so themselves.
  if (!found.direct || !settings.stays) return null
  const way = found.same ? 'is reached through a pooler' : 'is reached through a pooler by direct=, too'
  return (
    `The database ${settings.place} ${way}, so changes are looked for four times a second, and a server that dies is ` +
    'noticed by its heartbeat: give the address of the database itself with direct=host:port, or say listen=off.'
  )
}
