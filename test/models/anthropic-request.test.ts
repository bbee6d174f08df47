import type { Anthropic } from '@anthropic-ai/sdk'
import assert from 'node:assert/strict'
import type { ModelMessage, ModelRequest } from '../../shared/core/ports/models.ts'
import { toMessageBody } from '../../shared/models/anthropic-request.ts'
import { describeModel } from '../../shared/models/describe.ts'
import { anthropicThinking } from '../../shared/models/known-models.ts'
import { refusedByAnthropic } from '../support/anthropic-wire.ts'
import { providerAt, request, userSays } from '../support/model-fixtures.ts'
import type { ChatBody } from '../support/model-wire.ts'

const tool = (name: string, required = ['zone']) => ({
  name,
  description: 'The time.',
  parameters: { type: 'object' as const, properties: { zone: { type: 'string' } }, required },
})
const PNG = {
  type: 'image' as const,
  source: { type: 'base64' as const, media_type: 'image/png', data: 'AAAA' },
}

function bodyOf(asked: ModelRequest, id = 'claude-sonnet-4-5'): Anthropic.MessageCreateParams {
  const model = describeModel(providerAt('http://127.0.0.1:1', { provider_type: 'anthropic' }), { id })
  const body = toMessageBody(asked, model, true)
  assert.equal(refusedByAnthropic(body as unknown as ChatBody, { 'anthropic-version': '2023-06-01' }), null)
  return body
}

const asks = (content: string, ids: string[], signature = 'seal'): ModelMessage => ({
  role: 'assistant',
  content: [
    { type: 'reasoning', is_native: true, reasoning: 'Hm.', signature },
    { type: 'text', text: content },
  ],
  tool_calls: ids.map((id) => ({ id, name: 'now', arguments: '{"zone":"UTC"}' })),
  model: 'claude-sonnet-4-5',
})
const gives = (tool_call_id: string, content: string | [typeof PNG] = '12:00'): ModelMessage => ({
  role: 'tool',
  tool_call_id,
  name: 'now',
  content,
})
const SYSTEM: ModelMessage = { role: 'system', text: 'Be kind.' }
const MARK = { cache_control: { type: 'ephemeral' } }

