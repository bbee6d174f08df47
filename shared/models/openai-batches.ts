import type { ModelRequest } from '../core/ports/models.ts'
import type { BatchCalls, CallOutcome } from '../core/ports/provider-batches.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { eventsOf } from './answer-stream.ts'
import { idOf, MAX_RESULTS, ONCE, prepared, readResults } from './batch-results.ts'
import { count, type Json, object, text } from './json.ts'
import { askForJson, askForText, limitsOf } from './model-call.ts'
import { displayUrl, type Place, statusFailure, streamedFailure } from './model-errors.ts'
import { ChatDecoder } from './openai-answer.ts'
import { clientFor } from './openai-client.ts'
import { chatText, toChatBody } from './openai-request.ts'
import { ResponseDecoder } from './responses-answer.ts'
import { toResponseBody } from './responses-request.ts'

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled'])

/**
 * OpenAI's batch API, which others have too: a file of requests goes up, the batch names it, files of answers and errors
 * come down. The package `openai` sends them.
 */
export function createOpenAiBatches(
  provider: ProviderConfig,
  model: Model,
  api: 'chat' | 'responses',
): Omit<BatchCalls, 'place'> {
  const client = clientFor(provider, model, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(`${client.base}/batches`) }
  const files: Place = { provider, url: displayUrl(`${client.base}/files`) }
  const endpoint = api === 'chat' ? '/v1/chat/completions' : '/v1/responses'
  const bodyOf = (request: ModelRequest) =>
    api === 'chat'
      ? chatText(toChatBody(request, provider, model, false))
      : JSON.stringify(toResponseBody(request, model, { stream: false }))
  const batchPath = (id: string) => `/batches/${encodeURIComponent(id)}`

  const readFile = async (
    id: unknown,
    signal: AbortSignal,
    outcomes: Map<string, CallOutcome>,
  ): Promise<void> => {
    if (text(id) === '') return
    const path = `/files/${encodeURIComponent(text(id))}/content`
    const asked = (inner: AbortSignal) => client.get(path, inner)
    const lines = await askForText(files, asked, { signal, max_bytes: MAX_RESULTS })
    readResults(files, lines, outcomes, (line) => {
      const response = object(line.response)
      const status = count(response.status_code)
      if (status === 200)
        return eventsOf(
          place,
          object(response.body),
          api === 'chat' ? new ChatDecoder() : new ResponseDecoder(),
        )
      if (status !== null && status > 0)
        throw statusFailure(place, status, {}, JSON.stringify(response.body)).error
      throw streamedFailure(place, line.error ?? { message: 'neither an answer nor an error' }).error
    })
  }

  return {
    prepare: async (request) => prepared(place, bodyOf(request)),
    async submit(calls, { signal }) {
      const lines = calls.map(
        ({ custom_id, body }) =>
          `{"custom_id":${JSON.stringify(custom_id)},"method":"POST","url":"${endpoint}","body":${body}}\n`,
      )
      const boundary = `loci-${crypto.randomUUID()}`
      const part = (name: string) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`
      const form = [
        `${part('purpose')}\r\n\r\nbatch\r\n`,
        `${part('file')}; filename="batch.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n`,
        ...lines,
        `\r\n--${boundary}--\r\n`,
      ].join('')
      const type = `multipart/form-data; boundary=${boundary}`
      const file = idOf(
        files,
        await askForJson(files, (inner) => client.postAs('/files', type, form, inner), { signal }),
      )
      const batch = JSON.stringify({ input_file_id: file, endpoint, completion_window: '24h' })
      const asked = (inner: AbortSignal) => client.post('/batches', batch, { stream: false, signal: inner })
      return idOf(place, await askForJson(place, asked, { signal, retry: ONCE }))
    },
    async poll(batch_id, { signal }) {
      const asked = (inner: AbortSignal) => client.get(batchPath(batch_id), inner)
      const batch = object(await askForJson(place, asked, { signal }))
      const status = text(batch.status)
      if (!ENDED.has(status)) return null
      const outcomes = new Map<string, CallOutcome>()
      await readFile(batch.error_file_id, signal, outcomes)
      await readFile(batch.output_file_id, signal, outcomes)
      return { end: [`it is ${status}`, ...wordsOf(batch)].join(': '), outcomes }
    },
    async cancel(batch_id, { signal }) {
      const path = `${batchPath(batch_id)}/cancel`
      await askForJson(place, (inner) => client.post(path, '{}', { stream: false, signal: inner }), {
        signal,
      })
    },
  }
}

/** Why the whole batch was refused. */
function wordsOf(batch: Json): string[] {
  const { data } = object(batch.errors)
  return Array.isArray(data) ? data.slice(0, 3).map((error) => text(object(error).message)) : []
}
