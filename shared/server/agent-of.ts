import type { Actor } from '../core/ports/actor.ts'
import type { Agent, AgentRelation } from '../schema/agent.ts'
import { AppError } from '../schema/errors.ts'
import { isId } from '../schema/ids.ts'
import { didYouMean } from '../schema/near-names.ts'
import type { ServerContext } from './context.ts'
import { notFound } from './errors.ts'

/** How many agents are looked at for a near name, newest first. */
const CANDIDATES = 100

/**
 * The agent of this id or name. Throws `not_found` with names that are near, and `conflict` with the ids of all when
 * several have the name.
 */
export async function agentOf(
  { deps }: ServerContext,
  actor: Actor,
  idOrName: string,
  relations: readonly AgentRelation[] = [],
): Promise<Agent> {
  const { agents } = deps.store
  if (isId('agent', idOrName)) {
    const found = await agents.get(actor, idOrName, relations)
    if (!found) throw notFound('Agent', idOrName)
    return found
  }
  const [found, second, ...more] = await agents.list(
    actor,
    { name: idOrName },
    { limit: 5, order: 'desc' },
    relations,
  )
  if (found && second) {
    const ids = [found, second, ...more].map(({ id }) => id).join(', ')
    throw new AppError(
      'conflict',
      `several agents are named '${idOrName}'; address them by their ids (newest first): ${ids}`,
    )
  }
  if (found) return found
  const newest = await agents.list(actor, {}, { limit: CANDIDATES, order: 'desc' }, [])
  const names = [...new Set(newest.map(({ name }) => name))]
  const hint = didYouMean(idOrName, names, 'There are no agents yet; POST /agents makes one.')
  throw new AppError('not_found', `There is no agent '${idOrName}'. ${hint}`)
}
