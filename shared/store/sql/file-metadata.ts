import { sql } from 'kysely'
import type { FileMetadata, FileStatus } from '../../schema/folder.ts'
import type { StoredFile } from './file-rows.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'

const ownerOf = query<{ folder: string }>()((p) =>
  db
    .selectFrom('embeddings')
    .select(['generation', 'done', 'refused', 'failures', 'problem'])
    .where('owner', '=', p.folder)
    .where('model', '<>', ''),
)
const firstOf = query<{ file: string }>()((p) =>
  db
    .selectFrom('file_passages')
    .select('passage_seq')
    .where('file_id', '=', p.file)
    .orderBy('passage_seq')
    .limit(1),
)
const lastOf = query<{ file: string }>()((p) =>
  db
    .selectFrom('file_passages')
    .select('passage_seq')
    .where('file_id', '=', p.file)
    .orderBy('passage_seq', 'desc')
    .limit(1),
)
const countUpTo = query<{ file: string; seq: number }>()((p) =>
  db
    .selectFrom('file_passages')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('file_id', '=', p.file)
    .where('passage_seq', '<=', p.seq),
)
const countVectors = query<{ file: string; folder: string; generation: number }>()((p) =>
  db
    .selectFrom('file_passages')
    .innerJoin('vectors', (join) =>
      join
        .onRef('vectors.seq', '=', 'file_passages.passage_seq')
        .on('vectors.owner', '=', p.folder)
        .on('vectors.generation', '=', p.generation),
    )
    .select(sql<number>`count(*)`.as('n'))
    .where('file_passages.file_id', '=', p.file),
)

/**
 * What clients are shown of a file. One that was read is `embedding` until its parts have vectors. When the model fails
 * it is `completed` all the same, since it can be read and is found by its words; `error_message` says why, until the
 * model is back.
 */
export async function metadataOf(
  connection: Connection,
  row: StoredFile & { folder_name: string },
): Promise<FileMetadata> {
  const { embedded, waiting, problem } = await embeddingOf(connection, row)
  return {
    id: row.id,
    source_id: row.folder_id,
    file_name: `${row.folder_name}/${row.name}`,
    original_file_name: row.name,
    file_path: null,
    file_type: row.type,
    file_size: row.size,
    file_creation_date: null,
    file_last_modified_date: null,
    processing_status: waiting && problem === null ? 'embedding' : (row.status as FileStatus),
    error_message: row.error_message ?? problem,
    total_chunks: row.chunks,
    chunks_embedded: embedded,
    content: null,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

/** How many parts of a file have vectors, whether a file that was read waits for some, and what keeps them away. */
async function embeddingOf(
  connection: Connection,
  row: StoredFile,
): Promise<{ embedded: number; waiting: boolean; problem: string | null }> {
  const none = { embedded: 0, waiting: false, problem: null }
  const owner = row.chunks === 0 ? undefined : await ownerOf.get(connection, { folder: row.folder_id })
  const last = owner && (await lastOf.get(connection, { file: row.id }))
  if (!last) return none
  const { generation, done, refused, failures } = owner
  const read = row.status === 'completed'
  const waiting = read && last.passage_seq > done
  const embedded = async () => {
    if (refused > 0)
      return (await countVectors.get(connection, { file: row.id, folder: row.folder_id, generation }))?.n ?? 0
    if (last.passage_seq <= done) return row.chunks
    const first = (await firstOf.get(connection, { file: row.id }))?.passage_seq ?? 0
    return first > done ? 0 : ((await countUpTo.get(connection, { file: row.id, seq: done }))?.n ?? 0)
  }
  const count = await embedded()
  if (waiting)
    return {
      embedded: count,
      waiting,
      problem:
        failures === 0
          ? null
          : `It is found by its words so far: ${owner.problem ?? 'the embedding model failed'}`,
    }
  const left = read ? row.chunks - count : 0
  if (left === 0) return { embedded: count, waiting, problem: null }
  const problem = `${left} of its ${row.chunks} parts are found by their words alone: the embedding model refused them.`
  return { embedded: count, waiting, problem }
}
