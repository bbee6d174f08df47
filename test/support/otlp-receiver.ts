import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

interface OtlpValue {
  stringValue?: string
  intValue?: number | string
  doubleValue?: number
  boolValue?: boolean
  arrayValue?: { values: OtlpValue[] }
}

interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  status: { code?: number; message?: string }
  attributes: { key: string; value: OtlpValue }[]
}

/** A span as it was received. */
export interface ReceivedSpan {
  trace_id: string
  id: string
  /** Empty for the first of a trace. */
  parent: string
  name: string
  /** 1: internal, 3: client. */
  kind: number
  status: OtlpSpan['status']
  attributes: Record<string, unknown>
  resource: Record<string, unknown>
}

interface Received {
  path: string
  headers: IncomingHttpHeaders
  bytes: Buffer
}

export interface OtlpReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  url: string
  /** What came, as it came. */
  requests: Received[]
  /** The spans that came as JSON. */
  spans(): ReceivedSpan[]
  close(): Promise<void>
}

/** A collector on 127.0.0.1 that takes OTLP over HTTP. The caller closes it. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const requests: Received[] = []
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      requests.push({ path: incoming.url ?? '', headers: incoming.headers, bytes: Buffer.concat(pieces) })
      response.writeHead(200, { 'content-type': incoming.headers['content-type'] ?? '' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans: () =>
      requests
        .filter(({ headers }) => headers['content-type'] === 'application/json')
        .flatMap(({ bytes }) => spansOf(bytes.toString())),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function spansOf(text: string): ReceivedSpan[] {
  const { resourceSpans } = JSON.parse(text) as {
    resourceSpans: {
      resource: { attributes: OtlpSpan['attributes'] }
      scopeSpans: { spans: OtlpSpan[] }[]
    }[]
  }
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId, name, kind, status, attributes }) => ({
        trace_id: traceId,
        id: spanId,
        parent: parentSpanId ?? '',
        name,
        kind,
        status,
        attributes: valuesOf(attributes),
        resource: valuesOf(resource.attributes),
      })),
    ),
  )
}

function valuesOf(attributes: OtlpSpan['attributes']): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]))
}

function valueOf(value: OtlpValue): unknown {
  if (value.arrayValue) return value.arrayValue.values.map(valueOf)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.doubleValue ?? value.boolValue
}
