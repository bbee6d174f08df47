import { lookup as dnsLookup } from 'node:dns'
import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { messageOf } from '../../schema/errors.ts'
import { isPrivate } from './addresses.ts'

export interface DownloadOptions {
  /** Reach loopback and private networks too; otherwise an address of theirs is refused, also after a redirect. */
  allow_private: boolean
  /** What the `Accept` header says. */
  accept: string
  /** Milliseconds for all of it. */
  timeout_ms: number
  max_bytes: number
  signal?: AbortSignal
}

export interface Downloaded {
  /** Where the redirects ended. */
  url: string
  /** The `Content-Type` header; empty when there was none. */
  content_type: string
  bytes: Buffer
}

const MAX_REDIRECTS = 3

/** Why a URL could not be had, as the end of a sentence. */
export class DownloadError extends Error {
  override readonly name = 'DownloadError'
  /** Whether asking again may help. */
  readonly may_pass: boolean
  /** The URL leads to this machine or a private network. */
  readonly is_private: boolean

  constructor(reason: string, options: { may_pass?: boolean; is_private?: boolean; cause?: unknown } = {}) {
    super(reason, { cause: options.cause })
    this.may_pass = options.may_pass ?? false
    this.is_private = options.is_private ?? false
  }
}

/**
 * Fetches what is behind an http or https URL that a stranger gave. Throws `DownloadError`; an abort of `signal` is
 * thrown as it is.
 */
export async function download(url: string, options: DownloadOptions): Promise<Downloaded> {
  const timeout = AbortSignal.timeout(options.timeout_ms)
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
  try {
    let target = url
    for (let hop = 0; ; hop++) {
      const response = await request(target, options, signal)
      const { statusCode = 0, headers } = response
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        response.destroy()
        if (hop === MAX_REDIRECTS) throw new DownloadError(`it redirects more than ${MAX_REDIRECTS} times`)
        const next = URL.parse(headers.location, target)
        if (!next) throw new DownloadError(`it redirects to '${headers.location}', which is no URL`)
        target = next.href
        continue
      }
      if (statusCode !== 200) {
        response.destroy()
        throw new DownloadError(`the server answered ${statusCode}`, { may_pass: statusCode >= 500 })
      }
      const bytes = await readAll(response, options.max_bytes)
      return { url: target, content_type: headers['content-type'] ?? '', bytes }
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (timeout.aborted)
      throw new DownloadError(`no answer within ${options.timeout_ms / 1000} s`, {
        may_pass: true,
        cause: error,
      })
    if (error instanceof DownloadError) throw error
    throw new DownloadError(messageOf(error), { may_pass: true, cause: error })
  }
}

/** The address is checked where the connection is made: a name cannot change its mind in between. */
function request(target: string, options: DownloadOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const parsed = URL.parse(target)
  if (!parsed || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:'))
    throw new DownloadError('only http: and https: URLs are fetched')
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const refuse = (address: string) =>
    new DownloadError(
      `${host} is ${address === host ? '' : `at ${address}, `}an address of this machine or a private network`,
      { is_private: true },
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
    get(parsed, { signal, lookup, headers: { accept: options.accept } }, resolve).on('error', reject)
  })
}

/** The body, unpacked; a server may pack it unasked. */
async function readAll(response: IncomingMessage, max_bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    for await (const piece of unpacked(response) as AsyncIterable<Buffer>) {
      size += piece.length
      if (size > max_bytes) throw new DownloadError(`it is larger than ${max_bytes / 1024 / 1024} MiB`)
      pieces.push(piece)
    }
  } catch (error) {
    const { code } = error as { code?: string }
    if (!/^(Z_|ERR_BROTLI|ERR__ERROR)/.test(code ?? '')) throw error
    const encoding = response.headers['content-encoding']
    throw new DownloadError(`its content is not packed as it says (${encoding}), or is broken`, {
      cause: error,
    })
  } finally {
    response.destroy()
  }
  return Buffer.concat(pieces)
}

const UNPACKERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

function unpacked(response: IncomingMessage): Readable {
  const encoding = (response.headers['content-encoding'] ?? '').trim().toLowerCase()
  if (encoding === '' || encoding === 'identity') return response
  const unpacker = Object.hasOwn(UNPACKERS, encoding) ? UNPACKERS[encoding]?.() : undefined
  if (!unpacker) throw new DownloadError(`its content is packed in a way that is not known (${encoding})`)
  // Whoever reads hears of a failure.
  return pipeline(response, unpacker, () => undefined)
}
