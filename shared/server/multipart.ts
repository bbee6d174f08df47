import { AppError } from '../schema/errors.ts'
import { refuseEncoded } from './body.ts'

export interface MultipartFile {
  /** As the client named it; anybody's text. */
  name: string
  /** Media type, as the client said it. */
  type: string | null
}

/** Bytes that the head of a part may have. */
const MAX_HEAD = 16 * 1024
/** Bytes that may come in other parts and heads, all together. */
const MAX_OTHER = 64 * 1024

/**
 * Reads the file of a `multipart/form-data` body, in its field `file`, as it comes: `begin` hears its name, `write` its
 * bytes, and `field` other fields that are text. Throws `unsupported_media_type` for another body, `invalid_argument` for one that is broken or has no file,
 * `validation` for a file in another field and for a second one.
 */
export async function readMultipartFile(
  request: Request,
  file: {
    begin(file: MultipartFile): void
    write(bytes: Uint8Array): Promise<void>
    field?(name: string, value: string): void
  },
): Promise<void> {
  refuseEncoded(request)
  const boundary = boundaryOf(request.headers.get('content-type') ?? '')
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const reader = request.body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined
  if (!reader) throw broken('it is empty')
  // As if a line had ended before the first delimiter.
  let rest: Buffer = Buffer.from('\r\n', 'latin1')
  let other = 0
  let done = false
  const more = async () => {
    const { done: ended, value } = await reader.read().catch((error: unknown) => {
      throw new AppError('invalid_argument', 'the upload did not arrive whole', { cause: error })
    })
    if (ended) throw broken('it ends in the middle of a part')
    rest = rest.length === 0 ? Buffer.from(value) : Buffer.concat([rest, value])
    return value.length
  }
  const spend = (bytes: number) => {
    other += bytes
    if (other > MAX_OTHER) throw broken('there is too much beside the file')
  }
  try {
    for (;;) {
      // To the end of the delimiter, whatever stands before it.
      for (let at = rest.indexOf(delimiter); ; at = rest.indexOf(delimiter)) {
        if (at >= 0 && rest.length >= at + delimiter.length + 2) {
          rest = rest.subarray(at + delimiter.length)
          break
        }
        if (rest.length > delimiter.length && at < 0) rest = rest.subarray(rest.length - delimiter.length)
        spend(await more())
      }
      if (rest.toString('latin1', 0, 2) === '--') {
        if (done) return
        throw broken('it has no file; send one in the field named file')
      }
      let end = rest.indexOf('\r\n\r\n')
      for (; end < 0; end = rest.indexOf('\r\n\r\n')) {
        if (rest.length > MAX_HEAD) throw broken('the head of a part is too long')
        await more()
      }
      const head = rest.toString('utf8', 0, end)
      // A part may be empty: its delimiter begins with this line end.
      rest = rest.subarray(end + 2)
      const found = fileOf(head)
      if (!found) {
        spend(head.length)
        const name = fieldName(head)
        if (file.field && name !== null) file.field(name, await text())
        continue
      }
      if (found.field !== 'file')
        throw new AppError('validation', `body.${found.field}: a file is sent in the field named file`)
      if (done)
        throw new AppError(
          'validation',
          `body.file: a request takes one file; send '${found.name}' in another`,
        )
      rest = rest.subarray(2)
      file.begin(found)
      await body()
      done = true
    }
  } finally {
    // What is left of the body is nobody's business; a client that still sends it may do so.
    reader.cancel().catch(() => undefined)
  }

  /** Of a field that is no file; it begins behind the line end of its head. */
  async function text(): Promise<string> {
    let at = rest.indexOf(delimiter)
    for (; at < 0; at = rest.indexOf(delimiter)) {
      if (rest.length > MAX_OTHER) throw broken('there is too much beside the file')
      await more()
    }
    spend(at)
    return rest.toString('utf8', 2, at)
  }

  async function body(): Promise<void> {
    // An empty file's delimiter has lost its line end to the head.
    if (rest.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) {
      rest = Buffer.concat([delimiter.subarray(0, 2), rest])
      return
    }
    for (;;) {
      const at = rest.indexOf(delimiter)
      if (at >= 0) {
        await file.write(rest.subarray(0, at))
        rest = rest.subarray(at)
        return
      }
      const safe = rest.length - delimiter.length
      if (safe > 0) {
        await file.write(rest.subarray(0, safe))
        rest = rest.subarray(safe)
      }
      await more()
    }
  }
}

function boundaryOf(content_type: string): string {
  const found = /^multipart\/form-data\s*;.*?boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(content_type)
  const boundary = found?.[1] ?? found?.[2]
  if (boundary !== undefined) return boundary
  throw new AppError(
    'unsupported_media_type',
    'a file is uploaded as multipart/form-data, in the field named file; this request is ' +
      (content_type === '' ? 'of no type' : `of type ${content_type.slice(0, 100)}`),
  )
}

/** The file of a part's head; null for another field. */
function fileOf(head: string): (MultipartFile & { field: string }) | null {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1]
  if (disposition === undefined) return null
  const extended = /filename\*=(?:utf-8)''([^;\s]+)/i.exec(disposition)?.[1]
  const plain =
    /filename="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1] ?? /filename=([^;\s]+)/i.exec(disposition)?.[1]
  if (extended === undefined && plain === undefined) return null
  const type = /^content-type:\s*([^\s;]+)/im.exec(head)?.[1] ?? null
  return {
    field: fieldName(head) ?? '',
    name: decoded(extended) ?? unescaped(plain ?? ''),
    type,
  }
}

/** What the field of a part is called. */
function fieldName(head: string): string | null {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? ''
  const field =
    /[;\s]name="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1] ?? /[;\s]name=([^;\s"]+)/i.exec(disposition)?.[1]
  return field === undefined ? null : unescaped(field).slice(0, 100)
}

function decoded(text: string | undefined): string | null {
  if (text === undefined) return null
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Browsers write `%22` for a quote, others a backslash before it. */
function unescaped(text: string): string {
  return text.replaceAll('%22', '"').replaceAll('%0D', ' ').replaceAll('%0A', ' ').replaceAll('\\"', '"')
}

function broken(why: string): AppError {
  return new AppError('invalid_argument', `the multipart body cannot be read: ${why}`)
}
