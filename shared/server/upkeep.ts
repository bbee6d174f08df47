import type { FileIngest } from '../core/files/ingest.ts'
import { embedWaiting, type EmbeddingProblem } from '../core/search/embed.ts'
import type { ServerContext } from './context.ts'
import { repeat } from './repeat.ts'
import { applyRetention } from './retention.ts'

/** How often runs of instances that are gone are looked for, in milliseconds. */
const RECOVER_EVERY_MS = 1_000
/** How often schedules that are due are looked for, in milliseconds. */
const FIRE_EVERY_MS = 1_000
/** How often texts that wait for vectors are looked for, in milliseconds. */
const EMBED_EVERY_MS = 500
/** How often streams past their retention are looked for, in milliseconds. */
const PRUNE_EVERY_MS = 10 * 60_000

/** How often what is older than the rules of retention say is deleted, in milliseconds. */
const RETAIN_EVERY_MS = 60 * 60_000

export interface UpkeepOptions {
  server: { stream_retention_hours: number; trace_retention_days: number }
  ingest: FileIngest
  /** Removes what was being installed for tools by a process that is gone. */
  removeUnfinished: () => Promise<void>
  onEmbeddingFailure: (problem: EmbeddingProblem) => void
}

/**
 * What a server does by itself, again and again: going on with the runs of instances that are gone, schedules, vectors,
 * deleting what is past its time. Failures go to `context.onFailure`. The caller stops it once `context.closing` aborts.
 */
export function keepUp(
  context: ServerContext,
  { server, ingest, removeUnfinished, onEmbeddingFailure }: UpkeepOptions,
): {
  /** Deletes what is past its time now. */
  tidy(): void
  /** Resolves when none of it is being done and never will be. */
  stop(): Promise<void>
} {
  const { deps, closing } = context
  const { store } = deps
  const onError = (error: unknown) => {
    if (!closing.aborted) context.onFailure('looking after runs', error)
  }
  const recovery = repeat(RECOVER_EVERY_MS, onError, async () => {
    await store.turns.recover()
    const left = await store.turns.interrupted()
    if (left.length > 0) await (await import('./resume-runs.ts')).resumeRuns(context, left)
    const uncalled = await store.turns.takeUncalled()
    if (uncalled.length > 0) await (await import('./resume-runs.ts')).callBackLate(context, uncalled)
    ingest.wake()
    context.batches.wake()
  })
  const firing = repeat(FIRE_EVERY_MS, onError, async () =>
    (await import('./schedules.ts')).fireSchedules(context),
  )
  const embedding = repeat(EMBED_EVERY_MS, onError, () => embedWaiting(deps, closing, onEmbeddingFailure))
  const pruning = repeat(PRUNE_EVERY_MS, onError, async () => {
    await store.streams.prune(
      new Date(deps.clock.now().getTime() - server.stream_retention_hours * 3_600_000),
    )
    await ingest.tidy()
    await removeUnfinished()
    await store.traces.prune(new Date(deps.clock.now().getTime() - server.trace_retention_days * 86_400_000))
  })
  const ageing = repeat(RETAIN_EVERY_MS, onError, async () => {
    await applyRetention(store.retention, context.retention, deps.clock.now(), { signal: closing })
  })
  return {
    tidy() {
      pruning.now()
      ageing.now()
    },
    async stop() {
      await Promise.all([recovery, firing, embedding, pruning, ageing].map((each) => each.stop()))
    },
  }
}
