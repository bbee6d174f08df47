import assert from 'node:assert/strict'
import { eventually } from '../../support/loci.ts'
import type { Method } from './method.ts'

const YEARLY = { type: 'recurring' as const, cron_expression: '30 9 1 1 *' }
const messages = [{ role: 'user' as const, content: 'How was the year?' }]

export const scheduleMethods: Method[] = [
  {
    name: 'agents.schedule.create',
    shows: 'a message that is sent when its time has come, and answered',
    async run(t) {
      const { id } = await t.newAgent()
      const scheduled_at = Date.now() + 50
      t.model.add({ reply: { text: 'I am awake.' } })
      const made = await t.letta.agents.schedule.create(id, {
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Wake up.' }] }],
        schedule: { type: 'one-time', scheduled_at },
        max_steps: 2,
        include_return_message_types: ['assistant_message'],
      })
      assert.equal(made.next_scheduled_at, new Date(scheduled_at).toISOString())
      await eventually('the agent was asked and has answered', async () => {
        const { items } = await t.letta.agents.messages.list(id, { limit: 50 })
        return JSON.stringify(items).includes('I am awake.') || null
      })
    },
  },
  {
    name: 'agents.schedule.retrieve',
    shows: 'what was asked for, when it fires next, and how its last firing went',
    async run(t) {
      const { id } = await t.newAgent({ timezone: 'Europe/Berlin' })
      t.model.add({ reply: { text: 'Yes.' } })
      const schedule = { type: 'one-time' as const, scheduled_at: Date.now() }
      const once = await t.letta.agents.schedule.create(id, { messages, schedule })
      const ended = await eventually('it has fired', async () => {
        const now = (await t.letta.agents.schedule.retrieve(once.id, { agent_id: id })) as unknown as Record<
          string,
          unknown
        >
        const last = now['last_run'] as Record<string, unknown> | null
        return last?.['status'] === 'completed' ? { ...now, last } : null
      })
      const run = await t.letta.runs.retrieve(String(ended.last['run_id']))
      assert.deepEqual([run.status, run.background, run.agent_id], ['completed', true, id])
      const { id: yearly } = await t.letta.agents.schedule.create(id, { messages, schedule: YEARLY })
      const read = await t.letta.agents.schedule.retrieve(yearly, { agent_id: id })
      assert.deepEqual(read.message, { messages })
      assert.deepEqual(read.schedule, { ...YEARLY, timezone: 'Europe/Berlin' })
      assert.match(read.next_scheduled_time ?? '', /-01-01T08:30:00\.000Z$/)
      const other = await t.newAgent()
      await assert.rejects(t.letta.agents.schedule.retrieve(yearly, { agent_id: other.id }), { status: 404 })
    },
  },
  {
    name: 'agents.schedule.list',
    shows: 'the schedules of one agent, page after page',
    async run(t) {
      const [one, two] = [await t.newAgent(), await t.newAgent()]
      const made: string[] = []
      for (let i = 0; i < 3; i++)
        made.push((await t.letta.agents.schedule.create(one.id, { messages, schedule: YEARLY })).id)
      const first = await t.letta.agents.schedule.list(one.id, { limit: '2' })
      assert.deepEqual(
        [first.scheduled_messages.map(({ id }) => id), first.has_next_page],
        [made.slice(0, 2), true],
      )
      const rest = await t.letta.agents.schedule.list(one.id, { limit: '2', after: made[1] ?? '' })
      assert.deepEqual(
        [rest.scheduled_messages.map(({ id }) => id), rest.has_next_page],
        [made.slice(2), false],
      )
      assert.deepEqual((await t.letta.agents.schedule.list(two.id)).scheduled_messages, [])
      await t.letta.agents.delete(two.id)
      await assert.rejects(t.letta.agents.schedule.list(two.id), { status: 404 })
    },
  },
  {
    name: 'agents.schedule.delete',
    shows: 'a schedule that is gone',
    async run(t) {
      const { id } = await t.newAgent()
      const made = await t.letta.agents.schedule.create(id, { messages, schedule: YEARLY })
      assert.deepEqual(await t.letta.agents.schedule.delete(made.id, { agent_id: id }), { success: true })
      await assert.rejects(t.letta.agents.schedule.delete(made.id, { agent_id: id }), { status: 404 })
      assert.deepEqual((await t.letta.agents.schedule.list(id)).scheduled_messages, [])
    },
  },
]
