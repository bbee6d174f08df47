import { Letta } from '@letta-ai/letta-client'
import type { AgentState } from '@letta-ai/letta-client/resources/agents/agents'
import { AppError } from '../schema/errors.ts'
import { isId } from '../schema/ids.ts'

/** How many agents are looked at for a near name, newest first. */
const CANDIDATES = 100

/** See `LociClient.findAgent`. */
export async function findAgent(
  letta: Letta,
  nameOrId: string,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<AgentState> {
  const options = signal ? { signal } : {}
  if (isId('agent', nameOrId)) {
    try {
      return await letta.agents.retrieve(nameOrId, {}, options)
    } catch (cause) {
      if (!(cause instanceof Letta.NotFoundError)) throw cause
      throw new AppError('not_found', `There is no agent with the id '${nameOrId}'.`, { cause })
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
  const { items } = await letta.agents.list({ limit: CANDIDATES, order: 'desc' }, options)
  const names = [...new Set(items.map(({ name }) => name))]
  throw new AppError('not_found', `There is no agent '${nameOrId}'. ${hint(nameOrId, names)}`)
}

function hint(wanted: string, names: string[]): string {
  if (names.length === 0) return 'There are no agents yet.'
  const near = nearNames(wanted, names)
  if (near.length > 0) return `Did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
  const shown = names.slice(0, 10).map((name) => `'${name}'`)
  return `There ${names.length === 1 ? 'is' : 'are'}: ${shown.join(', ')}${names.length > 10 ? ', …' : ''}.`
}

/** Up to three names that a person who wrote `wanted` may have meant, nearest first. */
function nearNames(wanted: string, names: readonly string[]): string[] {
  const target = wanted.toLowerCase()
  return names
    .map((name) => ({ name, far: farness(target, name.toLowerCase()) }))
    .filter(({ far }) => far <= Math.max(1, Math.floor(target.length / 3)))
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Edits between two words, a swap of neighbours being one; a beginning that is the other word counts as one. */
function farness(a: string, b: string): number {
  if (a === b) return 0
  if (a.length > 1 && b.length > 1 && (a.startsWith(b) || b.startsWith(a))) return 1
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1))
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? best) + 1)
      row.push(best)
    }
    before = above
    above = row
  }
  return above[b.length]!
}
