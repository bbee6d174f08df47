import { lookup as dnsLookup } from 'node:dns'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AppError, messageOf } from '../schema/errors.ts'
import type { MessageCreate } from '../schema/message.ts'

/** Bounds of one image (reference 5.3): milliseconds for an attempt, bytes, hops. */
const TIMEOUT_MS = 5_000
const MAX_BYTES = 20 * 1024 * 1024
const MAX_REDIRECTS = 3

export interface ImageOptions {
  /** Fetch from loopback and private networks too. */
  allow_private: boolean
}

type Part = Exclude<MessageCreate['content'], string>[number]
type Image = Part & { type: 'image' }

/**
 * The messages with every image URL (http, https, data) replaced by what is behind it. Throws `invalid_argument` that
 * names the URL when it cannot be had.
 */
export async function loadImages(messages: MessageCreate[], options: ImageOptions): Promise<MessageCreate[]> {
  if (!messages.some(({ content }) => typeof content !== 'string' && content.some(isRemote))) return messages
  return Promise.all(
    messages.map(async (message) =>
      typeof message.content === 'string'
        ? message
        : {
            ...message,
            content: await Promise.all(message.content.map((part) => loadPart(part, options))),
          },
    ),
  )
}

function isRemote(part: Part): boolean {
  return part.type === 'image' && part.source.type === 'url'
}

async function loadPart(part: Part, options: ImageOptions): Promise<Part> {
  if (part.type !== 'image' || part.source.type !== 'url') return part
  const { url } = part.source
  const { media_type, bytes } = url.startsWith('data:') ? readDataUrl(url) : await download(url, options)
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
async function download(url: string, options: ImageOptions): Promise<Loaded> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchOnce(url, options)
    } catch (error) {
      if (error instanceof Refused || attempt === 2)
        throw error instanceof AppError ? error : failure(url, messageOf(error), error)
    }
  }
}

/** A failure that asking again would not change. */
class Refused extends AppError {}

async function fetchOnce(url: string, options: ImageOptions): Promise<Loaded> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    let target = url
    for (let hop = 0; ; hop++) {
      const response = await request(url, target, options, signal)
      const { statusCode = 0, headers } = response
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy()
        if (hop === MAX_REDIRECTS) throw refused(url, `it redirects more than ${MAX_REDIRECTS} times`)
        target = new URL(headers.location, target).href
        continue
      }
      if (statusCode !== 200) {
        response.destroy()
        const reason = `the server answered ${statusCode}`
        throw statusCode >= 500 ? failure(url, reason) : refused(url, reason)
      }
      return checked(url, headers['content-type'] ?? '', await readAll(url, response))
    }
  } catch (error) {
    if (signal.aborted) throw failure(url, `no answer within ${TIMEOUT_MS / 1000} s`, error)
    throw error
  }
}

/** The address is checked where the connection is made: a name cannot change its mind in between. */
function request(
  url: string,
  target: string,
  options: ImageOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const parsed = URL.parse(target)
  if (!parsed || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:'))
    throw refused(url, 'only http:, https: and data: URLs are fetched')
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const refuse = (address: string) =>
    refused(
      url,
      `${host} is ${address === host ? '' : `at ${address}, `}an address of this machine or a private network; ` +
        'set LOCI_ALLOW_PRIVATE_IMAGES=1 to allow these, or send the image as base64',
    )
  if (!options.allow_private && isIP(host) && isPrivate(host)) throw refuse(host)
  const lookup: LookupFunction = (name, lookupOptions, callback) => {
    dnsLookup(name, { ...lookupOptions, all: true }, (error, addresses) => {
      const found = error ? [] : addresses
      const bad = options.allow_private ? undefined : found.find(({ address }) => isPrivate(address))
      const first = found[0]
      if (error || !first) callback(error ?? new Error(`${name} has no address`), '', 0)
      else if (bad) callback(refuse(bad.address), '', 0)
      else if (lookupOptions.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
  return new Promise((resolve, reject) => {
    const get = parsed.protocol === 'https:' ? getHttps : getHttp
    get(parsed, { signal, lookup, headers: { accept: 'image/*' } }, resolve).on('error', reject)
  })
}

async function readAll(url: string, response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > MAX_BYTES) throw refused(url, `it is larger than ${MAX_BYTES / 1024 / 1024} MiB`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
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

const PRIVATE = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  PRIVATE.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  PRIVATE.addSubnet(network, prefix, 'ipv6')

/** Loopback, private, link-local, shared and multicast addresses: nothing that a stranger's URL should reach. */
export function isPrivate(address: string): boolean {
  // An IPv4 address in IPv6 clothes is checked as the former by BlockList itself.
  return PRIVATE.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function text(url: string, reason: string): string {
  const shown = url.length > 200 ? `${url.slice(0, 200)}…` : url
  return `the image ${shown} could not be fetched: ${reason}`
}

function failure(url: string, reason: string, cause?: unknown): AppError {
  return new AppError('invalid_argument', text(url, reason), { cause })
}

function refused(url: string, reason: string): Refused {
  return new Refused('invalid_argument', text(url, reason))
}
