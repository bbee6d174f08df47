import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { messageOf } from '../schema/errors.ts'
import { VERSION } from '../schema/version.ts'

export type Environment = Record<string, string | undefined>

/** Characters of one attribute: content of messages may be long. */
const MOST_CHARS = 100_000

/** Sends spans to the collector that the environment names. `warn` hears once when that begins to fail. */
export async function createProvider(
  env: Environment,
  warn: (reason: string) => void,
): Promise<TracerProvider> {
  const number = (name: string, fallback: number) => {
    const given = Number(env[name])
    return env[name]?.trim() && Number.isFinite(given) && given > 0 ? given : fallback
  }
  const exporter = new TellingExporter(await exporterOf(env, number, warn), warn)
  return new TracerProvider({
    resource: resourceOf(env),
    sampler: samplerOf(env, warn),
    spanLimits: { attributeValueLengthLimit: number('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', MOST_CHARS) },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        scheduledDelayMillis: number('OTEL_BSP_SCHEDULE_DELAY', 5000),
        maxQueueSize: number('OTEL_BSP_MAX_QUEUE_SIZE', 2048),
        maxExportBatchSize: number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
        exportTimeoutMillis: number('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
      }),
    ],
  })
}

/** OTLP over HTTP: protobuf unless the environment wants JSON. Certificates and compression are read by the exporter. */
async function exporterOf(
  env: Environment,
  number: (name: string, fallback: number) => number,
  warn: (reason: string) => void,
): Promise<SpanExporter> {
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
  const general = env['OTEL_EXPORTER_OTLP_ENDPOINT']?.replace(/\/$/, '')
  const names = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']
  const name = names.find((name) => env[name])
  const protocol = name === undefined ? 'http/protobuf' : env[name]
  if (protocol !== 'http/protobuf' && protocol !== 'http/json')
    warn(
      `${name} '${protocol}' is not spoken here: traces go out as http/protobuf, which collectors usually take on port 4318`,
    )
  const timeout = number('OTEL_EXPORTER_OTLP_TIMEOUT', 10_000)
  const headers = env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] || env['OTEL_EXPORTER_OTLP_HEADERS']
  const config = {
    url: own || `${general}/v1/traces`,
    timeoutMillis: number('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', timeout),
    ...(headers ? { headers: pairsOf(headers) } : {}),
  }
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter(config)
}

/** Says that spans are lost, once until some arrive again. */
class TellingExporter implements SpanExporter {
  readonly #inner: SpanExporter
  readonly #warn: (reason: string) => void
  #failing = false

  constructor(inner: SpanExporter, warn: (reason: string) => void) {
    this.#inner = inner
    this.#warn = warn
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#inner.export(spans, (result) => {
      const failed = result.code === ExportResultCode.FAILED
      if (failed && !this.#failing)
        this.#warn(`the collector takes no spans (${messageOf(result.error)}); they are lost until it does`)
      this.#failing = failed
      done(result)
    })
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown()
  }
}

function resourceOf(env: Environment): Resource {
  const given = pairsOf(env['OTEL_RESOURCE_ATTRIBUTES'] ?? '')
  return resourceFromAttributes({
    'service.name': 'loci',
    'service.version': VERSION,
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    ...given,
    ...(env['OTEL_SERVICE_NAME'] ? { 'service.name': env['OTEL_SERVICE_NAME'] } : {}),
  })
}

function samplerOf(env: Environment, warn: (reason: string) => void): Sampler {
  const name = env['OTEL_TRACES_SAMPLER']?.trim() || 'parentbased_always_on'
  const ratio = () => {
    const given = Number(env['OTEL_TRACES_SAMPLER_ARG']?.trim() || 1)
    return new TraceIdRatioBasedSampler(given >= 0 && given <= 1 ? given : 1)
  }
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return ratio()
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: ratio() })
    default:
      warn(`OTEL_TRACES_SAMPLER '${name}' is not known; every trace is sent`)
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
  }
}

/** `a=1,b=two%20words`, as W3C baggage is written; what is none of it is left out. */
function pairsOf(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((pair) => {
    const [, name = '', value = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    return name === '' ? [] : [[decoded(name), decoded(value)]]
  })
  return Object.fromEntries(pairs) as Record<string, string>
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
