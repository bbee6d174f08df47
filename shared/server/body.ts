import { AppError, isAppError, messageOf } from '../schema/errors.ts'

/** Largest JSON body, in bytes: room for a few images. */
export const MAX_BODY = 32 * 1024 * 1024
/** Largest request that imports an agent file, in bytes. */
export const MAX_IMPORT = 128 * 1024 * 1024
/** How deep a body may nest, and how many values it may hold: far beyond any use, far below what hurts. */
const MAX_DEPTH = 200
const MAX_VALUES = 100_000

/**
 * The JSON of a request's body, whatever its content type says; undefined for an empty one. Lone surrogates are replaced
 * and NUL is left out, as neither can be stored by every engine; in the fields that `verbatim` names NUL is refused.
 * Throws `unsupported_media_type` for a compressed one, `too_large` as soon as too much has come, `invalid_argument` for
 * bytes that are no UTF-8, `validation` for what is no JSON and for a NUL.
 */
export async function readJson(request: Request, verbatim: readonly string[] = []): Promise<unknown> {
  refuseEncoded(request)
  const bytes = await readBytes(request).catch((error: unknown) => {
    if (isAppError(error)) throw error
    // The client left; there is nobody to read this.
    throw new AppError('invalid_argument', `the request body did not arrive whole: ${messageOf(error)}`, {
      cause: error,
    })
  })
  const text = decode(bytes)
  if (text.trim() === '') return undefined
  refuseMonsters(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new AppError('validation', `body: not valid JSON: ${messageOf(error)}`)
  }
  if (!/\\u(?:0000|d[89a-f])/i.test(text)) return value
  for (const field of verbatim) {
    const place = placeOfNul((value as Record<string, unknown> | null)?.[field], `body.${field}`)
    if (place !== null)
      throw new AppError(
        'validation',
        `${place}: has a NUL character (\\u0000), which nothing here can take; leave it out`,
      )
  }
  return cleaned(value)
}

/** Throws `unsupported_media_type` for a compressed body: nothing is inflated here, so nothing can blow up. */
export function refuseEncoded(request: Request): void {
  const encoding = request.headers.get('content-encoding')?.trim() ?? ''
  if (encoding === '' || encoding.toLowerCase() === 'identity') return
  throw new AppError(
    'unsupported_media_type',
    `the request body is encoded as ${encoding.slice(0, 100)}, which this server does not read; send it without Content-Encoding`,
  )
}

/** Where the first text with a NUL is; null: nowhere. */
function placeOfNul(value: unknown, at: string): string | null {
  if (typeof value === 'string') return value.includes('\0') ? at : null
  if (typeof value !== 'object' || value === null) return null
  for (const [key, item] of Object.entries(value)) {
    if (key.includes('\0')) return at
    const place = placeOfNul(item, `${at}.${key}`)
    if (place !== null) return place
  }
  return null
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get('content-length')
  // Node reads no more than what was announced.
  if (announced !== null) {
    if (Number(announced) > MAX_BODY) throw tooLarge()
    return new Uint8Array(await request.arrayBuffer())
  }
  if (!request.body) return new Uint8Array()
  const pieces: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > MAX_BODY) {
      reader.cancel().catch(() => undefined)
      throw tooLarge()
    }
    pieces.push(value)
  }
  return Buffer.concat(pieces)
}

function tooLarge(): AppError {
  return new AppError('too_large', `the request body has more than the ${MAX_BODY} bytes this server takes`)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new AppError('invalid_argument', 'the request body is not UTF-8; send JSON encoded as UTF-8')
  }
}

/** Before anything is parsed: depth and number of values, by the characters outside strings. */
function refuseMonsters(text: string): void {
  if (text.length <= MAX_DEPTH) return
  let depth = 0
  let values = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // "
        i = endOfString(text, i)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH)
          throw new AppError(
            'validation',
            `body: nested deeper than the ${MAX_DEPTH} levels this server takes`,
          )
        values++
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      case 0x2c: // ,
        values++
        break
    }
    if (values > MAX_VALUES)
      throw new AppError('validation', `body: more than the ${MAX_VALUES} values this server takes`)
  }
}

/** Index of the quote that ends the string which begins at `start`; the end of the text when none does. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === 0x5c) escapes++
    if (escapes % 2 === 0) return end
  }
  return text.length
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleanText(key), cleaned(item)]))
}

/** Text that every engine can store. */
export function cleanText(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}
