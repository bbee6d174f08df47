import type { AppError } from '../../schema/errors.ts'
import type { Actor } from './actor.ts'
import type { ModelEvent, ModelRequest, ResolvedModel } from './models.ts'

/** What became of one call of a provider's batch: its whole answer, or why there is none, in the provider's words. */
export type CallOutcome = { events: ModelEvent[] } | { error: AppError }

/** A batch of a provider that has ended, and how. */
export interface EndedBatch {
  /** In the provider's words. */
  end: string
  /** By custom id; a call that is missing here was not answered. */
  outcomes: ReadonlyMap<string, CallOutcome>
}

/** The batch API of a model's provider. Failures are `AppError` as those of `LanguageModel.generate`. */
export interface BatchCalls {
  /** Calls of the same place can be sent in one batch: it stands for the provider, its key and the API. */
  readonly place: string
  /** What is sent for a request, as text, and what tells it from all others: the same for the same request. */
  prepare(request: ModelRequest): Promise<{ body: string; request_hash: string }>
  /** Sends the calls and answers the provider's id of the batch. Not repeated when it may have arrived. */
  submit(
    calls: readonly { custom_id: string; body: string }[],
    options: { signal: AbortSignal },
  ): Promise<string>
  /** Null while it runs. */
  poll(batch_id: string, options: { signal: AbortSignal }): Promise<EndedBatch | null>
  cancel(batch_id: string, options: { signal: AbortSignal }): Promise<void>
}

/** A model call that was, or is just being, sent in a batch of its provider. */
export interface ProviderCall {
  custom_id: string
  run_id: string
  /** Of the place and the body. */
  request_hash: string
  /** The model. */
  handle: string
}

/** Which calls of which runs wait in which batches of providers, so that another process can take their answers. */
export interface ProviderCallStore {
  /** Before they are sent. */
  add(actor: Actor, call: ProviderCall): Promise<void>
  /** They are in this batch. False when none of them is wanted any more. */
  sent(custom_ids: readonly string[], provider_batch_id: string): Promise<boolean>
  /** They were not taken. */
  unsent(custom_ids: readonly string[]): Promise<void>
  /** The newest call of the run with this request that was sent. */
  find(
    actor: Actor,
    run_id: string,
    request_hash: string,
  ): Promise<{ custom_id: string; provider_batch_id: string } | null>
  /** The turn has its answer. */
  given(custom_id: string): Promise<void>
  /** Forgets the calls of a run that has ended; answers the batches in which nobody waits any more because of that. */
  runEnded(actor: Actor, run_id: string): Promise<{ provider_batch_id: string; handle: string }[]>
}

/** Whose calls go through batches of providers: a turn that a request of a batch began. */
export interface BatchedTurn {
  actor: Actor
  run_id: string
  /** The request of the batch. */
  item_id: string
}

/** Sends the model calls of turns in batches of their providers. */
export interface ProviderBatching {
  /**
   * A model whose answers come from its provider's batches; where there are none, `model` itself is asked. `calls` is
   * absent where it is known that there are none. One object belongs to one turn.
   */
  modelFor(model: ResolvedModel, calls: BatchCalls | undefined, turn: BatchedTurn): ResolvedModel
  /** Whether the run waits for an answer that another process could take as well. */
  waits(run_id: string): boolean
  /** Nothing of it is wanted any more; a batch in which nobody else waits is cancelled. Never rejects. */
  runEnded(actor: Actor, run_id: string): Promise<void>
  /** Sends nothing any more; what was sent stays with the providers. Never rejects; takes some seconds at the most. */
  close(): Promise<void>
}
