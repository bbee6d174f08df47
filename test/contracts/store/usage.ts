import assert from 'node:assert/strict'
import type { UsageQuery } from '../../../shared/core/ports/usage-store.ts'
import type { Step } from '../../../shared/schema/run.ts'
import type { Subject } from '../store.contract.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, aStep, at, DONE, EVE } from './samples.ts'

/** Of the hour that `at(0)` is in. */
const HOUR = Date.UTC(2026, 0, 1, 12) / 3_600_000

const KAI = { ...ADA, user_id: 'user-00000000-0000-4000-8000-00000000000a' }

function asked(more: Partial<UsageQuery> = {}): UsageQuery {
  return { hours: { from: HOUR - 24, to: HOUR + 48 }, group_by: [], interval: null, ...more }
}

const NOTHING = {
  runs: 0,
  steps: 0,
  failed_steps: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  cached_input_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  cost_usd: null,
  steps_without_cost: 0,
}

export function describeUsage(subject: Subject): void {
  /** A turn of these steps. */
  const aTurn = async (agent_id: string, steps: Partial<Step>[], actor = ADA) => {
    const { turns } = subject.store
    const run = aRun(agent_id)
    const messages = [aMessage(agent_id, 'user', 'Hi', { run_id: run.id })]
    const opened = await turns.open(actor, { run, conversation_id: agent_id, messages })
    for (const [i, more] of steps.entries()) {
      const finish = i === steps.length - 1 ? { finish: DONE } : {}
      await turns.commit(actor, aCommit(opened, run, { step: aStep(run, more), ...finish }))
    }
    return run
  }

  describe('usage', () => {
    it('is counted with each step: tokens, cost where it is known, and how many steps have none', async () => {
      const { store } = subject
      const { id } = await store.agents.create(ADA, anAgent('ada'))
      const tokens = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 }
      const details = { cached_input_tokens: 60, cache_write_tokens: 5, reasoning_tokens: 4 }
      await aTurn(id, [
        { ...tokens, ...details, cost_usd: 0.25 },
        { ...tokens, cost_usd: 0.5 },
        { ...tokens },
        { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, status: 'failed' },
      ])
      const rows = await store.usage.read(ADA, asked())
      assert.deepEqual(rows, [
        {
          hour: HOUR - 24,
          runs: 1,
          steps: 4,
          failed_steps: 1,
          prompt_tokens: 300,
          completion_tokens: 30,
          total_tokens: 330,
          cached_input_tokens: 60,
          cache_write_tokens: 5,
          reasoning_tokens: 4,
          cost_usd: 0.75,
          steps_without_cost: 1,
        },
      ])
      assert.deepEqual(await store.usage.read(EVE, asked()), [])
      assert.deepEqual(await store.usage.read(EVE, asked({ anywhere: true })), rows)
    })

    it('without any price has no cost, which is not a cost of 0', async () => {
      const { store } = subject
      const { id } = await store.agents.create(ADA, anAgent('ada'))
      await aTurn(id, [{}, {}])
      const [row] = await store.usage.read(ADA, asked())
      assert.deepEqual([row?.cost_usd, row?.steps_without_cost], [null, 2])
      await aTurn(id, [{ cost_usd: 0 }])
      const [later] = await store.usage.read(ADA, asked())
      assert.deepEqual([later?.cost_usd, later?.steps_without_cost], [0, 2])
    })

    it('is grouped and filtered by agent, user and model', async () => {
      const { store } = subject
      const [a, b] = [
        (await store.agents.create(ADA, anAgent('a'))).id,
        (await store.agents.create(ADA, anAgent('b'))).id,
      ]
      await aTurn(a, [{ model_handle: 'p/one' }, { model_handle: 'p/two', total_tokens: 7 }])
      await aTurn(b, [{ model_handle: 'p/one' }], KAI)
      const read = async (more: Partial<UsageQuery>) =>
        (await store.usage.read(ADA, asked(more))).map(
          ({ agent_id, user_id, model, runs, total_tokens }) => ({
            ...(agent_id === undefined ? {} : { agent: agent_id === a ? 'a' : 'b' }),
            ...(user_id === undefined ? {} : { user: user_id === ADA.user_id ? 'ada' : 'kai' }),
            ...(model === undefined ? {} : { model }),
            runs,
            total_tokens,
          }),
        )
      const sorted = (rows: object[]) => rows.map((row) => JSON.stringify(row)).toSorted()
      assert.deepEqual(
        sorted(await read({ group_by: ['agent', 'model'] })),
        sorted([
          { agent: 'a', model: 'p/one', runs: 1, total_tokens: 3 },
          { agent: 'a', model: 'p/two', runs: 0, total_tokens: 7 },
          { agent: 'b', model: 'p/one', runs: 1, total_tokens: 3 },
        ]),
      )
      assert.deepEqual(
        sorted(await read({ group_by: ['user'] })),
        sorted([
          { user: 'ada', runs: 1, total_tokens: 10 },
          { user: 'kai', runs: 1, total_tokens: 3 },
        ]),
      )
      assert.deepEqual(await read({ agent_id: b }), [{ runs: 1, total_tokens: 3 }])
      assert.deepEqual(await read({ user_id: ADA.user_id, model: 'p/two' }), [{ runs: 0, total_tokens: 7 }])
      assert.deepEqual(await read({ group_by: ['model'], only: [{ model: 'p/two' }] }), [
        { model: 'p/two', runs: 0, total_tokens: 7 },
      ])
      assert.deepEqual(await read({ model: 'p/three' }), [])
    })

    it('is told by the hour and by the day, from the first hour on and without the last', async () => {
      const { store } = subject
      const { id } = await store.agents.create(ADA, anAgent('ada'))
      for (const minute of [0, 59, 60, 12 * 60]) await aTurn(id, [{ created_at: at(minute) }])
      const read = async (more: Partial<UsageQuery>) =>
        (await store.usage.read(ADA, asked(more))).map(({ hour, steps }) => [hour - HOUR, steps])
      assert.deepEqual(await read({ interval: 'hour' }), [
        [0, 2],
        [1, 1],
        [12, 1],
      ])
      assert.deepEqual(await read({ interval: 'day' }), [
        [-12, 3],
        [12, 1],
      ])
      const hours = { from: HOUR + 1, to: HOUR + 12 }
      assert.deepEqual(await read({ interval: 'hour', hours }), [[1, 1]])
      assert.deepEqual(await read({ hours }), [[1, 1]])
    })

    it('stays when run and agent are deleted', async () => {
      const { store } = subject
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const run = await aTurn(agent.id, [{}, {}])
      const before = await store.usage.read(ADA, asked({ group_by: ['agent'] }))
      assert.deepEqual(before, [
        {
          ...NOTHING,
          hour: HOUR - 24,
          agent_id: agent.id,
          runs: 1,
          steps: 2,
          prompt_tokens: 4,
          completion_tokens: 2,
          total_tokens: 6,
          steps_without_cost: 2,
        },
      ])
      await store.turns.deleteRun(ADA, run.id)
      await store.agents.delete(ADA, agent.id)
      assert.deepEqual(await store.usage.read(ADA, asked({ group_by: ['agent'] })), before)
    })
  })
}
