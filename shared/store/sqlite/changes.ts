import type { SqliteConnection } from './connection.ts'
import type { SqliteDatabase } from './database.ts'

/** How often commits of other processes are looked for while somebody watches. */
const POLL_MS = 50

/**
 * Calls back after each commit that wrote events: those of this process at once, those of others when the version of the
 * file is seen to have changed, through a connection of its own. `problem` is what keeps it from looking.
 */
export function followChanges(database: SqliteDatabase, listener: (problem: unknown) => void): () => void {
  const connection = database.openReader()
  let version = dataVersion(connection)
  const stopListening = database.onEvents(() => listener(null))
  const timer = setInterval(() => {
    try {
      const now = dataVersion(connection)
      if (now === version) return
      version = now
    } catch (error) {
      return listener(error)
    }
    listener(null)
  }, POLL_MS).unref()
  return () => {
    clearInterval(timer)
    stopListening()
    connection.close()
  }
}

function dataVersion(connection: SqliteConnection): unknown {
  return connection.statement('PRAGMA data_version').get()?.['data_version']
}
