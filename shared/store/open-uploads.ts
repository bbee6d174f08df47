import { join } from 'node:path'
import { messageOf } from '../schema/errors.ts'
import type { Store } from '../core/ports/store.ts'
import type { UploadStore } from '../core/ports/upload-store.ts'
import { type S3Config, s3Settings } from './uploads/s3-settings.ts'

/**
 * Where uploads are kept: in object storage where that is set up, else where the store keeps them. Nothing has to be
 * closed. Throws `config_invalid` for object storage that cannot be used as it is set up.
 */
export async function openUploads({
  s3,
  env,
  store,
  directory,
}: {
  s3: S3Config
  env: Readonly<Record<string, string | undefined>>
  store: Pick<Store, 'uploads' | 'id'>
  /** The data directory. */
  directory: string
}): Promise<UploadStore> {
  const settings = s3Settings(s3, env)
  if (!settings) return store.uploads
  const [{ S3Uploads }, { LocalCopies }, { movedUploads }] = await Promise.all([
    import('./uploads/s3-uploads.ts'),
    import('./uploads/local-copies.ts'),
    import('./uploads/moved-uploads.ts'),
  ])
  const copies = new LocalCopies(join(directory, 'files'))
  return movedUploads(new S3Uploads({ settings, copies, store_id: () => store.id() }), store.uploads)
}

/**
 * Tries the object storage that is set up: where it is, and what is wrong with it. Null when there is none. Never rejects;
 * each of its four requests takes no longer than `timeout_ms`.
 */
export async function examineObjectStorage({
  s3,
  env,
  directory,
  timeout_ms,
}: {
  s3: S3Config
  env: Readonly<Record<string, string | undefined>>
  directory: string
  timeout_ms: number
}): Promise<{ place: string; problem: string | null } | null> {
  let place = 'storage.s3'
  try {
    const settings = s3Settings(s3, env)
    if (!settings) return null
    place = `bucket '${settings.bucket}' at ${settings.endpoint.origin}`
    const [{ S3Uploads }, { LocalCopies }] = await Promise.all([
      import('./uploads/s3-uploads.ts'),
      import('./uploads/local-copies.ts'),
    ])
    const uploads = new S3Uploads({
      settings: { ...settings, timeout_ms, attempts: 1 },
      copies: new LocalCopies(join(directory, 'files')),
      store_id: async () => 'doctor',
    })
    await uploads.check({ signal: new AbortController().signal })
    return { place, problem: null }
  } catch (error) {
    return { place, problem: messageOf(error) }
  }
}
