import type { Run } from '../../schema/run.ts'
import type { Actor } from '../ports/actor.ts'
import type { Store } from '../ports/store.ts'
import type { RunRecording } from './recording.ts'

/** How long a follower waits for a change at the most before it looks again, in milliseconds. */
const LOOK_MS = 1000

export type StreamPart =
  /** Chunks, as they are sent. */
  | { type: 'chunks'; text: string }
  /** The run has ended, and everything was sent; `last_seq` is the number of its last chunk. */
  | { type: 'end'; run: Run; last_seq: number }
  /** The run is not there any more: its agent was deleted. `read_to` is the number of the last chunk that was sent. */
  | { type: 'gone'; read_to: number }
  /** This process ends before the run does, which goes on in another one. */
  | { type: 'left'; read_to: number }

export interface FollowOptions {
  /** Chunks after this number. */
  after: number
  /** About how many chunks are read at once. */
  batch_size: number
  /** Ends the reading quietly. */
  signal: AbortSignal
  /** Ends it with `left` when the run goes on, or will go on, in another process. */
  closing: AbortSignal
}

/**
 * The stream of a recorded run, from any chunk on and to its end, wherever it runs: from memory while it runs here and the
 * reader keeps up, else from the store, which is looked at whenever any process has changed it. A slow reader holds
 * nothing but the part it reads.
 */
export async function* followRun(
  store: Store,
  recordingOf: (run_id: string) => RunRecording | null,
  actor: Actor,
  run_id: string,
  { after, batch_size, signal, closing }: FollowOptions,
): AsyncGenerator<StreamPart> {
  let position = after
  const changes = new Changes(store, AbortSignal.any([signal, closing]))
  try {
    while (!signal.aborted) {
      const recording = recordingOf(run_id)
      const here = recording && !recording.over ? recording : null
      const from = here?.from ?? Infinity
      if (here && position + 1 >= from) {
        const part = here.after(position)
        if (part.text === '') await here.changed(signal)
        else {
          position = part.read_to
          yield { type: 'chunks', text: part.text }
        }
        continue
      }
      changes.expect()
      const stored = await store.streams.read(actor, run_id, position, batch_size)
      if (!stored) {
        yield { type: 'gone', read_to: position }
        return
      }
      if (stored.text !== '') {
        position = stored.read_to
        yield { type: 'chunks', text: stored.text }
      } else if (stored.run.status !== 'running' && stored.run.status !== 'created') {
        yield { type: 'end', run: stored.run, last_seq: stored.last_seq }
        return
      } else if (here) {
        // Nothing is stored up to where memory begins: the numbers skip there.
        if (here.from === from) position = from - 1
      } else if (recordingOf(run_id)?.over === false) continue
      else if (closing.aborted) {
        yield { type: 'left', read_to: position }
        return
      } else await changes.next()
    }
  } finally {
    changes.stop()
  }
}

/** Commits of any process, listened to from the first time they are needed on. */
class Changes {
  readonly #store: Store
  readonly #signal: AbortSignal
  #stop: (() => void) | null = null
  #changed = false
  #wake: () => void = () => {}

  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake())
  }

  /** What changes from now on is not missed. */
  expect(): void {
    this.#changed = false
    this.#stop ??= this.#store.events.onChange(() => {
      this.#changed = true
      this.#wake()
    })
  }

  async next(): Promise<void> {
    if (this.#changed || this.#signal.aborted) return
    let timer: ReturnType<typeof setTimeout> | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, LOOK_MS)
    })
    clearTimeout(timer)
  }

  stop(): void {
    this.#stop?.()
  }
}
