import type { IncomingUpload, LyingUpload, UploadStore } from '../../core/ports/upload-store.ts'
import type { LocalCopies } from './local-copies.ts'
import { type S3Answer, S3Client } from './s3-client.ts'
import { refusedBy } from './s3-errors.ts'
import type { S3Settings } from './s3-settings.ts'
import { elements, escaped, field } from './s3-xml.ts'

/** Bytes of a part: what of an upload is in memory. S3 takes none below 5 MiB but the last, and 10,000 of them. */
const PART = 8 * 1024 * 1024
/** Between the id of a file and that of an upload in parts that was not finished. */
const UNFINISHED = ':unfinished:'

export interface S3UploadsOptions {
  settings: S3Settings
  copies: LocalCopies
  /** Tells this store from others that use the bucket: what it does not know is not its to remove. */
  store_id: () => Promise<string>
}

/**
 * Uploads in a bucket of S3 or of what speaks like it, each an object `prefix/store/file`. What is no larger than a part
 * is sent in one request, else in parts; until all have come there is no object.
 */
export class S3Uploads implements UploadStore {
  readonly #client: S3Client
  readonly #copies: LocalCopies
  readonly #storeId: () => Promise<string>
  #folder: Promise<string> | undefined

  constructor({ settings, copies, store_id }: S3UploadsOptions) {
    this.#client = new S3Client(settings)
    this.#copies = copies
    this.#storeId = store_id
  }

  async begin(file_id: string): Promise<IncomingUpload> {
    const client = this.#client
    const key = await this.#key(file_id)
    const parts: string[] = []
    let held: Uint8Array[] = []
    let size = 0
    let upload_id: string | null = null
    let sent = false
    const take = (): Buffer => {
      const body = Buffer.concat(held)
      held = []
      size = 0
      return body
    }
    const sendPart = async () => {
      upload_id ??= await this.#create(key)
      const query = { partNumber: String(parts.length + 1), uploadId: upload_id }
      const { headers } = await client.send({ method: 'PUT', key, query, body: take() })
      parts.push(headers.etag ?? '')
    }
    return {
      async write(bytes) {
        for (let at = 0; at < bytes.length;) {
          if (size === PART) await sendPart()
          const some = Buffer.from(bytes.subarray(at, at + PART - size))
          held.push(some)
          size += some.length
          at += some.length
        }
      },
      finish: async () => {
        if (upload_id === null) {
          sent = true
          await client.send({ method: 'PUT', key, body: take() })
          return
        }
        if (size > 0) await sendPart()
        await this.#complete(key, upload_id, parts)
      },
      abort: async () => {
        take()
        if (upload_id === null && !sent) return
        const name = upload_id === null ? file_id : `${file_id}${UNFINISHED}${upload_id}`
        // What stays is found by its age.
        await this.discard(name).catch(() => undefined)
      },
    }
  }

  async fetch(file_id: string, { signal }: { signal: AbortSignal }) {
    const bytes = await this.#client.read(await this.#key(file_id), signal)
    return bytes && (await this.#copies.make(file_id, bytes))
  }

  async discard(name: string): Promise<void> {
    const [file_id = '', upload_id] = name.split(UNFINISHED)
    const query = upload_id === undefined ? {} : { uploadId: upload_id }
    await this.#client.send({ method: 'DELETE', key: await this.#key(file_id), query, allow: [404] })
  }

  async *lying(): AsyncGenerator<LyingUpload[]> {
    await this.#copies.sweep()
    const folder = await this.#folderName()
    const prefix = this.#client.settings.prefix + folder
    const nameOf = (key: string) => key.slice(prefix.length)
    let token: string | null = null
    do {
      const more: Record<string, string> = token === null ? {} : { 'continuation-token': token }
      const query = { 'list-type': '2', prefix, ...more }
      const { headers, body } = await this.#client.send({ method: 'GET', key: '', query })
      yield elements(body, 'Contents').map((xml) => ({
        name: nameOf(field(xml, 'Key') ?? ''),
        quiet_ms: quiet(headers, field(xml, 'LastModified')),
      }))
      token = field(body, 'IsTruncated') === 'true' ? field(body, 'NextContinuationToken') : null
    } while (token !== null)
    // Those in parts; where a service does not list them, a rule of the bucket has to remove them. One page a time is enough.
    const query = { uploads: '', prefix }
    const { status, headers, body } = await this.#client.send({
      method: 'GET',
      key: '',
      query,
      allow: [400, 405, 501],
    })
    if (status !== 200) return
    yield elements(body, 'Upload').map((xml) => ({
      name: `${nameOf(field(xml, 'Key') ?? '')}${UNFINISHED}${field(xml, 'UploadId') ?? ''}`,
      quiet_ms: quiet(headers, field(xml, 'Initiated')),
    }))
  }

  /** Writes an object, finds it, reads it and removes it: whatever an upload needs. */
  async check({ signal }: { signal: AbortSignal }): Promise<void> {
    const name = `check-${crypto.randomUUID()}`
    const key = await this.#key(name)
    await this.#client.send({ method: 'PUT', key, body: 'loci', signal })
    await this.#client.send({ method: 'GET', key, signal })
    const query = { 'list-type': '2', 'max-keys': '1', prefix: this.#client.settings.prefix }
    await this.#client.send({ method: 'GET', key: '', query, signal })
    await this.discard(name)
  }

  async #create(key: string): Promise<string> {
    const answer = await this.#client.send({ method: 'POST', key, query: { uploads: '' } })
    return field(answer.body, 'UploadId') ?? this.#refuse(key, answer)
  }

  async #complete(key: string, upload_id: string, parts: readonly string[]): Promise<void> {
    const list = parts.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
    )
    const body = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`
    const query = { uploadId: upload_id }
    const answer = await this.#client.send({ method: 'POST', key, query, body, allow: [404] })
    // Completed by a request whose answer was lost.
    if (answer.status === 404 && (await this.#isThere(key))) return
    // It may answer 200 before it knows.
    if (answer.status === 404 || field(answer.body, 'Code') !== null) this.#refuse(key, answer)
  }

  async #isThere(key: string): Promise<boolean> {
    return (await this.#client.send({ method: 'HEAD', key, allow: [404] })).status !== 404
  }

  #refuse(key: string, answer: S3Answer): never {
    const place = { settings: this.#client.settings, key: this.#client.settings.prefix + key }
    throw refusedBy(place, answer)
  }

  async #key(name: string): Promise<string> {
    return (await this.#folderName()) + name
  }

  /** Asked once, and again after a failure. */
  #folderName(): Promise<string> {
    if (!this.#folder) {
      const asked = this.#storeId().then((id) => `${id}/`)
      this.#folder = asked
      asked.catch(() => (this.#folder = undefined))
    }
    return this.#folder
  }
}

/** By the service's own clock. */
function quiet({ date }: S3Answer['headers'], since: string | null): number {
  const now = Date.parse(date ?? '') || Date.now()
  return since === null ? 0 : now - Date.parse(since)
}
