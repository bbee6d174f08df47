import { importOptions, type ImportOptions } from '../schema/agent-file.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import { cleanText, MAX_IMPORT, refuseEncoded } from './body.ts'
import { validationError } from './errors.ts'
import { parseJson } from './json-slices.ts'

/** Bytes, or characters, that are looked at in one go. */
const SLICE = 1024 * 1024

/** What a request to import a file brings. */
export interface ImportRequest {
  file: unknown
  options: ImportOptions
}

/**
 * The file and the options of an import: a form as V1's clients send it, or a JSON body, which is the file itself or an
 * object with the file in `file` beside the options. Throws `too_large`, `invalid_argument` for a file that is no JSON,
 * `validation` for the rest of the form.
 */
export async function readImport(request: Request, breathe: () => Promise<void>): Promise<ImportRequest> {
  const type = request.headers.get('content-type') ?? ''
  refuseEncoded(request)
  const bytes = await readBytes(request)
  if (bytes.length === 0)
    throw new AppError('validation', "body: the request has none; send a form with the agent file in 'file'")
  if (/^multipart\/form-data/i.test(type)) {
    const { file, ...fields } = await partsOf(bytes, type, breathe)
    if (!file)
      throw new AppError('validation', "body.file: the form has no file; send the agent file in 'file'")
    const texts = Object.entries(fields).map(([name, value]) => [name, cleanText(value.toString('utf8'))])
    const options = optionsOf(Object.fromEntries(texts))
    return { file: await parseJson(file, breathe), options }
  }
  const body = await parseJson(bytes, breathe)
  if (typeof body === 'object' && body !== null && 'file' in body && !('agents' in body)) {
    const { file, ...options } = body
    const parsed = typeof file === 'string' ? await parseJson(await encoded(file, breathe), breathe) : file
    return { file: parsed, options: optionsOf(options) }
  }
  return { file: body, options: optionsOf({}) }
}

/** The parts of a form by their names, not copied: `Response.formData` would hold up everybody for a large one. */
async function partsOf(
  bytes: Buffer,
  type: string,
  breathe: () => Promise<void>,
): Promise<Record<string, Buffer>> {
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type)
  const name = boundary?.[1] ?? boundary?.[2]
  if (name === undefined) throw broken('its content type names no boundary')
  const delimiter = Buffer.from(`--${name}`, 'latin1')
  const end = Buffer.from(`\r\n--${name}`, 'latin1')
  const parts: [string, Buffer][] = []
  let at = bytes.indexOf(delimiter)
  if (at < 0) throw broken('its boundary is not in it')
  for (;;) {
    at += delimiter.length
    if (bytes.toString('latin1', at, at + 2) === '--') return Object.fromEntries(parts)
    const body = bytes.indexOf('\r\n\r\n', at) + 4
    const next = body < 4 ? -1 : await indexOf(bytes, end, body, breathe)
    if (next < 0) throw broken('it ends in the middle of a part')
    const field = /;\s*name="((?:[^"\\]|\\.)*)"/i.exec(bytes.toString('utf8', at, body))?.[1]
    if (field !== undefined) parts.push([field, bytes.subarray(body, next)])
    at = next + 2
  }
}

/** Where the bytes stand from there on, -1 when nowhere; looked for part by part. */
async function indexOf(
  bytes: Buffer,
  wanted: Buffer,
  from: number,
  breathe: () => Promise<void>,
): Promise<number> {
  for (let at = from; at < bytes.length; at += SLICE) {
    const found = bytes.subarray(at, at + SLICE + wanted.length).indexOf(wanted)
    if (found >= 0) return at + found
    await breathe()
  }
  return -1
}

function broken(why: string): AppError {
  return new AppError('validation', `body: this is no multipart form: ${why}`)
}

function optionsOf(fields: object): ImportOptions {
  const result = importOptions.safeParse(fields)
  if (result.success) return result.data
  throw validationError('body', result.error, fields)
}

/** As UTF-8, made part by part; no part ends between the two halves of a character. */
async function encoded(text: string, breathe: () => Promise<void>): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let from = 0; from < text.length;) {
    let to = Math.min(from + SLICE, text.length)
    const last = text.charCodeAt(to - 1)
    if (to < text.length && last >= 0xd800 && last < 0xdc00) to--
    parts.push(Buffer.from(text.slice(from, to)))
    from = to
    await breathe()
  }
  return Buffer.concat(parts)
}

/** All of a body that is not too large; what comes after that is not read. */
async function readBytes(request: Request): Promise<Buffer> {
  const announced = Number(request.headers.get('content-length') ?? 0)
  if (announced > MAX_IMPORT) throw tooLarge()
  if (!request.body) return Buffer.alloc(0)
  // Filled as it comes, where its size is known: putting a large one together at the end takes long.
  let bytes = Buffer.allocUnsafe(Math.max(announced, SLICE))
  let size = 0
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new AppError('invalid_argument', `the request body did not arrive whole: ${messageOf(error)}`, {
        cause: error,
      })
    })
    if (done) return bytes.subarray(0, size)
    if (size + value.length > MAX_IMPORT) {
      reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    if (size + value.length > bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(MAX_IMPORT, 2 * (size + value.length)))
      larger.set(bytes.subarray(0, size))
      bytes = larger
    }
    bytes.set(value, size)
    size += value.length
  }
}

function tooLarge(): AppError {
  return new AppError(
    'too_large',
    `the agent file has more than the ${MAX_IMPORT} bytes this server takes; export the agent with scrub_messages=true`,
  )
}
