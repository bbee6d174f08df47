import type { Block, CreateBlock } from '../schema/block.ts'
import { createBlock } from '../schema/block.ts'
import { AppError } from '../schema/errors.ts'
import { newId } from '../schema/ids.ts'
import { labelProblem } from '../schema/names.ts'
import type { TurnMemory } from './ports/tools.ts'
import type { BlockChange, BlockConflict, BlockEdit } from './ports/turn-store.ts'

/**
 * The agent's blocks during a turn. Tools read and write here; the edits of a step are committed with it, and when
 * another process changed a block meanwhile, `rebase` takes the present blocks and the tools run again on them.
 */
export class WorkingMemory {
  #base: readonly Block[]
  /** Replaced by each write, never changed: an older list is a snapshot. */
  #blocks: readonly Block[]
  readonly #created = new Map<string, CreateBlock>()
  #refused: NonNullable<BlockConflict['refused_labels']> = []

  constructor(blocks: readonly Block[]) {
    this.#base = [...blocks]
    this.#blocks = this.#base
  }

  /** Memory for one tool call, which remembers whether the call used it and can undo what it did. */
  forCall(): CallMemory {
    return new CallMemory({
      read: () => this.#blocks,
      write: (blocks) => {
        this.#blocks = blocks
      },
      created: this.#created,
      refused: () => this.#refused,
    })
  }

  /** What the step changes; a block set back to what it was is no edit. */
  edits(): BlockEdit[] {
    const now = new Map(this.#blocks.map((block) => [block.id, block]))
    const edits: BlockEdit[] = []
    for (const before of this.#base) {
      const after = now.get(before.id)
      if (after) {
        const change = changeOf(before, after)
        if (change) edits.push(change)
      } else edits.push({ block_id: before.id, base_version: before.version, detach: true })
    }
    for (const block of this.#blocks) {
      const create = this.#created.get(block.id)
      if (create && block.label !== null) {
        const { label, value, description } = block
        edits.push({ block_id: block.id, create: { ...create, label, value, description } })
      }
    }
    return edits
  }

  /** The edits are on disk: they are the base of the next step. */
  committed(): void {
    const before = new Map(this.#base.map((block) => [block.id, block]))
    this.#base = this.#blocks.map((block) => {
      const old = before.get(block.id)
      return old && changeOf(old, block) ? { ...block, version: old.version + 1 } : block
    })
    this.#blocks = this.#base
    this.#created.clear()
    this.#refused = []
  }

  /** Forgets this step's edits and starts again from the present blocks. */
  rebase(conflict: BlockConflict): void {
    this.#base = conflict.blocks
    this.#blocks = this.#base
    this.#created.clear()
    this.#refused = conflict.refused_labels ?? []
  }
}

interface Source {
  read(): readonly Block[]
  write(blocks: readonly Block[]): void
  created: Map<string, CreateBlock>
  refused(): NonNullable<BlockConflict['refused_labels']>
}

/** The blocks as one tool call sees them: see `WorkingMemory.forCall`. */
export class CallMemory implements TurnMemory {
  readonly #source: Source
  readonly #before: readonly Block[]
  #touched = false
  #wrote = false

  constructor(source: Source) {
    this.#source = source
    this.#before = source.read()
  }

  /** Whether the call looked at or changed memory. */
  get touched(): boolean {
    return this.#touched
  }

  /** Takes back what this call changed. Calls that write run one after another, so nothing else is lost. */
  undo(): void {
    if (this.#wrote) this.#source.write(this.#before)
    this.#wrote = false
  }

  get blocks(): readonly Block[] {
    this.#touched = true
    return this.#source.read()
  }

  get(label: string): Block {
    const block = this.blocks.find((b) => b.label === label)
    if (block) return block
    const labels = this.blocks.map((b) => b.label).join(', ')
    throw toolError(
      'KeyError',
      `there is no memory block '${label}'; this agent's blocks are: ${labels === '' ? 'none' : labels}`,
    )
  }

  set(label: string, value: string): void {
    this.#change(label, { value: clean(value) })
  }

  create({ label, value, description }: { label: string; value: string; description: string | null }): void {
    const input = createBlock.parse({
      label: usableLabel(label),
      value: clean(value),
      description: description === null ? null : clean(description),
    })
    this.#refuseTaken(input.label)
    const block = draftBlock(newId('block'), input)
    this.#source.created.set(block.id, input)
    this.#write([...this.blocks, block])
  }

  detach(label: string): void {
    const { id } = this.#editable(label)
    this.#write(this.blocks.filter((block) => block.id !== id))
  }

  rename(label: string, to: string): void {
    const { id } = this.#editable(label)
    const name = usableLabel(to)
    if (name !== label) this.#refuseTaken(name)
    if (this.#source.refused().some((r) => r.block_id === id && r.label === name))
      throw toolError(
        'ValueError',
        `memory block '${label}' cannot be renamed to '${name}': another agent shares it and has a block of that label`,
      )
    this.#change(label, { label: name })
  }

  describe(label: string, description: string): void {
    this.#change(label, { description: clean(description) })
  }

  #editable(label: string): Block {
    const block = this.get(label)
    if (block.read_only)
      throw toolError('ValueError', `memory block '${label}' is read-only and cannot be edited`)
    return block
  }

  #change(label: string, fields: Partial<Pick<Block, 'label' | 'value' | 'description'>>): void {
    const { id } = this.#editable(label)
    this.#write(this.blocks.map((block) => (block.id === id ? { ...block, ...fields } : block)))
  }

  #write(blocks: readonly Block[]): void {
    this.#wrote = true
    this.#source.write(blocks)
  }

  #refuseTaken(label: string): void {
    if (this.blocks.some((block) => block.label === label))
      throw toolError('ValueError', `there is a memory block '${label}' already`)
  }
}

/** A block as it will be once it is stored; whoever stores it fills in who made it. */
export function draftBlock(id: string, input: CreateBlock): Block {
  return {
    ...input,
    id,
    version: 1,
    created_by_id: null,
    last_updated_by_id: null,
    description: input.description ?? null,
    metadata: input.metadata ?? null,
    hidden: input.hidden ?? null,
    preserve_on_migration: input.preserve_on_migration ?? null,
    tags: input.tags ?? [],
    template_name: input.template_name ?? null,
    template_id: input.template_id ?? null,
    base_template_id: input.base_template_id ?? null,
    deployment_id: input.deployment_id ?? null,
    entity_id: input.entity_id ?? null,
    project_id: input.project_id ?? null,
  }
}

function changeOf(before: Block, after: Block): BlockChange | null {
  const change: BlockChange = { block_id: before.id, base_version: before.version }
  if (after.value !== before.value) change.value = after.value
  if (after.label !== before.label && after.label !== null) change.label = after.label
  if (after.description !== before.description) change.description = after.description
  return Object.keys(change).length > 2 ? change : null
}

/** What a model writes, as it can be stored by every engine. */
function clean(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}

function usableLabel(label: string): string {
  const name = clean(label)
  const problem = labelProblem(name)
  if (problem !== null) throw toolError('ValueError', problem)
  return name
}

/** An error that a model reads; `kind` is its name in V1's error returns. */
function toolError(kind: string, text: string): AppError {
  return new AppError('tool_error', text, { data: { kind } })
}
