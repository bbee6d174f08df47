import assert from 'node:assert/strict'
import { OpenAI } from 'openai'
import type { ModelMessage, ModelRequest } from '../../shared/core/ports/models.ts'
import { apiOf } from '../../shared/models/adapters.ts'
import { describeModel } from '../../shared/models/describe.ts'
import { toResponseBody } from '../../shared/models/responses-request.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { collect, failureOf, providerAt, reasonerAt, request, userSays } from '../support/model-fixtures.ts'
import type { ChatBody } from '../support/model-wire.ts'
import { refusedByResponses } from '../support/responses-wire.ts'
import { type ScriptedModel, type ScriptedStep, startScriptedModel } from '../support/scripted-model.ts'

const now = {
  name: 'now',
  description: 'The time.',
  parameters: { type: 'object' as const, properties: { zone: { type: 'string' } }, required: ['zone'] },
}

function bodyOf(asked: ModelRequest, id = 'gpt-5-mini') {
  const model = describeModel(providerAt('http://127.0.0.1:1/v1'), { id })
  const body = toResponseBody(asked, model, { stream: true })
  assert.equal(refusedByResponses(body as unknown as ChatBody), null)
  return body
}

describe('model of OpenAI Responses', () => {
  let server: ScriptedModel
  const start = async (...steps: ScriptedStep[]) => (server = await startScriptedModel(steps))
  afterEach(() => server?.close())
  const ask = (stream = true) => collect(reasonerAt(server.url), request('Hi', { tools: [now] }), { stream })

  for (const stream of [true, false]) {
    it(`thinks, speaks and calls tools (stream: ${stream})`, async () => {
      await start({
        reply: {
          reasoning: ['Let me ', 'see.'],
          signature: 'gAAAA:1',
          text: ['It ', 'is…'],
          tool_calls: [
            { id: 'call_1', name: 'now', arguments: { zone: 'Europe/Zürich' } },
            { id: 'call_2', name: 'now', arguments: {} },
          ],
          usage: {
            input_tokens: 100,
            output_tokens: 20,
            total_tokens: 120,
            input_tokens_details: { cached_tokens: 64, cache_write_tokens: 8 },
            output_tokens_details: { reasoning_tokens: 12 },
          },
        },
      })
      const answer = await ask(stream)
      assert.equal(answer.reasoning, 'Let me see.')
      assert.equal(answer.signature, 'rs_scripted:gAAAA:1')
      assert.equal(answer.text, 'It is…')
      assert.deepEqual(answer.calls, [
        { id: 'call_1', name: 'now', arguments: '{"zone":"Europe/Zürich"}' },
        { id: 'call_2', name: 'now', arguments: '{}' },
      ])
      assert.deepEqual(answer.finish, {
        type: 'finish',
        reason: 'tool_calls',
        usage: {
          prompt_tokens: 100,
          completion_tokens: 20,
          total_tokens: 120,
          cached_input_tokens: 64,
          cache_write_tokens: 8,
          reasoning_tokens: 12,
        },
      })
      await server.done()
    })
  }

  it('keeps a thought without a summary, for later', async () => {
    await start({ reply: { reasoning: '', text: 'Yes.' } })
    const answer = await ask()
    assert.deepEqual([answer.reasoning, answer.signature], ['', 'rs_scripted:sealed'])
  })

  it('says when the answer was cut, refused or came without usage', async () => {
    await start(
      { reply: { text: 'Well', finish_reason: 'length' } },
      { reply: { text: 'Well', usage: null } },
    )
    assert.equal((await ask()).finish?.reason, 'length')
    assert.equal((await ask(false)).finish?.usage, null)
  })

  it('passes log probabilities on', async () => {
    await start({ reply: { text: ['a', 'b'], logprobs: true } })
    const model = reasonerAt(server.url, { id: 'gpt-4.1' })
    const { finish } = await collect(model, request('Hi', { logprobs: { top: 2 } }))
    assert.deepEqual(
      finish?.logprobs?.content?.map(({ token, logprob }) => [token, logprob]),
      [
        ['a', -0.5],
        ['b', -0.5],
      ],
    )
    assert.equal(server.requests[0]?.body['top_logprobs'], 2)
  })

  describe('in trouble', () => {
    const event = (value: { type: string }) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`
    const failed = (code: string, message: string) => {
      const response = { status: 'failed', output: [], error: { code, message } }
      return event({ type: 'response.failed', response } as { type: string })
    }

    it('names provider, URL and cause', async () => {
      await start({
        reply: { status: 404, body: { error: { message: 'The model `gpt-5-mini` does not exist' } } },
      })
      const error = await failureOf(ask())
      assert.equal(
        error.message,
        `openai at ${server.url}/responses answered 404: The model \`gpt-5-mini\` does not exist. Check that the model is there, and base_url of provider 'openai'.`,
      )
    })

    it('asks again when the response failed at the provider, and not when it was a bad one', async () => {
      await start(
        { reply: { raw: failed('server_error', 'Oops') } },
        { reply: { text: 'ok' } },
        { reply: { raw: failed('invalid_prompt', 'No.') } },
      )
      assert.equal((await ask()).text, 'ok')
      assert.match((await failureOf(ask())).message, /broke off with an error: No\./)
      await server.done()
    })

    it('asks an account that is not verified for less, and remembers it', async () => {
      const refuse = (what: string): ScriptedStep => ({
        reply: {
          status: 400,
          body: { error: { message: `Your organization must be verified to ${what}.` } },
        },
      })
      await start(
        refuse('generate reasoning summaries'),
        refuse('stream this model'),
        { reply: { text: 'ok' } },
        { reply: { text: 'again' } },
        refuse('use this model'),
      )
      const model = reasonerAt(server.url)
      assert.equal((await collect(model, request('Hi'))).text, 'ok')
      assert.equal((await collect(model, request('Hi'))).text, 'again')
      await assert.rejects(collect(model, request('Hi')), /must be verified to use this model/)
      const sent = server.requests.map(({ body }) => [body['reasoning'], body.stream])
      assert.deepEqual(sent.slice(0, 4), [
        [{ summary: 'auto' }, true],
        [{}, true],
        [{}, undefined],
        [{}, undefined],
      ])
      await server.done()
    })

    it('recognises a conversation that is too long, also in a stream', async () => {
      const text = 'Your input exceeds the context window of this model.'
      await start({ reply: { raw: failed('context_length_exceeded', text) } })
      assert.equal((await failureOf(ask())).code, 'llm_context_window')
    })

    it('understands an error event of its own', async () => {
      const said = {
        type: 'error',
        code: 'rate_limit_exceeded',
        message: 'Slow down',
        param: null,
        sequence_number: 1,
      }
      await start({ reply: { raw: event(said) } }, { reply: { text: 'ok' } })
      assert.equal((await ask()).text, 'ok')
    })

    it('tells of a stream that ends in the middle, and of one that is none', async () => {
      await start(
        { reply: { text: ['one ', 'two'], cut_after: 4 } },
        { reply: { raw: '{"hello": 1}', content_type: 'application/json' } },
      )
      assert.equal((await failureOf(ask())).code, 'llm_connection')
      assert.match((await failureOf(ask())).message, /answered JSON that is no response: \{"hello": 1\}/)
    })
  })

  it('is tested with a double that the official client understands', async () => {
    await start({
      reply: {
        reasoning: 'Hm.',
        text: 'Noon.',
        tool_calls: [{ id: 'a', name: 'now', arguments: { zone: 'UTC' } }],
      },
    })
    const client = new OpenAI({ baseURL: server.url, apiKey: 'k', maxRetries: 0 })
    const response = await client.responses
      .stream({ model: 'gpt-5', store: false, input: [] })
      .finalResponse()
    assert.deepEqual(
      response.output.map((item) => item.type),
      ['reasoning', 'message', 'function_call'],
    )
    assert.equal(response.output_text, 'Noon.')
  })
})

