import type { Batch, BatchItem, BatchItemError } from '../../schema/batch.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

export interface NewBatch {
  id: string
  callback_url: string | null
  /** Model calls go through batches of the providers. */
  provider_batch: boolean
  /** In the order in which they are to begin. `request` is kept until the item has ended. */
  items: { id: string; agent_id: string; request: Record<string, unknown> }[]
}

/** A request of a batch that this process works on. */
export interface BatchClaim {
  item_id: string
  batch_id: string
  agent_id: string
  actor: Actor
  /** The run that it has begun already, maybe in another process. */
  run_id: string | null
  request: Record<string, unknown>
  /** Its model calls go through batches of the provider. */
  provider_batch: boolean
  attempt: number
}

/** How a request of a batch ended. */
export type BatchOutcome = { status: 'completed' | 'cancelled' } | { status: 'failed'; error: BatchItemError }

/** A batch that has ended and whose `callback_url` this process is to call. */
export interface BatchCallback {
  batch: Batch
  actor: Actor
  url: string
}

/** Batches of requests, and the queue of what of them is to be done. */
export interface BatchStore {
  create(actor: Actor, batch: NewBatch): Promise<Batch>
  get(actor: Actor, batch_id: string): Promise<Batch | null>
  list(actor: Actor, page: Page): Promise<Batch[]>
  /** In the order of the request. */
  items(actor: Actor, batch_id: string, page: Page): Promise<BatchItem[]>
  /** Which items of the batch have begun these runs, by run. */
  itemsOfRuns(actor: Actor, batch_id: string, run_ids: readonly string[]): Promise<Map<string, string>>
  /**
   * Takes what a process that is gone has left, else the first waiting request of an agent that has none running and is
   * not in `except`. Null when there is none, or `at_once` of all processes together are running; of those whose calls
   * go through batches of providers, `at_providers`. Crosses organisations: the queue is one.
   */
  claim(options: {
    at_once: number
    at_providers: number
    except: ReadonlySet<string>
  }): Promise<BatchClaim | null>
  /** Keeps why the model of this request is asked itself; it counts as others do from then on. */
  askedLocally(actor: Actor, item_id: string, reason: string): Promise<void>
  /** Keeps which run it has begun. `cancelled`: the run is to stop; `lost`: the item is another process's. */
  begun(claim: BatchClaim, run_id: string): Promise<'held' | 'cancelled' | 'lost'>
  /** Lets it wait again, as if it had not been claimed; nothing when it is another process's. */
  release(claim: BatchClaim): Promise<void>
  /** False when it is another process's. The last item ends the batch. */
  finish(claim: BatchClaim, outcome: BatchOutcome): Promise<boolean>
  /**
   * Ends what waits and answers the runs that are to be cancelled. Null when there is no such batch; throws `conflict`
   * when it has ended otherwise.
   */
  cancel(actor: Actor, batch_id: string): Promise<string[] | null>
  /** An ended batch that nobody has called back for, or whose caller is gone; each is handed to one process. */
  takeCallback(): Promise<BatchCallback | null>
  /** Keeps how a call went. */
  saveCallback(
    callback: BatchCallback,
    outcome: Pick<Batch, 'callback_sent_at' | 'callback_status_code' | 'callback_error'>,
  ): Promise<void>
}
