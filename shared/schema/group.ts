import * as z from 'zod'
import { idSchema } from './ids.ts'

export const MANAGER_TYPES = [
  'round_robin',
  'supervisor',
  'dynamic',
  'sleeptime',
  'voice_sleeptime',
  'swarm',
] as const
export const managerType = z.enum(MANAGER_TYPES)
export type ManagerType = z.infer<typeof managerType>

/** A group as every route answers it (V1 `Group`). Fields that its kind does not have are null. */
export const group = z.object({
  id: idSchema('group'),
  manager_type: managerType,
  agent_ids: z.array(z.string()),
  description: z.string(),
  project_id: z.string().nullable(),
  template_id: z.string().nullable(),
  base_template_id: z.string().nullable(),
  deployment_id: z.string().nullable(),
  shared_block_ids: z.array(z.string()),
  manager_agent_id: z.string().nullable(),
  termination_token: z.string().nullable(),
  max_turns: z.number().int().nullable(),
  sleeptime_agent_frequency: z.number().int().nullable(),
  turns_counter: z.number().int().nullable(),
  last_processed_message_id: z.string().nullable(),
  max_message_buffer_length: z.number().int().nullable(),
  min_message_buffer_length: z.number().int().nullable(),
  hidden: z.boolean().nullable(),
})
export type Group = z.infer<typeof group>

const count = z.number().int().min(1).nullish()
const manager_agent_id = idSchema('agent')
const buffer = { max_message_buffer_length: count, min_message_buffer_length: count }
const round_robin = z.object({ manager_type: z.literal('round_robin'), max_turns: count })

/** How a group is led. A swarm can be read, but not made: V1 has no request for it. */
const managerConfig = z.discriminatedUnion('manager_type', [
  round_robin,
  z.object({ manager_type: z.literal('supervisor'), manager_agent_id }),
  z.object({
    manager_type: z.literal('dynamic'),
    manager_agent_id,
    termination_token: z
      .string()
      .nullish()
      .transform((token) => token ?? 'DONE!'),
    max_turns: count,
  }),
  z.object({ manager_type: z.literal('sleeptime'), manager_agent_id, sleeptime_agent_frequency: count }),
  z.object({ manager_type: z.literal('voice_sleeptime'), manager_agent_id, ...buffer }),
])

/** The same in an update: what is absent or null stays, and the kind must be the group's own. */
const managerChange = z.discriminatedUnion('manager_type', [
  round_robin,
  z.object({ manager_type: z.literal('supervisor'), manager_agent_id: manager_agent_id.nullish() }),
  z.object({
    manager_type: z.literal('dynamic'),
    manager_agent_id: manager_agent_id.nullish(),
    termination_token: z.string().nullish(),
    max_turns: count,
  }),
  z.object({
    manager_type: z.literal('sleeptime'),
    manager_agent_id: manager_agent_id.nullish(),
    sleeptime_agent_frequency: count,
  }),
  z.object({
    manager_type: z.literal('voice_sleeptime'),
    manager_agent_id: manager_agent_id.nullish(),
    ...buffer,
  }),
])

/** Body of `POST /v1/groups/`. */
export const createGroup = z.object({
  agent_ids: z.array(idSchema('agent')).max(1000),
  description: z.string(),
  manager_config: managerConfig.default({ manager_type: 'round_robin' }),
  project_id: z.string().nullish(),
  shared_block_ids: z
    .array(idSchema('block'))
    .nullish()
    .transform((ids) => ids ?? []),
  hidden: z.boolean().nullish(),
})
export type CreateGroup = z.infer<typeof createGroup>

/** Body of `PATCH /v1/groups/{id}`: null or absent leaves a field as it is. */
export const updateGroup = z.object({
  agent_ids: z.array(idSchema('agent')).max(1000).nullish(),
  description: z.string().nullish(),
  manager_config: managerChange.nullish(),
  project_id: z.string().nullish(),
  shared_block_ids: z.array(idSchema('block')).nullish(),
})
export type UpdateGroup = z.infer<typeof updateGroup>
