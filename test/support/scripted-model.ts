/**
 * A model provider that says what a test tells it to, over real HTTP on 127.0.0.1: OpenAI chat completions, OpenAI
 * Responses or Anthropic messages, by the path (streamed or not, as the request asks), and `GET /v1/models`. It is strict: a call too many, an unused step or a failed
 * expectation makes `done()` throw.
 *
 *     const model = await startScriptedModel([
 *       { expect: { model: 'test-model' }, reply: { tool_calls: [{ name: 'memory_insert', arguments: { … } }] } },
 *       { expect: (body) => assert.equal(body.messages.at(-1)?.role, 'tool'), reply: { text: 'Noted.' } },
 *     ])
 *     … OPENAI_BASE_URL=model.url …
 *     await model.done()     // everything was said, nothing else was asked
 *     await model.close()
 *
 * Load tests: `startScriptedModel([], { loop: (body) => ({ text: 'hi' }) })`.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { messageEventsOf, messageOf, refusedByAnthropic } from './anthropic-wire.ts'
import { completionOf, sseEventsOf } from './model-wire.ts'
import type { ChatBody, ScriptedAnswer } from './model-wire.ts'
import { refusedByResponses, responseEventsOf, responseOf } from './responses-wire.ts'

/** A protocol: what the real API would refuse, and how an answer is written. */
interface Wire {
  refused(body: ChatBody, headers: IncomingMessage['headers']): string | null
  events(answer: ScriptedAnswer, body: ChatBody): string[]
  whole(answer: ScriptedAnswer, body: ChatBody): unknown
}

const WIRES: Record<string, Wire> = {
  '/v1/chat/completions': { refused: () => null, events: sseEventsOf, whole: completionOf },
  '/v1/messages': { refused: refusedByAnthropic, events: messageEventsOf, whole: messageOf },
  '/v1/responses': { refused: refusedByResponses, events: responseEventsOf, whole: responseOf },
}

/** When and in what pieces a reply is sent. */
interface Pace {
  /** Waits before the status line. */
  delay_ms?: number
  /** Nothing (or, with `hold_after`, nothing more) is sent until this settles; ends with the client or the server. */
  hold?: Promise<unknown>
  /** SSE events (or `raw` pieces) to send before `hold`. */
  hold_after?: number
  /** Cuts the body into network writes of this many bytes, also inside a UTF-8 character. */
  chunk_bytes?: number
  /** Destroys the connection after this many SSE events (or `raw` pieces). */
  cut_after?: number
}

/** What the model answers: said as an answer, as an HTTP error, or byte by byte. */
type ScriptedReply =
  | (ScriptedAnswer & Pace)
  | ({ status: number; body?: unknown; headers?: Record<string, string> } & Pace)
  | ({ raw: string | Uint8Array | (string | Uint8Array)[]; content_type?: string } & Pace)

export interface ScriptedStep {
  /**
   * A part of the request body (compared deeply, key by key), or a function that throws, or returns false or a text,
   * when the request is not the one expected.
   */
  expect?: Partial<ChatBody> | ((body: ChatBody, request: ScriptedRequest) => unknown)
  reply: ScriptedReply | ((body: ChatBody) => ScriptedReply)
}

interface ScriptedRequest {
  path: string
  headers: IncomingMessage['headers']
  /** The body as it came; compare these for byte-identical prompt prefixes. */
  bytes: Buffer
  body: ChatBody
  /** Settles when the exchange is over. */
  ended: Promise<'answered' | 'aborted'>
}

export interface ScriptedModelOptions {
  /** Ids that `GET /v1/models` lists, or its items. Default: `test-model` with a context of 128,000 tokens. */
  models?: (string | Record<string, unknown>)[]
  /** Answers every call beyond the steps; `index` counts from 0. Without it such a call is an error. */
  loop?: (body: ChatBody, index: number) => ScriptedReply
  /** Keeps no request with `loop` (for load tests). */
  forget?: boolean
}

export interface ScriptedModel {
  /** Base URL that ends in `/v1`. */
  readonly url: string
  /** Chat completion requests, in order of arrival. */
  readonly requests: ScriptedRequest[]
  /** TCP connections so far. */
  readonly connections: number
  /** Adds steps to the script. */
  add(...steps: ScriptedStep[]): void
  /** The request of this index as soon as it has arrived; rejects after `timeout_ms` (default 10 s). */
  request(index: number, timeout_ms?: number): Promise<ScriptedRequest>
  /** Throws for unexpected calls, failed expectations and unused steps. */
  done(): Promise<void>
  /** Cuts open connections and stops listening. */
  close(): Promise<void>
}

