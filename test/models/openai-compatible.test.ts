import assert from 'node:assert/strict'
import { collect, failureOf, modelAt, request } from '../support/model-fixtures.ts'
import { event } from '../support/model-wire.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import type { ScriptedModel, ScriptedModelOptions, ScriptedStep } from '../support/scripted-model.ts'

describe('openai-compatible model', () => {
  let server: ScriptedModel
  const start = async (steps: ScriptedStep[], options?: ScriptedModelOptions) =>
    (server = await startScriptedModel(steps, options))
  afterEach(() => server.close())

  it('keeps the log probabilities of a stream, chunk by chunk', async () => {
    await start([{ reply: { text: ['Hello ', 'Ada'], logprobs: true } }])
    const { finish } = await collect(modelAt(server.url), request('Hi', { logprobs: { top: 3 } }))
    const token = (text: string) => ({ token: text, logprob: -0.5, bytes: null, top_logprobs: [] })
    assert.deepEqual(finish?.logprobs, { content: [token('Hello '), token('Ada')], refusal: null })
    const { logprobs, top_logprobs } = server.requests[0]!.body
    assert.deepEqual([logprobs, top_logprobs], [true, 3])
  })

  for (const stream of [true, false])
    it(`keeps Gemini's signature of a call (stream: ${stream})`, async () => {
      const call = { id: 'a', name: 'now', arguments: { zone: 'UTC' }, signature: 'sig' }
      await start([{ reply: { tool_calls: [call] } }])
      const { calls } = await collect(modelAt(server.url), request('Hi'), { stream })
      assert.deepEqual(calls, [{ id: 'a', name: 'now', arguments: '{"zone":"UTC"}', signature: 'sig' }])
    })

  for (const stream of [true, false]) {
    it(`says text, reasoning, usage and why it stopped (stream: ${stream})`, async () => {
      await start([
        {
          expect: { model: 'test-model' },
          reply: {
            reasoning: ['Let me ', 'think.'],
            text: ['Hello ', 'Ada'],
            usage: {
              prompt_tokens: 10,
              completion_tokens: 5,
              total_tokens: 15,
              prompt_tokens_details: { cached_tokens: 8 },
              completion_tokens_details: { reasoning_tokens: 3 },
            },
          },
        },
      ])
      const { events, text, reasoning } = await collect(modelAt(server.url), request('Hi'), { stream })
      assert.equal(text, 'Hello Ada')
      assert.equal(reasoning, 'Let me think.')
      assert.deepEqual(events.at(-1), {
        type: 'finish',
        reason: 'stop',
        usage: {
          prompt_tokens: 10,
          completion_tokens: 5,
          total_tokens: 15,
          cached_input_tokens: 8,
          cache_write_tokens: null,
          reasoning_tokens: 3,
        },
      })
      assert.equal(events.filter((event) => event.type === 'text').length, stream ? 2 : 1)
      await server.done()
    })

    it(`reads parallel tool calls (stream: ${stream})`, async () => {
      await start([
        {
          reply: {
            text: 'Two things.',
            tool_calls: [
              { id: 'call_a', name: 'memory_insert', arguments: { label: 'human', new_string: 'Name: Ada' } },
              { id: 'call_b', name: 'conversation_search', arguments: '{"query":"x"}' },
            ],
          },
        },
      ])
      const { calls, text, finish } = await collect(modelAt(server.url), request('Hi'), { stream })
      assert.equal(text, 'Two things.')
      assert.deepEqual(calls, [
        { id: 'call_a', name: 'memory_insert', arguments: '{"label":"human","new_string":"Name: Ada"}' },
        { id: 'call_b', name: 'conversation_search', arguments: '{"query":"x"}' },
      ])
      assert.equal(finish?.reason, 'tool_calls')
      await server.done()
    })
  }

  const events = (...values: unknown[]) => [...values.map(event), 'data: [DONE]\n\n']
  const delta = (value: unknown, finish_reason: string | null = null) => ({
    choices: [{ index: 0, delta: value, finish_reason }],
  })

  for (const chunk_bytes of [1, 2, 3, 7, 64]) {
    it(`puts characters together that were cut apart (${chunk_bytes} bytes a write)`, async () => {
      await start([{ reply: { text: ['Grüße, ', '日本語 ', '👩‍🚀', '\r\nend'], chunk_bytes } }])
      const { text } = await collect(modelAt(server.url), request('Hi'))
      assert.equal(text, 'Grüße, 日本語 👩‍🚀\r\nend')
    })
  }

  it('reads CRLF lines, comments, data over several lines and a last event without a blank line', async () => {
    const raw =
      '\uFEFF: keep-alive\r\n\r\nevent: message\r\ndata: {"choices":[{"delta":\r\ndata: {"content":"one"}}]}\r\n\r\n' +
      'data:{"choices":[{"delta":{"content":" two"},"finish_reason":"stop"}]}'
    await start([{ reply: { raw } }])
    const { text, finish } = await collect(modelAt(server.url), request('Hi'))
    assert.equal(text, 'one two')
    assert.deepEqual(finish, { type: 'finish', reason: 'stop', usage: null })
  })

  it('makes an id for a call that came without one, and takes no arguments for none', async () => {
    await start([
      {
        reply: {
          tool_calls: [
            { name: 'now', arguments: null, id: null },
            { name: 'who', arguments: '', id: '' },
          ],
        },
      },
    ])
    const { calls, finish } = await collect(modelAt(server.url), request('Hi'))
    assert.deepEqual(
      calls.map(({ name, arguments: text }) => [name, text]),
      [
        ['now', ''],
        ['who', ''],
      ],
    )
    for (const { id } of calls) assert.match(id, /^call_[0-9a-f]{24}$/)
    assert.notEqual(calls[0]?.id, calls[1]?.id)
    assert.equal(finish?.reason, 'tool_calls')
  })

  it('tells calls apart that share one index', async () => {
    const call = (id: string | undefined, name: string | undefined, text: unknown) =>
      delta({ tool_calls: [{ index: 0, id, function: { name, arguments: text } }] })
    await start([
      {
        reply: {
          raw: events(
            call('a', 'one', '{"x"'),
            call(undefined, undefined, ':1}'),
            call('b', 'two', '{}'),
            delta({}, 'tool_calls'),
          ),
        },
      },
      { reply: { raw: events(call('', 'one', '{"x":1}'), call('', 'two', '{"y":2}'), delta({}, 'stop')) } },
      { reply: { raw: events(call('a', 'one', '{"x'), call('a', 'one', '":1}'), delta({}, 'tool_calls')) } },
    ])
    const read = async () => {
      const { calls, finish } = await collect(modelAt(server.url), request('Hi'))
      assert.equal(finish?.reason, 'tool_calls')
      return calls.map((found) => [found.name, found.arguments])
    }
    assert.deepEqual(await read(), [
      ['one', '{"x":1}'],
      ['two', '{}'],
    ])
    assert.deepEqual(await read(), [
      ['one', '{"x":1}'],
      ['two', '{"y":2}'],
    ])
    assert.deepEqual(await read(), [['one', '{"x":1}']])
  })

  for (const stream of [true, false]) {
    it(`takes two calls of one id, without an index, for two (stream: ${stream})`, async () => {
      const call = (label: string) => ({
        id: 'call_same',
        type: 'function',
        function: { name: 'memory_insert', arguments: JSON.stringify({ label }) },
      })
      const delta = (tool_calls: unknown[]) => event({ choices: [{ index: 0, delta: { tool_calls } }] })
      const end = event({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })
      const message = { role: 'assistant', content: null, tool_calls: [call('human'), call('persona')] }
      const whole = JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }] })
      const replies = stream
        ? [
            { raw: [delta([call('human'), call('persona')]), end, 'data: [DONE]\n\n'] },
            { raw: [delta([call('human')]), delta([call('persona')]), end, 'data: [DONE]\n\n'] },
          ]
        : [{ raw: whole, content_type: 'application/json' }]
      await start(replies.map((reply) => ({ reply })))
      for (const _ of replies) {
        const { calls } = await collect(modelAt(server.url), request('Hi'), { stream })
        assert.deepEqual(
          calls.map(({ name, arguments: text }) => [name, text]),
          [
            ['memory_insert', '{"label":"human"}'],
            ['memory_insert', '{"label":"persona"}'],
          ],
        )
      }
      await server.done()
    })
  }

  it('reads calls without an index, and arguments that are an object', async () => {
    const call = (value: unknown) => delta({ tool_calls: [value] })
    await start([
      {
        reply: {
          raw: events(
            call({ id: 'a', function: { name: 'one', arguments: '{"x":' } }),
            call({ function: { arguments: '1}' } }),
            call({ id: 'b', function: { name: 'two', arguments: { y: 2 } } }),
            delta({}, 'tool_calls'),
          ),
        },
      },
    ])
    const { calls } = await collect(modelAt(server.url), request('Hi'))
    assert.deepEqual(calls, [
      { id: 'a', name: 'one', arguments: '{"x":1}' },
      { id: 'b', name: 'two', arguments: '{"y":2}' },
    ])
  })

  it('reads interleaved parallel calls', async () => {
    const call = (index: number, value: object) => ({ index, ...value })
    await start([
      {
        reply: {
          raw: events(
            delta({
              tool_calls: [
                call(0, { id: 'a', function: { name: 'one', arguments: '' } }),
                call(1, { id: 'b', function: { name: 'two', arguments: '' } }),
              ],
            }),
            delta({
              tool_calls: [
                call(1, { function: { arguments: '{"b"' } }),
                call(0, { function: { arguments: '{"a"' } }),
              ],
            }),
            delta({
              tool_calls: [
                call(0, { function: { arguments: ':1}' } }),
                call(1, { function: { arguments: ':2}' } }),
              ],
            }),
            delta({}, 'tool_calls'),
          ),
        },
      },
    ])
    const { calls } = await collect(modelAt(server.url), request('Hi'))
    assert.deepEqual(
      calls.map((found) => found.arguments),
      ['{"a":1}', '{"b":2}'],
    )
  })

  it('passes over chunks without choices, null deltas and empty pieces', async () => {
    await start([
      {
        reply: {
          raw: events(
            { choices: [] },
            { choices: null, prompt_filter_results: [] },
            { choices: [{ index: 0, delta: null }] },
            delta({ content: '', reasoning: '', tool_calls: null }),
            delta({ content: 'ok' }),
            delta({ content: null }, 'stop'),
            { choices: [], usage: { prompt_tokens: 3, completion_tokens: 1, prompt_cache_hit_tokens: 2 } },
          ),
        },
      },
    ])
    const { events: got } = await collect(modelAt(server.url), request('Hi'))
    assert.deepEqual(got, [
      { type: 'text', text: 'ok' },
      {
        type: 'finish',
        reason: 'stop',
        usage: {
          prompt_tokens: 3,
          completion_tokens: 1,
          total_tokens: 4,
          cached_input_tokens: 2,
          cache_write_tokens: null,
          reasoning_tokens: null,
        },
      },
    ])
  })

  it('knows why the model stopped, also when it did not say', async () => {
    const cases: [string | null, boolean, string][] = [
      ['stop', false, 'stop'],
      ['length', false, 'length'],
      ['content_filter', false, 'content_filter'],
      ['tool_calls', true, 'tool_calls'],
      ['stop', true, 'tool_calls'],
      [null, true, 'tool_calls'],
      [null, false, 'stop'],
      ['insufficient_system_resource', false, 'unknown'],
    ]
    await start(
      cases.map(([finish_reason, call]) => ({
        reply: {
          text: 'x',
          finish_reason,
          ...(call ? { tool_calls: [{ name: 'now', arguments: {} }] } : {}),
        },
      })),
    )
    for (const [said, , reason] of cases) {
      const { finish } = await collect(modelAt(server.url), request('Hi'))
      assert.equal(finish?.reason, reason, `finish_reason ${said}`)
    }
    await server.done()
  })

  it('shows a refusal as text that the filter ended', async () => {
    await start([{ reply: { refusal: 'I cannot help with that.' } }, { reply: { refusal: 'No.' } }])
    for (const [stream, said] of [
      [true, 'I cannot help with that.'],
      [false, 'No.'],
    ] as const) {
      const { text, finish } = await collect(modelAt(server.url), request('Hi'), { stream })
      assert.equal(text, said)
      assert.equal(finish?.reason, 'content_filter')
    }
  })

  it('takes a whole answer from a server that does not stream', async () => {
    const body = { choices: [{ message: { content: 'whole', reasoning: 'hm' }, finish_reason: 'stop' }] }
    await start([{ reply: { raw: JSON.stringify(body), content_type: 'application/json' } }])
    const { text, reasoning } = await collect(modelAt(server.url), request('Hi'), { stream: true })
    assert.deepEqual([text, reasoning], ['whole', 'hm'])
  })

  it('yields each piece when it comes', async () => {
    const gate = Promise.withResolvers<void>()
    await start([{ reply: { text: ['one ', 'two'], hold: gate.promise, hold_after: 2 } }])
    const { text } = await collect(modelAt(server.url), request('Hi'), {
      onEvent: (found) => {
        if (found.type === 'text' && found.text === 'one ') gate.resolve()
      },
    })
    assert.equal(text, 'one two')
  })

  it('uses one connection for request after request, streamed or not, answered or refused', async () => {
    await start([
      { reply: { text: 'streamed' } },
      { reply: { text: 'whole' } },
      { reply: { status: 400, body: { error: { message: 'no' } } } },
      { reply: { text: 'last' } },
    ])
    const model = modelAt(server.url)
    await collect(model, request('Hi'))
    await collect(model, request('Hi'), { stream: false })
    await failureOf(collect(model, request('Hi')))
    await collect(model, request('Hi'))
    assert.equal(server.connections, 1)
    await server.done()
  })
})
