import { existsSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'
import { type CopiedTable, COPIED, OWN_COLUMNS } from '../sql/copied-tables.ts'
import type { Row } from '../sql/copy-rows.ts'
import {
  type CopySide,
  type CopyTarget,
  type IndexedText,
  ontoItself,
  type Purpose,
} from '../sql/copy-side.ts'
import type { Statement } from '../sql/query.ts'
import { FolderUploads } from '../uploads/folder-uploads.ts'
import { SqliteConnection } from './connection.ts'
import { openDatabase } from './database.ts'
import { asStoreError } from './errors.ts'
import { lockOut } from './exclusive.ts'
import { MIGRATIONS, newerStore, schemaVersion } from './migrate.ts'
import { refuseForeign } from './present-file.ts'

/** The tables that are copied, as the migrations make them. */
export function copiedTables(): CopiedTable[] {
  const database = new DatabaseSync(':memory:')
  try {
    for (const migration of MIGRATIONS) database.exec(migration)
    return COPIED.map((name) => {
      const columns = database.prepare(`PRAGMA table_info("${name}")`).all()
      const key = columns.filter(({ pk }) => pk !== 0).sort((a, b) => Number(a['pk']) - Number(b['pk']))
      const [first] = key
      return {
        name,
        columns: columns
          .map((row) => String(row['name']))
          .filter((column) => !OWN_COLUMNS.has(`${name}.${column}`)),
        key: key.map((row) => String(row['name'])),
        numbered: key.length === 1 && first?.['type'] === 'INTEGER' ? String(first['name']) : null,
      }
    })
  } finally {
    database.close()
  }
}

/**
 * A data directory as the source of a copy, or as one of two that are compared: no other process can open it until it is
 * closed, and nothing is made that is not there. Throws `not_found`, `conflict` while a process uses it,
 * `store_unavailable`, `store_newer`.
 */
export async function openSource(directory: string, { todo, other }: Purpose): Promise<CopySide> {
  const path = join(directory, 'loci.db')
  if (!existsSync(path))
    throw new AppError(
      'not_found',
      `There is nothing to ${todo}: ${directory} holds no Loci data (no loci.db).`,
    )
  if (realpathSync(directory) === other) throw ontoItself(directory)
  const side = await lock(directory, todo)
  try {
    refuseForeign(side.connection.database, path)
    const version = schemaVersion(side.connection.database)
    if (version > MIGRATIONS.length) throw newerStore(side.connection.database, directory)
    if (version < MIGRATIONS.length)
      throw unavailable(
        `${path} is of an older Loci. Start this one on it once (loci server), stop it, and ${todo} then.`,
      )
    return side
  } catch (error) {
    await side.close()
    throw error
  }
}

/**
 * A data directory as the target of a copy; made when it is missing. No other process can open it until it is closed.
 * Throws `conflict` while a process uses it, `store_unavailable`, `store_newer`.
 */
export async function openTarget(
  directory: string,
  { source, ...options }: { version: string; allow_network_fs: boolean; source: string | null },
): Promise<CopyTarget> {
  if (existsSync(directory) && realpathSync(directory) === source) throw ontoItself(directory)
  await (await openDatabase({ directory, ...options })).close()
  const side = await lock(directory, 'copy')
  side.connection.database.exec(
    'COMMIT; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON',
  )
  return side
}

async function lock(directory: string, todo: Purpose['todo']): Promise<SqliteSide> {
  const locked = await lockOut(directory, `${todo} again`)
  if (!locked?.connection)
    throw unavailable(`${join(directory, 'loci.db')} is not a database that can be read. See: loci doctor.`)
  return new SqliteSide(directory, new ExplainedConnection(locked.connection, directory))
}

/** A connection that says in words what went wrong. */
class ExplainedConnection extends SqliteConnection {
  readonly #place: string

  constructor(database: DatabaseSync, place: string) {
    super(database)
    this.#place = place
  }

  override async rows(statement: Statement): Promise<unknown[]> {
    try {
      return await super.rows(statement)
    } catch (error) {
      throw asStoreError(error, this.#place)
    }
  }
}

class SqliteSide implements CopyTarget {
  readonly pgvector = false
  readonly place: string
  readonly identity: string
  readonly connection: SqliteConnection

  constructor(directory: string, connection: SqliteConnection) {
    this.place = directory
    this.identity = realpathSync(directory)
    this.connection = connection
  }

  async numbers(tables: readonly CopiedTable[]): Promise<Record<string, number>> {
    const given = new Map(
      this.connection
        .statement('SELECT name, seq FROM sqlite_sequence')
        .all()
        .map((row) => [String(row['name']), Number(row['seq'])]),
    )
    return Object.fromEntries(
      tables.flatMap(({ name, numbered }) => {
        if (numbered === null) return []
        const row = this.connection.statement(`SELECT max("${numbered}") AS last FROM "${name}"`).get()
        return [[name, Math.max(given.get(name) ?? 0, Number(row?.['last'] ?? 0))]]
      }),
    )
  }

  async setNumbers(_: readonly CopiedTable[], numbers: Record<string, number>): Promise<void> {
    for (const [name, last] of Object.entries(numbers)) {
      const { sql } =
        this.connection.statement('SELECT sql FROM sqlite_schema WHERE name = ?').get(name) ?? {}
      // Others go on from their last row.
      if (!/AUTOINCREMENT/i.test(String(sql))) continue
      this.connection.statement('DELETE FROM sqlite_sequence WHERE name = ?').run(name)
      this.connection.statement('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(name, last)
    }
  }

  async write(work: () => Promise<void>): Promise<void> {
    this.connection.statement('BEGIN').run()
    try {
      await work()
      this.connection.statement('COMMIT').run()
    } catch (error) {
      if (this.connection.database.isTransaction) this.connection.statement('ROLLBACK').run()
      throw asStoreError(error, this.place)
    }
  }

  async insert(table: string, columns: readonly string[], rows: readonly Row[]): Promise<void> {
    const names = columns.map((name) => `"${name}"`).join(', ')
    const places = columns.map(() => '?').join(', ')
    const statement = this.connection.statement(`INSERT INTO "${table}" (${names}) VALUES (${places})`)
    for (const row of rows) statement.run(...columns.map((name) => row[name] ?? null))
  }

  async index(index: string, texts: readonly IndexedText[]): Promise<void> {
    const statement = this.connection.statement(`INSERT INTO ${index} (rowid, owner, text) VALUES (?, ?, ?)`)
    for (const { rowid, owner, text } of texts) statement.run(rowid, owner, text)
  }

  /** A server of this directory has the key, or is told by the secrets themselves that it has not. */
  async setKey(): Promise<void> {}

  async complete(): Promise<void> {
    this.connection.database.exec(`
      INSERT INTO messages_fts (messages_fts) VALUES ('optimize');
      INSERT INTO passages_fts (passages_fts) VALUES ('optimize');
      INSERT INTO meta (key, value) SELECT 'messages_indexed', coalesce(max(seq), 0) FROM messages WHERE true
        ON CONFLICT DO UPDATE SET value = excluded.value;`)
  }

  async empty(tables: readonly string[]): Promise<void> {
    const uploads = new FolderUploads(join(this.place, 'files'))
    const files = this.connection.statement('SELECT id FROM files').all()
    for (const { id } of files) await uploads.discard(String(id))
    await this.write(async () => {
      for (const table of tables) this.connection.database.exec(`DELETE FROM "${table}"`)
      this.connection.database.exec(`
        DELETE FROM sqlite_sequence;
        INSERT INTO messages_fts (messages_fts) VALUES ('delete-all');
        INSERT INTO passages_fts (passages_fts) VALUES ('delete-all');`)
    })
  }

  async close(): Promise<void> {
    this.connection.close()
  }
}

/** Whether a path is a file, which is no data directory. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
