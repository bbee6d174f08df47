import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { sql } from 'kysely'
import type { LocalUpload, UploadStore } from '../core/ports/upload-store.ts'
import type { Difference } from './sql/compare-rows.ts'
import { keyText } from './sql/copy-rows.ts'
import type { Connection } from './sql/query.ts'

/** Uploaded files that are still to be read. */
export interface Uploads {
  copied: number
  /** Not where the source keeps uploads: in object storage, where the copy finds them too, or lost. */
  absent: string[]
}

/** Where two stores keep their uploads. */
export interface Places {
  from: UploadStore
  to: UploadStore
  signal: AbortSignal
}

/** Copies the uploads that have not been read yet from one store to another. */
export async function copyUploads(connection: Connection, { from, to, signal }: Places): Promise<Uploads> {
  const uploads: Uploads = { copied: 0, absent: [] }
  for (const { id, name } of await unread(connection)) {
    const upload = await from.fetch(id, { signal })
    if (!upload) {
      uploads.absent.push(name)
      continue
    }
    try {
      await copy(id, upload, { to, signal })
    } finally {
      await upload.close()
    }
    uploads.copied++
  }
  return uploads
}

/** Uploads that have not been read yet and are not the same in both; those that `from` lacks are not looked for. */
export async function compareUploads(
  connection: Connection,
  { from, to, signal }: Places,
): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const { id } of await unread(connection)) {
    const expected = await digestOf(id, from, signal)
    const found = expected === null ? null : await digestOf(id, to, signal)
    if (expected !== found)
      differences.push({
        table: 'uploads',
        key: keyText([id]),
        what: found === null ? 'missing' : 'changed',
      })
  }
  return differences
}

function unread(connection: Connection): Promise<{ id: string; name: string }[]> {
  return connection.all(
    sql`select id, name from files where status in ('pending', 'parsing') and deleted = 0 order by id`,
  )
}

/** The size of an upload and its SHA-256; null when it is not there. */
async function digestOf(id: string, uploads: UploadStore, signal: AbortSignal): Promise<string | null> {
  const upload = await uploads.fetch(id, { signal })
  if (!upload) return null
  try {
    const sha256 = createHash('sha256')
    let size = 0
    for await (const some of bytesOf(upload, signal)) {
      sha256.update(some)
      size += some.length
    }
    return `${size} ${sha256.digest('hex')}`
  } finally {
    await upload.close()
  }
}

async function* bytesOf({ path }: LocalUpload, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const some of createReadStream(path)) {
    signal.throwIfAborted()
    yield some as Uint8Array
  }
}

async function copy(
  id: string,
  upload: LocalUpload,
  { to, signal }: Pick<Places, 'to' | 'signal'>,
): Promise<void> {
  // An earlier call may have left some of it, or all.
  await to.discard(id)
  const incoming = await to.begin(id)
  try {
    for await (const some of bytesOf(upload, signal)) await incoming.write(some)
    await incoming.finish()
  } catch (error) {
    await incoming.abort()
    throw error
  }
}
