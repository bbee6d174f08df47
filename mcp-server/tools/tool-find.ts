import { AppError } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import type { LociClient } from '../../shared/client/http.ts'

/** Tools that are looked at for a near name. */
const CANDIDATES = 200

export type FoundTool = Awaited<ReturnType<LociClient['letta']['tools']['retrieve']>>

/** The tool with this name or id. Throws `not_found` with near names. */
export async function findTool(
  client: LociClient,
  nameOrId: string,
  signal: AbortSignal,
): Promise<FoundTool> {
  const key = /^tool-[0-9a-f-]{36}$/.test(nameOrId) ? { tool_ids: [nameOrId] } : { name: nameOrId }
  const [found] = (await client.letta.tools.list({ ...key, limit: 1 }, { signal })).items
  if (found) return found
  const { items } = await client.letta.tools.list({ limit: CANDIDATES }, { signal })
  const hint = didYouMean(
    nameOrId,
    items.map(({ name }) => name ?? ''),
    'tool_upsert makes one.',
  )
  throw new AppError('not_found', `There is no tool '${nameOrId}'. ${hint}`)
}