/** Starts a scripted provider; the caller closes it. */
export async function startScriptedModel(
  steps: ScriptedStep[] = [],
  options: ScriptedModelOptions = {},
): Promise<ScriptedModel> {
  const script = [...steps]
  const requests: ScriptedRequest[] = []
  const problems: string[] = []
  const waiting = new Set<() => void>()
  const models = options.models ?? [{ id: 'test-model', context_length: 128_000 }]
  let used = 0
  let calls = 0
  let connections = 0

  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '/'
    if (incoming.method === 'GET' && path.split('?')[0] === '/v1/models') {
      const data = models.map((item) => (typeof item === 'string' ? { id: item } : item))
      sendJson(response, 200, {
        object: 'list',
        data: data.map((item) => ({ object: 'model', created: 0, owned_by: 'test', ...item })),
      })
    } else if (incoming.method === 'POST' && WIRES[path]) {
      chat(WIRES[path], incoming, response).catch((error: unknown) => {
        problems.push(`call ${calls - 1}: ${String(error)}`)
        response.destroy()
      })
    } else {
      sendJson(response, 404, { error: { message: `no route ${incoming.method} ${path}` } })
    }
  })

  async function chat(wire: Wire, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece as Buffer)
    const index = calls++
    const bytes = Buffer.concat(pieces)
    const body = JSON.parse(bytes.toString('utf8')) as ChatBody
    const ended = new Promise<'answered' | 'aborted'>((resolve) => {
      response.once('close', () => resolve(response.writableFinished ? 'answered' : 'aborted'))
    })
    const request = { path: incoming.url ?? '/', headers: incoming.headers, bytes, body, ended }
    if (!options.forget) {
      requests.push(request)
      for (const wake of waiting) wake()
    }
    const refused = wire.refused(body, incoming.headers)
    if (refused !== null) return refuse(response, `call ${index} would be refused: ${refused}`)
    const step = script[used]
    if (step) {
      used++
      const complaint = check(step.expect, request)
      if (complaint !== null) return refuse(response, `call ${index} is not the one expected: ${complaint}`)
      return send(
        wire,
        response,
        typeof step.reply === 'function' ? step.reply(body) : step.reply,
        body,
        ended,
      )
    }
    if (options.loop) return send(wire, response, options.loop(body, index), body, ended)
    const last = JSON.stringify(body.messages?.at(-1))?.slice(0, 300)
    return refuse(
      response,
      `unexpected call ${index}, the script has ${script.length} steps; last message: ${last}`,
    )
  }

  function refuse(response: ServerResponse, problem: string): void {
    problems.push(problem)
    sendJson(
      response,
      500,
      { error: { message: `scripted model: ${problem}` } },
      { 'x-should-retry': 'false' },
    )
  }

  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    get connections() {
      return connections
    },
    add: (...more) => void script.push(...more),
    request: (index, timeout_ms = 10_000) =>
      new Promise((resolve, reject) => {
        const settle = () => {
          const request = requests[index]
          if (!request) return
          clearTimeout(timer)
          waiting.delete(settle)
          resolve(request)
        }
        const timer = setTimeout(() => {
          waiting.delete(settle)
          reject(new Error(`scripted model: request ${index} did not come within ${timeout_ms} ms`))
        }, timeout_ms)
        waiting.add(settle)
        settle()
      }),
    done: async () => {
      const unused = script.length - used
      const all = unused > 0 ? [...problems, `${unused} of ${script.length} steps were not used`] : problems
      if (all.length > 0) throw new Error(`scripted model:\n- ${all.join('\n- ')}`)
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
}

/** Null when the request is as expected, else what is wrong. */
function check(expect: ScriptedStep['expect'], request: ScriptedRequest): string | null {
  if (!expect) return null
  if (typeof expect === 'function') {
    try {
      const verdict = expect(request.body, request)
      if (typeof verdict === 'string') return verdict
      return verdict === false ? `the expectation returned false for ${JSON.stringify(request.body)}` : null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  for (const [key, wanted] of Object.entries(expect)) {
    const got = request.body[key]
    if (!isDeepStrictEqual(got, wanted)) {
      return `'${key}' is ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`
    }
  }
  return null
}

async function send(
  wire: Wire,
  response: ServerResponse,
  reply: ScriptedReply,
  body: ChatBody,
  ended: Promise<unknown>,
): Promise<void> {
  if (reply.delay_ms) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, reply.delay_ms)
    await Promise.race([promise, ended])
    clearTimeout(timer)
  }
  if (reply.hold && reply.hold_after === undefined) await Promise.race([reply.hold, ended])
  if (response.destroyed) return
  if ('status' in reply) return sendJson(response, reply.status, reply.body ?? '', reply.headers)
  let pieces: (string | Uint8Array)[]
  if ('raw' in reply) {
    pieces = Array.isArray(reply.raw) ? reply.raw : [reply.raw]
    response.writeHead(200, {
      'content-type': reply.content_type ?? (body.stream ? 'text/event-stream' : 'application/json'),
    })
  } else if (body.stream) {
    pieces = wire.events(reply, body)
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  } else {
    return sendJson(response, 200, wire.whole(reply, body))
  }
  const plain = reply.hold_after === undefined && reply.cut_after === undefined && !reply.chunk_bytes
  if (plain && !('raw' in reply)) return void response.end(pieces.join(''))
  for (const [index, piece] of pieces.entries()) {
    if (index === reply.cut_after) break
    if (index === reply.hold_after) await Promise.race([reply.hold, ended])
    if (response.destroyed) return
    await write(response, Buffer.from(piece), reply.chunk_bytes)
  }
  if (reply.cut_after === undefined) response.end()
  else response.destroy()
}

/** Each write is flushed to the socket before the next, so that the reader sees the pieces. */
async function write(response: ServerResponse, bytes: Buffer, size = bytes.length): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    await new Promise<void>((resolve) => response.write(bytes.subarray(at, at + size), () => resolve()))
    if (size < bytes.length) await new Promise((resolve) => setImmediate(resolve))
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(text)
}
