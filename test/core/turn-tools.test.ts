import assert from 'node:assert/strict'
import type { ModelEvent } from '../../shared/core/ports/models.ts'
import { call, finish, openTurnTest, SEARCH, text, type TurnTest } from '../support/turn-test.ts'

describe('a turn with tools', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  it('runs the calls beside a cut answer that are whole, and tells the model of the others', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [
      [SEARCH, call('memory_insert', '{"label": "hum', 1), finish('length')],
      [text('ok'), finish()],
    ])
    assert.equal(result.stop_reason, 'end_turn')
    const [returned] = result.messages.filter((message) => message.role === 'tool')
    assert.deepEqual(
      returned?.tool_returns.map((r) => r.status),
      ['success', 'error'],
    )
    await t.closed(agent.id, result)
  })

  it('keeps only the first call when parallel calls are off', async () => {
    const agent = await t.newAgent({ parallel_tool_calls: false })
    const result = await t.turn(agent.id, [
      [SEARCH, call('memory_insert', { label: 'human', new_string: 'b' }, 1), finish('tool_calls')],
      [text('ok'), finish()],
    ])
    assert.equal(t.requests[0]?.parallel_tool_calls, false)
    assert.equal(result.messages[0]?.tool_calls.length, 1)
    await t.closed(agent.id, result)
  })

  it('gives calls of one id ids of their own', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [
      [{ ...SEARCH }, call('conversation_search', { query: 'y' }, 1, 'call-0'), finish('tool_calls')],
      [text('ok'), finish()],
    ])
    const ids = result.messages[0]?.tool_calls.map(({ id }) => id) ?? []
    assert.equal(new Set(ids).size, 2)
    await t.closed(agent.id, result)
  })

  it('keeps thoughts with their signatures, and with the model that had them', async () => {
    const agent = await t.newAgent()
    const thoughts: ModelEvent[] = [
      { type: 'reasoning', text: 'first ' },
      { type: 'reasoning', text: 'thought', signature: 'sig-1' },
      { type: 'reasoning', text: 'second', signature: 'sig-2' },
    ]
    await t.turn(agent.id, [
      [...thoughts, SEARCH, finish('tool_calls')],
      [text('ok'), finish()],
    ])
    const parts = [
      { type: 'reasoning', is_native: true, reasoning: 'first thought', signature: 'sig-1' },
      { type: 'reasoning', is_native: true, reasoning: 'second', signature: 'sig-2' },
    ]
    const contentOf = (n: number) => {
      const message = t.requests[n]?.messages.find((m) => m.role === 'assistant')
      return message?.role === 'assistant' ? message.content : null
    }
    assert.deepEqual(contentOf(1), parts, 'within the turn')
    await t.turn(agent.id, [[text('ok'), finish()]])
    assert.deepEqual(contentOf(2), parts, 'from the store')
    const shown = t.requests[2]?.messages.find((m) => m.role === 'assistant')
    assert.equal(shown?.role === 'assistant' && shown.model, 'demo', 'its adapter shows them to no other')
  })
})
