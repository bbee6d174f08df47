import type { BatchCalls, CallOutcome } from '../core/ports/provider-batches.ts'
import type { Model } from '../schema/model.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { eventsOf } from './answer-stream.ts'
import { MessageDecoder } from './anthropic-answer.ts'
import { messagesClientFor } from './anthropic-client.ts'
import { toMessageBody } from './anthropic-request.ts'
import { idOf, MAX_RESULTS, ONCE, prepared, readResults } from './batch-results.ts'
import { object, text } from './json.ts'
import { askForJson, askForText, limitsOf } from './model-call.ts'
import { displayUrl, type Place, streamedFailure } from './model-errors.ts'

/** Anthropic's Message Batches; the package `@anthropic-ai/sdk` sends them. */
export function createMessageBatches(provider: ProviderConfig, model: Model): Omit<BatchCalls, 'place'> {
  const client = messagesClientFor(provider, limitsOf(provider).connect_ms)
  const place: Place = { provider, url: displayUrl(`${client.url}/batches`) }
  const batchPath = (id: string) => `/batches/${encodeURIComponent(id)}`
  return {
    prepare: async (request) => prepared(place, JSON.stringify(toMessageBody(request, model, false))),
    async submit(calls, { signal }) {
      const requests = calls.map(
        ({ custom_id, body }) => `{"custom_id":${JSON.stringify(custom_id)},"params":${body}}`,
      )
      const json = `{"requests":[${requests.join(',')}]}`
      const asked = (inner: AbortSignal) => client.ask('/batches', json, inner)
      return idOf(place, await askForJson(place, asked, { signal, retry: ONCE }))
    },
    async poll(batch_id, { signal }) {
      const asked = (inner: AbortSignal) => client.ask(batchPath(batch_id), null, inner)
      const batch = object(await askForJson(place, asked, { signal }))
      if (batch.processing_status !== 'ended') return null
      const path = `${batchPath(batch_id)}/results`
      const lines = await askForText(place, (inner) => client.ask(path, null, inner), {
        signal,
        max_bytes: MAX_RESULTS,
      })
      const outcomes = new Map<string, CallOutcome>()
      readResults(place, lines, outcomes, (line) => {
        const result = object(line.result)
        const type = text(result.type)
        if (type === 'succeeded') return eventsOf(place, object(result.message), new MessageDecoder())
        const why = object(result.error)
        const message = `this request of batch ${batch_id} is ${type}`
        throw streamedFailure(place, why.error ?? { type, message, ...why }).error
      })
      return { end: 'it has ended', outcomes }
    },
    async cancel(batch_id, { signal }) {
      const path = `${batchPath(batch_id)}/cancel`
      await askForJson(place, (inner) => client.ask(path, '{}', inner), { signal })
    },
  }
}
