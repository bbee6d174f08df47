import type { Group, ManagerType } from '../../schema/group.ts'
import type { Page } from '../../schema/page.ts'
import type { Actor } from './actor.ts'

/** A group before its first save; what its kind does not have is null. */
export type NewGroup = Group & { created_at: string }

export type GroupPatch = Partial<
  Pick<
    Group,
    | 'agent_ids'
    | 'description'
    | 'project_id'
    | 'shared_block_ids'
    | 'manager_agent_id'
    | 'termination_token'
    | 'max_turns'
    | 'sleeptime_agent_frequency'
    | 'max_message_buffer_length'
    | 'min_message_buffer_length'
  >
>

export interface GroupFilter {
  manager_type?: ManagerType | undefined
  /** Groups that this agent leads or belongs to. */
  agent_id?: string | undefined
  project_id?: string | undefined
  show_hidden?: boolean | undefined
}

/**
 * Groups of agents. Shared blocks of a group are attached to all of its agents. A sleep-time group turns its manager's
 * `enable_sleeptime` on, and off again when it is deleted or its last companion is. What happens to companions when their
 * manager is deleted: `AgentStore.delete`.
 */
export interface GroupStore {
  /**
   * Throws `not_found` for an agent or block, and `conflict` when the manager leads a sleep-time group already, or a
   * shared block's label is taken.
   */
  create(actor: Actor, group: NewGroup): Promise<Group>
  get(actor: Actor, group_id: string): Promise<Group | null>
  /** In order of creation. Throws `not_found` for an unknown cursor. */
  list(actor: Actor, filter: GroupFilter, page: Page): Promise<Group[]>
  count(actor: Actor): Promise<number>
  /** Lists replace those that were. Errors as `create`. */
  update(actor: Actor, group_id: string, patch: GroupPatch): Promise<Group | null>
  delete(actor: Actor, group_id: string): Promise<boolean>
  /** Attaches a block to a group and all of its agents. Throws `not_found`, and `conflict` for a label that is taken. */
  attachBlock(actor: Actor, group_id: string, block_id: string): Promise<void>
  detachBlock(actor: Actor, group_id: string, block_id: string): Promise<void>
  /** Counts a turn of the agent that leads a sleep-time group, and answers the group as it is then; null for none. */
  countTurn(actor: Actor, manager_agent_id: string): Promise<Group | null>
  /** The companions of a group have been told of everything up to this message. */
  setProcessed(actor: Actor, group_id: string, message_id: string): Promise<void>
}
