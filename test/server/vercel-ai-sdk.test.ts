import assert from 'node:assert/strict'
import { createLetta } from '@letta-ai/vercel-ai-sdk-provider'
import { generateText, streamText } from 'ai'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const INSERT = {
  name: 'memory_insert',
  arguments: { label: 'human', new_string: 'Name: Ada', insert_line: -1 },
}

describe('the Vercel AI SDK with its Letta provider', () => {
  let model: ScriptedModel
  let t: TestLoci
  let agent_id: string
  let provider: ReturnType<typeof createLetta>

  before(async () => {
    model = await startScriptedModel([
      { reply: { tool_calls: [INSERT] } },
      { reply: { text: 'Hello Ada.' } },
      {
        reply: {
          tool_calls: [{ ...INSERT, arguments: { ...INSERT.arguments, new_string: 'City: London' } }],
        },
      },
      { reply: { text: 'So you live in London.' } },
    ])
    t = await startLoci({ model_url: model.url })
    provider = createLetta({ baseUrl: t.url, token: 'unused' })
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: '' }],
    })
    agent_id = agent.id
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  const options = (more: object = {}) => ({ letta: { agent: { id: agent_id, ...more } } })

  it('generates text', async () => {
    const result = await generateText({
      model: provider(),
      tools: { memory_insert: provider.tool('memory_insert') },
      providerOptions: options(),
      prompt: 'My name is Ada',
    })
    assert.equal(result.text, 'Hello Ada.')
    assert.equal(result.finishReason, 'stop')
    const calls = result.content.filter((part) => part.type === 'tool-call')
    assert.deepEqual(
      calls.map((part) => part.toolName),
      ['memory_insert'],
    )
  })

  it('streams text and tool calls', async () => {
    const result = streamText({
      model: provider(),
      tools: { memory_insert: provider.tool('memory_insert') },
      providerOptions: options({ streamTokens: true }),
      prompt: 'I live in London',
    })
    const parts: { type: string; toolName?: string; text?: string }[] = []
    for await (const part of result.fullStream) parts.push(part)
    assert.deepEqual(
      parts.filter((part) => part.type === 'error'),
      [],
    )
    const texts = parts.filter((part) => part.type === 'text-delta').map((part) => part.text)
    assert.equal(texts.join(''), 'So you live in London.')
    const named = (type: string) => parts.filter((part) => part.type === type).map((part) => part.toolName)
    assert.deepEqual(named('tool-call'), ['memory_insert'])
    // The SDK reports the provider's result and that of its own stand-in for the tool.
    assert.deepEqual([...new Set(named('tool-result'))], ['memory_insert'])
    assert.equal(await result.finishReason, 'stop')
  })
})
