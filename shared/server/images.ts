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
 * The messages with every image URL (http, https, data) replaced by what is behind it. Throws `invalid_argument` that
 * names the URL when it cannot be had.
 */
export async function loadImages(messages: TurnMessage[], download: Download): Promise<TurnMessage[]> {
  return Promise.all(messages.map((message) => loadMessage(message, download)))
}

async function loadMessage(message: TurnMessage, download: Download): Promise<TurnMessage> {
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
  if (typeof content === 'string' || !content.some(isRemote)) return content
  return Promise.all(content.map((part) => loadPart(part, download)))
}

function isRemote(part: ContentPart): boolean {
  return part.type === 'image' && part.source.type === 'url'
}

async function loadPart<T extends ContentPart>(part: T, download: Download): Promise<T | Image> {
  if (part.type !== 'image' || part.source.type !== 'url') return part
  const { url } = part.source
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

function readDataUrl(url: string): Loaded {
  const comma = url.indexOf(',')
  const [declared = '', ...attributes] = url.slice('data:'.length, comma).split(';')
  if (comma < 0) throw failure(url, 'it has no comma before its data')
  const data = url.slice(comma + 1)
  const encoded = attributes.includes('base64')
  if (encoded && !/^[\w+/-]*={0,2}$/.test(data)) throw failure(url, 'its data is not base64')
  const bytes = encoded ? Buffer.from(data, 'base64') : percentDecoded(data)
  return checked(url, declared, bytes)
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
      return checked(url, content_type, bytes)
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
function checked(url: string, declared: string, bytes: Buffer): Loaded {
  const said = declared.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const media_type = sniff(bytes) ?? (said.startsWith('image/') ? said : null)
  if (media_type === null) throw refused(url, `it is no image but ${said === '' ? 'of no known type' : said}`)
  if (bytes.length === 0) throw refused(url, 'it is empty')
  return { media_type, bytes }
}

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

function failure(url: string, reason: string, cause?: unknown): AppError {
  return new AppError('invalid_argument', text(url, reason), { cause })
}

function refused(url: string, reason: string): AppError {
  return new AppError('invalid_argument', text(url, reason))
}
