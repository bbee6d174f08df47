import * as z from 'zod'
import { CHUNK_TOKENS, folderEmbedding } from '../../core/files/folder-embedding.ts'
import { fileJson } from '../../core/files/file-json.ts'
import type { Actor } from '../../core/ports/actor.ts'
import type { FileStore } from '../../core/ports/file-store.ts'
import {
  createFolder,
  duplicateHandling,
  type FileMetadata,
  fileMetadata,
  folder,
  type Folder,
  folderStats,
  source,
  updateFolder,
} from '../../schema/folder.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import { type Page, pageQuery, queryBoolean } from '../../schema/page.ts'
import { passage } from '../../schema/passage.ts'
import type { ServerContext } from '../context.ts'
import { notFound } from '../errors.ts'
import { jsonStream } from '../json-stream.ts'
import { route, type Route } from '../route.ts'
import { receiveUpload } from '../uploads.ts'

const order_by = z.literal('created_at').optional()

/** The routes of folders, and the same under their old name, with what V1 calls the operations there. */
export const routes: Route[] = [
  ...routesOf('folders', {
    count: 'count_folders',
    retrieve: 'retrieve_folder',
    modify: 'modify_folder',
    delete: 'delete_folder',
    byName: 'get_folder_by_name',
    metadata: 'retrieve_metadata',
    list: 'list_folders',
    create: 'create_folder',
    upload: 'upload_file_to_folder',
    agents: 'list_agents_for_folder',
    passages: 'list_folder_passages',
    files: 'list_files_for_folder',
    file: 'retrieve_file',
    deleteFile: 'delete_file_from_folder',
  }),
  ...routesOf('sources', {
    count: 'count_sources',
    retrieve: 'retrieve_source',
    modify: 'modify_source',
    delete: 'delete_source',
    byName: 'get_source_id_by_name',
    metadata: 'get_sources_metadata',
    list: 'list_sources',
    create: 'create_source',
    upload: 'upload_file_to_source',
    agents: 'get_agents_for_source',
    passages: 'list_source_passages',
    files: 'list_source_files',
    file: 'get_file_metadata',
    deleteFile: 'delete_file_from_source',
  }),
]

type Names = Record<
  | 'count'
  | 'retrieve'
  | 'modify'
  | 'delete'
  | 'byName'
  | 'metadata'
  | 'list'
  | 'create'
  | 'upload'
  | 'agents'
  | 'passages'
  | 'files'
  | 'file'
  | 'deleteFile',
  string
>

