import { join } from 'node:path'
import { sql } from 'kysely'
import type { IncomingUpload, LyingUpload, UploadStore } from '../../core/ports/upload-store.ts'
import { LocalCopies } from '../uploads/local-copies.ts'
import { openDatabase, type PostgresDatabase } from './database.ts'

/** Bytes of a row: what of an upload is in memory, twice that while it is read (PostgreSQL sends it as text). */
const CHUNK = 1024 * 1024
/** Rows that are deleted in one transaction. */
const SLICE = 64

/** Uploads in the database itself, a row for each megabyte, each in a transaction of its own. */
export class PostgresUploads implements UploadStore {
  readonly #database: PostgresDatabase
  readonly #copies: LocalCopies

  constructor(database: PostgresDatabase, copies: LocalCopies) {
    this.#database = database
    this.#copies = copies
  }

  async begin(file_id: string): Promise<IncomingUpload> {
    const waiting = Buffer.allocUnsafe(CHUNK)
    let held = 0
    let number = 0
    const put = async (last: boolean) => {
      const row = sql`insert into upload_chunks (file_id, number, is_last, bytes)
        values (${file_id}, ${number}, ${last}, ${waiting.subarray(0, held)}) on conflict do nothing`
      await this.#database.write((tx) => tx.send(row))
      number++
      held = 0
    }
    return {
      async write(bytes) {
        for (let at = 0; at < bytes.length;) {
          if (held === CHUNK) await put(false)
          const some = bytes.subarray(at, at + CHUNK - held)
          waiting.set(some, held)
          held += some.length
          at += some.length
        }
      },
      finish: () => put(true),
      // What stays is found by its age.
      abort: () => this.discard(file_id).catch(() => undefined),
    }
  }

  async fetch(file_id: string, { signal }: { signal: AbortSignal }) {
    signal.throwIfAborted()
    const there = sql<{
      n: number
      whole: boolean
    }>`select count(*) as n, coalesce(bool_or(is_last), false) as whole
      from upload_chunks where file_id = ${file_id} having count(*) = max(number) + 1`
    const found = await this.#database.read((c) => c.get(there))
    return found?.whole ? await this.#copies.make(file_id, this.#bytes(file_id, found.n, signal)) : null
  }

  async *#bytes(file_id: string, chunks: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let number = 0; number < chunks; number++) {
      signal.throwIfAborted()
      const row = sql<{ bytes: Uint8Array }>`select bytes from upload_chunks
        where file_id = ${file_id} and number = ${number}`
      const found = await this.#database.read((c) => c.get(row))
      // Another instance has read it, or its file was deleted: what is stored of it is refused.
      if (!found) return
      yield found.bytes
    }
  }

  async discard(name: string): Promise<void> {
    // The last first: what is left of it is not whole.
    const slice = sql`delete from upload_chunks where file_id = ${name} and number >
      (select max(number) from upload_chunks where file_id = ${name}) - ${sql.lit(SLICE)}`
    while ((await this.#database.write((tx) => tx.run(slice))) === SLICE);
  }

  async *lying(): AsyncGenerator<LyingUpload[]> {
    await this.#copies.sweep()
    for (let after = '', page: LyingUpload[] = [{ name: '', quiet_ms: 0 }]; page.length > 0;) {
      const next = sql<LyingUpload>`select file_id as name,
          floor(extract(epoch from now() - max(created_at)) * 1000)::bigint as quiet_ms
        from upload_chunks where file_id > ${after} group by file_id order by file_id limit 500`
      page = await this.#database.read((c) => c.all(next))
      after = page.at(-1)?.name ?? after
      if (page.length > 0) yield page
    }
  }

  check(): Promise<void> {
    return this.#database.check()
  }
}

/** The uploads in a database whose store is not open. `directory`: the data directory of this machine. */
export async function withUploads<T>(
  { directory, ...options }: { address: string; version: string; directory: string },
  work: (uploads: UploadStore) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(options)
  try {
    return await work(new PostgresUploads(database, new LocalCopies(join(directory, 'files'))))
  } finally {
    await database.close()
  }
}
