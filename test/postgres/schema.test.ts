import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { openDatabase } from '../../shared/store/postgres/database.ts'
import { MIGRATIONS as SQLITE } from '../../shared/store/sqlite/migrate.ts'
import { startServer } from './server.ts'

/** What PostgreSQL has besides: the order of commits, vectors in a type of their own, and uploads, for which SQLite has a folder. */
const OWN = /^(?:events\.xid|vectors\.embedding|upload_chunks\..*)$/

interface Column {
  name: string
  nullable: boolean
}

function ofSqlite(): Column[] {
  const database = new DatabaseSync(':memory:')
  for (const migration of SQLITE) database.exec(migration)
  const tables = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all()
    .map((row) => String(row['name']))
    .filter((name) => !/_fts_/.test(name))
  return tables.flatMap((table) =>
    database
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map((row) => ({
        name: `${table}.${String(row['name'])}`,
        nullable: row['notnull'] === 0 && row['pk'] === 0,
      })),
  )
}

describe('the schemas of the two engines', function () {
  this.timeout(120_000)

  it('have the same tables and columns', async () => {
    const server = await startServer()
    try {
      await server.create('schema')
      const address = server.address('schema')
      await (await openDatabase({ address, version: '1.0.0' })).close()
      const client = new Client({ connectionString: address })
      await client.connect()
      const { rows } = await client.query(
        `SELECT table_name || '.' || column_name AS name, is_nullable = 'YES' AS nullable
         FROM information_schema.columns WHERE table_schema = 'public'
         AND NOT (SELECT relispartition FROM pg_class WHERE oid = to_regclass(table_name::text))`,
      )
      await client.end()
      const sorted = (columns: Column[]) =>
        columns
          // A full-text index is a table of its own kind.
          .filter(({ name }) => !OWN.test(name) && !/_fts\./.test(name))
          .map(({ name, nullable }) => `${name}${nullable ? '?' : ''}`)
          .toSorted()
      assert.deepEqual(sorted(rows as Column[]), sorted(ofSqlite()))
    } finally {
      await server.stop()
    }
  })

  it('are made once by processes that start at once', async () => {
    const server = await startServer()
    try {
      await server.create('race')
      const address = server.address('race')
      const opened = await Promise.all(
        Array.from({ length: 6 }, () => openDatabase({ address, version: '1.0.0' })),
      )
      await Promise.all(opened.map((database) => database.check()))
      await Promise.all(opened.map((database) => database.close()))
    } finally {
      await server.stop()
    }
  })
})
