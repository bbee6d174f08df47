import { open } from 'node:fs/promises'
import { sql } from 'kysely'
import type { LocalUpload, UploadStore } from '../core/ports/upload-store.ts'
import type { Connection } from './sql/query.ts'

/** Uploaded files that are still to be read. */
export interface Uploads {
  copied: number
  /** Not where the source keeps uploads: in object storage, where the copy finds them too, or lost. */
  absent: string[]
}

/** Copies the uploads that have not been read yet from one store to another. */
export async function copyUploads(
  connection: Connection,
  { from, to, signal }: { from: UploadStore; to: UploadStore; signal: AbortSignal },
): Promise<Uploads> {
  const rows = await connection.all<{ id: string; name: string }>(
    sql`select id, name from files where status in ('pending', 'parsing') and deleted = 0 order by id`,
  )
  const uploads: Uploads = { copied: 0, absent: [] }
  for (const { id, name } of rows) {
    const upload = await from.fetch(id, { signal })
    if (!upload) {
      uploads.absent.push(name)
      continue
    }
    try {
      await copy(id, upload, to)
    } finally {
      await upload.close()
    }
    uploads.copied++
  }
  return uploads
}

async function copy(id: string, { path }: LocalUpload, to: UploadStore): Promise<void> {
  const incoming = await to.begin(id)
  try {
    const handle = await open(path)
    for await (const some of handle.createReadStream()) await incoming.write(some as Uint8Array)
    await incoming.finish()
  } catch (error) {
    await incoming.abort()
    throw error
  }
}
