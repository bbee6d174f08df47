import { Client } from 'pg'
import { openDatabase, type PostgresDatabase } from '../../shared/store/postgres/database.ts'
import { type Migration, MIGRATIONS } from '../../shared/store/postgres/migrate.ts'
import { requests } from '../../shared/store/postgres/migrations/0003-requests.ts'
import { AdvisoryLocks } from '../../shared/store/postgres/advisory-locks.ts'
import { Heartbeats } from '../../shared/store/postgres/heartbeats.ts'
import { SecretBox } from '../../shared/store/secret-box.ts'
import { Instance } from '../../shared/store/sql/instances.ts'
import { sqlStore } from '../../shared/store/sql/store.ts'

/** The schema before messages and steps were partitioned, with the columns that today's queries name. */
const OLDER: readonly Migration[] = MIGRATIONS.slice(0, 1).map((one) => ({
  ...one,
  sql: `${one.sql};${requests}`,
}))

/** Opens a database as a Loci does that knows that schema alone; the caller closes it. */
export function openOlder(address: string): Promise<PostgresDatabase> {
  return openDatabase({ address, version: '0.9.0', migrations: OLDER })
}

/** The parts of a store in a database that the caller closes. */
export function storeIn(database: PostgresDatabase, directory: string) {
  const locks = new AdvisoryLocks(database, new Heartbeats(database, 12_000))
  const instance = new Instance(database, locks, { version: '0.9.0', stale_after_ms: 12_000 })
  const store = sqlStore({
    database,
    instance,
    box: new SecretBox({ directory, passphrase: null }),
    unindexed: null,
  })
  return { ...store, close: () => instance.close() }
}

/** Asks a database beside the store; the caller ends it. */
export async function clientOf(address: string): Promise<Client> {
  const client = new Client({ connectionString: address })
  // Some tests cut it off.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Stores so many messages of nobody, and half as many steps. */
export async function fill(client: Client, messages: number): Promise<void> {
  await client.query(
    `INSERT INTO messages (id, organization_id, agent_id, conversation_id, role, is_err, searchable, created_at, data)
     SELECT 'message-' || gen_random_uuid(), 'org', 'agent-' || i % 200, 'agent-' || i % 200, 'user', 0, 0,
       '2026-01-01T00:00:00.000Z', repeat('text ', 60) FROM generate_series(1, $1::int) AS i`,
    [messages],
  )
  await client.query(
    `INSERT INTO steps (id, organization_id, run_id, agent_id, created_at, data)
     SELECT 'step-' || gen_random_uuid(), 'org', 'run-' || i, 'agent-' || i % 200, '2026-01-01T00:00:00.000Z', '{}'
     FROM generate_series(1, $1::int / 2) AS i`,
    [messages],
  )
}
