import type { Block } from '../schema/block.ts'
import { AppError } from '../schema/errors.ts'
import type { BlockEdit, TurnMemory } from './ports.ts'

/**
 * The agent's blocks during a turn. Tools read and write here; the edits of a step are committed with it, and when
 * another process changed a block meanwhile, `rebase` takes the present blocks and the tools run again on them.
 */
export class WorkingMemory implements TurnMemory {
  #base: Block[]
  #edited = new Map<string, string>()
  #touched = false

  constructor(blocks: readonly Block[]) {
    this.#base = [...blocks]
  }

  get blocks(): readonly Block[] {
    this.#touched = true
    return this.#base.map((block) => this.#present(block))
  }

  get(label: string): Block {
    this.#touched = true
    const block = this.#base.find((b) => b.label === label)
    if (block) return this.#present(block)
    const labels = this.#base.map((b) => b.label).join(', ')
    throw new AppError(
      'tool_error',
      `there is no memory block '${label}'; this agent's blocks are: ${labels === '' ? 'none' : labels}`,
    )
  }

  set(label: string, value: string): void {
    const block = this.get(label)
    if (block.read_only)
      throw new AppError('tool_error', `memory block '${label}' is read-only and cannot be edited`)
    this.#edited.set(block.id, value)
  }

  /** Whether a tool looked at or changed memory since the last call of this method. */
  takeTouched(): boolean {
    const touched = this.#touched
    this.#touched = false
    return touched
  }

  /** What the step changes; a value set back to what it was is no edit. */
  edits(): BlockEdit[] {
    return this.#base.flatMap((block) => {
      const value = this.#edited.get(block.id)
      return value === undefined || value === block.value
        ? []
        : [{ block_id: block.id, base_version: block.version, value }]
    })
  }

  /** The edits are on disk: they are the base of the next step. */
  committed(): void {
    this.#base = this.#base.map((block) => {
      const present = this.#present(block)
      return present.value === block.value ? block : { ...present, version: block.version + 1 }
    })
    this.#edited.clear()
  }

  /** Forgets this step's edits and starts again from the present blocks. */
  rebase(blocks: readonly Block[]): void {
    const fresh = new Map(blocks.map((block) => [block.id, block]))
    this.#base = this.#base.map((block) => fresh.get(block.id) ?? block)
    this.#edited.clear()
  }

  #present(block: Block): Block {
    const value = this.#edited.get(block.id)
    return value === undefined ? block : { ...block, value }
  }
}
