import { AppError, isAppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { AgentEvent } from '../events.ts'
import type { Actor } from '../ports/actor.ts'
import type { RunChunks, RunStreamStore } from '../ports/run-stream-store.ts'
import type { BlockConflict, CommitStep, Committed, TurnStore } from '../ports/turn-store.ts'

/** How long a chunk may wait for others before it is stored, in milliseconds; clients here do not wait for that. */
const FLUSH_MS = 80
/** Chunks that are kept in memory although they are stored, for readers that keep up. */
const KEPT = 1000
/** Chunks that may wait to be stored; the turn waits for the store then. */
const MAX_WAITING = 5000
/**
 * By how much the numbers of a resumed run skip those of the process that died: it may have sent chunks that it had no
 * time to store, and a client must not take others for them.
 */
export const RESUME_GAP = 10_000

/** How often a run is taken over without a step between, before it is given up: it may be what ends its processes. */
export const MAX_ATTEMPTS = 3

/** Turns events into chunks as clients get them. */
export interface ChunkEncoder {
  /** The chunks of an event, numbered from `seq` on: see `RunChunks`. Says the same when it is asked again. */
  encode(event: AgentEvent, seq: number): { text: string; count: number }
}

interface Piece {
  first: number
  last: number
  text: string
}

export interface RecordingOptions {
  actor: Actor
  run_id: string
  conversation_id: string
  epoch: number
  /** The number of the first chunk. */
  first_seq: number
  encoder: ChunkEncoder
  /** Chunks that are kept of one run; the oldest go first. */
  max_chunks: number
  onFailure: (where: string, error: unknown) => void
}

/**
 * The stream of a run while it runs here: numbered, stored soon, and handed to readers of this process at once. What a
 * step's messages look like is committed with the step itself, so that stream and history never differ. Of what is stored
 * only the newest part stays in memory.
 */
export class RunRecording {
  readonly #options: RecordingOptions
  readonly #streams: RunStreamStore
  readonly #turns: TurnStore
  /** In order, without gaps; the last ones are not stored yet. */
  #pieces: Piece[] = []
  #next: number
  #stored: number
  /** Messages whose chunks are recorded, or need none. */
  readonly #encoded = new Set<string>()
  #storing: Promise<void> | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #state: 'open' | 'ended' | 'handed over' = 'open'
  #waiting: (() => void)[] = []

  constructor(options: RecordingOptions, stores: { turns: TurnStore; streams: RunStreamStore }) {
    this.#options = options
    this.#streams = stores.streams
    this.#turns = stores.turns
    this.#next = options.first_seq
    this.#stored = options.first_seq - 1
  }

  /** Whether readers find the rest in the store alone: the run has ended, or is another process's now. */
  get over(): boolean {
    return this.#state !== 'open'
  }

  /** The number of the first chunk in memory. */
  get from(): number {
    return this.#pieces[0]?.first ?? this.#next
  }

  /** Records what happened; waits only when the store cannot keep up. */
  async add(event: AgentEvent): Promise<void> {
    if (event.type === 'run_end') return
    if (event.type === 'message' && !this.#isNew(event.message)) return
    if (this.over) return
    this.#push(this.#encode(event, this.#next))
    if (event.type === 'message') this.#encoded.add(event.message.id)
    while (this.#next - 1 - this.#stored > MAX_WAITING && !this.over) {
      const { length } = this.#unstored()
      await this.#flush()
      // A store that fails is not asked again at once.
      if (this.#unstored().length === length) await new Promise((resolve) => setTimeout(resolve, FLUSH_MS))
    }
  }

  /** Commits a step of the run together with its part of the stream. */
  async commit(actor: Actor, step: CommitStep): Promise<Committed | BlockConflict> {
    await this.#storing
    if (this.#state === 'handed over') throw this.#lost()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#storing = promise
    try {
      const more: Piece[] = []
      let seq = this.#next
      const messages = step.messages.filter((message) => isShown(message) && this.#isNew(message))
      for (const message of messages) {
        const piece = this.#encode({ type: 'message', message }, seq)
        more.push(piece)
        seq = piece.last + 1
      }
      const outcome = await this.#turns.commit(actor, { ...step, chunks: this.#chunks(more) })
      if (outcome.status === 'conflict') return outcome
      for (const message of messages) this.#encoded.add(message.id)
      for (const piece of more) this.#push(piece)
      this.#stored = this.#next - 1
      if (step.finish) this.end()
      return outcome
    } finally {
      this.#storing = null
      resolve()
      this.#settled()
    }
  }

  /** Chunks after this number that are in memory. */
  after(seq: number): { text: string; read_to: number } {
    let at = this.#pieces.length
    while (at > 0 && (this.#pieces[at - 1]?.last ?? 0) > seq) at--
    let text = ''
    for (const piece of this.#pieces.slice(at)) text += piece.text
    return { text, read_to: Math.max(seq, this.#next - 1) }
  }

  /** Resolves when there is more to read, or nothing more will come, or on abort. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.over) return
    await new Promise<void>((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake)
      this.#waiting.push(wake)
    })
  }

  /** Nothing more is recorded. */
  end(): void {
    if (this.#state === 'open') this.#state = 'ended'
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#wake()
  }

  /** Stores what there is and leaves the rest to another process: nothing of this turn is committed any more. */
  async handOver(): Promise<void> {
    await this.#storing
    if (this.over) return
    this.#state = 'handed over'
    const { actor, run_id, conversation_id, epoch, onFailure } = this.#options
    const chunks = { run_id, conversation_id, epoch, ...this.#chunks(), leaving: true }
    await this.#streams.append(actor, chunks).catch((error: unknown) => {
      if (!isAppError(error, 'lease_lost')) onFailure(`leaving run ${run_id} to another process`, error)
    })
    this.end()
  }

  /** The same where the store cannot be used: what is not stored is said again by whoever goes on. */
  leave(): void {
    if (this.#state === 'open') this.#state = 'handed over'
    this.end()
  }

  get handedOver(): boolean {
    return this.#state === 'handed over'
  }

  #isNew(message: StoredMessage): boolean {
    return !this.#encoded.has(message.id)
  }

  #encode(event: AgentEvent, seq: number): Piece {
    const { text, count } = this.#options.encoder.encode(event, seq)
    return { first: seq, last: seq + count - 1, text }
  }

  #push(piece: Piece): void {
    if (piece.text === '') return
    this.#pieces.push(piece)
    this.#next = piece.last + 1
    if (!this.over) this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** What is not stored yet, and these. */
  #chunks(more: readonly Piece[] = []): RunChunks {
    const first_seq = this.#stored + 1
    let text = ''
    let last = this.#stored
    for (const piece of [...this.#unstored(), ...more]) {
      text += piece.text
      last = piece.last
    }
    const keep_from = last - this.#options.max_chunks + 1
    return { first_seq, count: last - this.#stored, text, ...(keep_from > 1 ? { keep_from } : {}) }
  }

  #unstored(): Piece[] {
    let at = this.#pieces.length
    while (at > 0 && (this.#pieces[at - 1]?.last ?? 0) > this.#stored) at--
    return this.#pieces.slice(at)
  }

  /** Stores what waits. Never rejects: what fails is tried again, and a commit that fails ends the turn. */
  async #flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#storing) return this.#storing
    const chunks = this.#chunks()
    if (chunks.count === 0 || this.over) return
    this.#storing = this.#store(chunks).finally(() => {
      this.#storing = null
      this.#settled()
    })
    return this.#storing
  }

  async #store(chunks: RunChunks): Promise<void> {
    const { actor, run_id, conversation_id, epoch, onFailure } = this.#options
    try {
      await this.#streams.append(actor, { run_id, conversation_id, epoch, ...chunks })
      this.#stored = chunks.first_seq + chunks.count - 1
    } catch (error) {
      if (isAppError(error, 'lease_lost')) this.end()
      else onFailure(`storing the stream of run ${run_id}`, error)
    }
  }

  /** After the store was written, or was not: what still waits is stored next time, what memory need not hold goes. */
  #settled(): void {
    const waiting = this.#unstored().length
    if (waiting > 0 && !this.over) this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS)
    const stored = this.#pieces.length - waiting
    if (stored > 2 * KEPT) this.#pieces = this.#pieces.slice(stored - KEPT)
  }

  #lost(): AppError {
    const { run_id } = this.#options
    return new AppError('lease_lost', `The run '${run_id}' was left to another process.`, {
      data: { run_id },
    })
  }
}

/** Input, and what the loop tells the model by itself, is no part of the stream. */
function isShown({ role }: StoredMessage): boolean {
  return role === 'assistant' || role === 'tool' || role === 'approval'
}
