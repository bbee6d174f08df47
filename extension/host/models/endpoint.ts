import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readChatRequest, type ChatRequest } from './chat-request.ts'
import { OWN_VENDOR, type EditorModel, type EditorModels, type EditorOutputPart } from './editor-models.ts'
import { noSuchModel, Refusal, refusalOf, withoutConsent } from './refusals.ts'

/** The editor's models as an OpenAI-compatible API on this machine. */
export interface Endpoint {
  /** Ends in `/v1`. */
  base_url: string
  /** Bearer token of all requests. */
  token: string
  /** Ends what is under way. */
  close(): Promise<void>
}

export interface EndpointOptions {
  models: EditorModels
  /** The id of this window: a request that names another one is answered with 410. */
  window: string
  /** Hears of models that somebody wants and may not use yet. Must not throw. */
  onConsentMissing: (model: EditorModel) => void
  log: (line: string) => void
}

/** Bytes of a request: a long conversation with images. */
const LARGEST = 64 * 1024 * 1024
/** Between two signs of life in a stream that says nothing, in milliseconds. */
const KEEP_ALIVE = 15_000

/**
 * Listens on a free port of 127.0.0.1, with a random token. No model is looked for before the first request. The caller
 * closes it.
 */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const token = randomBytes(32).toString('base64url')
  const closing = new AbortController()
  const server = createServer((request, response) => {
    answer(request, response, { ...options, token, closing: closing.signal }).catch((error: unknown) =>
      refuse(response, error instanceof Refusal ? error : refusalOf(error, 'The model'), options),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  server.unref()
  const { port } = server.address() as AddressInfo
  return {
    base_url: `http://127.0.0.1:${port}/v1`,
    token,
    close() {
      closing.abort()
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

type Service = EndpointOptions & { token: string; closing: AbortSignal }

async function answer(request: IncomingMessage, response: ServerResponse, service: Service): Promise<void> {
  const path = (request.url ?? '').split('?')[0]
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(request.headers.host ?? ''))
    throw new Refusal(403, 'host_refused', 'This endpoint answers on 127.0.0.1 alone.')
  if (!isKey(request.headers.authorization, service.token))
    throw new Refusal(401, 'invalid_api_key', 'Another token is needed: that of this window of the editor.')
  const window = request.headers['x-loci-window']
  if (window !== undefined && window !== service.window)
    throw new Refusal(410, 'window_gone', 'This is another window of the editor than the one that was asked.')
  const route = `${request.method} ${path}`
  if (route === 'GET /v1/window') return void response.writeHead(204).end()
  if (route === 'GET /v1/models') return sendJson(response, 200, await modelList(service.models))
  if (route === 'POST /v1/chat/completions') return chat(request, response, service)
  throw new Refusal(404, 'not_found', `There is no ${route} here.`)
}

async function modelList(models: EditorModels) {
  const data = (await models.list()).map((model) => ({
    id: model.handle,
    object: 'model',
    created: 0,
    owned_by: model.vendor,
    display_name: model.name,
    context_length: model.max_input_tokens,
  }))
  return { object: 'list', data }
}

async function chat(request: IncomingMessage, response: ServerResponse, service: Service): Promise<void> {
  const asked = readChatRequest(await readJson(request))
  const model = await modelOf(asked.model, service)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, service.closing])
  const prompt = asked.request.messages.flatMap(({ parts }) => parts.map(textOf)).join('\n')
  const reply = new Reply(response, asked, () => usageOf(model, prompt, reply.said, signal))
  try {
    for await (const part of model.ask(asked.request, signal)) {
      if (signal.aborted) return
      reply.add(part)
    }
    await reply.end()
  } catch (error) {
    if (signal.aborted) return
    const refusal = refusalOf(error, model.name)
    service.log(`${asked.model}: ${refusal.message}`)
    if (!reply.begun) throw refusal
    reply.break(refusal)
  } finally {
    reply.stop()
  }
}

async function modelOf(id: string, { models, onConsentMissing }: Service): Promise<EditorModel> {
  if (id.startsWith(`${OWN_VENDOR}/`))
    throw new Refusal(
      400,
      'own_agent',
      `'${id}' is an agent of Loci. An agent cannot think with an agent: it would ask itself without end. Choose a model.`,
    )
  const all = await models.list()
  const model = all.find(({ handle }) => handle === id)
  if (!model)
    throw noSuchModel(
      id,
      all.map(({ handle }) => handle),
    )
  const access = model.access()
  if (access === 'allowed') return model
  if (access === 'unasked') onConsentMissing(model)
  throw withoutConsent(model.name, access)
}

/** Tokens as the model counts them; undefined where it cannot. */
async function usageOf(model: EditorModel, prompt: string, said: string, signal: AbortSignal) {
  try {
    const [prompt_tokens, completion_tokens] = await Promise.all([
      model.count(prompt, signal),
      said === '' ? 0 : model.count(said, signal),
    ])
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
  } catch {
    // The answer is worth more than its numbers.
    return undefined
  }
}

function textOf(part: ChatRequest['request']['messages'][number]['parts'][number]): string {
  if (part.type === 'tool_call') return `${part.name} ${JSON.stringify(part.input)}`
  return part.type === 'image' ? '' : part.text
}

/** Writes an answer: as a stream of chunks, or in one piece at its end. */
class Reply {
  readonly #response: ServerResponse
  readonly #asked: ChatRequest
  readonly #usage: () => ReturnType<typeof usageOf>
  readonly #id = `chatcmpl-${randomBytes(12).toString('hex')}`
  readonly #created = Math.floor(Date.now() / 1000)
  #text = ''
  #reasoning = ''
  #calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = []
  #beat: NodeJS.Timeout | undefined
  /** The status is sent: what goes wrong now is said in the stream. */
  begun = false

  constructor(response: ServerResponse, asked: ChatRequest, usage: () => ReturnType<typeof usageOf>) {
    this.#response = response
    this.#asked = asked
    this.#usage = usage
  }

  /** All that was said, for counting. */
  get said(): string {
    return [this.#text, ...this.#calls.map(({ function: { name, arguments: text } }) => `${name} ${text}`)]
      .join('\n')
      .trim()
  }

  add(part: EditorOutputPart): void {
    switch (part.type) {
      case 'text':
        this.#text += part.text
        return this.#chunk({ content: part.text })
      case 'reasoning':
        this.#reasoning += part.text
        return this.#chunk({ reasoning_content: part.text })
      case 'tool_call': {
        const call = {
          id: part.id,
          type: 'function' as const,
          function: { name: part.name, arguments: JSON.stringify(part.input) },
        }
        this.#calls.push(call)
        return this.#chunk({ tool_calls: [{ index: this.#calls.length - 1, ...call }] })
      }
    }
  }

  async end(): Promise<void> {
    const finish_reason = this.#calls.length > 0 ? 'tool_calls' : 'stop'
    const counted = !this.#asked.stream || this.#asked.include_usage
    if (!this.#asked.stream) {
      const usage = await this.#usage()
      const message = {
        role: 'assistant',
        content: this.#text === '' && this.#calls.length > 0 ? null : this.#text,
        ...(this.#reasoning === '' ? {} : { reasoning_content: this.#reasoning }),
        ...(this.#calls.length > 0 ? { tool_calls: this.#calls } : {}),
        refusal: null,
      }
      const choices = [{ index: 0, message, finish_reason, logprobs: null }]
      return sendJson(this.#response, 200, {
        ...this.#head('chat.completion'),
        choices,
        ...(usage && { usage }),
      })
    }
    this.#chunk({}, finish_reason)
    const usage = counted ? await this.#usage() : undefined
    if (usage) this.#event({ ...this.#head('chat.completion.chunk'), choices: [], usage })
    this.#response.end('data: [DONE]\n\n')
  }

  /** Ends a stream that has begun, with the reason. */
  break(refusal: Refusal): void {
    this.#event(errorBody(refusal))
    this.#response.end()
  }

  stop(): void {
    clearInterval(this.#beat)
  }

  #chunk(delta: object, finish_reason: string | null = null): void {
    if (!this.#asked.stream) return
    if (!this.begun) this.#begin()
    this.#event({
      ...this.#head('chat.completion.chunk'),
      choices: [{ index: 0, delta, finish_reason, logprobs: null }],
    })
  }

  #begin(): void {
    this.begun = true
    this.#response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    this.#beat = setInterval(() => this.#response.write(': still there\n\n'), KEEP_ALIVE)
    this.#chunk({ role: 'assistant', content: '' })
  }

  #event(value: object): void {
    this.#response.write(`data: ${JSON.stringify(value)}\n\n`)
  }

  #head(object: string) {
    return { id: this.#id, object, created: this.#created, model: this.#asked.model }
  }
}

function isKey(header: string | undefined, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${token}`))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request) {
    size += (piece as Buffer).length
    if (size > LARGEST) throw new Refusal(413, 'too_large', 'The request has more than 64 MB.')
    pieces.push(piece as Buffer)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch {
    throw new Refusal(400, 'invalid_request_error', 'The body is no JSON.')
  }
}

function errorBody({ message, code, status }: Refusal) {
  return {
    error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', code, param: null },
  }
}

function refuse(response: ServerResponse, refusal: Refusal, { log }: EndpointOptions): void {
  if (response.headersSent) return void response.destroy()
  log(`${refusal.status}: ${refusal.message}`)
  sendJson(response, refusal.status, errorBody(refusal), {
    // Asking again changes nothing but for failures without a reason.
    'x-should-retry': String(refusal.status >= 500),
  })
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}
