import type { Archive } from '../../schema/archive.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

/** What an archive's passages are embedded with. */
export interface ArchiveEmbedding {
  handle: string
  config: Archive['embedding_config']
}

export interface NewArchive {
  id: string
  name: string
  description: string | null
  metadata: Record<string, unknown> | null
  /** Null: its passages are found by their words alone. */
  embedding: ArchiveEmbedding | null
  /** ISO 8601 in UTC. */
  created_at: string
}

/** New fields; absent ones stay. */
export interface ArchivePatch {
  name?: string
  description?: string | null
  /** Another model than before: all passages are embedded anew. */
  embedding?: ArchiveEmbedding | null
}

export interface ArchiveFilter {
  agent_id?: string | undefined
  name?: string | undefined
}

/** Collections of passages, which agents may share. */
export interface ArchiveStore {
  create(actor: Actor, archive: NewArchive): Promise<Archive>
  get(actor: Actor, archive_id: string): Promise<Archive | null>
  /** Sorted by creation. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: ArchiveFilter, page: Page): Promise<Archive[]>
  update(actor: Actor, archive_id: string, patch: ArchivePatch): Promise<Archive | null>
  /** Its passages go with it, from every agent. False when there was none. */
  delete(actor: Actor, archive_id: string): Promise<boolean>
  /** Again is the same as once. The first archive of an agent is the one it writes to. Throws `not_found` for either. */
  attach(actor: Actor, agent_id: string, archive_id: string): Promise<void>
  /** The archive stays. Throws `not_found` for the agent, or when it does not have the archive. */
  detach(actor: Actor, agent_id: string, archive_id: string): Promise<void>
}
