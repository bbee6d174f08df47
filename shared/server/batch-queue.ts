import type { BatchClaim, BatchOutcome } from '../core/ports/batch-store.ts'
import { runError } from '../core/runs/run-error.ts'
import { isAppError, messageOf } from '../schema/errors.ts'
import type { Run } from '../schema/run.ts'
import { cancelRun } from './cancel.ts'
import type { ServerContext } from './context.ts'

/** How long a request waits for its agent when somebody else speaks with it, in milliseconds. */
const BUSY_MS = 300
/** How often a run of another process is looked at, in milliseconds. */
const LOOK_MS = 250
/** The same when it may wait for a provider for hours, and is looked at less and less often. */
const MAX_LOOK_MS = 5000

/**
 * Does the requests of batches, each as a background run of its agent: those of this process, and those that a dead one
 * left. An agent has one at a time, in the order of the requests.
 */
export class BatchQueue {
  readonly #context: () => ServerContext
  readonly #at_once: number
  readonly #at_providers: number
  readonly #working = new Set<Promise<void>>()
  /** Agents that somebody else speaks with, and until when they are left alone. */
  readonly #busy = new Map<string, number>()
  #claiming: Promise<void> | null = null
  #again = false

  /** `at_once`, and `at_providers` for those in batches of providers, hold for all processes on this store together. */
  constructor(
    context: () => ServerContext,
    { at_once, at_providers }: { at_once: number; at_providers: number },
  ) {
    this.#context = context
    this.#at_once = at_once
    this.#at_providers = at_providers
  }

  /** Looks for requests to do. Never throws; a failure of the store is reported, and the next wake tries again. */
  wake(): void {
    const context = this.#context()
    if (context.closing.aborted) return
    this.#again = true
    this.#claiming ??= this.#claimAll()
      .catch((error: unknown) => {
        this.#again = false
        context.onFailure('looking for requests of batches', error)
      })
      .finally(() => {
        this.#claiming = null
        if (this.#again) this.wake()
      })
  }

  /** Resolves when nothing of this process is under way; call it when its runs have ended, or were handed over. */
  async ended(): Promise<void> {
    await this.#claiming
    await Promise.all(this.#working)
  }

  async #claimAll(): Promise<void> {
    const context = this.#context()
    const { batches } = context.deps.store
    while (this.#again && !context.closing.aborted) {
      this.#again = false
      for (;;) {
        if (context.closing.aborted) return
        const claim = await batches.claim({
          at_once: this.#at_once,
          at_providers: this.#at_providers,
          except: this.#busyAgents(),
        })
        if (!claim) break
        const work = this.#do(context, claim).finally(() => this.#working.delete(work))
        this.#working.add(work)
      }
      for (;;) {
        const callback = context.closing.aborted ? null : await batches.takeCallback()
        if (!callback) break
        const { callBackForBatch } = await import('./callback.ts')
        callBackForBatch(context, callback)
      }
    }
  }

  async #do(context: ServerContext, claim: BatchClaim): Promise<void> {
    try {
      if ((await this.#work(context, claim)) === 'next') this.wake()
    } catch (error) {
      context.onFailure(`request ${claim.item_id} of a batch`, error)
    }
  }

  /** `later`: the store, or this process, takes nothing now; whoever wakes it next tries again. */
  async #work(context: ServerContext, claim: BatchClaim): Promise<'next' | 'later'> {
    const { batches, turns } = context.deps.store
    let { run_id } = claim
    if (run_id === null) {
      const begun = await this.#begin(context, claim)
      if ('status' in begun && begun.status === 'ended') {
        await batches.finish(claim, begun.outcome)
        return 'next'
      }
      if (begun.status === 'busy' || begun.status === 'refused') {
        if (begun.status === 'busy') this.#leaveAlone(claim.agent_id)
        await batches.release(claim)
        return begun.status === 'busy' ? 'next' : 'later'
      }
      const { run } = begun
      run_id = run.id
      const state = await batches.begun(claim, run_id)
      if (state === 'lost') return 'next'
      if (state === 'cancelled') await cancelRun(context, claim.actor, run)
    } else if ((await batches.begun(claim, run_id)) === 'cancelled') {
      // Cancelled while the process was gone that ran it.
      const run = await turns.getRun(claim.actor, run_id)
      if (run) await cancelRun(context, claim.actor, run)
    }
    const outcome = await this.#end(context, claim, run_id)
    if (outcome && claim.provider_batch) await context.deps.provider_batches?.runEnded(claim.actor, run_id)
    if (outcome) await batches.finish(claim, outcome)
    return 'next'
  }

  async #begin(context: ServerContext, claim: BatchClaim): Promise<Begun> {
    const { actor, agent_id, item_id } = claim
    const batched = claim.provider_batch
    try {
      // Most processes never have a batch, and start without what it takes.
      const [{ batchRequest }, { startTurn }] = await Promise.all([
        import('../schema/batch.ts'),
        import('./turn-response.ts'),
      ])
      const body = batchRequest.parse(claim.request)
      const request = new Request('http://batch.invalid/')
      const conversation_id = agent_id
      const turn = { actor, context, request, agent_id, conversation_id, body, once: item_id, batched }
      return { status: 'begun', run: await startTurn(turn) }
    } catch (error) {
      if (isAppError(error, 'conversation_busy')) return { status: 'busy' }
      if (isAppError(error) && error.code.startsWith('store_')) return { status: 'refused' }
      if (!isAppError(error)) context.onFailure(`request ${item_id} of a batch`, error)
      const type = isAppError(error) ? error.code : 'internal_error'
      const why = { type, message: messageOf(error), detail: '' }
      return { status: 'ended', outcome: { status: 'failed', error: why } }
    }
  }

