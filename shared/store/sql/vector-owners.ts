import type { Actor } from '../../core/ports/actor.ts'
import type { VectorScope } from '../../core/ports/vector-store.ts'
import { archivesInScope } from './passage-rows.ts'
import type { Connection } from './query.ts'
import { db } from './query.ts'

/** An owner whose texts have vectors. */
export interface VectorOwner {
  owner: string
  model: string
  generation: number
  dim: number
}

/** The owners with vectors in the scope of a search. */
export async function ownersOf(
  connection: Connection,
  actor: Actor,
  scope: VectorScope,
): Promise<VectorOwner[]> {
  let rows = db
    .selectFrom('embeddings')
    .select(['owner', 'model', 'generation', 'dim'])
    .where('organization_id', '=', actor.organization_id)
    .where('dim', 'is not', null)
    .where('model', '<>', '')
  if (scope.of === 'passages') {
    const archives = (await archivesInScope(connection, actor, scope)).map(({ id }) => id)
    rows = rows.where('owner', 'in', archives)
  } else if (scope.of === 'files') {
    const folders = db
      .selectFrom('agents_folders')
      .select('folder_id')
      .where('agent_id', '=', scope.agent_id ?? '')
    rows = rows.where('owner', 'in', folders)
  } else if (scope.agent_id !== undefined) rows = rows.where('owner', '=', scope.agent_id)
  else rows = rows.where('owner', '>=', 'agent-').where('owner', '<', 'agent.')
  return (await connection.all(rows)).flatMap(({ dim, ...row }) => (dim === null ? [] : [{ ...row, dim }]))
}
