import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { PassageMatch, PassageSearch } from '../ports/passage-store.ts'

/** How a search was done. */
export type SearchMode = 'fts' | 'vector' | 'hybrid'

/** Searches passages. */
export async function findPassages(
  deps: CoreDeps,
  actor: Actor,
  search: PassageSearch,
): Promise<{ mode: SearchMode; matches: PassageMatch[] }> {
  return { mode: 'fts', matches: await deps.store.passages.search(actor, search) }
}
