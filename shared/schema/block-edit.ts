import * as z from 'zod'
import type { Block } from './block.ts'
import { AppError } from './errors.ts'

const text = z.string().transform((value) => value.replaceAll('\0', ''))

/**
 * Body of `POST /v1/agents/{id}/core-memory/blocks/{label}/edit`: a change of a block's value as it is at that moment,
 * whatever it was when the caller read it.
 */
export const blockEdit = z.discriminatedUnion('mode', [
  /** `text` becomes a new line at the end. */
  z.object({ mode: z.literal('append'), text }),
  /** `old_text`, which must be there exactly once, becomes `text`. */
  z.object({ mode: z.literal('replace'), text, old_text: z.string().min(1) }),
  /** The whole value becomes `text`, with `old_text` only if it still is that. */
  z.object({ mode: z.literal('set'), text, old_text: z.string().optional() }),
])
export type BlockEdit = z.infer<typeof blockEdit>

type Editable = Pick<Block, 'id' | 'label' | 'value' | 'limit' | 'read_only'>

/**
 * The value that an edit makes of a block, under the rules for who writes on behalf of a model: throws `forbidden` for a
 * read-only block, `conflict` (with `data.block`) where `old_text` does not fit, and `invalid_argument` when the block
 * would grow beyond its limit; one that is beyond it already may be shortened.
 */
export function editedValue(block: Editable, edit: BlockEdit): string {
  if (block.read_only) throw new AppError('forbidden', `Block '${nameOf(block)}' is read-only.`)
  const value = changed(block, edit)
  if (value.length > block.limit && value.length > block.value.length)
    throw new AppError(
      'invalid_argument',
      `Block '${nameOf(block)}' was not changed: it would have ${value.length} characters, and its limit is ` +
        `${block.limit} (it has ${block.value.length}). Shorten what is in it first, or write less.`,
    )
  return value
}

function changed(block: Editable, edit: BlockEdit): string {
  const { value } = block
  if (edit.mode === 'append') return value === '' ? edit.text : `${value}\n${edit.text}`
  if (edit.mode === 'set') {
    if (edit.old_text !== undefined && edit.old_text !== value)
      throw misfit(block, 'it is not what you expect')
    return edit.text
  }
  const at = value.indexOf(edit.old_text)
  if (at < 0) throw misfit(block, 'old_text is not in it')
  if (value.includes(edit.old_text, at + 1))
    throw misfit(block, 'old_text is in it more than once; give more of what is around it')
  return value.slice(0, at) + edit.text + value.slice(at + edit.old_text.length)
}

function misfit(block: Editable, why: string): AppError {
  return new AppError('conflict', `Block '${nameOf(block)}' was not changed: ${why}.`, { data: { block } })
}

function nameOf(block: Editable): string {
  return block.label ?? block.id
}
