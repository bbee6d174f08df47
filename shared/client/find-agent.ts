import { Letta } from '@letta-ai/letta-client'
import type { AgentState } from '@letta-ai/letta-client/resources/agents/agents'
import { AppError } from '../schema/errors.ts'
import { isId } from '../schema/ids.ts'
import { didYouMean, nearNames } from '../schema/near-names.ts'

/** How many agents are looked at for a near name, newest first. */
const CANDIDATES = 100

/** See `LociClient.findAgent`. */
export async function findAgent(
  letta: Letta,
  nameOrId: string,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<AgentState> {
  const options = signal ? { signal } : {}
  const newest = async () => (await letta.agents.list({ limit: CANDIDATES, order: 'desc' }, options)).items
  if (isId('agent', nameOrId)) {
    try {
      return await letta.agents.retrieve(nameOrId, {}, options)
    } catch (cause) {
      if (!(cause instanceof Letta.NotFoundError)) throw cause
      const agents = await newest()
      const near = nearNames(
        nameOrId,
        agents.map(({ id }) => id),
      )
      const meant = agents.filter(({ id }) => near.includes(id))
      const names = (meant.length > 0 ? meant : agents).map(({ name, id }) => `${name} (${id})`)
      const hint = didYouMean('', names, 'There are no agents yet.')
      throw new AppError('not_found', `There is no agent with the id '${nameOrId}'. ${hint}`, { cause })
    }
  }
  const { items: found } = await letta.agents.list({ name: nameOrId, limit: 10 }, options)
  const [agent, second] = found
  if (agent && second) {
    const ids = found.map(({ id }) => id).join(', ')
    throw new AppError(
      'conflict',
      `Several agents are named '${nameOrId}'. Use an id (newest first): ${ids}.`,
    )
  }
  if (agent) return agent
  const names = [...new Set((await newest()).map(({ name }) => name))]
  const hint = didYouMean(nameOrId, names, 'There are no agents yet.')
  throw new AppError('not_found', `There is no agent '${nameOrId}'. ${hint}`)
}
