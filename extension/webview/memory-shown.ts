import type { MemoryEdit } from '../protocol.ts'
import { editsMemory, type Row, type ToolRow } from './transcript.ts'

/** The edits of one run by the row that shows each: the last call of a step that names the block. */
export function editsByRow(
  rows: readonly Row[],
  run_id: string,
  edits: readonly MemoryEdit[],
): Map<string, MemoryEdit[]> {
  const shown = new Map<string, MemoryEdit[]>()
  const calls = rows.filter(
    (row): row is ToolRow =>
      row.kind === 'tool' && row.run_id === run_id && row.status === 'success' && editsMemory(row.name),
  )
  const last = calls.at(-1)
  if (!last) return shown
  const add = (row: ToolRow, edit: MemoryEdit) => shown.set(row.key, [...(shown.get(row.key) ?? []), edit])
  for (const [label, ofBlock] of Map.groupBy(edits, (edit) => edit.label)) {
    const named = calls.filter((row) => labelOf(row.args) === label)
    // What a step did to a block is one version of it.
    const steps = [...new Map(named.map((row) => [row.step_id ?? row.key, row])).values()]
    ofBlock.forEach((edit, i) => {
      const own = steps.length === ofBlock.length ? steps[i] : steps.at(-1)
      add(own ?? last, edit)
    })
  }
  return shown
}

/** The block that a call names: its label, or the end of its path. */
function labelOf(args: string): string | null {
  try {
    const { label, path } = JSON.parse(args) as { label?: unknown; path?: unknown }
    if (typeof label === 'string') return label
    return typeof path === 'string' ? path.replace(/^\/?memories\//, '') : null
  } catch {
    return null
  }
}
