import { AppError, messageOf } from '../schema/errors.ts'
import type { ContentPart, StoredApproval, TurnMessage } from '../schema/message.ts'

/** Bounds of one image (reference 5.3): milliseconds for an attempt, bytes. */
const TIMEOUT_MS = 5_000
const MAX_BYTES = 20 * 1024 * 1024

/** Gets what is behind an http or https URL. Its errors say whether they `may_pass`, and whether the address `is_private`. */
export type Download = (
  url: string,
  options: { accept: string; timeout_ms: number; max_bytes: number },
) => Promise<{ content_type: string; bytes: Buffer }>

type Image = Extract<ContentPart, { type: 'image' }>

/**
 * The messages with every image URL (http, https, data) replaced by what is behind it, and every image that came along
 * checked: one that its provider refuses would stop the conversation for good. Throws `invalid_argument` that names the
 * URL when it cannot be had, or says what is wrong.
 */
export async function loadImages<T extends TurnMessage>(messages: T[], download: Download): Promise<T[]> {
  return Promise.all(messages.map((message) => loadMessage(message, download)))
}

async function loadMessage<T extends TurnMessage>(message: T, download: Download): Promise<T> {
  if ('content' in message) return { ...message, content: await loadParts(message.content, download) }
  const { approvals, tool_returns } = message
  return {
    ...message,
    ...(approvals ? { approvals: await loadReturns(approvals, download) } : {}),
    ...(tool_returns ? { tool_returns: await loadReturns(tool_returns, download) } : {}),
  }
}

function loadReturns(decisions: StoredApproval[], download: Download): Promise<StoredApproval[]> {
  return Promise.all(
    decisions.map(async (one) =>
      one.type === 'tool' ? { ...one, tool_return: await loadParts(one.tool_return, download) } : one,
    ),
  )
}

async function loadParts<T extends ContentPart>(
  content: string | T[],
  download: Download,
): Promise<string | (T | Image)[]> {
  if (typeof content === 'string' || !content.some((part) => part.type === 'image')) return content
  return Promise.all(content.map((part) => loadPart(part, download)))
}

async function loadPart<T extends ContentPart>(part: T, download: Download): Promise<T | Image> {
  if (part.type !== 'image') return part
  const { source } = part
  if (source.type !== 'url') {
    if (source.data == null) return part
    const { media_type, bytes } = readSent(source.media_type ?? '', source.data)
    return { ...part, source: { ...source, media_type, data: bytes.toString('base64') } }
  }
  const { url } = source
  const { media_type, bytes } = url.startsWith('data:') ? readDataUrl(url) : await fetchImage(url, download)
  const image: Image = {
    type: 'image',
    source: { type: 'base64', media_type, data: bytes.toString('base64') },
  }
  return image
}

interface Loaded {
  media_type: string
  bytes: Buffer
}

/** An image that came in the message itself. */
function readSent(declared: string, data: string): Loaded {
  const compact = data.replaceAll(/\s/g, '')
  if (!BASE64.test(compact)) throw unusable('its data is not base64')
  return checked(declared, Buffer.from(compact, 'base64'), unusable)
}

function readDataUrl(url: string): Loaded {
  const comma = url.indexOf(',')
  const [declared = '', ...attributes] = url.slice('data:'.length, comma).split(';')
  if (comma < 0) throw failure(url, 'it has no comma before its data')
  const data = url.slice(comma + 1)
  const encoded = attributes.includes('base64')
  if (encoded && !BASE64.test(data)) throw failure(url, 'its data is not base64')
  const bytes = encoded ? Buffer.from(data, 'base64') : percentDecoded(data)
  return checked(declared, bytes, (reason) => refused(url, reason))
}

/** Bytes of percent-encoded data; what is no valid escape stands for itself. */
function percentDecoded(data: string): Buffer {
  const text = data.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(text, 'latin1')
}

/** Fetches once more after a failure that may pass. */
async function fetchImage(url: string, download: Download): Promise<Loaded> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { content_type, bytes } = await download(url, {
        accept: 'image/*',
        timeout_ms: TIMEOUT_MS,
        max_bytes: MAX_BYTES,
      })
      return checked(content_type, bytes, (reason) => refused(url, reason))
    } catch (error) {
      if (error instanceof AppError || attempt === 2 || !mayPass(error))
        throw error instanceof AppError ? error : failure(url, reasonOf(error), error)
    }
  }
}

function mayPass(error: unknown): boolean {
  return (error as { may_pass?: boolean }).may_pass === true
}

function reasonOf(error: unknown): string {
  const reason = messageOf(error)
  return (error as { is_private?: boolean }).is_private === true
    ? `${reason}; set LOCI_ALLOW_PRIVATE_URLS=1 to allow these, or send the image as base64`
    : reason
}

/** What the bytes are is believed before what they are said to be. */
function checked(declared: string, bytes: Buffer, refuse: (reason: string) => AppError): Loaded {
  const said = declared.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const found = sniff(bytes)
  const media_type = found ?? (/^image\/[\w.+-]+$/.test(said) ? said : null)
  if (media_type === null) throw refuse(`it is no image but ${said === '' ? 'of no known type' : said}`)
  if (bytes.length === 0) throw refuse('it is empty')
  if (found === null && SNIFFED.has(media_type)) throw refuse(`it is said to be ${media_type} and is not`)
  return { media_type, bytes }
}

const BASE64 = /^[\w+/-]*={0,2}$/

/** Types whose first bytes tell them; a model takes no others, or converts them. */
const SNIFFED = new Set(['image/png', 'image/jpeg', 'image/jpg', 'image/gif', 'image/webp'])

function sniff(bytes: Buffer): string | null {
  const head = bytes.toString('latin1', 0, 12)
  if (head.startsWith('\x89PNG')) return 'image/png'
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (head.startsWith('GIF8')) return 'image/gif'
  if (head.startsWith('RIFF') && head.slice(8) === 'WEBP') return 'image/webp'
  return null
}

function text(url: string, reason: string): string {
  const shown = url.length > 200 ? `${url.slice(0, 200)}…` : url
  return `the image ${shown} could not be fetched: ${reason}`
}

function unusable(reason: string): AppError {
  return new AppError('invalid_argument', `an image in this message cannot be used: ${reason}`)
}

function failure(url: string, reason: string, cause?: unknown): AppError {
  return new AppError('invalid_argument', text(url, reason), { cause })
}

function refused(url: string, reason: string): AppError {
  return new AppError('invalid_argument', text(url, reason))
}
