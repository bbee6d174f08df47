import assert from 'node:assert/strict'
import type { ModelMessage, ModelRequest } from '../../shared/core/ports/models.ts'
import { describeModel } from '../../shared/models/describe.ts'
import { toChatBody } from '../../shared/models/openai-request.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { collect, modelAt, providerAt, reasonerAt, request, userSays } from '../support/model-fixtures.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

const tool = {
  name: 'now',
  description: 'The time.',
  parameters: { type: 'object' as const, properties: {}, required: [] },
}

function bodyOf(
  asked: ModelRequest,
  more: Partial<ProviderConfig> = {},
  options: { id?: string; stream?: boolean } = {},
) {
  const provider = providerAt('http://127.0.0.1:1/v1', more)
  const model = describeModel(provider, { id: options.id ?? 'test-model' })
  return toChatBody(asked, provider, model, options.stream ?? true)
}
const official = { base_url: 'https://api.openai.com/v1' }

describe('chat completion request', () => {
  it('has system messages anywhere for OpenAI, elsewhere only the first: templates refuse later ones', () => {
    const messages: ModelMessage[] = [
      { role: 'system', text: 'Be kind.' },
      { role: 'system', text: 'Agent B asks.' },
    ]
    assert.deepEqual(bodyOf(request(messages)).messages, [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: '<system>\nAgent B asks.\n</system>' },
    ])
    assert.deepEqual(bodyOf(request(messages), official).messages, [
      { role: 'system', content: 'Be kind.' },
      { role: 'system', content: 'Agent B asks.' },
    ])
  })

  it('says the whole conversation, calls and results included', () => {
    const messages: ModelMessage[] = [
      { role: 'system', text: 'Be kind.' },
      userSays('What time is it?'),
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', is_native: true, reasoning: 'I must look.' },
          { type: 'text', text: 'Looking.' },
        ],
        tool_calls: [
          { id: 'a', name: 'now', arguments: '{"zone":"UTC"}' },
          { id: 'b', name: 'now', arguments: '' },
        ],
      },
      { role: 'tool', tool_call_id: 'a', name: 'now', content: '12:00' },
      { role: 'tool', tool_call_id: 'b', name: 'now', content: [{ type: 'text', text: '13:00' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'Noon.' }], tool_calls: [] },
    ]
    const body = bodyOf(request(messages, { tools: [tool] }))
    assert.deepEqual(body, {
      model: 'test-model',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'What time is it?' },
        {
          role: 'assistant',
          content: 'Looking.',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'now', arguments: '{"zone":"UTC"}' } },
            { id: 'b', type: 'function', function: { name: 'now', arguments: '{}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: '12:00' },
        { role: 'tool', tool_call_id: 'b', content: '13:00' },
        { role: 'assistant', content: 'Noon.' },
      ],
      tools: [{ type: 'function', function: tool }],
      temperature: 1,
      stream: true,
      stream_options: { include_usage: true },
    })
  })

  it('shows images, and those of tools after the last result', () => {
    const image = {
      type: 'image' as const,
      source: { type: 'base64' as const, media_type: 'image/png', data: 'AAAA' },
    }
    const link = {
      type: 'image' as const,
      source: { type: 'url' as const, url: 'https://example.test/a.png' },
    }
    const body = bodyOf(
      request([
        { role: 'user', content: [{ type: 'text', text: 'See' }, image, link], name: null },
        {
          role: 'assistant',
          content: [],
          tool_calls: [
            { id: 'a', name: 'shot', arguments: '{}' },
            { id: 'b', name: 'now', arguments: '{}' },
          ],
        },
        { role: 'tool', tool_call_id: 'a', name: 'shot', content: [{ type: 'text', text: 'done' }, image] },
        { role: 'tool', tool_call_id: 'b', name: 'now', content: '12:00' },
      ]),
    )
    const shown = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    assert.deepEqual(body.messages, [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'See' },
          shown,
          { type: 'image_url', image_url: { url: 'https://example.test/a.png' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'shot', arguments: '{}' } },
          { id: 'b', type: 'function', function: { name: 'now', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'done' },
      { role: 'tool', tool_call_id: 'b', content: '12:00' },
      { role: 'user', content: [{ type: 'text', text: 'Images returned by shot:' }, shown] },
    ])
  })

  it('chooses tools as asked', () => {
    const choice = (tool_choice: ModelRequest['tool_choice'], tools = [tool]) =>
      bodyOf(request('Hi', { tools, tool_choice, parallel_tool_calls: false }))
    assert.equal(choice('auto').tool_choice, undefined)
    assert.equal(choice('required').tool_choice, 'required')
    assert.equal(choice('none').tool_choice, 'none')
    assert.deepEqual(choice({ name: 'now' }).tool_choice, { type: 'function', function: { name: 'now' } })
    assert.equal(choice('auto').parallel_tool_calls, false)
    const none = choice('required', [])
    assert.ok(!('tools' in none) && !('tool_choice' in none) && !('parallel_tool_calls' in none))
  })

  it('speaks to each provider as it likes it', () => {
    const asked = request('Hi', { settings: { temperature: 0.5, max_tokens: 10, reasoning_effort: 'low' } })
    const pick = (body: Record<string, unknown>) =>
      ['temperature', 'max_tokens', 'max_completion_tokens', 'reasoning_effort'].map((key) => body[key])
    assert.deepEqual(pick(bodyOf(asked)), [0.5, 10, undefined, 'low'])
    assert.deepEqual(pick(bodyOf(asked, official, { id: 'gpt-4o' })), [0.5, undefined, 10, undefined])
    assert.deepEqual(pick(bodyOf(asked, official, { id: 'gpt-5-mini' })), [undefined, undefined, 10, 'low'])
    assert.equal(bodyOf(asked, { provider_type: 'mistral' }).stream_options, undefined)
    assert.equal(bodyOf(asked, {}, { stream: false }).stream, undefined)
  })

  it('gives DeepSeek the thoughts behind its calls back', () => {
    const thinking: ModelMessage = {
      role: 'assistant',
      content: [{ type: 'reasoning', is_native: true, reasoning: 'Hm.' }],
      tool_calls: [{ id: 'a', name: 'now', arguments: '{}' }],
    }
    const messages = (type: ProviderConfig['provider_type']) =>
      bodyOf(request([thinking]), { provider_type: type }).messages as Record<string, unknown>[]
    assert.equal(messages('deepseek')[0]?.reasoning_content, 'Hm.')
    assert.equal(messages('openai')[0]?.reasoning_content, undefined)
    assert.equal(messages('openai')[0]?.content, null)
  })

  it('gives Gemini its signatures back, and nobody else', () => {
    const calling: ModelMessage = {
      role: 'assistant',
      content: [],
      tool_calls: [{ id: 'a', name: 'now', arguments: '{}', signature: 'sig' }],
    }
    const extra = (type: ProviderConfig['provider_type']) => {
      const [message] = bodyOf(request([calling]), { provider_type: type }).messages as Record<
        string,
        unknown
      >[]
      const calls = message?.tool_calls as Record<string, unknown>[] | undefined
      return calls?.[0]?.extra_content
    }
    assert.deepEqual(extra('google_ai'), { google: { thought_signature: 'sig' } })
    assert.equal(extra('openai'), undefined)
  })

  it('asks for thinking, verbosity and strict calls only where they are known', () => {
    const settings = { temperature: 1, max_reasoning_tokens: 2048, verbosity: 'low', strict: true } as const
    const asked = request('Hi', { tools: [tool], settings })
    const plain = bodyOf(asked)
    assert.deepEqual(plain.tools, [{ type: 'function', function: tool }])
    assert.ok(!('verbosity' in plain) && !('extra_body' in plain) && !('thinking' in plain))
    assert.deepEqual(bodyOf(asked, { provider_type: 'google_ai' }).extra_body, {
      google: { thinking_config: { thinking_budget: 2048 } },
    })
    const own = bodyOf(asked, official, { id: 'gpt-5-mini' })
    assert.equal(own.verbosity, 'low')
    const parameters = { ...tool.parameters, additionalProperties: false }
    assert.deepEqual(own.tools, [{ type: 'function', function: { ...tool, parameters, strict: true } }])
    const off = request('Hi', {
      settings: { temperature: 1, enable_reasoner: false, frequency_penalty: 0.5 },
    })
    assert.deepEqual(bodyOf(off, { provider_type: 'zai' }).thinking, { type: 'disabled' })
    assert.equal(bodyOf(off).frequency_penalty, 0.5)
  })

  it('asks for a response format', () => {
    const format = { type: 'json_schema' as const, json_schema: { name: 'a', schema: {} } }
    const asked = (response_format: ModelRequest['settings']['response_format']) =>
      bodyOf(request('Hi', { settings: { temperature: 1, response_format } })).response_format
    assert.deepEqual(asked(format), format)
    assert.equal(asked({ type: 'text' }), undefined)
    assert.equal(asked(null), undefined)
  })

  it('is byte-identical for equal requests, and carries the key and headers of its own provider only', async () => {
    const before = process.env.OPENAI_ORG_ID
    process.env.OPENAI_ORG_ID = 'org-of-somebody'
    const server = await startScriptedModel([{ reply: { text: 'a' } }, { reply: { text: 'b' } }])
    try {
      const model = modelAt(server.url, { headers: { 'x-team': 'blue' } })
      await collect(model, request('Hi', { tools: [tool] }))
      await collect(model, request('Hi', { tools: [tool] }))
      const [one, two] = server.requests
      assert.ok(one && two && one.bytes.equals(two.bytes))
      assert.equal(one.headers.authorization, 'Bearer sk-secret-key')
      assert.equal(one.headers['x-team'], 'blue')
      assert.equal(one.headers['openai-organization'], undefined)
      await server.done()
    } finally {
      if (before === undefined) delete process.env.OPENAI_ORG_ID
      else process.env.OPENAI_ORG_ID = before
      await server.close()
    }
  })

  it('goes to the deployment on Azure', async () => {
    const server = await startScriptedModel()
    try {
      const root = server.url.replace(/\/v1$/, '')
      for (const [api_version, path] of [
        ['2024-10-21', `/openai/deployments/test-model/chat/completions`],
        [null, `/openai/v1/chat/completions`],
        ['2024-10-21', `/openai/v1/responses`],
      ] as const) {
        const azure = { provider_type: 'azure' as const, api_version }
        const model = path.endsWith('/responses')
          ? reasonerAt(root, { provider: azure })
          : modelAt(root, azure)
        await assert.rejects(collect(model, request('Hi')), (error: Error) => {
          assert.ok(
            error.message.includes(`${root}${path} answered 404: no route POST ${path}`),
            error.message,
          )
          return true
        })
      }
    } finally {
      await server.close()
    }
  })
})
