/** OpenTelemetry traces by the semantic conventions for generative AI. Loaded when the environment asks for them. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import {
  type Attributes,
  type Context,
  createContextKey,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { isAppError } from '../schema/errors.ts'
import { VERSION } from '../schema/version.ts'
import type { Fetch } from './listen.ts'
import type { ObservedModelCall, Observer, Watch } from './observe.ts'
import { answerContent, requestContent } from './trace-content.ts'
import { createProvider, type Environment } from './trace-export.ts'

export interface Tracing {
  observer: Observer
  /** The same answers; turns belong to the traces that their requests name (W3C `traceparent`). */
  requests: (fetch: Fetch) => Fetch
  /** Sends what was not sent yet, within a time limit. Never rejects. */
  close(): Promise<void>
}

/** How long the last spans may take when the process ends, in milliseconds. */
const CLOSE_MS = 3000

/** Of providers whose name in the conventions is another than V1's. */
const PROVIDER_NAMES: Record<string, string> = {
  google_ai: 'gcp.gemini',
  google_vertex: 'gcp.vertex_ai',
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  mistral: 'mistral_ai',
  xai: 'x_ai',
  lmstudio_openai: 'lmstudio',
  letta: 'loci',
}
const FINISH_REASONS: Record<string, string> = { tool_calls: 'tool_call' }

const IN_TURN = createContextKey('the attributes that all spans of a turn have')
/** Set where requests go to a model provider or an MCP server: they alone are told of the trace. */
const OUTGOING = createContextKey('requests carry the trace')

/** Begins to trace. What prompts, answers and tools say is in spans only where the environment asks for it. */
export async function openTracing(env: Environment, warn: (reason: string) => void): Promise<Tracing> {
  const provider = await createProvider(env, warn)
  const tracer = provider.getTracer('loci', VERSION)
  const propagator = new W3CTraceContextPropagator()
  const storage = new AsyncLocalStorage<Context>()
  const captures = env['OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT']?.toLowerCase() === 'true'
  const here = () => storage.getStore() ?? ROOT_CONTEXT

  /** A span in which work is done; whoever sends spans is not part of it. */
  function watch<Outcome>(
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    more: { end: (span: Span, outcome: Outcome) => void; outgoing?: boolean; inherited?: Attributes },
  ): Watch<Outcome> {
    const parent = here()
    const inherited = more.inherited ?? (parent.getValue(IN_TURN) as Attributes | undefined) ?? {}
    const span = tracer.startSpan(name, { kind, attributes: { ...inherited, ...attributes } }, parent)
    const context = trace
      .setSpan(parent, span)
      .setValue(IN_TURN, inherited)
      .setValue(OUTGOING, more.outgoing ?? false)
    return {
      within: (work) => storage.run(context, work),
      end: (outcome) =>
        storage.exit(() => {
          more.end(span, outcome)
          span.end()
        }),
    }
  }

  function failed(span: Span, error: unknown, message?: string): void {
    const type = isAppError(error) ? error.code : error instanceof Error ? error.name : 'error'
    span.setAttribute('error.type', type)
    // What others say of an error may repeat what they were sent.
    span.setStatus({ code: SpanStatusCode.ERROR, ...(captures && message ? { message } : {}) })
  }

  const observer: Observer = {
    wants_content: captures,
    turn({ agent, conversation_id, run_id, model }) {
      const inherited = { 'gen_ai.conversation.id': conversation_id, 'gen_ai.agent.id': agent.id }
      const attributes = {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.provider.name': 'loci',
        'gen_ai.agent.name': agent.name,
        'loci.run.id': run_id,
        ...(model === null ? {} : { 'gen_ai.request.model': model }),
      }
      return watch(`invoke_agent ${agent.name}`, SpanKind.INTERNAL, attributes, {
        inherited,
        end(span, outcome) {
          if (!outcome) return failed(span, null)
          const { status, stop_reason, usage, error } = outcome
          span.setAttributes({
            'gen_ai.usage.input_tokens': usage.prompt_tokens,
            'gen_ai.usage.output_tokens': usage.completion_tokens,
            'loci.run.status': status,
            'loci.run.stop_reason': stop_reason,
          })
          if (status !== 'failed') return
          failed(span, null, error?.message)
          if (error) span.setAttribute('error.type', error.type)
        },
      })
    },
    model(call) {
      const { info } = call.model
      return watch(`chat ${info.model}`, SpanKind.CLIENT, modelAttributes(call, captures), {
        outgoing: true,
        end(span, { status, error, usage, finish_reason, first_ms, said }) {
          if (status === 'failed') failed(span, error, error instanceof Error ? error.message : undefined)
          if (status === 'cancelled') span.setAttribute('error.type', 'cancelled')
          if (finish_reason !== null)
            span.setAttribute('gen_ai.response.finish_reasons', [
              FINISH_REASONS[finish_reason] ?? finish_reason,
            ])
          if (first_ms !== null && call.stream)
            span.setAttribute('gen_ai.response.time_to_first_chunk', first_ms / 1000)
          if (captures && said) span.setAttributes(answerContent(said, finish_reason))
          if (!usage) return
          span.setAttributes({
            'gen_ai.usage.input_tokens': usage.prompt_tokens,
            'gen_ai.usage.output_tokens': usage.completion_tokens,
            ...known('gen_ai.usage.cache_read.input_tokens', usage.cached_input_tokens),
            ...known('gen_ai.usage.cache_creation.input_tokens', usage.cache_write_tokens),
            ...known('gen_ai.usage.reasoning.output_tokens', usage.reasoning_tokens),
          })
        },
      })
    },
    tool({ tool, arguments: given, call_id }) {
      const attributes = {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': tool.name,
        'gen_ai.tool.type': tool.tool_type === 'external_mcp' ? 'extension' : 'function',
        ...(call_id === undefined ? {} : { 'gen_ai.tool.call.id': call_id }),
        ...(captures ? { 'gen_ai.tool.call.arguments': JSON.stringify(given) } : {}),
      }
      return watch(`execute_tool ${tool.name}`, SpanKind.INTERNAL, attributes, {
        outgoing: tool.tool_type === 'external_mcp',
        end(span, { status, error, returned }) {
          if (status !== 'success') {
            failed(span, error, error instanceof Error ? error.message : undefined)
            if (!error) span.setAttribute('error.type', 'tool_error')
          }
          if (!captures || !returned) return
          const { func_response } = returned
          const text = typeof func_response === 'string' ? func_response : JSON.stringify(func_response)
          span.setAttribute('gen_ai.tool.call.result', text)
        },
      })
    },
  }

  /** What requests to others carry; null where they are not to know. */
  const carried = (): Record<string, string> | null => {
    const context = storage.getStore()
    if (context?.getValue(OUTGOING) !== true) return null
    const headers: Record<string, string> = {}
    propagator.inject(context, headers, defaultTextMapSetter)
    return headers
  }
  const stop = onOutgoing(carried)

  return {
    observer,
    requests: (fetch) => (request) => {
      if (!request.headers.has('traceparent')) return fetch(request)
      const getter = {
        get: (headers: Headers, name: string) => headers.get(name) ?? undefined,
        keys: (headers: Headers) => [...headers.keys()],
      }
      return storage.run(propagator.extract(ROOT_CONTEXT, request.headers, getter), () => fetch(request))
    },
    async close() {
      stop()
      let timer: NodeJS.Timeout | undefined
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS)
      })
      // Whoever does not get them was told of already.
      await Promise.race([provider.shutdown().catch(() => undefined), limit])
      clearTimeout(timer)
    },
  }
}

