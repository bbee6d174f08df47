import assert from 'node:assert/strict'
import type { NewSchedule } from '../../../shared/core/ports/schedule-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { ADA, anAgent, at, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const
const soon = new Date(at(1))

function aSchedule(agent_id: string, more: Partial<NewSchedule> = {}): NewSchedule {
  return {
    id: newId('schedule'),
    agent_id,
    created_at: at(0),
    message: { messages: [{ role: 'user', content: 'Now.' }] },
    schedule: { type: 'recurring', cron_expression: '* * * * *', timezone: 'UTC' },
    next_at: at(1),
    ...more,
  }
}

export function describeSchedules(subject: Subject): void {
  describe('schedules', () => {
    it('are kept as they were given, listed from a cursor, and go with their agent', async () => {
      const { agents, schedules } = subject.store
      const [one, two] = [await agents.create(ADA, anAgent('one')), await agents.create(ADA, anAgent('two'))]
      const given = [aSchedule(one.id), aSchedule(one.id, { created_at: at(1) })]
      const made = []
      for (const schedule of given) made.push(await schedules.create(ADA, schedule))
      assert.deepEqual(made[0]?.message, given[0]?.message)
      assert.deepEqual(await schedules.list(ADA, one.id, page), made)
      assert.deepEqual(await schedules.list(ADA, one.id, { ...page, after: given[0]?.id }), made.slice(1))
      assert.deepEqual(await schedules.list(ADA, two.id, page), [])
      assert.deepEqual(await schedules.get(ADA, one.id, given[1]?.id ?? ''), made[1])
      assert.equal(await schedules.get(ADA, two.id, given[1]?.id ?? ''), null)
      const unknown = { ...page, after: newId('schedule') }
      await assert.rejects(schedules.list(ADA, one.id, unknown), { code: 'not_found' })
      await assert.rejects(schedules.create(ADA, aSchedule(newId('agent'))), { code: 'not_found' })
      await agents.delete(ADA, one.id)
      assert.deepEqual(await schedules.due(soon), [])
    })

    it('that are due are found, the longest due first, whosever they are', async () => {
      const { agents, schedules } = subject.store
      const [hers, his] = [await agents.create(ADA, anAgent('a')), await agents.create(EVE, anAgent('e'))]
      const [late, later] = [aSchedule(hers.id, { next_at: at(0) }), aSchedule(his.id)]
      await schedules.create(EVE, later)
      await schedules.create(ADA, late)
      await schedules.create(ADA, aSchedule(hers.id, { next_at: at(2) }))
      assert.deepEqual(await schedules.due(soon), [
        { id: late.id, schedule: late.schedule, due_at: at(0) },
        { id: later.id, schedule: later.schedule, due_at: at(1) },
      ])
    })

    it('fire once for each time, by whoever is first', async function () {
      const { agents, schedules } = subject.store
      const { id: agent_id } = await agents.create(ADA, anAgent('one'))
      const { id, message } = await schedules.create(ADA, aSchedule(agent_id))
      const elsewhere = await subject.reopen?.()
      try {
        const claims = [schedules, elsewhere?.schedules ?? schedules].flatMap((store) => [
          store.claim(id, at(1), at(9)),
          store.claim(id, at(1), at(9)),
        ])
        const won = (await Promise.all(claims)).filter(Boolean)
        assert.equal(won.length, 1)
        const firings = [await schedules.firings(), (await elsewhere?.schedules.firings()) ?? []].flat()
        assert.deepEqual(firings, [{ id, agent_id, actor: ADA, message, due_at: at(1) }])
        assert.deepEqual(await schedules.due(new Date(at(30))), [], 'not while it fires')
      } finally {
        await elsewhere?.close()
      }
    })

    it('keep how their last firing went, and are due again at the next time', async () => {
      const { agents, schedules } = subject.store
      const { id: agent_id } = await agents.create(ADA, anAgent('one'))
      const { id } = await schedules.create(ADA, aSchedule(agent_id))
      assert.equal(await schedules.claim(id, at(1), at(9)), true)
      await schedules.fired({ id, due_at: at(1) }, { fired_at: at(2), run_id: null, error: 'No.' })
      const after = await schedules.get(ADA, agent_id, id)
      assert.equal(after?.next_scheduled_time, at(9))
      assert.deepEqual(after.last_run, {
        run_id: null,
        scheduled_at: at(1),
        fired_at: at(2),
        status: null,
        stop_reason: null,
        completed_at: null,
        error: 'No.',
      })
      assert.deepEqual(await schedules.firings(), [])
      assert.equal(await schedules.claim(id, at(1), at(9)), false, 'that time is over')
      assert.equal(await schedules.claim(id, at(9), null), true)
      await schedules.fired({ id, due_at: at(9) }, { fired_at: at(9), run_id: null, error: null })
      assert.equal((await schedules.get(ADA, agent_id, id))?.next_scheduled_time, null)
      assert.deepEqual(await schedules.due(new Date(at(59))), [], 'never again')
    })

    it('that fire are taken over from a process that is gone, and from no other', async function () {
      if (!subject.reopen) this.skip()
      const { agents, schedules } = subject.store
      const { id: agent_id } = await agents.create(ADA, anAgent('one'))
      const { id } = await schedules.create(ADA, aSchedule(agent_id))
      const other = await subject.reopen()
      try {
        assert.equal(await other.schedules.claim(id, at(1), null), true)
        assert.deepEqual(await schedules.firings(), [])
        assert.equal((await other.schedules.firings()).length, 1)
      } finally {
        await other.close()
      }
      assert.deepEqual(
        (await schedules.firings()).map((firing) => firing.id),
        [id],
      )
      await schedules.delete(ADA, agent_id, id)
      assert.deepEqual(await schedules.firings(), [], 'a deleted schedule waits for nothing')
      await schedules.fired({ id, due_at: at(1) }, { fired_at: at(2), run_id: null, error: null })
      assert.equal(await schedules.get(ADA, agent_id, id), null)
    })

    it('another organisation sees, makes and deletes none', async () => {
      const { agents, schedules } = subject.store
      const { id: agent_id } = await agents.create(ADA, anAgent('one'))
      const { id } = await schedules.create(ADA, aSchedule(agent_id))
      assert.equal(await schedules.get(EVE, agent_id, id), null)
      assert.deepEqual(await schedules.list(EVE, agent_id, page), [])
      assert.equal(await schedules.delete(EVE, agent_id, id), false)
      await assert.rejects(schedules.create(EVE, aSchedule(agent_id)), { code: 'not_found' })
      await assert.rejects(schedules.list(EVE, agent_id, { ...page, after: id }), { code: 'not_found' })
      assert.equal(await schedules.delete(ADA, agent_id, id), true)
    })
  })
}
