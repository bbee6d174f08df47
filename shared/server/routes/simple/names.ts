import type { Actor } from '../../../core/ports/actor.ts'
import { AppError } from '../../../schema/errors.ts'
import type { ServerContext } from '../../context.ts'

/**
 * Does `work`, which gives an agent this name, when no agent has it: whoever addresses agents by their names has one of
 * each. Throws `conflict`. Requests of this process take turns; another process, and `/v1`, may still give it twice, and
 * then ids are needed.
 */
export async function withName<T>(
  context: ServerContext,
  actor: Actor,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  return context.names.run(`${actor.organization_id} ${name}`, async () => {
    const [taken] = await context.deps.store.agents.list(actor, { name }, { limit: 1, order: 'desc' }, [])
    if (taken)
      throw new AppError(
        'conflict',
        `there is an agent named '${name}' already (${taken.id}); use it, delete it, or choose another name`,
      )
    return work()
  })
}
