import assert from 'node:assert/strict'
import { ActiveRuns } from '../../shared/core/active-runs.ts'
import type { AgentChain } from '../../shared/core/teams/chain.ts'
import type { Agent } from '../../shared/schema/agent.ts'
import { anAgent, EVE } from '../contracts/store/samples.ts'
import {
  actor,
  call,
  calls,
  openTurnTest,
  says,
  type Said,
  type TurnTest,
  untilAborted,
} from '../support/turn-test.ts'

describe('messages from agent to agent', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  const member = (more: object = {}) =>
    t.newAgent({ include_base_tools: false, include_multi_agent_tools: true, ...more })
  const asks = (other: Agent): Said =>
    calls(call('send_message_to_agent_and_wait_for_reply', { message: 'well?', other_agent_id: other.id }))
  const tells = (other: Agent): Said =>
    calls(call('send_message_to_agent_async', { message: 'well.', other_agent_id: other.id }))
  const returnOf = async (agent: Agent) => {
    const result = (await t.stored(agent.id)).findLast((message) => message.role === 'tool')
    const text = result?.tool_returns[0]?.func_response
    return typeof text === 'string' ? text : assert.fail('the tool returned no text')
  }

  it('are waited for no longer than the limit; the turn that was asked for is cancelled', async () => {
    t.runs = new ActiveRuns(t.deps, (_, error) => t.failures.push(error), { reply_ms: 30 })
    const [asker, other] = [await member(), await member()]
    const silent: Said = async function* (_, signal) {
      yield* []
      await untilAborted(signal)
    }
    const result = await t.turn(asker.id, [asks(other), silent, says('never mind')])
    assert.equal(result.stop_reason, 'end_turn')
    assert.match(await returnOf(asker), /did not answer in 30 ms; its turn was cancelled/)
    const page = { limit: 1, order: 'desc' } as const
    const [run] = await t.store.turns.listRuns(actor, { agent_id: other.id }, page)
    assert.equal(run?.status, 'cancelled')
    assert.deepEqual(t.failures, [])
  })

  it('know how long their chain is, wherever it began, and stop at its end', async () => {
    const [asker, other] = [await member(), await member({ tags: ['a'] })]
    await member({ tags: ['a'] })
    const within = async (chain: Partial<AgentChain>, said: Said[]) => {
      const whole = { waiting: [], hops: 0, budget: { left: 9 }, ...chain }
      const result = await t.turn(asker.id, said, { chain: whole })
      assert.equal(result.stop_reason, 'end_turn')
      return { returned: await returnOf(asker), left: whole.budget.left }
    }
    const end = says('ok')
    assert.deepEqual(await within({}, [asks(other), says('hi'), end]), { returned: 'hi', left: 8 })
    assert.match((await within({ hops: 25 }, [tells(other), end])).returned, /25 messages in a row/)
    assert.match((await within({ waiting: [other.id] }, [tells(other), end])).returned, /in this very turn/)
    const deep = Array.from({ length: 5 }, (_, i) => `agent-${i}`)
    assert.match((await within({ waiting: deep }, [asks(other), end])).returned, /5 agents already wait/)
    const poor = { budget: { left: 1 } }
    const all = calls(
      call('send_message_to_agents_matching_tags', { message: 'x', match_all: [], match_some: ['a'] }),
    )
    const broadcast = await within(poor, [all, end])
    assert.match(broadcast.returned, /as many messages as may follow/)
    assert.equal(broadcast.left, 1, 'none of them was sent')
  })

  it('reach an agent of their own organisation only', async () => {
    const asker = await member()
    const stranger = await t.store.agents.create(EVE, anAgent('Eve', { tags: ['a'] }))
    for (const said of [asks(stranger), tells(stranger)]) {
      await t.turn(asker.id, [said, says('ok')])
      assert.match(await returnOf(asker), /there is no agent/)
    }
    const tagged = { message: 'x', match_all: ['a'], match_some: [] }
    await t.turn(asker.id, [calls(call('send_message_to_agents_matching_tags', tagged)), says('ok')])
    assert.match(await returnOf(asker), /no other agent has these tags/)
    assert.deepEqual(await t.store.turns.listRuns(EVE, {}, { limit: 1, order: 'desc' }), [])
  })
})
