import type { AgentEvent } from '../core/events.ts'
import type { JoinedRun } from '../core/runs/run-elsewhere.ts'
import { KEEP_ALIVE_MS } from './letta-stream.ts'
import { eventStream } from './sse.ts'

/** How a turn is told in another format than V1's. */
export interface StreamFormat {
  content_type: string
  /** What is written of an event; empty for nothing. Hears every event of the turn once, from `run_start` to `run_end`. */
  text(event: AgentEvent): string | Promise<string>
  /** Written after a long silence. */
  keep_alive: string
  /** The end of a stream that broke off by itself. */
  broken(error: unknown): string
}

/** A run as such a stream. When the client goes away only the stream ends, never the run. */
export function streamFormatted(
  run: JoinedRun,
  format: StreamFormat,
  options: { onDelivered: () => void },
): Response {
  const abort = new AbortController()
  return eventStream(encode(run, format, abort.signal, options.onDelivered), {
    abort,
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => format.keep_alive,
    onError: (error) => format.broken(error),
    content_type: format.content_type,
  })
}

async function* encode(
  run: JoinedRun,
  format: StreamFormat,
  signal: AbortSignal,
  onDelivered: () => void,
): AsyncGenerator<string> {
  for await (const batch of run.follow(signal)) {
    let text = ''
    for (const event of batch) {
      const piece = format.text(event)
      text += typeof piece === 'string' ? piece : await piece
    }
    if (text !== '') yield text
  }
  if (!signal.aborted) onDelivered()
}
