/**
 * A provider with a batch API over real HTTP on 127.0.0.1: OpenAI's (files and batches) and Anthropic's. Its batches end
 * when a test says so, and their results come in another order than the requests. It is strict: what the real ones
 * refuse, it refuses.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf, refusedByAnthropic } from './anthropic-wire.ts'
import { type ChatBody, completionOf, type ScriptedAnswer } from './model-wire.ts'
import { responseOf } from './responses-wire.ts'

/** What becomes of one call; `none`: its line is missing. */
export type BatchedReply = ScriptedAnswer | { refuse: string } | { expire: true } | { none: true }

/** Of a call outside of batches, in US dollars a token. */
const PRICING = { prompt: '0.001', completion: '0.002' }

interface BatchCall {
  custom_id: string
  /** The path it would have gone to by itself. */
  url: string
  body: ChatBody
}

/** A batch as it was sent. */
export interface SentBatch {
  id: string
  kind: 'openai' | 'anthropic'
  calls: BatchCall[]
  state: 'in_progress' | 'ended' | 'cancelled'
  polls: number
}

export interface BatchProvider {
  /** Base URL that ends in `/v1`. */
  url: string
  readonly batches: readonly SentBatch[]
  /** Calls that came without a batch. */
  readonly direct: readonly ChatBody[]
  /** What the answer to a new batch of OpenAI's waits for. */
  hold: Promise<void> | null
  /** Ends a batch: its calls are answered now. */
  end(batch: SentBatch): void
  close(): Promise<void>
}

