import type { AgentEvent } from '../events.ts'
import type { Store } from '../ports/store.ts'
import type { TurnStore } from '../ports/turn-store.ts'

/**
 * Lets a turn go on while a step of its own is being flushed to disk: the next model call and the flush take place at
 * the same time. What the turn tells meanwhile is held back until the step is on disk (docs/decisions/0010).
 */
export class EarlyCommits {
  readonly #emit: (event: AgentEvent) => void
  readonly #onLost: (error: unknown) => void
  #held: AgentEvent[] = []
  #flushing: Promise<void> | null = null
  #lost: { error: unknown } | null = null

  /** `onLost` hears, once, that a flush has failed: the turn must end, and what is held back is never told. */
  constructor(emit: (event: AgentEvent) => void, onLost: (error: unknown) => void) {
    this.#emit = emit
    this.#onLost = onLost
  }

  /** The store as the turn sees it: a step that does not end the run is committed early. */
  storeOf(store: Store): Store {
    const commit: TurnStore['commit'] = async (actor, step) => {
      if (step.finish) return await store.turns.commit(actor, step)
      const outcome = await store.turns.commit(actor, { ...step, early: true })
      if (outcome.status === 'committed' && outcome.durable) this.#wait(outcome.durable)
      return outcome
    }
    const turns = new Proxy(store.turns, {
      get(target, name) {
        if (name === 'commit') return commit
        const value: unknown = Reflect.get(target, name)
        // Its private fields are not the proxy's.
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    return { ...store, turns }
  }

  /** Tells an event, now or when what was committed before it is on disk. */
  add(event: AgentEvent): void {
    if (this.#flushing || this.#lost) this.#held.push(event)
    else this.#emit(event)
  }

  /** Resolves when nothing is held back any more; throws what a flush said. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing
    if (this.#lost) throw this.#lost.error
  }

  #wait(durable: Promise<void>): void {
    const flushing = this.#flushed(durable).then((onDisk) => {
      // A later step has a flush of its own, and covers what came before it.
      if (this.#flushing !== flushing) return undefined
      this.#flushing = null
      if (onDisk) for (const event of this.#held.splice(0)) this.#emit(event)
      return undefined
    })
    this.#flushing = flushing
  }

  async #flushed(durable: Promise<void>): Promise<boolean> {
    try {
      await durable
    } catch (error) {
      if (!this.#lost) this.#onLost(error)
      this.#lost ??= { error }
    }
    return this.#lost === null
  }
}
