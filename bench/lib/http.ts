import { Agent, type IncomingMessage, request } from 'node:http'

const agent = new Agent({ keepAlive: true })
/** A connection for each request: one that was idle too long may be closed already. */
const fresh = new Agent()

/** In milliseconds; no answer of a benchmark takes as long. */
const DEADLINE = 300_000

/** Sends JSON, or nothing; gives the parsed answer. Throws for every status but 2xx, with the answer's text. */
export async function call<T>(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const incoming = await open(method, url, body, agent, headers)
  const text = await textOf(incoming)
  return (text === '' ? null : JSON.parse(text)) as T
}

/** A streamed answer, read to its end. */
export interface Streamed {
  /** Milliseconds from the request to the first piece in which `token` stands. */
  first_token_ms: number
  text: string
}

/** Posts JSON and reads the event stream that answers; text is decoded after the end, so that reading costs little. */
export async function stream(url: string, body: unknown, token: string): Promise<Streamed> {
  const from = performance.now()
  const incoming = await open('POST', url, body)
  const pieces: Buffer[] = []
  let first_token_ms = NaN
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    if (Number.isNaN(first_token_ms) && piece.includes(token)) first_token_ms = performance.now() - from
    pieces.push(piece)
  }
  const text = Buffer.concat(pieces).toString('utf8')
  if (Number.isNaN(first_token_ms))
    throw new Error(`${url}: no ${token} in the stream: ${text.slice(0, 500)}`)
  return { first_token_ms, text }
}

/** Posts JSON and reads the event stream that answers; gives when each `token` came, by `performance.now()`. */
export async function arrivals(url: string, body: unknown, token: string): Promise<number[]> {
  const incoming = await open('POST', url, body, fresh)
  const times: number[] = []
  let rest = ''
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    const at = performance.now()
    const [before = '', ...more] = (rest + piece.toString('latin1')).split(token)
    for (let i = 0; i < more.length; i++) times.push(at)
    // A token may be cut in two.
    rest = (more.at(-1) ?? before).slice(1 - token.length)
  }
  return times
}

/** Resolves with the answer once its headers are there. */
async function open(
  method: string,
  url: string,
  body: unknown,
  connections = agent,
  more: Record<string, string> = {},
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers: Record<string, string | number> =
    text === undefined
      ? more
      : { ...more, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = request(url, { method, agent: connections, headers, timeout: DEADLINE }, resolve)
  outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${url}: no answer in ${DEADLINE} ms`)))
  outgoing.on('error', reject)
  outgoing.end(text)
  const incoming = await promise
  const status = incoming.statusCode ?? 0
  if (status >= 200 && status < 300) return incoming
  const answer = await textOf(incoming)
  throw new Error(`${method} ${url} answered ${status}: ${answer.slice(0, 500)}`)
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  return Buffer.concat((await incoming.toArray()) as Buffer[]).toString('utf8')
}
