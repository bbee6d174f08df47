import type { Actor } from '../core/ports/actor.ts'
import { MAX_ATTEMPTS, RESUME_GAP } from '../core/runs/recording.ts'
import { runError } from '../core/runs/run-error.ts'
import { usageOfSteps } from '../core/runs/usage.ts'
import { AppError } from '../schema/errors.ts'
import type { Run, Step } from '../schema/run.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'
import { brokenOff, encodeEnd, encodeFailure, encodeLeft, encodePing, KEEP_ALIVE_MS } from './letta-stream.ts'
import { eventStream } from './sse.ts'

/** Chunks that are read at once when nobody says otherwise. */
export const BATCH_SIZE = 100
/** Steps that are read at once. */
const BATCH = 1000

export interface RecordedStreamOptions {
  /** Chunks after this number. */
  starting_after: number
  include_pings: boolean
  /** About how many chunks are read at once. */
  batch_size: number
  /** Hears that the stream was read to its end. */
  onDelivered?: () => void
}

/**
 * The stored stream of a background run from any chunk on, and what comes until the run ends, whichever process it runs
 * in. Throws `not_found`, `invalid_argument` for a run without a stored stream, and `gone` when it is stored no longer.
 */
export async function streamRecorded(
  context: ServerContext,
  actor: Actor,
  run_id: string,
  options: RecordedStreamOptions,
): Promise<Response> {
  await checkStored(context, actor, run_id, options.starting_after)
  const abort = new AbortController()
  return eventStream(encodeRecorded(context, actor, run_id, options, abort.signal), {
    abort,
    keepAliveMs: KEEP_ALIVE_MS,
    keepAlive: () => (options.include_pings ? encodePing(run_id) : ': keep-alive\n\n'),
    onError: (error) => encodeFailure(run_id, brokenOff(error)),
  })
}

async function checkStored(
  context: ServerContext,
  actor: Actor,
  run_id: string,
  after: number,
): Promise<void> {
  const stored = await context.deps.store.streams.read(actor, run_id, after, 0)
  if (!stored) throw notFound('Run', run_id)
  if (stored.state === 'none')
    throw new AppError(
      'invalid_argument',
      `run ${run_id} was not started in the background, so its stream is not stored; read /v1/runs/${run_id}/messages`,
    )
  if (stored.state === 'pruned')
    throw new AppError(
      'gone',
      `the stream of run ${run_id} is stored no longer: it has ended too long ago; read /v1/runs/${run_id}/messages`,
    )
  if (stored.trimmed && stored.first_seq > after + 1)
    throw new AppError(
      'gone',
      `the first ${stored.first_seq - 1} chunks of run ${run_id} are stored no longer; begin with ` +
        `starting_after ${stored.first_seq - 1}, or read /v1/runs/${run_id}/messages`,
    )
}

async function* encodeRecorded(
  context: ServerContext,
  actor: Actor,
  run_id: string,
  options: RecordedStreamOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { starting_after: after, batch_size } = options
  if (options.include_pings) yield encodePing(run_id)
  const parts = context.runs.followRecorded(actor, run_id, {
    after,
    batch_size,
    signal,
    closing: context.closing,
  })
  for await (const part of parts) {
    if (part.type === 'chunks') yield part.text
    else if (part.type === 'left') yield encodeLeft(run_id, part.read_to)
    else {
      yield part.type === 'end'
        ? await endOf(context, actor, part, after)
        : endOfDeleted(run_id, part.read_to + 1)
      options.onDelivered?.()
    }
  }
}

/**
 * How a run ended, numbered after its last chunk, the same whenever it is told: what of it a client has not seen that has
 * read up to chunk `after`. One that names a chunk beyond the end has seen what nobody stored, and is told all of it.
 */
async function endOf(
  context: ServerContext,
  actor: Actor,
  { run, last_seq }: { run: Run; last_seq: number },
  after: number,
): Promise<string> {
  const status = run.status === 'created' || run.status === 'running' ? 'failed' : run.status
  const steps: Step[] = []
  for (;;) {
    const page = { limit: BATCH, order: 'asc' as const, after: steps.at(-1)?.id }
    const next = await context.deps.store.turns.listSteps(actor, { run_id: run.id }, page)
    steps.push(...next)
    if (next.length < BATCH) break
  }
  const usage = usageOfSteps(run.id, steps)
  const stop_reason = run.stop_reason ?? 'error'
  const error = runError(run)
  // The process that died may have sent chunks which it had no time to store.
  const lost = error?.detail === 'interrupted' ? RESUME_GAP * (MAX_ATTEMPTS + 1) : 0
  const last = last_seq + lost
  const items = encodeEnd({ run_id: run.id, status, stop_reason, usage, error }, last + 1).split(/(?<=\n\n)/)
  const seen = after - last
  return items.slice(seen > 0 && seen < items.length ? seen : 0).join('')
}

/** The agent was deleted while its run was read; nothing is left to tell but that. */
function endOfDeleted(run_id: string, seq: number): string {
  return encodeEnd(
    {
      run_id,
      status: 'cancelled',
      stop_reason: 'cancelled',
      usage: usageOfSteps(run_id, []),
      error: null,
    },
    seq,
  )
}
