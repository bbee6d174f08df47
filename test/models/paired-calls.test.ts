import assert from 'node:assert/strict'
import type { ModelMessage } from '../../shared/core/ports/models.ts'
import { toMessageBody } from '../../shared/models/anthropic-request.ts'
import { describeModel } from '../../shared/models/describe.ts'
import { toChatBody } from '../../shared/models/openai-request.ts'
import { pairCalls } from '../../shared/models/paired-calls.ts'
import { toResponseBody } from '../../shared/models/responses-request.ts'
import { refusedByAnthropic } from '../support/anthropic-wire.ts'
import { providerAt, request, userSays } from '../support/model-fixtures.ts'
import type { ChatBody } from '../support/model-wire.ts'
import { refusedByResponses } from '../support/responses-wire.ts'
import { randomOf } from '../reliability/random.ts'

const calls = (...ids: string[]): ModelMessage => ({
  role: 'assistant',
  content: [],
  tool_calls: ids.map((id) => ({ id, name: 'now', arguments: '{}' })),
})
const gives = (tool_call_id: string, content = tool_call_id): ModelMessage => ({
  role: 'tool',
  tool_call_id,
  name: 'now',
  content,
})

describe('calls and their results', () => {
  it('that are in order stay as they are', () => {
    const messages = [userSays('Hi'), calls('a', 'b'), gives('a'), gives('b'), userSays('So?')]
    for (const [i, message] of pairCalls(messages).entries()) assert.equal(message, messages[i])
  })

  it('are put in order, completed and told apart', () => {
    const messages = [
      calls('b', 'a', 'a'),
      gives('a', '1'),
      gives('a', '2'),
      gives('x'),
      calls('a'),
      userSays('So?'),
    ]
    assert.deepEqual(pairCalls(messages), [
      calls('b', 'a', 'a_2'),
      gives('b', '(no result)'),
      gives('a', '1'),
      { ...gives('a_2', '2') },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Result of now:' },
          { type: 'text', text: 'x' },
        ],
        name: null,
      },
      calls('a_3'),
      gives('a_3', '(no result)'),
      userSays('So?'),
    ])
  })

  it('of any conversation are taken by every provider', () => {
    const seed = Number(process.env['SEED'] ?? 20_261_122)
    const next = randomOf(seed)
    const one = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)]!
    const message = (): ModelMessage => {
      const id = one(['a', 'b', 'c|1', 'd e'])
      const model = one(['claude-sonnet-4-5', 'gpt-5-mini', null])
      const thought = {
        type: 'reasoning',
        is_native: true,
        reasoning: 'Hm.',
        signature: 'rs_1:sealed',
      } as const
      return one<ModelMessage>([
        userSays(one(['Hi', '', ' '])),
        { role: 'system', text: 'Now.' },
        gives(id),
        { ...calls(id, one(['a', 'b'])), content: one([[], [thought]]), model } as ModelMessage,
        {
          role: 'assistant',
          content: [thought, { type: 'text', text: one(['Ok', '']) }],
          tool_calls: [],
          model,
        },
      ])
    }
    const provider = providerAt('http://127.0.0.1:1')
    const [claude, gpt] = ['claude-sonnet-4-5', 'gpt-5-mini'].map((id) => describeModel(provider, { id }))
    assert.ok(claude && gpt)
    for (let n = 0; n < 400; n++) {
      const messages = Array.from({ length: 1 + Math.floor(next() * 12) }, message)
      const asked = request(messages)
      const label = `seed ${seed}, conversation ${n}: ${JSON.stringify(messages)}`
      const version = { 'anthropic-version': '2023-06-01' }
      const anthropic = toMessageBody(asked, claude, true) as unknown as ChatBody
      assert.equal(refusedByAnthropic(anthropic, version), null, label)
      const response = toResponseBody(asked, gpt, { stream: true })
      assert.equal(refusedByResponses(response as unknown as ChatBody), null, label)
      const chat = toChatBody(asked, provider, gpt, true).messages as Record<string, unknown>[]
      assert.equal(unanswered(chat), null, label)
    }
  })
})

/** The first call without its result behind it, or result without its call; null when all are paired. */
function unanswered(messages: Record<string, unknown>[]): string | null {
  let open: string[] = []
  for (const message of messages) {
    if (message['role'] === 'tool') {
      if (open.shift() !== message['tool_call_id']) return String(message['tool_call_id'])
    } else if (open.length > 0) return open.join()
    else open = ((message['tool_calls'] ?? []) as { id: string }[]).map(({ id }) => id)
  }
  return open.length > 0 ? open.join() : null
}
