import { DataTransferItem, type TreeDragAndDropController } from 'vscode'
import { draggedOf, parseDragged, type Dragged } from './dragged.ts'
import type { Entry } from './entry.ts'

/** What is dragged between Loci's views. Others cannot do anything with it. */
const MIME = 'application/vnd.loci.rows'

/** Blocks and tools can be dropped on an agent, or on any row inside it: `attach` is told. */
export function createDragAndDrop(
  attach: (dragged: Dragged[], agent_id: string) => Promise<void>,
): TreeDragAndDropController<Entry> {
  return {
    dragMimeTypes: [MIME],
    dropMimeTypes: [MIME],
    handleDrag(entries, data) {
      const dragged = draggedOf(entries)
      if (dragged.length > 0) data.set(MIME, new DataTransferItem(JSON.stringify(dragged)))
    },
    async handleDrop(target, data) {
      const agent_id = target?.kind === 'agent' ? target.object_id : target?.agent_id
      if (agent_id === undefined) return
      // From another view there is an empty item beside ours.
      const items = [...data].filter(([mime]) => mime === MIME)
      const texts = await Promise.all(items.map(([, item]) => item.asString()))
      await attach(texts.flatMap(parseDragged), agent_id)
    },
  }
}
