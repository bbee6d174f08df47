import { constants, existsSync, promises as fs } from 'node:fs'
import { join, resolve } from 'node:path'
import { sql } from 'kysely'
import type { Connection } from './sql/query.ts'

/** Uploaded files that are still to be read. */
export interface Uploads {
  /** Copied to the machine's data directory of the target, or there already. */
  copied: number
  /** Not on this machine: their servers have them. */
  absent: string[]
}

/** Copies the uploads that have not been read yet from one data directory to another. */
export async function copyUploads(
  connection: Connection,
  { from, to }: { from: string; to: string },
): Promise<Uploads> {
  const rows = await connection.all<{ id: string; name: string }>(
    sql`select id, name from files where status in ('pending', 'parsing') and deleted = 0 order by id`,
  )
  const uploads: Uploads = { copied: 0, absent: [] }
  const folder = join(to, 'files')
  for (const { id, name } of rows) {
    const source = join(from, 'files', id)
    if (!existsSync(source)) {
      uploads.absent.push(name)
      continue
    }
    uploads.copied++
    const target = join(folder, id)
    if (resolve(source) === resolve(target) || existsSync(target)) continue
    await fs.mkdir(folder, { recursive: true, mode: 0o700 })
    await fs.rm(`${target}.part`, { force: true })
    await fs.copyFile(source, `${target}.part`, constants.COPYFILE_FICLONE)
    await fs.chmod(`${target}.part`, 0o600)
    await fs.rename(`${target}.part`, target)
  }
  return uploads
}
