import type { Entry } from './entry.ts'

/** A block or tool on its way to an agent. */
export interface Dragged {
  kind: 'block' | 'tool'
  id: string
}

/** The blocks and tools among these rows. */
export function draggedOf(entries: readonly Entry[]): Dragged[] {
  return entries.flatMap(({ kind, object_id }) =>
    (kind === 'block' || kind === 'tool') && object_id !== undefined ? [{ kind, id: object_id }] : [],
  )
}

/** Reads what `handleDrag` wrote; nothing for anything else. */
export function parseDragged(text: string): Dragged[] {
  try {
    const value: unknown = JSON.parse(text)
    if (!Array.isArray(value)) return []
    return value.filter(
      (one: Partial<Dragged> | null): one is Dragged =>
        (one?.kind === 'block' || one?.kind === 'tool') && typeof one.id === 'string',
    )
  } catch {
    // Dragged from elsewhere: there is nothing to attach.
    return []
  }
}
