import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileIngest } from '../core/files/ingest.ts'
import { AppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import { safeFileName } from '../schema/names.ts'
import type { Access } from './access.ts'
import { cleanText } from './body.ts'
import { readMultipartFile } from './multipart.ts'

/** Where uploads go, and who reads them. */
export interface Uploads {
  /** Each file lies there under its id until it was read. */
  directory: string
  max_bytes: number
  ingest: FileIngest
}

/** An upload that is on disk, flushed. */
export interface Upload {
  file_id: string
  name: string
  type: string | null
  size: number
  /** What was sent beside it. */
  fields: ReadonlyMap<string, string>
  /** Removes it again. */
  discard(): Promise<void>
}

/**
 * Streams the file of a request to disk; no more than some pieces of it are ever in memory. Throws `too_large` before
 * anything is read when the request says so, else as soon as too much has come; then nothing of it stays.
 */
export async function receiveUpload(
  request: Request,
  uploads: Uploads,
  { name, access }: { name: string | undefined; access: Access },
): Promise<Upload> {
  const { directory } = uploads
  const own = access.limits?.file_mb ?? Infinity
  const max_bytes = Math.min(uploads.max_bytes, own * 1024 * 1024)
  const which =
    max_bytes < uploads.max_bytes
      ? 'you may upload'
      : 'this server takes (server.max_upload_mb in config.json)'
  const tooLarge = () =>
    new AppError('too_large', `the file is larger than the ${max_bytes / 1024 / 1024} MB ${which}`)
  // Something for the boundaries and heads around the file.
  if (Number(request.headers.get('content-length') ?? 0) > max_bytes + 100 * 1024) throw tooLarge()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file_id = newId('file')
  const path = join(directory, file_id)
  const discard = () => rm(path, { force: true })
  const handle = await open(`${path}.part`, 'wx', 0o600)
  let size = 0
  let said = { name: '', type: null as string | null }
  const fields = new Map<string, string>()
  try {
    await readMultipartFile(request, {
      begin(file) {
        said = file
      },
      async write(bytes) {
        size += bytes.length
        if (size > max_bytes) throw tooLarge()
        await handle.writeFile(bytes)
      },
      field: (field, value) => void fields.set(field, cleanText(value)),
    })
    await handle.sync()
    await handle.close()
    await rename(`${path}.part`, path)
  } catch (error) {
    await handle.close()
    await rm(`${path}.part`, { force: true })
    throw error
  }
  const shown = safeFileName(cleanText(name ?? said.name))
  return { file_id, name: shown, type: said.type, size, fields, discard }
}