function routesOf(noun: 'folders' | 'sources', names: Names): Route[] {
  const old = noun === 'sources'
  const word = old ? 'source' : 'folder'
  const base = `/v1/${noun}`
  const one = `${base}/:${word}_id`
  /** The id in the path, whichever it is called there. */
  const params = z
    .object({ [`${word}_id`]: idSchema('source') })
    .transform((path) => ({ folder_id: path[`${word}_id`] ?? '' }))
  const fileParams = z
    .object({ [`${word}_id`]: idSchema('source'), file_id: idSchema('file') })
    .transform((path) => ({ folder_id: path[`${word}_id`] ?? '', file_id: path['file_id'] ?? '' }))
  const answer = old ? source : folder
  const shown = ({ vector_db_provider, ...rest }: Folder) => (old ? { ...rest, vector_db_provider } : rest)
  const paging = (limit: number, order: 'asc' | 'desc') =>
    z.object({ order_by, ...pageQuery({ limit, order }) })

  return [
    route({
      method: 'GET',
      path: `${base}/count`,
      operation: names.count,
      summary: `Count ${noun}`,
      answer: z.number().int(),
      handle: ({ actor, context }) => context.deps.store.folders.count(actor),
    }),
    route({
      method: 'GET',
      path: `${base}/metadata`,
      operation: names.metadata,
      summary: `Sizes of all ${noun}`,
      query: z.object({ include_detailed_per_source_metadata: queryBoolean.default(false) }),
      answer: folderStats,
      handle: ({ actor, context, query }) =>
        context.deps.store.folders.stats(actor, { files: query.include_detailed_per_source_metadata }),
    }),
    route({
      method: 'GET',
      path: `${base}/name/:${word}_name`,
      operation: names.byName,
      summary: `The id of the ${word} of a name`,
      params: z
        .object({ [`${word}_name`]: z.string() })
        .transform((path) => ({ name: path[`${word}_name`] ?? '' })),
      answer: z.string(),
      async handle({ actor, context, params: { name } }) {
        const page = { limit: 1, order: 'asc' } as const
        const [found] = await context.deps.store.folders.list(actor, { name }, page)
        if (!found) throw notFound('Folder', name)
        return found.id
      },
    }),
    route({
      method: 'GET',
      path: base,
      operation: names.list,
      summary: `List ${noun}`,
      query: old
        ? z.object({})
        : z.object({ name: z.string().optional(), order_by, ...pageQuery({ limit: 50, order: 'asc' }) }),
      answer: z.array(answer),
      async handle({ actor, context, query }) {
        const { name, ...page } = query as Partial<Page> & { name?: string }
        const whole = { limit: 1000, order: 'asc' as const, ...page }
        return (await context.deps.store.folders.list(actor, { name }, whole)).map(shown)
      },
    }),
    route({
      method: 'POST',
      path: base,
      operation: names.create,
      summary: `Create a ${word}`,
      body: createFolder,
      answer,
      async handle({ actor, context, body }) {
        const now = context.deps.clock.now().toISOString()
        const config = await folderEmbedding(context.deps, actor, body)
        const made = await context.deps.store.folders.create(actor, {
          id: newId('source'),
          name: body.name,
          description: body.description ?? null,
          instructions: body.instructions ?? null,
          metadata: body.metadata ?? null,
          embedding_config: {
            ...config,
            embedding_chunk_size: body.embedding_chunk_size ?? config.embedding_chunk_size ?? CHUNK_TOKENS,
          },
          vector_db_provider: 'native',
          created_by_id: actor.user_id,
          last_updated_by_id: actor.user_id,
          created_at: now,
          updated_at: now,
        })
        return shown(made)
      },
    }),
    route({
      method: 'GET',
      path: one,
      operation: names.retrieve,
      summary: `Read a ${word}`,
      params,
      answer,
      handle: async ({ actor, context, params }) => shown(await folderOf(context, actor, params.folder_id)),
    }),
    route({
      method: 'PATCH',
      path: one,
      operation: names.modify,
      summary: `Change a ${word}`,
      params,
      body: updateFolder,
      answer,
      async handle({ actor, context, params, body }) {
        const { embedding, ...rest } = body
        const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value != null))
        const chosen =
          embedding != null || body.embedding_config != null
            ? { embedding_config: await folderEmbedding(context.deps, actor, body) }
            : {}
        const changed = await context.deps.store.folders.update(actor, params.folder_id, {
          ...given,
          ...chosen,
        })
        if (!changed) throw notFound('Folder', params.folder_id)
        return shown(changed)
      },
    }),
    route({
      method: 'DELETE',
      path: one,
      operation: names.delete,
      summary: `Delete a ${word} with its files`,
      params,
      answer: z.null(),
      async handle({ actor, context, params }) {
        const { folders, files } = context.deps.store
        const unread = await files.unreadOf(actor, params.folder_id)
        if (!(await folders.delete(actor, params.folder_id))) throw notFound('Folder', params.folder_id)
        for (const file_id of unread) await context.uploads.ingest.forget(file_id)
      },
    }),
    route({
      method: 'POST',
      path: `${one}/upload`,
      operation: names.upload,
      summary: `Upload a file to a ${word}, as the field "file" of multipart/form-data`,
      params,
      query: z.object({
        duplicate_handling: duplicateHandling.default('suffix'),
        name: z.string().optional(),
      }),
      answer: fileMetadata,
      async handle({ access, actor, context, params, query, request }) {
        await folderOf(context, actor, params.folder_id)
        const { uploads } = context
        const upload = await receiveUpload(request, uploads, { name: query.name, access })
        const { file_id: id, name, type, size } = upload
        const file = { id, folder_id: params.folder_id, name, type, size }
        try {
          const made = await context.deps.store.files.create(actor, file, query.duplicate_handling)
          if (made.status === 'created') {
            if (made.replaced !== null) await uploads.ingest.forget(made.replaced)
            uploads.ingest.wake()
            return made.file
          }
          await upload.discard()
          return Response.json(made.file, { headers: { 'x-upload-result': 'skipped' } })
        } catch (error) {
          await upload.discard()
          throw error
        }
      },
    }),
    route({
      method: 'GET',
      path: `${one}/agents`,
      operation: names.agents,
      summary: `The ids of the agents of a ${word}`,
      params,
      query: old ? z.object({}) : paging(50, 'desc'),
      answer: z.array(z.string()),
      async handle({ actor, context, params, query }) {
        await folderOf(context, actor, params.folder_id)
        const page = { limit: 1000, order: 'desc' as const, ...query }
        return context.deps.store.folders.agents(actor, params.folder_id, page)
      },
    }),
    route({
      method: 'GET',
      path: `${one}/passages`,
      operation: names.passages,
      summary: `The parts of the files of a ${word}, as search finds them`,
      params,
      query: old
        ? z.object({
            before: z.string().optional(),
            after: z.string().optional(),
            limit: z.coerce.number().int().min(1).max(1000).default(100),
          })
        : paging(100, 'desc'),
      answer: z.array(passage),
      async handle({ actor, context, params, query }) {
        await folderOf(context, actor, params.folder_id)
        const page = { order: 'desc' as const, ...query }
        return context.deps.store.files.passages(actor, params.folder_id, page)
      },
    }),
    route({
      method: 'GET',
      path: `${one}/files`,
      operation: names.files,
      summary: `List the files of a ${word}`,
      params,
      query: z.object({
        include_content: queryBoolean.default(false),
        ...(old
          ? {
              after: z.string().optional(),
              limit: z.coerce.number().int().min(1).max(1000).default(1000),
              /** What is answered is always as it is now. */
              check_status_updates: queryBoolean.default(true),
            }
          : { order_by, ...pageQuery({ limit: 1000, order: 'desc' }) }),
      }),
      answer: z.array(fileMetadata),
      async handle({ actor, context, params, query }) {
        await folderOf(context, actor, params.folder_id)
        const { include_content: content, ...page } = query as Partial<Page> & { include_content: boolean }
        const whole = { limit: 1000, order: 'desc' as const, ...page }
        const { files } = context.deps.store
        const found = await files.list(actor, params.folder_id, whole)
        return content ? jsonStream(listJson(files, actor, found), failed(context, params.folder_id)) : found
      },
    }),
    route({
      method: 'GET',
      path: `${one}/files/:file_id`,
      operation: names.file,
      summary: `Read what is known of a file, with its text when asked for`,
      params: fileParams,
      query: z.object({ include_content: queryBoolean.default(false) }),
      answer: fileMetadata,
      async handle({ actor, context, params, query }) {
        const { files } = context.deps.store
        const file = await files.get(actor, params.file_id)
        if (file?.source_id !== params.folder_id) throw notFound('File', params.file_id)
        return query.include_content
          ? jsonStream(fileJson(files, actor, file), failed(context, params.file_id))
          : file
      },
    }),
    route({
      method: 'DELETE',
      path: `${one}/:file_id`,
      operation: names.deleteFile,
      summary: `Delete a file of a ${word}`,
      params: fileParams,
      answer: 'empty',
      async handle({ actor, context, params }) {
        if (!(await context.deps.store.files.delete(actor, params.folder_id, params.file_id)))
          throw notFound('File', params.file_id)
        await context.uploads.ingest.forget(params.file_id)
        return new Response(null, { status: 204 })
      },
    }),
  ]
}

async function* listJson(
  store: FileStore,
  actor: Actor,
  files: readonly FileMetadata[],
): AsyncGenerator<string> {
  yield '['
  for (const [i, file] of files.entries()) {
    if (i > 0) yield ','
    yield* fileJson(store, actor, file)
  }
  yield ']'
}

function failed(context: ServerContext, id: string): (error: unknown) => void {
  return (error) => context.onFailure(`reading the text of ${id}`, error)
}

async function folderOf(context: ServerContext, actor: Actor, folder_id: string): Promise<Folder> {
  const found = await context.deps.store.folders.get(actor, folder_id)
  if (!found) throw notFound('Folder', folder_id)
  return found
}
