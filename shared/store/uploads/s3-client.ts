import { createHash } from 'node:crypto'
import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import { AwsV4Signer } from 'aws4fetch'
import { isAppError } from '../../schema/errors.ts'
import { pause } from '../pause.ts'
import { refusedBy, type S3Place, unreachable } from './s3-errors.ts'
import type { S3Settings } from './s3-settings.ts'
import { field } from './s3-xml.ts'

/** Waits before a request is made again, at first and at the most, in milliseconds. */
const WAIT_MS = { first: 100, most: 5_000 }
/** Answers after which the same request may succeed. */
const AGAIN = new Set([408, 429, 500, 502, 503, 504])
/** The same in S3's words, whatever the status. */
const AGAIN_CODES = new Set(['RequestTimeout', 'SlowDown', 'InternalError', 'OperationAborted'])
/** Characters of an answer that are read of one that failed. */
const MOST_OF_ERROR = 16 * 1024

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Of the object, without the prefix; empty for the bucket. */
  key: string
  query?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | string
  /** Statuses besides 2xx that are an answer. */
  allow?: readonly number[]
  signal?: AbortSignal | undefined
}

/** An answer that was read to its end. */
export interface S3Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

/**
 * Signed requests to one bucket, each made again when the service or the network fails. Throws `store_unavailable` that
 * names endpoint, bucket and key, never the credentials; an abort throws its reason.
 */
export class S3Client {
  readonly settings: S3Settings
  readonly #keys = new Map<string, ArrayBuffer>()

  constructor(settings: S3Settings) {
    this.settings = settings
  }

  /** A request whose answer is some lines. */
  async send(request: S3Request): Promise<S3Answer> {
    return await this.#trying(request, async (timer) => {
      const answer = await this.#ask(request, timer)
      const body = await text(answer)
      timer.stop()
      return { status: answer.statusCode ?? 0, headers: answer.headers, body }
    })
  }

  /**
   * The bytes of an object; null when there is none. A connection that is cut is made again for what is left, as long as
   * each brings something.
   */
  async read(key: string, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array> | null> {
    const open = (headers: Record<string, string>): Promise<Opened> => {
      const request: S3Request = { method: 'GET', key, headers, allow: [404], signal }
      return this.#trying(request, async (timer) => ({ answer: await this.#ask(request, timer), timer }))
    }
    const opened = await open({})
    if (opened.answer.statusCode === 404) {
      // Of the object; that there is no bucket is another matter.
      const body = await text(opened.answer)
      opened.timer.stop()
      if (field(body, 'Code') === 'NoSuchBucket') throw refusedBy(this.#place(key), { status: 404, body })
      return null
    }
    const { etag } = opened.answer.headers
    const same: Record<string, string> = etag === undefined ? {} : { 'if-match': etag }
    return this.#stream({
      key,
      signal,
      opened,
      again: (have) => open({ range: `bytes=${have}-`, ...same }),
    })
  }

  async *#stream({
    key,
    signal,
    opened,
    again,
  }: {
    key: string
    signal: AbortSignal
    opened: Opened
    again: (have: number) => Promise<Opened>
  }): AsyncGenerator<Uint8Array> {
    const place = this.#place(key)
    let have = 0
    let failures = 0
    let at: Opened = opened
    for (;;) {
      try {
        at.timer.restart()
        for await (const some of at.answer as AsyncIterable<Buffer>) {
          at.timer.stop()
          have += some.length
          failures = 0
          yield some
          at.timer.restart()
        }
        return
      } catch (error) {
        signal.throwIfAborted()
        if (++failures >= this.settings.attempts)
          throw unreachable(place, at.timer.reason ?? error, this.settings.timeout_ms)
        await pause(waitBefore(failures))
      } finally {
        at.timer.stop()
        // Whoever wants no more of it, or has lost it.
        at.answer.destroy()
      }
      at = await again(have)
      if (at.answer.statusCode !== 206) {
        const status = at.answer.statusCode ?? 0
        const body = await text(at.answer)
        at.timer.stop()
        throw refusedBy(place, { status, body })
      }
    }
  }

  async #trying<T>(request: S3Request, attempt: (timer: Timer) => Promise<T>): Promise<T> {
    const place = this.#place(request.key)
    for (let failures = 1; ; failures++) {
      const timer = new Timer(this.settings.timeout_ms, request.signal)
      let stays = false
      try {
        const answer = await attempt(timer)
        stays = true
        return answer
      } catch (error) {
        request.signal?.throwIfAborted()
        const last = failures >= this.settings.attempts
        if (error instanceof Refused) {
          if (last || !error.again) throw error.error
        } else if (isAppError(error)) throw error
        else if (last) throw unreachable(place, timer.reason ?? error, this.settings.timeout_ms)
      } finally {
        if (!stays) timer.stop()
      }
      await pause(waitBefore(failures))
    }
  }

  /** An answer that is one, whose body is still to come. */
  async #ask(request: S3Request, timer: Timer): Promise<IncomingMessage> {
    const { method, key, query = {}, headers = {}, body = '', allow = [] } = request
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const url = this.#url(key)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const { access_key_id, secret_access_key, session_token, region } = this.settings
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: {
        ...headers,
        'x-amz-content-sha256': createHash('sha256').update(bytes).digest('hex'),
      },
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token === null ? {} : { sessionToken: session_token }),
      service: 's3',
      region,
      cache: this.#keys,
    }).sign()
    const answer = await exchange(
      signed.url,
      {
        method,
        headers: { ...Object.fromEntries(signed.headers), 'content-length': String(bytes.length) },
        signal: timer.signal,
      },
      bytes,
    )
    const status = answer.statusCode ?? 0
    if ((status >= 200 && status < 300) || allow.includes(status)) return answer
    const said = (await text(answer)).slice(0, MOST_OF_ERROR)
    const again = AGAIN.has(status) || AGAIN_CODES.has(field(said, 'Code') ?? '')
    const elsewhere = answer.headers['x-amz-bucket-region']
    const refusal = { status, body: said, ...(typeof elsewhere === 'string' ? { region: elsewhere } : {}) }
    throw new Refused(refusedBy(this.#place(key), refusal), again)
  }

  #url(key: string): URL {
    const { endpoint, bucket, path_style, prefix } = this.settings
    const url = new URL(endpoint)
    if (!path_style) url.hostname = `${bucket}.${endpoint.hostname}`
    const base = `${endpoint.pathname.replace(/\/+$/, '')}${path_style ? `/${bucket}` : ''}`
    url.pathname = key === '' ? base || '/' : `${base}/${prefix}${key}`
    return url
  }

  #place(key: string): S3Place {
    return { settings: this.settings, key: key === '' ? '' : `${this.settings.prefix}${key}` }
  }
}

