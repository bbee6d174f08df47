import { createHash } from 'node:crypto'
import { type LociClient, refusalOf } from '../../shared/client/http.ts'
import { block } from '../../shared/schema/block.ts'
import { fleetState, type FleetState } from '../../shared/schema/fleet-state.ts'
import { Failure } from '../failure.ts'

const LABEL = 'loci-fleet'

/**
 * The state of a fleet is on the server, in a hidden block that no agent has: whoever applies the fleet next, from
 * wherever, goes on from there.
 */
export class StateBlock {
  readonly #client: LociClient
  readonly #fleet: string
  #id: string | null = null
  #version: number | null = null
  #saved = ''

  constructor(client: LociClient, fleet: string) {
    this.#client = client
    this.#fleet = fleet
  }

  /** Throws a `Failure` for a state that cannot be read. */
  async read(): Promise<FleetState> {
    const [mine] = await this.#blocks()
    if (!mine) return fleetState.parse({})
    this.#id = mine.id
    this.#version = mine.version ?? null
    this.#saved = mine.value
    try {
      return fleetState.parse(JSON.parse(mine.value))
    } catch (cause) {
      throw new Failure(
        `The state of the fleet '${this.#fleet}' (block ${mine.id}) cannot be read. Delete that block to begin anew: nothing will be removed then that was made before.`,
        { cause },
      )
    }
  }

  /** Before the first change. Throws a `Failure` when another apply has begun since the state was read. */
  async begin(state: FleetState): Promise<void> {
    state.applied_at = new Date().toISOString()
    const first = this.#id === null
    await this.save(state)
    // Of two that begin a fleet at once, the one whose block is older goes on.
    const [oldest] = first ? await this.#blocks() : []
    if (!oldest || oldest.id === this.#id) return
    await this.#client.letta.delete(`/v1/blocks/${this.#id}`)
    throw this.#busy()
  }

  /** All blocks of this fleet, the oldest first. */
  async #blocks() {
    const query = { label: LABEL, show_hidden_blocks: true, limit: 1000, order: 'asc' }
    const found = block
      .partial({ version: true })
      .array()
      .parse(await this.#client.letta.get('/v1/blocks/', { query }))
    return found.filter(({ description }) => description === this.#fleet)
  }

  #busy(cause?: unknown): Failure {
    return new Failure(
      `Another apply of the fleet '${this.#fleet}' is under way, or was since this one compared: try again.`,
      { cause },
    )
  }

  /** Throws a `Failure` when another apply of the fleet has saved meanwhile. */
  async save(state: FleetState): Promise<void> {
    const value = JSON.stringify(state)
    if (value === this.#saved) return
    const { letta } = this.#client
    try {
      const headers = this.#version === null ? {} : { 'if-match': `"${this.#version}"` }
      const body = { value, limit: Math.max(value.length, 100_000) }
      const saved = block.partial({ version: true }).parse(
        this.#id === null
          ? await letta.post('/v1/blocks/', {
              body: { ...body, label: LABEL, description: this.#fleet, hidden: true },
            })
          : await letta.patch(`/v1/blocks/${this.#id}`, { body, headers }),
      )
      this.#id = saved.id
      this.#version = saved.version ?? null
      this.#saved = value
    } catch (error) {
      if (refusalOf(error)?.status !== 409) throw error
      throw this.#busy(error)
    }
  }
}

/** A short hash of a value, equal for equal values. */
export function hashOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
