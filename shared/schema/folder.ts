import * as z from 'zod'
import { idSchema } from './ids.ts'
import { embeddingConfig } from './model.ts'
import { MAX_NAME } from './names.ts'
import { jsonObject, timestamp } from './page.ts'

/** A folder's name stands in the paths that agents see: no line ends and no quotes. */
const folderName = z
  .string()
  .max(MAX_NAME)
  .refine((name) => name.trim() !== '', 'a folder needs a name')
  .refine((name) => !/[\n\r"<>]/.test(name), 'line ends, quotes and angle brackets are not allowed')

/** Body of `POST /v1/folders/` (V1 `FolderCreate`). Embeddings are optional here. */
export const createFolder = z.object({
  name: folderName,
  description: z.string().nullish(),
  instructions: z.string().nullish(),
  metadata: jsonObject.nullish(),
  embedding: z.string().nullish(),
  embedding_chunk_size: z.number().int().min(16).max(8192).nullish(),
  embedding_config: embeddingConfig.nullish(),
})

/**
 * Body of `PATCH /v1/folders/{id}`: null or absent leaves a field as it is. `embedding` is ours: '' takes it away, and
 * another model than before embeds all files anew.
 */
export const updateFolder = z.object({
  name: folderName.nullish(),
  description: z.string().nullish(),
  instructions: z.string().nullish(),
  metadata: jsonObject.nullish(),
  embedding: z.string().nullish(),
  embedding_config: embeddingConfig.nullish(),
})

/** A folder of files under its old name (V1 `Source`). */
export const source = z.object({
  id: idSchema('source'),
  name: z.string(),
  description: z.string().nullable(),
  instructions: z.string().nullable(),
  metadata: jsonObject.nullable(),
  embedding_config: embeddingConfig,
  vector_db_provider: z.literal('native'),
  created_by_id: z.string().nullable(),
  last_updated_by_id: z.string().nullable(),
  created_at: timestamp,
  updated_at: timestamp,
})
/** A folder of files as the routes of folders answer it. */
export const folder = source.omit({ vector_db_provider: true })
export type Folder = z.infer<typeof source>

export const fileStatus = z.enum(['pending', 'parsing', 'embedding', 'completed', 'error'])
export type FileStatus = z.infer<typeof fileStatus>

/** A file of a folder (V1 `FileMetadata`). `file_name` is its path: the folder's name, a slash, its own. */
export const fileMetadata = z.object({
  id: idSchema('file'),
  source_id: idSchema('source'),
  file_name: z.string(),
  original_file_name: z.string(),
  file_path: z.string().nullable(),
  /** What it turned out to be, once it was read; until then what the upload said. */
  file_type: z.string().nullable(),
  file_size: z.number().int(),
  file_creation_date: timestamp.nullable(),
  file_last_modified_date: timestamp.nullable(),
  processing_status: fileStatus,
  error_message: z.string().nullable(),
  /** Grows while the file is read. */
  total_chunks: z.number().int(),
  chunks_embedded: z.number().int(),
  /** Its text, when it was asked for. */
  content: z.string().nullable(),
  created_at: timestamp,
  updated_at: timestamp,
})
export type FileMetadata = z.infer<typeof fileMetadata>

/** What becomes of an upload whose name the folder has already. */
export const duplicateHandling = z.enum(['skip', 'error', 'suffix', 'replace'])
export type DuplicateHandling = z.infer<typeof duplicateHandling>

/** A file as one agent has it (V1 `AgentFileAttachment`); lines count from 1. */
export const agentFile = z.object({
  id: z.string(),
  file_id: idSchema('file'),
  file_name: z.string(),
  folder_id: idSchema('source'),
  folder_name: z.string(),
  is_open: z.boolean(),
  last_accessed_at: timestamp.nullable(),
  visible_content: z.string().nullable(),
  start_line: z.number().int().nullable(),
  end_line: z.number().int().nullable(),
})
export type AgentFileAttachment = z.infer<typeof agentFile>

/** One result of `GET /v1/agents/{id}/files/search` (not of V1); lines count from 1, the last one is included. */
export const fileSearchResult = z.object({
  file_id: idSchema('file'),
  /** `folder/file`, as in `agentFile`. */
  file_name: z.string(),
  text: z.string(),
  start_line: z.number().int(),
  end_line: z.number().int(),
})

export const agentFiles = z.object({
  files: z.array(agentFile),
  next_cursor: z.string().nullable(),
  has_more: z.boolean(),
})

/** Answer of `GET /v1/folders/metadata` (V1 `OrganizationSourcesStats`). */
export const folderStats = z.object({
  total_sources: z.number().int(),
  total_files: z.number().int(),
  /** Bytes. */
  total_size: z.number().int(),
  sources: z.array(
    z.object({
      source_id: z.string(),
      source_name: z.string(),
      file_count: z.number().int(),
      total_size: z.number().int(),
      files: z.array(
        z.object({ file_id: z.string(), file_name: z.string(), file_size: z.number().int().nullable() }),
      ),
    }),
  ),
})
export type FolderStats = z.infer<typeof folderStats>

/** Lines as they were read: `text` is whole lines from `first_line` (from 0) to `next_line` (excluded). */
export interface FileLines {
  text: string
  first_line: number
  next_line: number
}

/** An attached folder as an agent's prompt shows it. */
export interface AgentDirectory {
  name: string
  description: string | null
  instructions: string | null
  files: { path: string; characters: number; lines: number; view: FileLines | null }[]
  /** Closed files that are not in `files`. */
  more: number
}
