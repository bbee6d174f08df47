import type { Actor } from '../core/ports/actor.ts'
import type { ServerContext } from './context.ts'

/** Whether an agent leads or belongs to a group: its messages are the group's then. */
export async function isInGroup(
  context: ServerContext,
  actor: Actor,
  agent_id: string,
  group_id: string,
): Promise<boolean> {
  const group = await context.deps.store.groups.get(actor, group_id)
  return group !== null && [group.manager_agent_id, ...group.agent_ids].includes(agent_id)
}
