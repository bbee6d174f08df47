import { AppError } from '../schema/errors.ts'
import type { CreateGroup, Group, UpdateGroup } from '../schema/group.ts'
import { newId } from '../schema/ids.ts'
import type { GroupPatch, NewGroup } from './ports/group-store.ts'

/** A group as it is asked for. */
export function newGroup(body: CreateGroup, now: Date): NewGroup {
  const config = body.manager_config
  const group: NewGroup = {
    id: newId('group'),
    manager_type: config.manager_type,
    agent_ids: [...new Set(body.agent_ids)],
    description: body.description,
    project_id: body.project_id ?? null,
    template_id: null,
    base_template_id: null,
    deployment_id: null,
    shared_block_ids: [...new Set(body.shared_block_ids)],
    manager_agent_id: 'manager_agent_id' in config ? config.manager_agent_id : null,
    termination_token: config.manager_type === 'dynamic' ? config.termination_token : null,
    max_turns: 'max_turns' in config ? (config.max_turns ?? null) : null,
    sleeptime_agent_frequency: null,
    turns_counter: null,
    last_processed_message_id: null,
    max_message_buffer_length: null,
    min_message_buffer_length: null,
    hidden: body.hidden ?? null,
    created_at: now.toISOString(),
  }
  if (config.manager_type === 'sleeptime') {
    group.sleeptime_agent_frequency = config.sleeptime_agent_frequency ?? null
    group.turns_counter = 0
  }
  if (config.manager_type === 'voice_sleeptime') {
    group.max_message_buffer_length = config.max_message_buffer_length ?? null
    group.min_message_buffer_length = config.min_message_buffer_length ?? null
  }
  refuseOwnCompanion(group)
  return group
}

/** What an update changes. Throws `invalid_argument` for another kind than the group's own. */
export function groupPatch(group: Group, body: UpdateGroup): GroupPatch {
  const { manager_config: config, ...rest } = body
  if (config && config.manager_type !== group.manager_type)
    throw new AppError(
      'invalid_argument',
      `group ${group.id} is of the kind ${group.manager_type} and cannot become ${config.manager_type}; make a new one`,
    )
  const { manager_type: _, ...managing } = config ?? { manager_type: null }
  const patch: GroupPatch = {}
  for (const [key, value] of Object.entries({ ...rest, ...managing }))
    if (value != null) Object.assign(patch, { [key]: Array.isArray(value) ? [...new Set(value)] : value })
  refuseOwnCompanion({ ...group, ...patch })
  return patch
}

function refuseOwnCompanion({ manager_type, manager_agent_id, agent_ids }: Group): void {
  if (manager_type !== 'sleeptime' || manager_agent_id === null || !agent_ids.includes(manager_agent_id))
    return
  throw new AppError(
    'invalid_argument',
    `agent ${manager_agent_id} leads the group and cannot be its own companion; take it from agent_ids`,
  )
}
