import type { Block, CreateBlock } from '../../schema/block.ts'
import { oldBlock } from '../../schema/old-server.ts'
import { type Kind, nameOf } from './bring.ts'
import { readLeniently } from './read.ts'
import { timesOf } from './times.ts'

/** Memory blocks; one that agents share stays one. */
export const blocks: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    const block = readLeniently(oldBlock, { ...raw, label: raw['label'] ?? undefined }, notes)
    const { id, ...fields } = block
    return {
      id,
      name: nameOf(raw),
      here: id,
      view: viewOf(fields),
      notes,
      add: () => deps.store.migration.addBlock(actor, block, timesOf(deps, raw)),
      async change(here) {
        const patch = { ...fields, tags: fields.tags ?? [] }
        await deps.store.blocks.update(actor, here, patch)
      },
    }
  },
  async view(deps, actor, here) {
    const block = await deps.store.blocks.get(actor, here)
    return block && viewOf(block)
  },
}

function viewOf(block: Partial<Block> | CreateBlock) {
  const { label, value, limit, description, metadata, read_only, is_template, template_name, hidden } = block
  const tags = [...new Set(block.tags)]
  return { label, value, limit, description, metadata, read_only, is_template, template_name, hidden, tags }
}
