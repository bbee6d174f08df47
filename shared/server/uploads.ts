import type { FileIngest } from '../core/files/ingest.ts'
import type { UploadStore } from '../core/ports/upload-store.ts'
import { AppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import { safeFileName } from '../schema/names.ts'
import type { Access } from './access.ts'
import { cleanText } from './body.ts'
import { readMultipartFile } from './multipart.ts'

/** Where uploads go, and who reads them. */
export interface Uploads {
  store: UploadStore
  max_bytes: number
  ingest: FileIngest
}

/** An upload that is kept whole. */
export interface Upload {
  file_id: string
  name: string
  type: string | null
  size: number
  /** What was sent beside it. */
  fields: ReadonlyMap<string, string>
  /** Removes it again. Never throws. */
  discard(): Promise<void>
}

/**
 * Streams the file of a request to where uploads are kept; no more than some pieces of it are ever in memory. Throws `too_large` before
 * anything is read when the request says so, else as soon as too much has come; then nothing of it stays.
 */
export async function receiveUpload(
  request: Request,
  uploads: Uploads,
  { name, access }: { name: string | undefined; access: Access },
): Promise<Upload> {
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
  const file_id = newId('file')
  const incoming = await uploads.store.begin(file_id)
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
        await incoming.write(bytes)
      },
      field: (field, value) => void fields.set(field, cleanText(value)),
    })
    await incoming.finish()
  } catch (error) {
    await incoming.abort()
    throw error
  }
  const shown = safeFileName(cleanText(name ?? said.name))
  const discard = () => uploads.ingest.forget(file_id)
  return { file_id, name: shown, type: said.type, size, fields, discard }
}
