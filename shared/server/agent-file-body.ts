import { importOptions, type ImportOptions } from '../schema/agent-file.ts'
import { AppError, messageOf } from '../schema/errors.ts'
import { cleanText } from './body.ts'
import { validationError } from './errors.ts'
import { parseJson } from './json-slices.ts'

/** Largest request that imports a file, in bytes. */
export const MAX_FILE = 128 * 1024 * 1024

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
  const bytes = await readBytes(request)
  if (bytes.length === 0)
    throw new AppError('validation', "body: the request has none; send a form with the agent file in 'file'")
  if (/^multipart\/form-data/i.test(type)) return await readForm(bytes, type, breathe)
  const body = await parseJson(decoded(bytes), breathe)
  if (typeof body === 'object' && body !== null && 'file' in body && !('agents' in body)) {
    const { file, ...options } = body
    const parsed = typeof file === 'string' ? await parseJson(file, breathe) : file
    return { file: parsed, options: optionsOf(options) }
  }
  return { file: body, options: optionsOf({}) }
}

async function readForm(
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
  breathe: () => Promise<void>,
): Promise<ImportRequest> {
  let form: FormData
  try {
    form = await new Response(bytes, { headers: { 'content-type': type } }).formData()
  } catch (error) {
    throw new AppError('validation', `body: this is no multipart form: ${messageOf(error)}`, { cause: error })
  }
  const file = form.get('file')
  if (file === null)
    throw new AppError('validation', "body.file: the form has no file; send the agent file in 'file'")
  const fields: Record<string, string> = {}
  for (const [name, value] of form)
    if (name !== 'file' && typeof value === 'string') fields[name] = cleanText(value)
  const options = optionsOf(fields)
  const text = typeof file === 'string' ? file : decoded(new Uint8Array(await file.arrayBuffer()))
  return { file: await parseJson(text, breathe), options }
}

function optionsOf(fields: object): ImportOptions {
  const result = importOptions.safeParse(fields)
  if (result.success) return result.data
  throw validationError('body', result.error, fields)
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new AppError('invalid_argument', 'The agent file is not UTF-8: it must be JSON, encoded as UTF-8.')
  }
}

/** All of a body that is not too large; what comes after that is not read. */
async function readBytes(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_FILE) throw tooLarge()
  if (!request.body) return new Uint8Array()
  const pieces: Uint8Array[] = []
  let size = 0
  const reader = (request.body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new AppError('invalid_argument', `the request body did not arrive whole: ${messageOf(error)}`, {
        cause: error,
      })
    })
    if (done) break
    size += value.length
    if (size > MAX_FILE) {
      reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    pieces.push(value)
  }
  return new Uint8Array(Buffer.concat(pieces))
}

function tooLarge(): AppError {
  return new AppError(
    'too_large',
    `the agent file has more than the ${MAX_FILE} bytes this server takes; export the agent with scrub_messages=true`,
  )
}
