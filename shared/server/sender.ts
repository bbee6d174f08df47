import type { Actor } from '../core/ports/actor.ts'
import { isAppError } from '../schema/errors.ts'
import type { ServerContext } from './context.ts'

/** The id of the identity with this key, which is made when there is none; the agent is given to it. */
export async function senderOf(
  { deps }: ServerContext,
  actor: Actor,
  agent_id: string,
  key: string,
): Promise<string> {
  const { identities } = deps.store
  const find = async () =>
    (await identities.list(actor, { identifier_key: key }, { limit: 1, order: 'asc' }))[0]
  const found =
    (await find()) ??
    (await identities
      .create(actor, { identifier_key: key, name: key, identity_type: 'user' })
      .catch(async (error: unknown) => {
        // Another request has made it just now.
        const made = isAppError(error, 'conflict') ? await find() : undefined
        if (!made) throw error
        return made
      }))
  if (!found.agent_ids.includes(agent_id)) await identities.attach(actor, found.id, { agent_id })
  return found.id
}
