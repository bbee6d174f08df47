import type { FileBatch } from '../../core/ports/file-store.ts'
import { newId } from '../../schema/ids.ts'
import { indexText } from '../search-text.ts'
import type { Transaction } from './database.ts'
import { wakeEmbedding } from './embeddings.ts'
import { indexed, ownerWord } from './full-text.ts'
import { query, db } from './query.ts'

const addText = query<{ file: string; line: number; text: string }>()((p) =>
  db.insertInto('file_texts').values({ file_id: p.file, first_line: p.line, text: p.text }),
)
const addIndex = query<{ seq: number; owner: string; text: string }>()((p) =>
  db.insertInto('passages_fts').values({ rowid: p.seq, owner: p.owner, text: indexed(p.owner, p.text) }),
)
const addLink = query<{ file: string; seq: number }>()((p) =>
  db.insertInto('file_passages').values({ file_id: p.file, passage_seq: p.seq }),
)
const addPassage = query<{
  id: string
  org: string
  folder: string
  text: string
  now: string
  data: string
}>()((p) =>
  db
    .insertInto('passages')
    .values({
      id: p.id,
      organization_id: p.org,
      archive_id: p.folder,
      text: p.text,
      created_at: p.now,
      updated_at: p.now,
      created_by_id: null,
      last_updated_by_id: null,
      data: p.data,
    })
    .returning('seq'),
)

/** Stores a part of a file's text, and what of it is found by search. */
export async function insertText(
  tx: Transaction,
  { file_id, folder_id, organization_id }: { file_id: string; folder_id: string; organization_id: string },
  batch: FileBatch,
): Promise<void> {
  for (const { first_line, text } of batch.pieces)
    await addText.send(tx, { file: file_id, line: first_line, text })
  if (batch.chunks.length > 0) await wakeEmbedding(tx, folder_id)
  const now = new Date().toISOString()
  for (const { text, first_line, last_line } of batch.chunks) {
    const added = await addPassage.get(tx, {
      id: newId('passage'),
      org: organization_id,
      folder: folder_id,
      text,
      now,
      data: JSON.stringify({ tags: [], metadata: {}, file_id, first_line, last_line }),
    })
    const seq = added?.seq ?? 0
    await addIndex.send(tx, { seq, owner: ownerWord(folder_id), text: indexText(text) })
    await addLink.send(tx, { file: file_id, seq })
  }
}
