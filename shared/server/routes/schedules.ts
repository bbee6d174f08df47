import * as z from 'zod'
import type { Actor } from '../../core/ports/actor.ts'
import { idSchema, newId } from '../../schema/ids.ts'
import {
  createdSchedule,
  createSchedule,
  type CreateSchedule,
  schedule,
  type ScheduledMessage,
  scheduleList,
  type ScheduleTime,
} from '../../schema/schedule.ts'
import type { ServerContext } from '../context.ts'
import { firstTime } from '../cron.ts'
import { notFound } from '../errors.ts'
import { loadImages } from '../images.ts'
import { route } from '../route.ts'

const params = z.object({ agent_id: idSchema('agent') })
const one = params.extend({ scheduled_message_id: z.string() })

/** Messages that an agent is sent at times to come (`/v1/agents/{id}/schedule`). */
export const routes = [
  route({
    method: 'POST',
    path: '/v1/agents/:agent_id/schedule',
    operation: 'scheduledMessages.scheduleAgentMessage',
    summary: 'Send an agent messages later: once, or again and again by a cron expression',
    params,
    body: createSchedule,
    answer: createdSchedule,
    status: 201,
    async handle({ actor, context, params, body }) {
      const { timezone } = await agentOf(context, actor, params.agent_id)
      const now = context.deps.clock.now()
      const schedule = timeOf(body, timezone)
      const first = firstTime(schedule, now)
      // Once: what their addresses hold may be gone when the time comes.
      const messages = await loadImages(body.messages, context.download)
      const made = await context.deps.store.schedules.create(actor, {
        id: newId('schedule'),
        agent_id: params.agent_id,
        created_at: now.toISOString(),
        message: messageOf({ ...body, messages }),
        schedule,
        next_at: first.toISOString(),
      })
      return { id: made.id, next_scheduled_at: made.next_scheduled_time }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/schedule',
    operation: 'scheduledMessages.listScheduledMessages',
    summary: "List an agent's schedules, the oldest first",
    params,
    query: z.object({
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      after: z.string().optional(),
    }),
    answer: scheduleList,
    async handle({ actor, context, params, query }) {
      await agentOf(context, actor, params.agent_id)
      const { after, limit = 50 } = query
      const page = { after, limit: limit + 1, order: 'asc' as const }
      const found = await context.deps.store.schedules.list(actor, params.agent_id, page)
      return { scheduled_messages: found.slice(0, limit), has_next_page: found.length > limit }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/agents/:agent_id/schedule/:scheduled_message_id',
    operation: 'scheduledMessages.retrieveScheduledMessage',
    summary: 'A schedule, when it fires next and how its last firing went',
    params: one,
    answer: schedule,
    async handle({ actor, context, params }) {
      const { agent_id, scheduled_message_id: id } = params
      const found = await context.deps.store.schedules.get(actor, agent_id, id)
      if (!found) throw notFound('Schedule', id)
      return found
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/agents/:agent_id/schedule/:scheduled_message_id',
    operation: 'scheduledMessages.deleteScheduledMessage',
    summary: 'Delete a schedule; a run that it has begun goes on',
    params: one,
    answer: z.object({ success: z.literal(true) }),
    async handle({ actor, context, params }) {
      const { agent_id, scheduled_message_id: id } = params
      if (!(await context.deps.store.schedules.delete(actor, agent_id, id))) throw notFound('Schedule', id)
      return { success: true }
    },
  }),
]

async function agentOf(context: ServerContext, actor: Actor, agent_id: string) {
  const agent = await context.deps.store.agents.get(actor, agent_id, [])
  if (!agent) throw notFound('Agent', agent_id)
  return agent
}

/** The time zone is settled once, so that a schedule does not move with its agent. */
function timeOf({ schedule }: CreateSchedule, timezone: string): ScheduleTime {
  if (schedule.type === 'one-time') return schedule
  return { ...schedule, timezone: schedule.timezone ?? timezone }
}

function messageOf(body: CreateSchedule): ScheduledMessage {
  const { messages, max_steps, callback_url, include_return_message_types } = body
  return {
    // V1 knows no nulls in what it answers of them.
    messages: messages.map((message) => withoutNulls(message)),
    ...(max_steps == null ? {} : { max_steps }),
    ...(callback_url == null ? {} : { callback_url }),
    ...(include_return_message_types == null ? {} : { include_return_message_types }),
  }
}

function withoutNulls<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null)) as T
}
