import type { Actor } from '../../../core/ports/actor.ts'
import { AppError, isAppError } from '../../../schema/errors.ts'
import type { ServerContext } from '../../context.ts'

/** How many handles an error names. */
const SHOWN = 5

/**
 * The handle of a model that is named with or without its provider: `openai/gpt-4o-mini`, or `gpt-4o-mini` for that of
 * the first provider that has one of this name. Throws `model_not_found`.
 */
export async function modelHandle({ deps }: ServerContext, actor: Actor, name: string): Promise<string> {
  if (name.indexOf('/') > 0) {
    try {
      return (await deps.models.resolve(actor, name)).handle
    } catch (error) {
      // Such a name may be one of a provider of models of others: `anthropic/claude-…` of OpenRouter.
      if (!isAppError(error, 'model_not_found')) throw error
      return (await handleIn(deps, actor, name)) ?? raise(error)
    }
  }
  const found = await handleIn(deps, actor, name)
  if (found !== null) return found
  const { models, problems } = await deps.models.list(actor)
  const there = models.flatMap(({ handle }) => (handle ? [handle] : []))
  const more = there.length > SHOWN ? `, … (${there.length} in all)` : ''
  const why = problems.map((problem) => ` ${problem.provider}: ${problem.message}.`).join('')
  throw new AppError(
    'model_not_found',
    `There is no model '${name}', of any provider. There is: ${there.slice(0, SHOWN).join(', ')}${more}.${why}`,
  )
}

async function handleIn(deps: ServerContext['deps'], actor: Actor, name: string): Promise<string | null> {
  const { models } = await deps.models.list(actor)
  return models.find(({ handle }) => handle?.slice(handle.indexOf('/') + 1) === name)?.handle ?? null
}

function raise(error: unknown): never {
  throw error
}
