import assert from 'node:assert/strict'
import { collect, failureOf, modelAt, request } from '../support/model-fixtures.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import type { ScriptedModel, ScriptedModelOptions, ScriptedStep } from '../support/scripted-model.ts'

describe('openai-compatible model', () => {
  let server: ScriptedModel
  const start = async (steps: ScriptedStep[], options?: ScriptedModelOptions) =>
    (server = await startScriptedModel(steps, options))
  afterEach(() => server.close())

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

  it('names provider, URL and cause of a refused key, never the key', async () => {
    await start([
      { reply: { status: 401, body: { error: { message: 'Incorrect API key provided: sk-secret-key' } } } },
    ])
    const error = await failureOf(collect(modelAt(server.url), request('Hi')))
    assert.equal(error.code, 'llm_authentication')
    assert.equal(
      error.message,
      `openai at ${server.url}/chat/completions answered 401: Incorrect API key provided: ***. Check the key of provider 'openai'.`,
    )
    await server.done()
  })
})
