import { Anthropic } from '@anthropic-ai/sdk'
import assert from 'node:assert/strict'
import type { ModelMessage, ModelRequest } from '../../shared/core/ports/models.ts'
import { claudeAt, collect, failureOf, request } from '../support/model-fixtures.ts'
import { type ScriptedModel, type ScriptedStep, startScriptedModel } from '../support/scripted-model.ts'

const now = {
  name: 'now',
  description: 'The time.',
  parameters: { type: 'object' as const, properties: { zone: { type: 'string' } }, required: ['zone'] },
}

describe('anthropic model', () => {
  let server: ScriptedModel
  const start = async (...steps: ScriptedStep[]) => (server = await startScriptedModel(steps))
  afterEach(() => server?.close())
  const ask = (said: string | ModelMessage[] = 'Hi', more: Partial<ModelRequest> = {}, stream = true) =>
    collect(claudeAt(server.url), request(said, more), { stream })

  for (const stream of [true, false]) {
    it(`thinks, speaks and calls tools (stream: ${stream})`, async () => {
      await start({
        reply: {
          reasoning: ['Let me ', 'see.'],
          signature: 'seal',
          redacted: 'dark',
          text: ['It ', 'is…'],
          tool_calls: [
            { id: 'toolu_1', name: 'now', arguments: { zone: 'Europe/Zürich' } },
            { id: 'toolu_2', name: 'now', arguments: {} },
          ],
          usage: {
            input_tokens: 10,
            cache_read_input_tokens: 100,
            cache_creation_input_tokens: 20,
            output_tokens: 7,
            output_tokens_details: { thinking_tokens: 3 },
          },
        },
      })
      const answer = await ask('Hi', { tools: [now] }, stream)
      assert.equal(answer.reasoning, 'Let me see.')
      assert.equal(answer.signature, 'seal')
      assert.deepEqual(answer.redacted, ['dark'])
      assert.equal(answer.text, 'It is…')
      assert.deepEqual(answer.calls, [
        { id: 'toolu_1', name: 'now', arguments: '{"zone":"Europe/Zürich"}' },
        { id: 'toolu_2', name: 'now', arguments: '{}' },
      ])
      assert.deepEqual(answer.finish, {
        type: 'finish',
        reason: 'tool_calls',
        usage: {
          prompt_tokens: 130,
          completion_tokens: 7,
          total_tokens: 137,
          cached_input_tokens: 100,
          cache_write_tokens: 20,
          reasoning_tokens: 3,
        },
      })
      const deltas = answer.events.filter(({ type }) => type === 'text').length
      assert.equal(deltas, stream ? 2 : 1)
      await server.done()
    })
  }

  it('streams the arguments of a call as they come', async () => {
    await start({
      reply: { tool_calls: [{ name: 'now', arguments: { zone: 'Antarctica/South_Pole' } }], chunk_bytes: 7 },
    })
    const answer = await ask('Hi', { tools: [now] })
    assert.ok(answer.events.filter(({ type }) => type === 'tool_call').length > 3)
    assert.equal(answer.calls[0]?.arguments, '{"zone":"Antarctica/South_Pole"}')
  })

  const reasons = [
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['refusal', 'content_filter'],
    ['pause_turn', 'unknown'],
  ] as const
  for (const [said, meant] of reasons)
    it(`understands why the model stopped: ${said}`, async () => {
      await start({ reply: { text: 'Well', finish_reason: said } })
      assert.equal((await ask()).finish?.reason, meant)
    })

  it('lives with a provider that reports no usage', async () => {
    await start({ reply: { text: 'Well', usage: null } }, { reply: { text: 'Well', usage: null } })
    assert.equal((await ask()).finish?.usage, null)
    assert.equal((await ask('Hi', {}, false)).finish?.usage, null)
  })

  it('carries the key and headers of its own provider only, and nothing of the environment', async () => {
    const names = [
      'ANTHROPIC_AUTH_TOKEN',
      'ANTHROPIC_CUSTOM_HEADERS',
      'ANTHROPIC_BASE_URL',
      'ANTHROPIC_API_KEY',
    ]
    const before = names.map((name) => process.env[name])
    for (const name of names) process.env[name] = 'X-Secret: of-somebody'
    try {
      await start({ reply: { text: 'a' } }, { reply: { text: 'b' } })
      await collect(claudeAt(server.url, { provider: { headers: { 'X-Team': 'blue' } } }), request('Hi'))
      await collect(claudeAt(server.url, { provider: { api_key: null } }), request('Hi'))
      const [one, two] = server.requests.map(({ headers }) => headers)
      assert.equal(one?.['x-api-key'], 'sk-secret-key')
      assert.equal(one?.['x-team'], 'blue')
      assert.equal(two?.['x-api-key'], undefined)
      for (const headers of [one, two]) {
        assert.equal(headers?.['x-secret'], undefined)
        assert.equal(headers?.authorization, undefined)
      }
      await server.done()
    } finally {
      for (const [i, name] of names.entries()) {
        if (before[i] === undefined) delete process.env[name]
        else process.env[name] = before[i]
      }
    }
  })

  it('may be named with or without /v1', async () => {
    await start({ reply: { text: 'a' } }, { reply: { text: 'b' } })
    await collect(claudeAt(server.url.replace(/\/v1$/, '')), request('Hi'))
    await collect(claudeAt(`${server.url}/`), request('Hi'))
    await server.done()
  })

  describe('in trouble', () => {
    const said = (type: string, message: string) => ({ type: 'error', error: { type, message } })
    const status = (code: number, body: unknown, headers = {}): ScriptedStep => ({
      reply: { status: code, body, headers },
    })

    it('names provider, URL, cause and what to do, never the key', async () => {
      await start(status(401, said('authentication_error', 'invalid x-api-key sk-secret-key')))
      const error = await failureOf(ask())
      assert.equal(error.code, 'llm_authentication')
      assert.equal(
        error.message,
        `anthropic at ${server.url}/messages answered 401: invalid x-api-key ***. Check the key of provider 'anthropic'.`,
      )
    })

    it('recognises a conversation that is too long', async () => {
      await start(
        status(400, said('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum')),
      )
      assert.equal((await failureOf(ask())).code, 'llm_context_window')
    })

    it('waits for a provider that is overloaded, longer than for one that is broken', async () => {
      const busy = status(529, said('overloaded_error', 'Overloaded'))
      await start(busy, busy, busy, busy, busy, { reply: { text: 'at last' } })
      assert.equal((await ask()).text, 'at last')
      await server.done()
    })

    it('gives up in the end, with a clear error', async () => {
      await start(...Array.from({ length: 8 }, () => status(429, said('rate_limit_error', 'Slow down'))))
      const error = await failureOf(ask())
      assert.equal(error.code, 'llm_rate_limit')
      assert.match(
        error.message,
        /answered 429: Slow down\. Wait a little, or check the plan and limits of provider/,
      )
      await server.done()
    })

    it('does not wait for an overloaded provider where another model stands by', async () => {
      await start(
        status(529, said('overloaded_error', 'Overloaded')),
        status(529, said('overloaded_error', 'Overloaded'), { 'retry-after': '30' }),
      )
      const hasty = collect(claudeAt(server.url), request('Hi'), { fail_fast: true })
      assert.equal((await failureOf(hasty)).code, 'llm_error')
      await server.done()
    })

    it('waits as Retry-After says', async () => {
      await start(status(429, said('rate_limit_error', 'Slow'), { 'retry-after-ms': '40' }), {
        reply: { text: 'ok' },
      })
      const began = performance.now()
      assert.equal((await ask()).text, 'ok')
      assert.ok(performance.now() - began >= 39)
    })

    it('loses its patience with a provider that asks for one wait after the other', async () => {
      const slow = status(429, said('rate_limit_error', 'Slow'), { 'retry-after-ms': '30' })
      await start(slow, slow, slow)
      const model = claudeAt(server.url, { retry: { patience_ms: 70 } })
      assert.equal((await failureOf(collect(model, request('Hi')))).code, 'llm_rate_limit')
      await server.done()
    })

    it('asks again when the stream begins with an error, and not after a piece was said', async () => {
      const event = (value: { type: string }) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`
      const overloaded = event(said('overloaded_error', 'Overloaded'))
      const word = [
        event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Half' } } as {
          type: string
        }),
      ]
      await start({ reply: { raw: overloaded } }, { reply: { raw: [...word, overloaded] } })
      let heard = ''
      const broken = collect(claudeAt(server.url), request('Hi'), {
        onEvent: (found) => (heard += found.type === 'text' ? found.text : ''),
      })
      const error = await failureOf(broken)
      assert.equal(heard, 'Half')
      assert.match(error.message, /broke off with an error: Overloaded\. /)
      await server.done()
    })

    it('tells of a stream that ends in the middle, and of one that is none', async () => {
      await start(
        { reply: { text: ['one ', 'two'], cut_after: 4 } },
        { reply: { raw: '{"hello": 1}', content_type: 'application/json' } },
        { reply: { raw: 'data: {"type": "content_bl\n\n' } },
      )
      assert.equal((await failureOf(ask())).code, 'llm_connection')
      assert.match((await failureOf(ask())).message, /answered JSON that is no message: \{"hello": 1\}/)
      assert.match((await failureOf(ask())).message, /answered something that is not JSON/)
    })

    it('takes no more of an endless answer than anybody can keep', async () => {
      const piece = 'x'.repeat(1024 * 1024)
      await start({ reply: { text: Array.from({ length: 100 }, () => piece), chunk_bytes: 1024 * 1024 } })
      const error = await failureOf(ask())
      assert.equal(error.code, 'llm_error')
      assert.match(
        error.message,
        /sent an answer of more than 8 MB; it was cut off\. Set a limit with max_output_tokens/,
      )
      assert.equal(await server.requests[0]?.ended, 'aborted')
    })

    it('ends at once when it is aborted, in the middle of its answer', async () => {
      const hold = Promise.withResolvers<void>()
      await start({ reply: { text: ['one ', 'two'], hold: hold.promise, hold_after: 4 } })
      const abort = new AbortController()
      const running = collect(claudeAt(server.url), request('Hi'), {
        signal: abort.signal,
        onEvent: (found) => found.type === 'text' && abort.abort(),
      })
      assert.equal((await failureOf(running)).code, 'cancelled')
      assert.equal(await server.requests[0]?.ended, 'aborted')
      hold.resolve()
    })

    it('does not wait for ever between two pieces', async () => {
      const hold = Promise.withResolvers<void>()
      await start({ reply: { text: ['one ', 'two'], hold: hold.promise, hold_after: 4 } })
      const model = claudeAt(server.url, { provider: { timeouts: { between_tokens_ms: 50 } } })
      const error = await failureOf(collect(model, request('Hi')))
      assert.equal(error.code, 'llm_timeout')
      assert.match(error.message, /stopped in the middle of its answer for 0\.05 s/)
      hold.resolve()
    })
  })

  it('is tested with a double that the official client understands', async () => {
    const reply = {
      reasoning: 'Hm.',
      text: 'Noon.',
      tool_calls: [{ id: 'a', name: 'now', arguments: { zone: 'UTC' } }],
    }
    await start({ reply })
    const client = new Anthropic({ baseURL: server.url.replace(/\/v1$/, ''), apiKey: 'k', maxRetries: 0 })
    const message = await client.messages
      .stream({ model: 'claude-opus-5', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] })
      .finalMessage()
    assert.deepEqual(
      message.content.map((block) => block.type),
      ['thinking', 'text', 'tool_use'],
    )
    const call = message.content[2]
    assert.deepEqual(call?.type === 'tool_use' && call.input, { zone: 'UTC' })
  })
})
