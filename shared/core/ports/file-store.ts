import type { DuplicateHandling, FileLines, FileMetadata, FileStatus } from '../../schema/folder.ts'
import type { Page } from '../../schema/page.ts'
import type { Passage } from '../../schema/passage.ts'
import type { Actor } from './actor.ts'
import type { SearchMode } from './passage-store.ts'

/** An upload that lies whole on disk. `name` is safe: see `safeFileName`. */
export interface NewFile {
  id: string
  folder_id: string
  name: string
  type: string | null
  size: number
}

export type CreatedFile =
  | { status: 'created'; file: FileMetadata; replaced: string | null }
  | { status: 'skipped'; file: FileMetadata }

/** A file that this instance is to read. Another claim of it makes this one worthless. */
export interface FileClaim {
  file_id: string
  folder_id: string
  organization_id: string
  name: string
  type: string | null
  /** Counts the claims. */
  attempt: number
  /** Characters of a chunk, about. */
  chunk_chars: number
}

/** A part of a file's text: whole lines. */
export interface FilePiece {
  /** Number of its first line, from 0. */
  first_line: number
  text: string
}

/** A part of a file that is found by search. Lines count from 0; the last one is included. */
export interface FileChunk {
  text: string
  first_line: number
  last_line: number
}

export interface FileBatch {
  pieces: FilePiece[]
  chunks: FileChunk[]
}

/** How the reading of a file ended. */
export type FileOutcome =
  | { status: 'completed'; type: string; lines: number; characters: number }
  | { status: 'error'; message: string }

/** A file as an agent has it; lines count from 0, `end_line` is excluded, null is the end of the file. */
export interface AgentFile {
  id: string
  file_id: string
  folder_id: string
  folder_name: string
  /** `folder/file` */
  path: string
  status: FileStatus
  /** Why it could not be read. */
  error_message: string | null
  size: number
  lines: number
  characters: number
  is_open: boolean
  start_line: number | null
  end_line: number | null
  last_accessed_at: string | null
}

export interface OpenFileRequest {
  file_id: string
  start_line: number
  end_line: number | null
}

export interface FileMatch {
  file_id: string
  path: string
  text: string
  first_line: number
  last_line: number
}

export interface FileSearch {
  agent_id: string
  /** Plain words; operators of the search engine are text. */
  query: string
  limit: number
  /** By words, by vectors or by both; without `vectors` always by words. */
  mode?: SearchMode | undefined
  /** The query's vector by embedding model. */
  vectors?: ReadonlyMap<string, Float32Array> | undefined
}

export interface FileStore {
  /**
   * Adds a file that waits to be read, for the folder's agents too. Throws `not_found` for the folder, `conflict` for a
   * name that is taken when `handling` is `error`.
   */
  create(actor: Actor, file: NewFile, handling: DuplicateHandling): Promise<CreatedFile>
  /** Without its text, which `read` gives part by part. */
  get(actor: Actor, file_id: string): Promise<FileMetadata | null>
  list(actor: Actor, folder_id: string, page: Page): Promise<FileMetadata[]>
  /** Everything of it, for agents too. False when the folder has no such file. */
  delete(actor: Actor, folder_id: string, file_id: string): Promise<boolean>
  /** What is found by search in a folder, as passages. */
  passages(actor: Actor, folder_id: string, page: Page): Promise<Passage[]>

  /**
   * A file of any organisation that nobody reads: a new one, or one whose process is gone, without what that one had
   * stored; the one that waits for longest, with `quick` the smallest of those that are so small and none of `except`. A
   * file that was claimed `max_attempts` times ends with an error. Null when there is none.
   */
  claim(options: {
    max_attempts: number
    quick?: { max_size: number; except: ReadonlySet<string> }
  }): Promise<FileClaim | null>
  /** Stores a part; false when the file is no longer this claim's. */
  append(claim: FileClaim, batch: FileBatch): Promise<boolean>
  /** Says with the file why its reading takes long; null: no more. False when the file is no longer this claim's. */
  note(claim: FileClaim, text: string | null): Promise<boolean>
  /** Ends the reading; an error leaves no text. False when the file is no longer this claim's. */
  finish(claim: FileClaim, outcome: FileOutcome): Promise<boolean>
  /** Gives a claim back, for a later start or another instance. */
  release(claim: FileClaim): Promise<void>
  /** Removes what is left of deleted files, in short transactions. */
  sweep(): Promise<void>
  /** Files of a folder that still wait to be read, or are being read. */
  unreadOf(actor: Actor, folder_id: string): Promise<string[]>
  /** Which of these ids are files that still wait to be read, or are being read. */
  unread(file_ids: readonly string[]): Promise<string[]>
  /** Which of these ids are files of any state, those that are being deleted included. */
  known(file_ids: readonly string[]): Promise<string[]>

  /** The files of an agent by path. */
  ofAgent(actor: Actor, agent_id: string): Promise<AgentFile[]>
  /**
   * Opens files of an agent, and closes those that were used the longest ago when there are more than `max_open`, or all
   * others. Answers the paths of those it closed. Throws `not_found` for a file that the agent does not have.
   */
  open(
    actor: Actor,
    agent_id: string,
    requests: readonly OpenFileRequest[],
    options: { max_open: number; close_others?: boolean },
  ): Promise<string[]>
  /** Closes these, or all; answers the paths of those that were open. */
  close(actor: Actor, agent_id: string, file_ids: readonly string[] | 'all'): Promise<string[]>
  /** Notes that an agent has just used these files. */
  touch(actor: Actor, agent_id: string, file_ids: readonly string[]): Promise<void>
  /** Lines from `start_line` on, as many as fit into `max_chars` but at least one; null past the end, and for a file whose
   * reading failed. */
  read(
    actor: Actor,
    file_id: string,
    range: { start_line: number; end_line: number | null; max_chars: number },
  ): Promise<FileLines | null>
  /** Best first, of an agent's files; nothing for a query without text. */
  search(actor: Actor, search: FileSearch): Promise<FileMatch[]>
}
