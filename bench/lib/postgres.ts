import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { startServer } from '../../test/postgres/server.ts'
import { type Cell, copyBytes } from './copy-format.ts'
import { cpuOfTree } from './processes.ts'

/** Rows that are filled in at once. */
const ROWS = 20_000

/** A PostgreSQL of a benchmark: on a disk, every commit flushed, and otherwise with the settings it comes with. */
export interface BenchPostgres extends AsyncDisposable {
  /** Its version, and what was set. */
  readonly description: string
  /** A new, empty database; its address. */
  database(): Promise<string>
  /** Processor time of all its processes so far, in milliseconds. */
  cpu(): Promise<number>
}

/**
 * Starts the PostgreSQL of LOCI_TEST_PGVECTOR_BIN (`.ci/install-pgvector.sh` brings it), else that of the tests, which may
 * be without pgvector. Disposing of it removes it.
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<BenchPostgres> {
  const bin = process.env['LOCI_TEST_PGVECTOR_BIN']
  const server = await startServer(bin ? bin : undefined, {
    fsync: 'on',
    max_connections: '100',
    ...settings,
  })
  // One that is left behind by an interrupted run would keep its folder and a core busy.
  const kill = () => {
    const pid = server.pid()
    if (pid !== undefined) process.kill(pid, 'SIGQUIT')
  }
  process.once('exit', kill)
  const { rows } = await asking(server.address('postgres'), (client) => client.query('SHOW server_version'))
  const [{ server_version = '' } = {}] = rows as { server_version?: string }[]
  const set = Object.entries(settings).map(([name, value]) => `, ${name}=${value}`)
  let made = 0
  return {
    description: `PostgreSQL ${server_version}${set.join('')}`,
    async database() {
      const name = `bench_${made++}`
      await server.create(name)
      return server.address(name)
    },
    cpu: () => cpuOfTree(server.pid() ?? 0),
    async [Symbol.asyncDispose]() {
      process.off('exit', kill)
      await server.stop()
    },
  }
}

/** A connection of the benchmark's own, for as long as `work` takes. */
export async function asking<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: address })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Fills rows into a table past the store; `folder` is used for a moment, and must be one the server may look into. */
export async function copyInto(
  client: Client,
  table: string,
  columns: readonly string[],
  rows: Iterable<readonly Cell[]>,
  folder: string,
): Promise<void> {
  // The server is another user when this one is root.
  await chmod(folder, 0o755)
  const file = join(folder, 'rows')
  const fill = async (some: readonly (readonly Cell[])[]) => {
    await writeFile(file, copyBytes(some), { mode: 0o644 })
    await client.query(`COPY ${table} (${columns.join(', ')}) FROM '${file}' (FORMAT binary)`)
  }
  let some: (readonly Cell[])[] = []
  for (const row of rows) {
    some.push(row)
    if (some.length < ROWS) continue
    await fill(some)
    some = []
  }
  if (some.length > 0) await fill(some)
  await rm(file, { force: true })
}

/**
 * Does `work` without these indexes and makes them again, as one does who fills a table; answers the milliseconds that
 * making each took.
 */
export async function withoutIndexes<T>(
  client: Client,
  names: readonly string[],
  work: () => Promise<T>,
): Promise<{ value: T; took: Map<string, number> }> {
  const { rows } = await client.query(
    'SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY ($1)',
    [names],
  )
  const indexes = rows as { indexname: string; indexdef: string }[]
  for (const { indexname } of indexes) await client.query(`DROP INDEX ${indexname}`)
  const value = await work()
  const took = new Map<string, number>()
  for (const { indexname, indexdef } of indexes) {
    const from = performance.now()
    await client.query(indexdef)
    took.set(indexname, performance.now() - from)
  }
  return { value, took }
}