describe('request for a message of Anthropic', () => {
  it('says the whole conversation: thoughts, parallel calls and their results in one message', () => {
    const body = bodyOf(
      request(
        [
          SYSTEM,
          userSays('What time is it?'),
          asks('Looking.', ['a', 'b']),
          gives('b', [PNG]),
          gives('a'),
          userSays('So?'),
        ],
        { tools: [tool('now'), tool('then')], settings: { temperature: 1, max_tokens: 5000 } },
      ),
    )
    assert.deepEqual(body, {
      model: 'claude-sonnet-4-5',
      max_tokens: 5000,
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'What time is it?', ...MARK }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 'seal' },
            { type: 'text', text: 'Looking.' },
            { type: 'tool_use', id: 'a', name: 'now', input: { zone: 'UTC' } },
            { type: 'tool_use', id: 'b', name: 'now', input: { zone: 'UTC' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: '12:00' },
            {
              type: 'tool_result',
              tool_use_id: 'b',
              content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }],
            },
            { type: 'text', text: 'So?', ...MARK },
          ],
        },
      ],
      system: [{ type: 'text', text: 'Be kind.', ...MARK }],
      tools: [
        { name: 'now', description: 'The time.', input_schema: tool('now').parameters },
        { name: 'then', description: 'The time.', input_schema: tool('then').parameters, ...MARK },
      ],
      thinking: { type: 'enabled', budget_tokens: 1024 },
      stream: true,
    })
  })

  it('keeps the prefix byte for byte while the conversation grows, and marks where the last one ended', () => {
    const whole = [
      SYSTEM,
      userSays('One'),
      asks('', ['a', 'b']),
      gives('a'),
      gives('b', [PNG]),
      asks('', ['c']),
      gives('c'),
      asks('Three', []),
      userSays('Four'),
    ]
    const bodies = [2, 5, 7, 9].map((end) => bodyOf(request(whole.slice(0, end), { tools: [tool('now')] })))
    for (const [n, body] of bodies.entries()) {
      const before = bodies[n - 1]?.messages
      const marks = JSON.stringify(body).split('"cache_control"').length - 1
      assert.equal(marks, before ? 4 : 3)
      assert.deepEqual(body.system, [{ type: 'text', text: 'Be kind.', ...MARK }])
      assert.ok(isMarked(body.messages.at(-1)), 'the end is marked')
      if (!before) continue
      const prefix = body.messages.slice(0, before.length)
      assert.equal(JSON.stringify(unmarked(prefix)), JSON.stringify(unmarked(before)))
      assert.ok(isMarked(prefix.at(-1)), 'and where the request before ended')
    }
  })

  it('is the same text for the same request', () => {
    const asked = request([SYSTEM, userSays('Hi')], { tools: [tool('now')] })
    assert.equal(JSON.stringify(bodyOf(asked)), JSON.stringify(bodyOf(structuredClone(asked))))
  })

  it('gives thoughts back as they were, hidden ones too, but not those of another model', () => {
    const said = (model: string): ModelMessage => ({
      role: 'assistant',
      content: [
        { type: 'reasoning', is_native: true, reasoning: 'One.', signature: 's1' },
        { type: 'redacted_reasoning', data: 'dark' },
        { type: 'text', text: 'Well…' },
        { type: 'omitted_reasoning', signature: 's2' },
        { type: 'reasoning', is_native: true, reasoning: 'unsigned', signature: null },
      ],
      tool_calls: [{ id: 'a', name: 'now', arguments: '{}' }],
      model,
    })
    const content = (model: string) =>
      bodyOf(request([userSays('Hi'), said(model), gives('a'), userSays('Go on')])).messages[1]?.content
    assert.deepEqual(content('claude-sonnet-4-5'), [
      { type: 'thinking', thinking: 'One.', signature: 's1' },
      { type: 'redacted_thinking', data: 'dark' },
      { type: 'text', text: 'Well…' },
      { type: 'thinking', thinking: '', signature: 's2' },
      { type: 'tool_use', id: 'a', name: 'now', input: {} },
    ])
    assert.deepEqual(content('gpt-5'), [
      { type: 'text', text: 'Well…' },
      { type: 'tool_use', id: 'a', name: 'now', input: {} },
    ])
  })

  it('does not think in the middle of a tool turn that another model began', () => {
    const asked = request([
      userSays('Hi'),
      { ...asks('', ['a']), model: 'gpt-5' } as ModelMessage,
      gives('a'),
    ])
    assert.equal(bodyOf(asked).thinking, undefined)
    const later = request([...asked.messages, asks('Noon.', []), userSays('Thanks')])
    assert.deepEqual(bodyOf(later).thinking, { type: 'enabled', budget_tokens: 1024 })
  })

  it('has one system text; a system message that comes later, also at once, is input', () => {
    const body = bodyOf(request([SYSTEM, { role: 'system', text: 'Agent B asks.' }]))
    assert.deepEqual(body.system, [{ type: 'text', text: 'Be kind.', ...MARK }])
    assert.equal(body.messages.length, 1)
    assert.match(JSON.stringify(body.messages), /<system>\\nAgent B asks\.\\n<\/system>/)
  })

  const hostile: [string, ModelMessage[]][] = [
    ['a conversation without a question', [SYSTEM]],
    ['an answer first', [SYSTEM, asks('Hello', []), userSays('Hi')]],
    ['an answer last', [SYSTEM, userSays('Hi'), asks('Hello ', [])]],
    ['two answers', [SYSTEM, userSays('Hi'), asks('One', []), asks('Two', []), userSays('Three')]],
    ['empty texts', [{ role: 'system', text: '' }, userSays(' '), asks('', []), userSays('')]],
    ['a call without a result', [userSays('Hi'), asks('', ['a', 'b']), gives('a'), userSays('So?')]],
    [
      'a result without a call',
      [userSays('Hi'), gives('x'), asks('Ok', []), gives('y', [PNG]), userSays('So?')],
    ],
    ['ids that repeat', [userSays('Hi'), asks('', ['a']), gives('a', '1'), asks('', ['a']), gives('a', '2')]],
    ['one id twice in one answer', [userSays('Hi'), asks('', ['a', 'a']), gives('a', '1'), gives('a', '2')]],
    [
      'ids of another provider',
      [userSays('Hi'), asks('', ['call|1:x', 'call 1']), gives('call|1:x'), gives('call 1')],
    ],
    [
      'a system message in between',
      [SYSTEM, userSays('Hi'), { role: 'system', text: 'Now.' }, userSays('Well?')],
    ],
    [
      'half a JSON',
      [
        userSays('Hi'),
        { role: 'assistant', content: [], tool_calls: [{ id: 'a', name: 'a b', arguments: '{"zo' }] },
        gives('a', 'Failed'),
      ],
    ],
  ]
  for (const [what, messages] of hostile)
    it(`is one that the API takes, whatever is in it: ${what}`, () => {
      bodyOf(request(messages, { tools: [tool('now')] }))
    })

  it('loses nothing of a call that is no JSON, and answers each of two calls with one id', () => {
    const broken = hostile.find(([what]) => what === 'half a JSON')?.[1] ?? []
    assert.match(JSON.stringify(bodyOf(request(broken))), /"input":\{"invalid_arguments":"\{\\"zo"\}/)
    const twice = hostile.find(([what]) => what.startsWith('one id twice'))?.[1] ?? []
    const results = bodyOf(request(twice)).messages[2]?.content
    assert.deepEqual(Array.isArray(results) && results.map((block) => 'content' in block && block.content), [
      '1',
      '2',
    ])
  })

  it('chooses tools as asked, without thinking where one must be called', () => {
    const choose = (
      tool_choice: ModelRequest['tool_choice'],
      parallel_tool_calls = true,
      tools = [tool('now')],
    ) => {
      const body = bodyOf(request('Hi', { tools, tool_choice, parallel_tool_calls }))
      return [body.tool_choice, body.thinking?.type]
    }
    assert.deepEqual(choose('auto'), [undefined, 'enabled'])
    assert.deepEqual(choose('auto', false), [{ type: 'auto', disable_parallel_tool_use: true }, 'enabled'])
    assert.deepEqual(choose('required'), [{ type: 'any' }, undefined])
    assert.deepEqual(choose({ name: 'now' }, false), [
      { type: 'tool', name: 'now', disable_parallel_tool_use: true },
      undefined,
    ])
    assert.deepEqual(choose('none'), [{ type: 'none' }, 'enabled'])
    assert.deepEqual(choose('required', true, []), [undefined, 'enabled'])
  })

  it('thinks as its model can, and as the settings say', () => {
    const think = (id: string, settings: Partial<ModelRequest['settings']> = {}) => {
      const { thinking, max_tokens, temperature } = bodyOf(
        request('Hi', { settings: { temperature: 1, max_tokens: 2000, ...settings } }),
        id,
      )
      return [thinking, max_tokens, temperature]
    }
    assert.deepEqual(think('claude-3-5-haiku-latest', { temperature: 0.2 }), [undefined, 2000, 0.2])
    const budget = (budget_tokens: number) => ({ type: 'enabled', budget_tokens })
    assert.deepEqual(think('claude-sonnet-4-5', { temperature: 0.2 }), [budget(1024), 2000, undefined])
    assert.deepEqual(think('claude-opus-4-1-20250805', { max_reasoning_tokens: 8000 }), [
      budget(8000),
      10_000,
      undefined,
    ])
    assert.deepEqual(think('claude-sonnet-4-5', { enable_reasoner: false, temperature: 2 }), [
      undefined,
      2000,
      1,
    ])
    assert.deepEqual(think('claude-opus-5', { temperature: 0.2 }), [
      { type: 'adaptive', display: 'summarized' },
      2000,
      undefined,
    ])
    assert.deepEqual(think('claude-opus-5', { enable_reasoner: false, temperature: 0.2 }), [
      undefined,
      2000,
      undefined,
    ])
  })

  it('knows which models think, and how', () => {
    const kinds = [
      'claude-2.1',
      'claude-3-opus-20240229',
      'claude-3-7-sonnet-latest',
      'claude-opus-4-20250514',
    ]
    const more = [
      'claude-haiku-4-5',
      'claude-opus-4-6',
      'claude-sonnet-5',
      'anthropic/claude-sonnet-4.5',
      'glm-5',
    ]
    assert.deepEqual([...kinds, ...more].map(anthropicThinking), [
      'none',
      'none',
      'budget',
      'budget',
      'budget',
      'adaptive',
      'adaptive',
      'budget',
      'none',
    ])
  })

  it('asks for a form of the answer, an effort, and strict calls where a schema can be strict', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } }
    const free = { ...tool('free'), parameters: { ...tool('free').parameters, additionalProperties: {} } }
    const body = bodyOf(
      request('Hi', {
        tools: [tool('now', []), free],
        settings: {
          temperature: 1,
          effort: 'high',
          strict: true,
          response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
        },
      }),
    )
    assert.deepEqual(body.output_config, { effort: 'high', format: { type: 'json_schema', schema } })
    const [closed, open] = (body.tools ?? []) as Anthropic.Tool[]
    assert.equal(closed?.strict, true)
    assert.equal(closed?.input_schema['additionalProperties'], false)
    assert.equal(open?.strict, undefined)
    assert.equal(
      bodyOf(request('Hi', { settings: { temperature: 1, response_format: { type: 'text' } } }))
        .output_config,
      undefined,
    )
  })
})

function isMarked(message: Anthropic.MessageParam | undefined): boolean {
  const last = Array.isArray(message?.content) ? message.content.at(-1) : undefined
  return last !== undefined && 'cache_control' in last
}

function unmarked(messages: Anthropic.MessageParam[]): unknown {
  return JSON.parse(
    JSON.stringify(messages, (key, value: unknown) => (key === 'cache_control' ? undefined : value)),
  )
}