/** Starts it; the caller closes it. With `status` the batch API answers with nothing but this status. */
export async function startBatchProvider(
  reply: (body: ChatBody) => BatchedReply,
  options: { status?: number } = {},
): Promise<BatchProvider> {
  const batches: SentBatch[] = []
  const direct: ChatBody[] = []
  const files = new Map<string, string>()
  const results = new Map<string, string>()

  const add = (kind: SentBatch['kind'], calls: BatchCall[]): SentBatch => {
    const batch: SentBatch = {
      id: `${kind === 'openai' ? 'batch' : 'msgbatch'}_${batches.length + 1}`,
      kind,
      calls,
      state: 'in_progress',
      polls: 0,
    }
    batches.push(batch)
    return batch
  }
  const end = (batch: SentBatch): void => {
    const lines = batch.calls.toReversed().flatMap((call) => {
      const { custom_id, body } = call
      const said = reply(body)
      if ('none' in said) return []
      const line = batch.kind === 'openai' ? openAiLine(said, call) : anthropicLine(said, body)
      return [{ failed: 'refuse' in said || 'expire' in said, text: JSON.stringify({ custom_id, ...line }) }]
    })
    const join = (some: typeof lines) => some.map(({ text }) => `${text}\n`).join('')
    if (batch.kind === 'anthropic') results.set(batch.id, join(lines))
    else {
      results.set(`out-${batch.id}`, join(lines.filter(({ failed }) => !failed)))
      results.set(`err-${batch.id}`, join(lines.filter(({ failed }) => failed)))
    }
    batch.state = 'ended'
  }

  const openAi = (batch: SentBatch) => ({
    id: batch.id,
    object: 'batch',
    endpoint: '/v1/chat/completions',
    status: batch.state === 'ended' ? 'completed' : batch.state,
    output_file_id: results.get(`out-${batch.id}`) ? `out-${batch.id}` : null,
    error_file_id: results.get(`err-${batch.id}`) ? `err-${batch.id}` : null,
    errors: null,
  })
  const anthropic = (batch: SentBatch) => ({
    id: batch.id,
    type: 'message_batch',
    processing_status: batch.state === 'in_progress' ? 'in_progress' : 'ended',
    results_url: null,
  })

  function answer(incoming: IncomingMessage, text: string): { status: number; body: unknown } {
    const ok = (body: unknown) => ({ status: 200, body })
    const refuse = (status: number, message: string) => ({ status, body: { error: { message } } })
    const json = () => JSON.parse(text) as Record<string, unknown>
    const path = incoming.url ?? ''
    const route = `${incoming.method} ${path}`
    if (route.startsWith('GET /v1/models'))
      return ok({ data: [{ id: 'test-model', context_length: 128_000, pricing: PRICING }], has_more: false })
    if (route === 'POST /v1/chat/completions') {
      const body = json() as unknown as ChatBody
      direct.push(body)
      const said = reply(body)
      if ('refuse' in said || 'expire' in said || 'none' in said) return refuse(400, 'refused')
      return ok(completionOf(said, body))
    }
    const [, kind, id = '', action = ''] =
      /^\/v1\/(messages\/batches|batches|files)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? []
    if (kind === undefined || options.status !== undefined)
      return refuse(options.status ?? 404, `no route ${route}`)
    if (kind === 'files' && incoming.method === 'POST') {
      const boundary = /boundary=(\S+)$/.exec(incoming.headers['content-type'] ?? '')?.[1]
      if (boundary === undefined) return refuse(400, 'no multipart form')
      const parts = text.split(`--${boundary}`)
      if (parts[1]?.endsWith('name="purpose"\r\n\r\nbatch\r\n') !== true)
        return refuse(400, 'purpose is missing')
      const content = /name="file"; filename="[^"]+\.jsonl"\r\n.*?\r\n\r\n([^]*)\r\n$/.exec(
        parts[2] ?? '',
      )?.[1]
      if (content === undefined || parts[3] !== '--\r\n') return refuse(400, 'file is missing')
      const file = `file-${files.size + 1}`
      files.set(file, content)
      return ok({ id: file, object: 'file', purpose: 'batch' })
    }
    if (kind === 'files') {
      const content = results.get(id)
      return content === undefined ? refuse(404, `no file ${id}`) : ok(content)
    }
    const made = kind === 'batches' ? 'openai' : 'anthropic'
    const show = made === 'openai' ? openAi : anthropic
    if (incoming.method === 'POST' && id === '') {
      if (made === 'anthropic') {
        const requests = json()['requests'] as { custom_id: string; params: ChatBody }[]
        for (const { custom_id, params } of requests) {
          const why = refusedByAnthropic(params, incoming.headers)
          if (why !== null) return refuse(400, why)
          if (!/^[\w-]{1,64}$/.test(custom_id)) return refuse(400, 'custom_id: invalid')
        }
        return ok(
          show(
            add(
              'anthropic',
              requests.map(({ custom_id, params: body }) => ({ custom_id, url: '/v1/messages', body })),
            ),
          ),
        )
      }
      const asked = json()
      if (asked['completion_window'] !== '24h') return refuse(400, 'completion_window has to be 24h')
      const lines = (files.get(String(asked['input_file_id'])) ?? '')
        .split('\n')
        .filter((line) => line !== '')
      const calls = lines.map((line) => JSON.parse(line) as BatchCall & { method: string })
      if (calls.length === 0) return refuse(400, 'the file has no requests')
      if (calls.some(({ method, url }) => method !== 'POST' || url !== asked['endpoint']))
        return refuse(400, 'url and endpoint differ')
      return ok(show(add('openai', calls)))
    }
    const batch = batches.find((one) => one.id === id && one.kind === made)
    if (!batch) return refuse(404, `no batch ${id}`)
    if (action === 'cancel') {
      if (batch.state !== 'in_progress') return refuse(409, 'it has ended')
      batch.state = 'cancelled'
    } else if (action === 'results') return ok(results.get(id) ?? '')
    else batch.polls++
    return ok(show(batch))
  }

  const provider: BatchProvider = {
    url: '',
    batches,
    direct,
    hold: null,
    end,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()))
        server.closeAllConnections()
      }),
  }
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      const { status, body } = answer(incoming, Buffer.concat(pieces).toString('utf8'))
      const is_text = typeof body === 'string'
      const send = () => {
        response.writeHead(status, { 'content-type': is_text ? 'application/jsonl' : 'application/json' })
        response.end(is_text ? body : JSON.stringify(body))
      }
      if (provider.hold && incoming.method === 'POST' && incoming.url === '/v1/batches')
        void provider.hold.then(send)
      else send()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return provider
}

function openAiLine(
  said: Exclude<BatchedReply, { none: true }>,
  { body, url }: BatchCall,
): Record<string, unknown> {
  if ('expire' in said)
    return { response: null, error: { code: 'batch_expired', message: 'This request expired.' } }
  if ('refuse' in said)
    return { response: { status_code: 400, body: { error: { message: said.refuse } } }, error: null }
  const whole = url === '/v1/responses' ? responseOf(said, body) : completionOf(said, body)
  return { response: { status_code: 200, body: whole }, error: null }
}

function anthropicLine(said: Exclude<BatchedReply, { none: true }>, body: ChatBody): Record<string, unknown> {
  if ('expire' in said) return { result: { type: 'expired' } }
  if ('refuse' in said) {
    const error = { type: 'error', error: { type: 'invalid_request_error', message: said.refuse } }
    return { result: { type: 'errored', error } }
  }
  return { result: { type: 'succeeded', message: messageOf(said, body) } }
}
