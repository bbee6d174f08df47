import type { Actor } from '../../../core/ports/actor.ts'
import { AppError } from '../../../schema/errors.ts'
import type { ServerContext } from '../../context.ts'

/** The ids of the tools of these names. Throws `invalid_argument` for one that is not there. */
export async function toolIds(
  { deps }: ServerContext,
  actor: Actor,
  names: readonly string[],
): Promise<string[]> {
  if (names.length === 0) return []
  const asked = [...new Set(names)]
  const tools = await deps.store.tools.list(actor, { names: asked }, { limit: asked.length, order: 'asc' })
  return asked.map((name) => {
    const tool = tools.find((one) => one.name === name)
    if (tool) return tool.id
    throw new AppError('invalid_argument', `there is no tool named '${name}'; list them with GET /v1/tools/`)
  })
}