describe('request for a response of OpenAI', () => {
  const thinks = (more: Partial<ModelMessage & { role: 'assistant' }> = {}): ModelMessage => ({
    role: 'assistant',
    content: [
      { type: 'reasoning', is_native: true, reasoning: 'Hm.', signature: 'rs_1:gAAA' },
      { type: 'omitted_reasoning', signature: 'rs_2:gBBB' },
      { type: 'text', text: 'Looking.' },
    ],
    tool_calls: [{ id: 'a', name: 'now', arguments: '' }],
    model: 'gpt-5-mini',
    ...more,
  })
  const image = {
    type: 'image' as const,
    source: { type: 'base64' as const, media_type: 'image/png', data: 'AAAA' },
  }
  const gives: ModelMessage = {
    role: 'tool',
    tool_call_id: 'a',
    name: 'now',
    content: [{ type: 'text', text: '12:00' }, image],
  }

  it('says the whole conversation, thoughts with what they led to', () => {
    const body = bodyOf(
      request([{ role: 'system', text: 'Be kind.' }, userSays('What time is it?'), thinks(), gives], {
        tools: [now],
        settings: { temperature: 0.2, max_tokens: 500, reasoning_effort: 'low', verbosity: 'high' },
      }),
    )
    assert.deepEqual(body, {
      model: 'gpt-5-mini',
      input: [
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be kind.' }] },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'What time is it?' }] },
        {
          type: 'reasoning',
          id: 'rs_1',
          summary: [{ type: 'summary_text', text: 'Hm.' }],
          encrypted_content: 'gAAA',
        },
        { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'gBBB' },
        { type: 'message', role: 'assistant', content: 'Looking.' },
        { type: 'function_call', call_id: 'a', name: 'now', arguments: '{}' },
        {
          type: 'function_call_output',
          call_id: 'a',
          output: [
            { type: 'input_text', text: '12:00' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
          ],
        },
      ],
      store: false,
      tools: [{ type: 'function', ...now, strict: false }],
      parallel_tool_calls: true,
      reasoning: { effort: 'low', summary: 'auto' },
      max_output_tokens: 500,
      text: { verbosity: 'high' },
      include: ['reasoning.encrypted_content'],
      stream: true,
    })
  })

  it('leaves out thoughts of another model, and those that led to nothing', () => {
    const items = (message: ModelMessage) => {
      const { input } = bodyOf(request([userSays('Hi'), message]))
      return Array.isArray(input) ? input.slice(1).map((item) => item.type) : []
    }
    const said = { tool_calls: [] }
    assert.deepEqual(items(thinks({ ...said, model: 'o3' })), ['message'])
    assert.deepEqual(items(thinks(said)), ['reasoning', 'reasoning', 'message'])
    const foreign = { type: 'reasoning', is_native: true, reasoning: 'x', signature: 'no key' } as const
    assert.deepEqual(items(thinks({ ...said, content: [foreign] })), [])
    const only = { type: 'reasoning', is_native: true, reasoning: 'x', signature: 'rs_1:g' } as const
    assert.deepEqual(items(thinks({ ...said, content: [only] })), [])
  })

  it('keeps the prefix byte for byte while the conversation grows', () => {
    const messages = [userSays('Hi'), thinks(), gives, thinks({ tool_calls: [] }), userSays('More')]
    const inputs = [1, 3, 5].map((end) => bodyOf(request(messages.slice(0, end))).input as unknown[])
    for (const [i, input] of inputs.entries()) {
      const before = inputs[i - 1] ?? []
      assert.equal(JSON.stringify(input.slice(0, before.length)), JSON.stringify(before))
    }
  })

  it('chooses tools, strict ones too, and a form of the answer', () => {
    const asked = (more: Partial<ModelRequest>) => bodyOf(request('Hi', { tools: [now], ...more }))
    assert.equal(asked({}).tool_choice, undefined)
    assert.equal(asked({ tool_choice: 'required' }).tool_choice, 'required')
    assert.deepEqual(asked({ tool_choice: { name: 'now' } }).tool_choice, { type: 'function', name: 'now' })
    assert.equal(asked({ parallel_tool_calls: false }).parallel_tool_calls, false)
    const optional = { ...now, parameters: { ...now.parameters, required: [] } }
    const strict = asked({ tools: [now, optional], settings: { temperature: 1, strict: true } })
    assert.deepEqual(
      strict.tools?.map((tool) => tool.type === 'function' && tool.strict),
      [true, false],
    )
    const schema = { type: 'object' }
    const format = { type: 'json_schema' as const, json_schema: { name: 'form', schema, strict: true } }
    assert.deepEqual(asked({ settings: { temperature: 1, response_format: format } }).text?.format, {
      type: 'json_schema',
      name: 'form',
      schema,
      strict: true,
    })
    assert.deepEqual(asked({ settings: { temperature: 1, response_format: { type: 'json_object' } } }).text, {
      format: { type: 'json_object' },
    })
  })

  it('asks models that do not reason for no reasoning', () => {
    const body = bodyOf(request('Hi', { settings: { temperature: 0.3 } }), 'gpt-4.1')
    assert.deepEqual([body.reasoning, body.include, body.temperature], [undefined, undefined, 0.3])
  })

  it('is used for the models of OpenAI that reason, and where the configuration says so', () => {
    const api = (id: string, more: Partial<ProviderConfig> = {}) => {
      const provider = providerAt('https://api.openai.com/v1', more)
      return apiOf(provider, describeModel(provider, { id }))
    }
    assert.equal(api('o3'), 'responses')
    assert.equal(api('gpt-5.2-codex'), 'responses')
    assert.equal(api('gpt-4.1'), 'chat')
    assert.equal(api('gpt-5', { base_url: 'https://gateway.example.test/v1' }), 'chat')
    assert.equal(api('gpt-5', { base_url: 'https://gateway.example.test/v1', api: 'responses' }), 'responses')
    assert.equal(api('gpt-5', { api: 'chat' }), 'chat')
    assert.equal(api('claude-opus-5', { provider_type: 'anthropic' }), 'messages')
    assert.equal(api('claude-opus-5', { provider_type: 'openrouter' }), 'chat')
    assert.equal(api('glm-5', { provider_type: 'zai', api: 'messages' }), 'messages')
  })
})
