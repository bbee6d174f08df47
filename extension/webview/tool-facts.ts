import type { MemoryEdit } from '../protocol.ts'
import type { Channel } from './channel.ts'
import { editsByRow } from './memory-shown.ts'
import { editsMemory, type Row, type ToolRow } from './transcript.ts'

/** Rows must be in view this long before more is read of them, in milliseconds. */
const REST = 120

/** What is read of tool calls when somebody looks at them: what they made of memory, and how long they took. */
export class ToolFacts {
  readonly #channel: Channel
  readonly #changed: () => void
  readonly #edits = new Map<string, MemoryEdit[]>()
  readonly #times = new Map<string, number>()
  readonly #asked = new Set<string>()
  /** Steps whose time is wanted. */
  readonly #wanted = new Set<string>()
  #shown: readonly Row[] = []
  #all: readonly Row[] = []
  #byRow = new Map<string, Map<string, MemoryEdit[]>>()
  #timer: ReturnType<typeof setTimeout> | undefined

  /** `changed` hears that there is more to draw. */
  constructor(channel: Channel, changed: () => void) {
    this.#channel = channel
    this.#changed = changed
  }

  /** The rows in view, of all. What is missing of them is read when they stay. */
  look(shown: readonly Row[], all: readonly Row[]): void {
    if (all.length !== this.#all.length) this.#byRow.clear()
    this.#shown = shown
    this.#all = all
    if (this.#missing().runs.length > 0) this.#soon()
  }

  editsOf(row: ToolRow): readonly MemoryEdit[] {
    const edits = row.run_id === null ? undefined : this.#edits.get(row.run_id)
    if (row.run_id === null || !edits || edits.length === 0) return []
    let byRow = this.#byRow.get(row.run_id)
    if (!byRow) {
      byRow = editsByRow(this.#all, row.run_id, edits)
      this.#byRow.set(row.run_id, byRow)
    }
    return byRow.get(row.key) ?? []
  }

  timeOf(row: ToolRow): number | undefined {
    return row.step_id === null ? undefined : this.#times.get(row.step_id)
  }

  /** The time of this call's step is wanted. */
  want(row: ToolRow): void {
    if (row.step_id === null || row.status === 'running' || this.#times.has(row.step_id)) return
    this.#wanted.add(row.step_id)
    this.#soon()
  }

  /** Takes an edit back; rejects with a sentence for the user. */
  async undo({ block_id, version }: MemoryEdit): Promise<void> {
    await this.#channel.request('memory.undo', { block_id, version })
    this.forget()
  }

  /** Memory has changed: what was read of edits is read again; until then it stays. */
  forget(): void {
    this.#asked.clear()
    this.#soon()
  }

  #missing(): { runs: string[]; steps: string[] } {
    const runs = new Set<string>()
    for (const row of this.#shown) {
      if (row.kind !== 'tool' || row.status !== 'success' || !editsMemory(row.name)) continue
      // A run may go on: each of its steps can add to what was read.
      if (row.run_id !== null && !this.#asked.has(`${row.run_id} ${row.step_id}`)) runs.add(row.run_id)
    }
    return { runs: [...runs], steps: [...this.#wanted] }
  }

  #soon(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#read(), REST)
  }

  async #read(): Promise<void> {
    const { runs, steps } = this.#missing()
    if (runs.length === 0 && steps.length === 0) return
    for (const row of this.#shown) {
      if (row.kind === 'tool' && runs.includes(row.run_id ?? ''))
        this.#asked.add(`${row.run_id} ${row.step_id}`)
    }
    this.#wanted.clear()
    try {
      const { edits, times } = await this.#channel.request('tool.details', { runs, steps })
      for (const [run, found] of Object.entries(edits)) this.#edits.set(run, found)
      for (const [step, time] of Object.entries(times)) this.#times.set(step, time)
    } catch {
      // The calls stand without it; they are asked for again when they are looked at again.
      for (const run of runs) for (const key of this.#asked) if (key.startsWith(run)) this.#asked.delete(key)
      return
    }
    this.#byRow.clear()
    this.#changed()
  }
}