function modelAttributes({ model, request, stream }: ObservedModelCall, captures: boolean): Attributes {
  const { info } = model
  const { settings } = request
  const url = URL.parse(info.model_endpoint ?? '')
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': PROVIDER_NAMES[info.provider_type] ?? info.provider_type,
    'gen_ai.request.model': info.model,
    'gen_ai.request.stream': stream,
    ...known('gen_ai.request.temperature', settings.temperature),
    ...known('gen_ai.request.max_tokens', settings.max_tokens),
    ...known('gen_ai.request.frequency_penalty', settings.frequency_penalty),
    ...(url
      ? {
          'server.address': url.hostname,
          'server.port': Number(url.port || (url.protocol === 'http:' ? 80 : 443)),
        }
      : {}),
    ...(captures ? requestContent(request) : {}),
  }
}

function known(name: string, value: number | null | undefined): Attributes {
  return value == null ? {} : { [name]: value }
}

/** Adds headers to the requests that this process makes; answers how to stop. */
function onOutgoing(headers: () => Record<string, string> | null): () => void {
  const ofHttp = channel('http.client.request.created')
  const ofFetch = channel('undici:request:create')
  const http = (message: unknown) => {
    const { request } = message as { request: { setHeader(name: string, value: string): void } }
    for (const [name, value] of Object.entries(headers() ?? {})) request.setHeader(name, value)
  }
  const fetched = (message: unknown) => {
    const { request } = message as { request: { addHeader(name: string, value: string): void } }
    for (const [name, value] of Object.entries(headers() ?? {})) request.addHeader(name, value)
  }
  ofHttp.subscribe(http)
  ofFetch.subscribe(fetched)
  return () => {
    ofHttp.unsubscribe(http)
    ofFetch.unsubscribe(fetched)
  }
}
