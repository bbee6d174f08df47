import assert from 'node:assert/strict'
import type { AgentEvent } from '../../shared/core/events.ts'
import type { ModelEvent } from '../../shared/core/ports/models.ts'
import { AppError } from '../../shared/schema/errors.ts'
import { finish, openTurnTest, SEARCH, text, type TurnTest } from '../support/turn-test.ts'

describe('a turn', () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(() => t.close())

  it('stops with end_turn after a text, with every event once', async () => {
    const agent = await t.newAgent()
    t.script = [[{ type: 'reasoning', text: 'hm' }, text('hel'), text('lo'), finish()]]
    const active = await t.start(agent.id)
    const events: AgentEvent[] = []
    for await (const batch of active.follow(new AbortController().signal)) events.push(...batch)
    assert.deepEqual(
      events.map((event) => event.type),
      [
        'run_start',
        'step_start',
        'reasoning_delta',
        'text_delta',
        'text_delta',
        'message',
        'step_end',
        'run_end',
      ],
    )
    const result = await active.done
    assert.deepEqual(
      [result.status, result.stop_reason, result.usage.step_count],
      ['completed', 'end_turn', 1],
    )
    await t.closed(agent.id, result)
  })

  it('makes what the model says well-formed, also where a character is cut apart', async () => {
    const agent = await t.newAgent()
    const call = { id: 'c\0', name: 'no\0tool', arguments: '{"query":"\0\ud83d' }
    t.script = [
      [
        { type: 'tool_call', index: 0, ...call },
        { type: 'tool_call', index: 0, arguments: '\ude00"}' },
        finish('tool_calls'),
      ],
      [
        { type: 'reasoning', text: 'h\0m \ud800' },
        text('a\0b \ud83d'),
        text('\ude00 \udc00c \ud83d'),
        text('d'),
        text('\ud83d'),
        finish(),
      ],
    ]
    const active = await t.start(agent.id)
    const deltas: string[] = []
    for await (const batch of active.follow(new AbortController().signal))
      for (const event of batch) if (event.type === 'text_delta') deltas.push(event.text)
    const { messages } = await active.done
    assert.equal(deltas.join(''), 'ab 😀 \ufffdc \ufffdd')
    const [asked, returned, answer] = messages
    assert.deepEqual(asked?.tool_calls[0], {
      id: 'c',
      type: 'function',
      function: { name: 'notool', arguments: '{"query":"😀"}' },
    })
    assert.match(JSON.stringify(returned?.tool_returns[0]?.func_response), /no tool 'notool'/)
    assert.deepEqual(answer?.content, [
      { type: 'reasoning', is_native: true, reasoning: 'hm ', signature: null },
      { type: 'text', text: 'ab 😀 \ufffdc \ufffdd' },
    ])
  })

  it('stops with end_turn and nothing stored when the model says nothing on purpose', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [[finish('stop')]])
    assert.deepEqual([result.status, result.stop_reason, result.messages], ['completed', 'end_turn', []])
    assert.deepEqual(await t.roles(agent.id), ['system', 'user'])
    await t.closed(agent.id, result)
  })

  it('stops with invalid_llm_response when it says nothing and not why, or does not finish', async () => {
    const agent = await t.newAgent()
    for (const said of [[finish('unknown')], [text('half')]] satisfies ModelEvent[][]) {
      const result = await t.turn(agent.id, [said])
      assert.deepEqual([result.status, result.stop_reason], ['failed', 'invalid_llm_response'])
      assert.equal(result.error?.type, 'llm_empty_response')
      await t.closed(agent.id, result)
    }
  })

  it('stops with max_tokens_exceeded when the text was cut, which is kept', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [[text('once upon'), finish('length')]])
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'max_tokens_exceeded'])
    assert.equal(result.error, undefined, 'an answer, not an error')
    assert.deepEqual(await t.roles(agent.id), ['system', 'user', 'assistant'])
    await t.closed(agent.id, result)
  })

  it('stops with max_steps after the tools of the last step', async () => {
    const agent = await t.newAgent()
    const again = [SEARCH, finish('tool_calls')]
    const result = await t.turn(agent.id, [again, again, again], { max_steps: 3 })
    assert.deepEqual(
      [result.status, result.stop_reason, result.usage.step_count],
      ['completed', 'max_steps', 3],
    )
    assert.deepEqual(await t.roles(agent.id), [
      'system',
      'user',
      'assistant',
      'tool',
      'assistant',
      'tool',
      'assistant',
      'tool',
    ])
  })

  it('stops with llm_api_error when the model fails, keeping the input and what was said', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [
      async function* () {
        yield text('I was about to ')
        throw new AppError('llm_connection', 'openai at http://x hung up')
      },
    ])
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'llm_api_error'])
    assert.equal(result.error?.message, 'openai at http://x hung up')
    const last = (await t.stored(agent.id)).at(-1)
    assert.deepEqual(last?.content, [{ type: 'text', text: 'I was about to ' }])
    await t.closed(agent.id, result)
  })

  it('stops with llm_api_error when there is no such model, and when a filter held the answer back', async () => {
    const agent = await t.newAgent()
    const unknown = await t.turn(agent.id, [], { override_model: 'nowhere/model' })
    assert.equal(unknown.stop_reason, 'llm_api_error')
    await t.closed(agent.id, unknown)
    const filtered = await t.turn(agent.id, [[finish('content_filter')]])
    assert.equal(filtered.stop_reason, 'llm_api_error')
    assert.match(filtered.error?.message ?? '', /content filter/)
    await t.closed(agent.id, filtered)
  })

  it('stops with error when something of ours breaks, which is told and not shown', async () => {
    const agent = await t.newAgent()
    const result = await t.turn(agent.id, [
      async function* () {
        yield text('x')
        throw new TypeError('secret internals')
      },
    ])
    assert.deepEqual([result.status, result.stop_reason], ['failed', 'error'])
    assert.equal(result.error?.type, 'internal_error')
    assert.doesNotMatch(result.error?.message ?? '', /secret/)
    assert.equal(t.failures.length, 1)
    t.failures = []
    await t.closed(agent.id, result)
  })

  it('stores the input before the model is asked', async () => {
    const agent = await t.newAgent()
    let seen: string[] = []
    await t.turn(agent.id, [
      async function* () {
        seen = await t.roles(agent.id)
        yield text('ok')
        yield finish()
      },
    ])
    assert.deepEqual(seen, ['system', 'user'])
  })
})
