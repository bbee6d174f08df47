/** `model_settings` of every provider type: taken, answered as V1 does (held against its contract), and meant. */
import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { type ContractTest, startContractTest } from '../support/contract.ts'

type Settings = NonNullable<Letta.AgentCreateParams['model_settings']>
type Answered = Record<string, unknown> | null | undefined

describe('model_settings', () => {
  let t: ContractTest
  before(async () => (t = await startContractTest()))
  after(() => t.close())

  const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
  const format = { type: 'json_schema' as const, json_schema: { name: 'form', schema } }
  const cases: { asked: Settings; answers: Record<string, unknown>; config: Partial<Letta.LlmConfig> }[] = [
    {
      asked: {
        provider_type: 'openai',
        reasoning: { reasoning_effort: 'high' },
        strict: true,
        response_format: format,
      },
      answers: {
        reasoning: { reasoning_effort: 'high' },
        strict: true,
        response_format: format,
        max_output_tokens: 4096,
      },
      config: { reasoning_effort: 'high', strict: true, response_format: format },
    },
    {
      asked: { provider_type: 'openai', temperature: 0.1, max_output_tokens: 99, parallel_tool_calls: false },
      answers: {
        reasoning: { reasoning_effort: 'minimal' },
        strict: false,
        response_format: null,
        temperature: 0.1,
      },
      config: { temperature: 0.1, max_tokens: 99, parallel_tool_calls: false },
    },
    {
      asked: {
        provider_type: 'anthropic',
        thinking: { type: 'enabled', budget_tokens: 5000 },
        effort: 'max',
        verbosity: 'low',
      },
      answers: {
        thinking: { type: 'enabled', budget_tokens: 5000 },
        effort: 'max',
        verbosity: 'low',
        strict: false,
        response_format: null,
        parallel_tool_calls: true,
      },
      config: { enable_reasoner: true, max_reasoning_tokens: 5000, effort: 'max', verbosity: 'low' },
    },
    {
      asked: { provider_type: 'anthropic', thinking: { type: 'disabled' } },
      answers: { thinking: { type: 'disabled', budget_tokens: 1024 }, effort: null },
      config: { enable_reasoner: false, max_reasoning_tokens: 0 },
    },
    {
      asked: {
        provider_type: 'google_ai',
        thinking_config: { include_thoughts: true, thinking_budget: 2048 },
        response_schema: format,
      },
      answers: {
        thinking_config: { include_thoughts: true, thinking_budget: 2048 },
        response_schema: format,
        max_output_tokens: 65_536,
      },
      config: { max_reasoning_tokens: 2048, response_format: format },
    },
    {
      asked: { provider_type: 'google_vertex', thinking_config: { include_thoughts: false } },
      answers: { thinking_config: { include_thoughts: false, thinking_budget: 1024 }, response_schema: null },
      config: { max_reasoning_tokens: 0, enable_reasoner: false },
    },
    {
      asked: { provider_type: 'zai', thinking: { type: 'disabled', clear_thinking: true } },
      answers: { thinking: { type: 'disabled', clear_thinking: true }, response_format: null },
      config: { enable_reasoner: false },
    },
    {
      asked: { provider_type: 'sglang', tool_call_parser: 'qwen25' },
      answers: { tool_call_parser: 'qwen25', reasoning: { reasoning_effort: 'minimal' }, strict: false },
      config: { tool_call_parser: 'qwen25' },
    },
    {
      asked: { provider_type: 'chatgpt_oauth', reasoning: { reasoning_effort: 'low' } },
      answers: { reasoning: { reasoning_effort: 'low' } },
      config: { reasoning_effort: 'low' },
    },
    ...(['azure', 'xai', 'groq', 'deepseek', 'together', 'bedrock', 'openrouter'] as const).map(
      (provider_type) => ({
        asked: { provider_type, response_format: format },
        answers: {
          provider_type,
          response_format: format,
          max_output_tokens: 4096,
          parallel_tool_calls: true,
        },
        config: { response_format: format },
      }),
    ),
  ]
  for (const { asked, answers, config } of cases)
    it(`of ${asked.provider_type}: ${JSON.stringify(asked).slice(0, 60)}`, async () => {
      const agent = await t.newAgent({ model_settings: asked })
      await t.recorder.verify()
      assert.equal(agent.model_settings?.provider_type, asked.provider_type)
      assert.deepEqual(pick(agent.model_settings as Answered, answers), answers)
      assert.deepEqual(pick(agent.llm_config as unknown as Answered, config), config)
    })

  it('may be said in the older words', async () => {
    const asked = { provider_type: 'anthropic' } as const
    const agent = await t.newAgent({
      model_settings: asked,
      enable_reasoner: true,
      max_reasoning_tokens: 4000,
    })
    assert.deepEqual((agent.model_settings as Answered)?.['thinking'], {
      type: 'enabled',
      budget_tokens: 4000,
    })
    const silent = await t.newAgent({ model_settings: asked, enable_reasoner: false })
    assert.equal(silent.llm_config.enable_reasoner, false)
  })

  it('of types that came after V1 are taken as they are', async () => {
    const asked = { provider_type: 'moonshot', temperature: 0.4, own: { deep: [1] } } as Settings
    const { status, body } = await plain({ model: 'openai/test-model', model_settings: asked })
    assert.equal(status, 200)
    const { model_settings, llm_config } = body as Record<string, Record<string, unknown>>
    assert.deepEqual(pick(model_settings, { ...asked }), asked)
    assert.equal(llm_config?.['temperature'], 0.4)
  })

  it('outlive changes of other fields, and answer for them', async () => {
    const { id } = await t.newAgent({
      model_settings: { provider_type: 'anthropic', thinking: { budget_tokens: 3000 }, effort: 'high' },
    })
    const narrower = await t.letta.agents.update(id, {
      parallel_tool_calls: false,
      max_tokens: 77,
      response_format: format,
    })
    const kept = {
      effort: 'high',
      parallel_tool_calls: false,
      max_output_tokens: 77,
      response_format: format,
    }
    assert.deepEqual(pick(narrower.model_settings as Answered, kept), kept)
    assert.deepEqual((narrower.model_settings as Answered)?.['thinking'], {
      type: 'enabled',
      budget_tokens: 3000,
    })
    assert.deepEqual(narrower.response_format, format)
    const freed = await t.letta.agents.update(id, {
      model_settings: { provider_type: 'anthropic', response_format: null },
    })
    assert.equal(freed.response_format, null)
    assert.equal((freed.model_settings as Answered)?.['effort'], 'high')
  })

  it('reach the model, those of the request before those of the agent', async () => {
    t.model.add({ reply: { text: 'Yes.' } })
    const agent = await t.newAgent({
      model_settings: {
        provider_type: 'openai',
        temperature: 0.2,
        max_output_tokens: 50,
        reasoning: { reasoning_effort: 'low' },
        response_format: format,
      },
      parallel_tool_calls: false,
    })
    await t.letta.agents.messages.create(agent.id, { input: 'Hi' })
    const sent = {
      temperature: 0.2,
      max_tokens: 50,
      reasoning_effort: 'low',
      response_format: format,
      parallel_tool_calls: false,
    }
    assert.deepEqual(pick(t.model.requests.at(-1)?.body, sent), sent)
  })

  it('override_model names one that is there, for one request', async () => {
    const agent = await t.newAgent()
    const { status, body } = await plain(
      { input: 'Hi', override_model: 'openai/none' },
      `/${agent.id}/messages`,
    )
    assert.equal(status, 404)
    assert.match(JSON.stringify(body), /There is no model 'openai\/none'/)
    const answer = await t.letta.agents.messages.create(agent.id, {
      input: 'Hi',
      override_model: 'loci/demo',
    })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    const runs = await t.letta.runs.list({ agent_id: agent.id })
    assert.equal(runs.items.length, 1, 'the refused request began no run')
    const steps = await t.letta.steps.list({ agent_id: agent.id })
    assert.equal(steps.items[0]?.model, 'demo')
    assert.equal((await t.letta.agents.retrieve(agent.id)).model, 'openai/test-model')
  })

  const plain = (body: unknown, path = '/') => t.loci.http('POST', `/v1/agents${path}`, body)
})

function pick(from: Answered, like: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(like).map((key) => [key, from?.[key]]))
}