  /** Null when the process ends before the run does: another one goes on with both. */
  async #end(context: ServerContext, claim: BatchClaim, run_id: string): Promise<BatchOutcome | null> {
    for (let look = LOOK_MS; ; look = Math.min(claim.provider_batch ? MAX_LOOK_MS : LOOK_MS, look * 1.5)) {
      const active = context.runs.get(run_id)
      if (active) {
        await active.done
        if (active.handedOver() && context.closing.aborted) return null
      }
      const run = await context.deps.store.turns.getRun(claim.actor, run_id)
      if (!run) {
        const message = `Run ${run_id} was deleted, maybe with its agent, before its end was known.`
        return { status: 'failed', error: { type: 'not_found', message, detail: '' } }
      }
      const outcome = outcomeOf(run)
      if (outcome) return outcome
      if (context.closing.aborted) return null
      await new Promise<void>((resolve) => setTimeout(resolve, look))
    }
  }

  #leaveAlone(agent_id: string): void {
    this.#busy.set(agent_id, this.#context().deps.clock.monotonic() + BUSY_MS)
    setTimeout(() => this.wake(), BUSY_MS).unref()
  }

  #busyAgents(): Set<string> {
    const now = this.#context().deps.clock.monotonic()
    for (const [agent_id, until] of this.#busy) if (until <= now) this.#busy.delete(agent_id)
    return new Set(this.#busy.keys())
  }
}

type Begun =
  | { status: 'begun'; run: Run }
  | { status: 'ended'; outcome: BatchOutcome }
  /** Somebody else speaks with the agent. */
  | { status: 'busy' }
  /** Nothing can begin now. */
  | { status: 'refused' }

/** Null while it runs. */
function outcomeOf(run: Run): BatchOutcome | null {
  if (run.status === 'created' || run.status === 'running') return null
  if (run.status !== 'failed') return { status: run.status }
  const error = runError(run) ?? { type: 'internal_error', message: 'the turn failed', detail: '' }
  const { type, message, detail } = error
  return { status: 'failed', error: { type, message, detail } }
}
