/** A whole turn through the REST server, by every protocol: thoughts, tools, images, and the prefix as it was sent. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLoci, type TestLoci } from '../support/loci.ts'
import type { ChatBody } from '../support/model-wire.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

interface Protocol {
  name: string
  handle: string
  models: string[]
  provider: (url: string) => Record<string, unknown>
  path: string
}

const PROTOCOLS: Protocol[] = [
  {
    name: "Anthropic's messages",
    handle: 'anthropic/claude-sonnet-4-5',
    models: ['claude-sonnet-4-5'],
    provider: (url) => ({ name: 'anthropic', provider_type: 'anthropic', base_url: url, api_key: 'k' }),
    path: '/v1/messages',
  },
  {
    name: "OpenAI's Responses",
    handle: 'work/gpt-5-mini',
    models: ['gpt-5-mini'],
    provider: (url) => ({
      name: 'work',
      provider_type: 'openai',
      base_url: url,
      api_key: 'k',
      api: 'responses',
    }),
    path: '/v1/responses',
  },
]

for (const protocol of PROTOCOLS)
  describe(`a turn by ${protocol.name}`, () => {
    let model: ScriptedModel
    let loci: TestLoci
    let data: string
    beforeEach(async () => {
      model = await startScriptedModel([], { models: protocol.models })
      data = await mkdtemp(join(tmpdir(), 'loci-test-'))
      await writeFile(
        join(data, 'config.json'),
        JSON.stringify({ providers: [protocol.provider(model.url)] }),
      )
      loci = await startLoci({ data })
    })
    afterEach(async () => {
      await loci.close()
      await model.close()
      await rm(data, { recursive: true, force: true })
    })
    const newAgent = () =>
      loci.letta.agents.create({
        model: protocol.handle,
        memory_blocks: [{ label: 'human', value: 'Nothing is known.' }],
      })

    it('thinks between its tool calls, keeps its thoughts, and shows them', async () => {
      model.add(
        {
          reply: {
            reasoning: ['I should ', 'note it.'],
            signature: 'seal-1',
            tool_calls: [
              { name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } },
              { name: 'conversation_search', arguments: { query: 'tea' } },
            ],
          },
        },
        { reply: { reasoning: 'Done.', signature: 'seal-2', text: ['Noted', '.'] } },
        { reply: { text: 'You like tea.' } },
      )
      const agent = await newAgent()
      const image = {
        type: 'image' as const,
        source: { type: 'base64' as const, media_type: 'image/png', data: PNG },
      }
      const first = await loci.letta.agents.messages.create(agent.id, {
        messages: [{ role: 'user', content: [{ type: 'text', text: 'I like this.' }, image] }],
      })
      assert.deepEqual(
        first.messages.map((message) => message.message_type),
        [
          'reasoning_message',
          'tool_call_message',
          'tool_return_message',
          'tool_return_message',
          'reasoning_message',
          'assistant_message',
        ],
      )
      const thought = first.messages[0]
      assert.equal(thought?.message_type === 'reasoning_message' && thought.reasoning, 'I should note it.')
      assert.equal(first.stop_reason.stop_reason, 'end_turn')
      await loci.letta.agents.messages.create(agent.id, { input: 'What do I like?' })
      await model.done()
      const bodies = model.requests.map((request) => {
        assert.equal(request.path, protocol.path)
        return request.body
      })
      const [one, two, three] = bodies.map(conversationOf)
      assert.ok(one && two && three)
      // Within the turn the prefix is the same, byte for byte; the next one has a new memory block before it.
      assert.equal(JSON.stringify(two.slice(0, one.length)), JSON.stringify(one))
      assert.equal(JSON.stringify(three.slice(1, two.length)), JSON.stringify(two.slice(1)))
      const text = JSON.stringify(bodies)
      for (const seal of ['seal-1', 'seal-2', PNG]) assert.ok(text.includes(seal), seal)
      assert.deepEqual(loci.failures, [])
    })

    it('streams thoughts, words and arguments as they come', async () => {
      model.add(
        {
          reply: {
            reasoning: ['Hm', 'm.'],
            tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }],
          },
        },
        { reply: { text: ['Not', 'ed.'] } },
      )
      const agent = await newAgent()
      const stream = await loci.letta.agents.messages.stream(agent.id, {
        input: 'I like tea.',
        stream_tokens: true,
      })
      const seen: Record<string, number> = {}
      let text = ''
      for await (const item of stream) {
        const type = String(item.message_type)
        seen[type] = (seen[type] ?? 0) + 1
        if (item.message_type === 'assistant_message' && typeof item.content === 'string')
          text += item.content
      }
      assert.equal(text, 'Noted.')
      assert.equal(seen['reasoning_message'], 2)
      assert.ok((seen['tool_call_message'] ?? 0) > 2)
      assert.equal(seen['stop_reason'], 1)
      await model.done()
    })

    it('shows beforehand what it sends', async () => {
      model.add({ reply: { text: 'Hi.' } })
      const agent = await newAgent()
      const path = `/v1/agents/${agent.id}/messages`
      const preview = await loci.http('POST', `${path}/preview-raw-payload`, { input: 'Hello' })
      assert.equal(preview.status, 200)
      await loci.letta.agents.messages.create(agent.id, { input: 'Hello' })
      assert.deepEqual(preview.body, model.requests[0]?.body)
    })

    it('tells of thoughts that are kept from it, also in a stream', async () => {
      const hidden = protocol.path === '/v1/messages' ? { redacted: 'dark' } : { reasoning: '' }
      model.add({ reply: { ...hidden, text: 'Yes.' } })
      const agent = await newAgent()
      const stream = await loci.letta.agents.messages.stream(agent.id, { input: 'So?', stream_tokens: true })
      const states: string[] = []
      for await (const item of stream)
        if (item.message_type === 'hidden_reasoning_message') states.push(item.state)
      const wanted = protocol.path === '/v1/messages' ? ['redacted'] : ['omitted']
      assert.deepEqual(states, wanted)
      const { items } = await loci.letta.agents.messages.list(agent.id)
      const listed = items.flatMap((m) => (m.message_type === 'hidden_reasoning_message' ? [m.state] : []))
      assert.deepEqual(listed, wanted)
    })

    it('lives with a model that repeats ids, sends half a JSON and forgets its usage', async () => {
      const half = { id: 'same', name: 'conversation_search', arguments: '{"query": "te' }
      model.add(
        { reply: { tool_calls: [half, { ...half, arguments: { query: 'tea' } }], usage: null } },
        { reply: { tool_calls: [{ ...half, name: 'no such tool' }], usage: null } },
        { reply: { text: 'Sorry.', usage: null } },
        { reply: { text: 'Better.' } },
      )
      const agent = await newAgent()
      const stream = await loci.letta.agents.messages.stream(agent.id, { input: 'Tea?', stream_tokens: true })
      const ends: string[] = []
      for await (const item of stream) if (item.message_type === 'stop_reason') ends.push(item.stop_reason)
      assert.deepEqual(ends, ['end_turn'])
      const listed = await loci.letta.agents.messages.list(agent.id, { order: 'asc' })
      const returns = listed.items.flatMap((m) =>
        m.message_type === 'tool_return_message' ? [m.status] : [],
      )
      assert.deepEqual(returns, ['error', 'success', 'error'])
      await loci.letta.agents.messages.create(agent.id, { input: 'Again' })
      await model.done()
    })
  })

/** What of a request is the conversation, in order, without the marks that are no part of it. */
function conversationOf(body: ChatBody): unknown[] {
  const plain = JSON.parse(
    JSON.stringify(body, (key, value: unknown) => (key === 'cache_control' ? undefined : value)),
  )
  const { system, messages, input } = plain as Record<string, unknown[] | undefined>
  return input ?? [system, ...(messages ?? [])]
}