/** Not `fetch`: its parser throws past everybody when a server closes a connection that is not read to its end yet. */
function exchange(
  url: URL,
  options: { method: string; headers: Record<string, string>; signal: AbortSignal },
  body: Uint8Array,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? overHttps : overHttp)(url, options, resolve)
    request.on('error', reject)
    request.end(body)
  })
}

interface Opened {
  answer: IncomingMessage
  timer: Timer
}

/** The service has answered that it will not. */
class Refused extends Error {
  readonly error: Error
  readonly again: boolean

  constructor(error: Error, again: boolean) {
    super(error.message)
    this.error = error
    this.again = again
  }
}

/** Aborts what takes longer than this, or when the caller does. */
class Timer {
  readonly #ms: number
  readonly #controller = new AbortController()
  readonly signal: AbortSignal
  #timeout: NodeJS.Timeout | undefined

  constructor(ms: number, signal: AbortSignal | undefined) {
    this.#ms = ms
    this.signal = signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal
    this.restart()
  }

  /** Why it has ended what it watched; undefined when it has not. */
  get reason(): unknown {
    return this.#controller.signal.reason as unknown
  }

  restart(): void {
    clearTimeout(this.#timeout)
    this.#timeout = setTimeout(
      () => this.#controller.abort(new DOMException('no answer in time', 'TimeoutError')),
      this.#ms,
    )
  }

  stop(): void {
    clearTimeout(this.#timeout)
  }
}

/** Half of it by chance, so that many do not come back at once. */
function waitBefore(failures: number): number {
  return Math.min(WAIT_MS.first * 2 ** (failures - 1), WAIT_MS.most) * (0.5 + Math.random() / 2)
}
