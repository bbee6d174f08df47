import type { Page } from '../../schema/page.ts'
import type { Passage, TagMatchMode } from '../../schema/passage.ts'
import type { Actor } from './actor.ts'

export interface NewPassage {
  id: string
  text: string
  tags: string[]
  metadata: Record<string, unknown>
  /** ISO 8601 in UTC. */
  created_at: string
}

export interface PassageFilter {
  /** Only passages of this agent's archives. */
  agent_id: string
  /** Substring of the text, case-insensitive. */
  text?: string | undefined
}

export interface PassageSearch {
  /** Only in this agent's archives. */
  agent_id?: string | undefined
  /** Only in this archive. */
  archive_id?: string | undefined
  /** Plain words; operators of the search engine are text. */
  query: string
  tags?: string[] | undefined
  /** `any` by default. */
  tag_match_mode?: TagMatchMode | undefined
  limit: number
  /** ISO 8601 instants; the end is exclusive. */
  start_date?: string | undefined
  end_date?: string | undefined
  /** By words, by vectors or by both; without `vectors` always by words. */
  mode?: SearchMode | undefined
  /** The query's vector by embedding model. */
  vectors?: ReadonlyMap<string, Float32Array> | undefined
}

/** What a search goes by: words, vectors, or both with their ranks fused. */
export type SearchMode = 'fts' | 'vector' | 'hybrid'

/** A passage and why it was found: its ranks count from 1; the score is that of reciprocal rank fusion. */
export interface PassageMatch {
  passage: Passage
  rrf_score: number
  vector_rank: number | null
  fts_rank: number | null
}

/** Archival memory: passages in archives, which agents may share. */
export interface PassageStore {
  /**
   * Stores passages in the agent's default archive, which is made with the first of them and named after the agent.
   * Throws `not_found` for the agent.
   */
  create(actor: Actor, agent_id: string, passages: readonly NewPassage[]): Promise<Passage[]>
  /** Stores passages in an archive. Throws `not_found` for the archive. */
  createIn(actor: Actor, archive_id: string, passages: readonly NewPassage[]): Promise<Passage[]>
  /** Sorted by creation. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: PassageFilter, page: Page): Promise<Passage[]>
  /** Best first; nothing for a query without text. */
  search(actor: Actor, search: PassageSearch): Promise<PassageMatch[]>
  /** False when the agent's archives have no such passage. */
  delete(actor: Actor, agent_id: string, passage_id: string): Promise<boolean>
  /** Bytes that the vectors of passages take up. */
  vectorBytes(actor: Actor): Promise<number>
  /** False when the archive has no such passage. */
  deleteFrom(actor: Actor, archive_id: string, passage_id: string): Promise<boolean>
}
