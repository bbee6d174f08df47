import * as z from 'zod'
import { CHUNK_TOKENS, folderEmbedding } from '../../core/files/folder-embedding.ts'
import { fileJson } from '../../core/files/file-json.ts'
import type { Actor } from '../../core/ports/actor.ts'
import { isAppError } from '../../schema/errors.ts'
import { fileMetadata, type Folder } from '../../schema/folder.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import { queryBoolean } from '../../schema/page.ts'
import type { ServerContext } from '../context.ts'
import { notFound, validationError } from '../errors.ts'
import { jsonStream } from '../json-stream.ts'
import { route } from '../route.ts'
import { receiveUpload } from '../uploads.ts'

const params = z.object({ file_id: idSchema('file') })
const described = z.object({ description: z.string().max(10_000).optional() })

/** Files by themselves: each has a folder of its own, which is attached with it (not of V1). */
export const routes = [
  route({
    method: 'POST',
    path: '/v1/files',
    summary: 'Upload a file by itself, as the field "file" of multipart/form-data; then attach it to agents',
    query: described.extend({ name: z.string().optional() }),
    form: described,
    answer: fileMetadata,
    async handle({ access, actor, context, query, request }) {
      const { uploads } = context
      const upload = await receiveUpload(request, uploads, { name: query.name, access })
      const { file_id: id, type, size, fields } = upload
      try {
        const form = described.safeParse(Object.fromEntries(fields))
        if (!form.success) throw validationError('body', form.error, {})
        const description = query.description ?? form.data.description ?? null
        const folder = await folderFor(context, actor, upload.name, description)
        const file = { id, folder_id: folder.id, name: upload.name, type, size }
        const made = await context.deps.store.files.create(actor, file, 'error')
        uploads.ingest.wake()
        return made.file
      } catch (error) {
        await upload.discard()
        throw error
      }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/files/:file_id',
    summary: 'Read what is known of a file, with its text when asked for',
    params,
    query: z.object({ include_content: queryBoolean.default(false) }),
    answer: fileMetadata,
    async handle({ actor, context, params, query }) {
      const { files } = context.deps.store
      const file = await files.get(actor, params.file_id)
      if (!file) throw notFound('File', params.file_id)
      if (!query.include_content) return file
      return jsonStream(fileJson(files, actor, file), (error) =>
        context.onFailure(`reading the text of ${file.id}`, error),
      )
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/files/:file_id',
    summary: 'Delete a file; its folder goes with it when it was the only one there',
    params,
    answer: 'empty',
    async handle({ actor, context, params }) {
      const { files, folders } = context.deps.store
      const file = await files.get(actor, params.file_id)
      if (!file) throw notFound('File', params.file_id)
      if (await isAlone(context, actor, file.source_id)) await folders.delete(actor, file.source_id)
      else await files.delete(actor, file.source_id, file.id)
      await context.uploads.ingest.forget(file.id)
      return new Response(null, { status: 204 })
    },
  }),
]

/** Whether a folder has one file and no more. */
export async function isAlone(
  { deps }: Pick<ServerContext, 'deps'>,
  actor: Actor,
  folder_id: string,
): Promise<boolean> {
  return (await deps.store.files.list(actor, folder_id, { limit: 2, order: 'asc' })).length === 1
}

/** A folder for one file, by its name; with a mark when there is such a folder already. */
async function folderFor(
  { deps }: ServerContext,
  actor: Actor,
  file_name: string,
  description: string | null,
): Promise<Folder> {
  const now = deps.clock.now().toISOString()
  const config = await folderEmbedding(deps, actor, {})
  const folder = (name: string): Folder => ({
    id: newId('source'),
    name,
    description,
    instructions: null,
    metadata: { single_file: true },
    embedding_config: { ...config, embedding_chunk_size: config.embedding_chunk_size ?? CHUNK_TOKENS },
    vector_db_provider: 'native',
    created_by_id: actor.user_id,
    last_updated_by_id: actor.user_id,
    created_at: now,
    updated_at: now,
  })
  try {
    return await deps.store.folders.create(actor, folder(file_name))
  } catch (error) {
    if (!isAppError(error, 'conflict')) throw error
    return deps.store.folders.create(actor, folder(`${file_name} ${crypto.randomUUID().slice(0, 8)}`))
  }
}
