/** The official client of Anthropic against agents. */
import Anthropic, {
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  UnprocessableEntityError,
} from '@anthropic-ai/sdk'
import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('agents as models of Anthropic', () => {
  let t: TestLoci
  let model: ScriptedModel
  let anthropic: Anthropic
  let sam: string
  withLociEach((started) => ({ t, model } = started))
  beforeEach(async () => {
    anthropic = new Anthropic({ baseURL: `${t.url}/anthropic`, apiKey: 'none', maxRetries: 0 })
    const made = await t.letta.agents.create({
      name: 'sam',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada' }],
    })
    sam = made.id
  })
  const REMEMBER = { name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }
  const HI: Anthropic.MessageParam[] = [{ role: 'user', content: 'Hi' }]
  const sent = { model: 'sam', max_tokens: 1000, messages: HI }
  const THINKING = { type: 'enabled', budget_tokens: 1024 } as const

  it('answer, and keep what was said', async () => {
    model.add(
      { reply: { text: 'Hello.', reasoning: 'Hm.' } },
      {
        expect: ({ messages }) =>
          assert.deepEqual(
            messages.slice(1).map(({ content }) => content),
            ['Hi', 'Hello.', 'Who am I?'],
          ),
        reply: { text: 'Ada.' },
      },
    )
    const first = await anthropic.messages.create(sent)
    assert.deepEqual(first.content, [{ type: 'text', text: 'Hello.', citations: null }])
    assert.deepEqual([first.stop_reason, first.role, first.model], ['end_turn', 'assistant', 'sam'])
    assert.ok(first.usage.input_tokens > 0 && first.usage.output_tokens > 0)
    const second = await anthropic.messages.create({
      ...sent,
      model: sam,
      system: 'You are somebody else.',
      messages: [
        ...HI,
        { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'text', text: 'Who am I?' }] },
      ],
    })
    assert.deepEqual(
      second.content.map((part) => part.type === 'text' && part.text),
      ['Ada.'],
    )
  })

  it('stream, with thoughts and their own calls when thinking is on', async () => {
    model.add(
      { reply: { reasoning: ['Te', 'a!'], text: ['One ', 'moment.'], tool_calls: [REMEMBER] } },
      { reply: { text: ['Not', 'ed.'] } },
    )
    const stream = anthropic.messages.stream({ ...sent, thinking: THINKING })
    const deltas: string[] = []
    stream.on('text', (delta) => deltas.push(delta))
    const final = await stream.finalMessage()
    assert.deepEqual(deltas, ['One ', 'moment.', 'Not', 'ed.'])
    assert.deepEqual(
      final.content.map((part) => part.type),
      ['thinking', 'text', 'thinking', 'text'],
    )
    const [thought, , call] = final.content
    assert.ok(thought?.type === 'thinking' && call?.type === 'thinking')
    assert.equal(thought.thinking, 'Tea!')
    assert.match(call.thinking, /^\[memory_insert \{/)
    assert.equal(final.stop_reason, 'end_turn')
    assert.ok(final.usage.output_tokens > 0)
  })

  const tools: Anthropic.Tool[] = [
    {
      name: 'get_weather',
      description: 'The weather of a city',
      input_schema: { type: 'object', properties: { city: { type: 'string' } } },
    },
  ]
  for (const streamed of [false, true])
    it(`call the tools of the client${streamed ? ', streamed' : ''}, which sends what they return`, async () => {
      model.add({
        reply: { tool_calls: [{ id: 'call_w', name: 'get_weather', arguments: { city: 'Rome' } }] },
      })
      const asked = streamed
        ? await anthropic.messages.stream({ ...sent, tools }).finalMessage()
        : await anthropic.messages.create({ ...sent, tools })
      assert.equal(asked.stop_reason, 'tool_use')
      const [use] = asked.content
      assert.ok(use?.type === 'tool_use')
      assert.deepEqual([use.name, use.input], ['get_weather', { city: 'Rome' }])
      model.add({
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /no such city/),
        reply: { text: 'I cannot say.' },
      })
      const failed = {
        type: 'tool_result',
        tool_use_id: use.id,
        content: 'no such city',
        is_error: true,
      } as const
      const told = await anthropic.messages.create({
        ...sent,
        tools,
        messages: [...HI, { role: 'assistant', content: asked.content }, { role: 'user', content: [failed] }],
      })
      assert.equal(told.stop_reason, 'end_turn')
      const { items } = await t.letta.agents.messages.list(sam)
      const returned = items.find(({ message_type }) => message_type === 'tool_return_message')
      assert.ok(returned?.message_type === 'tool_return_message' && returned.status === 'error')
    })

  it('go on when the client has dropped the call of its tool', async () => {
    model.add({ reply: { tool_calls: [{ id: 'call_w', name: 'get_weather', arguments: {} }] } })
    await anthropic.messages.create({ ...sent, tools })
    model.add({ reply: { text: 'Hello again.' } })
    const [said] = (await anthropic.messages.create(sent)).content
    assert.ok(said?.type === 'text' && said.text === 'Hello again.')
  })

  it('know who speaks, and keep nothing with store: false', async () => {
    model.add({ reply: { text: 'Hello.' } }, { reply: { text: 'Ho.' } })
    await anthropic.messages.create({ ...sent, metadata: { user_id: 'ada' } })
    const identities = await t.http('GET', '/v1/identities/?identifier_key=ada')
    assert.equal((identities.body as unknown[]).length, 1)
    const before = (await t.letta.messages.list({})).length
    const unkept = { ...sent, store: false }
    await anthropic.messages.create(unkept)
    await eventually('nothing is kept', async () => {
      const kept = (await t.letta.messages.list({})).filter(
        ({ message_type }) => message_type !== 'system_message',
      )
      return kept.length === before - 1 ? true : null
    })
  })

  it('fail with the errors that the client knows', async () => {
    await assert.rejects(
      anthropic.messages.create({ ...sent, model: 'nobody' }),
      (error) =>
        error instanceof NotFoundError &&
        error.type === 'not_found_error' &&
        /There is no agent 'nobody'/.test(error.message),
    )
    await assert.rejects(
      anthropic.messages.create({ ...sent, messages: [{ role: 'assistant', content: 'Hi' }] }),
      UnprocessableEntityError,
    )
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    await assert.rejects(
      anthropic.messages.create(sent),
      (error) => error instanceof BadRequestError && /No such thing/.test(error.message),
    )
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    await assert.rejects(anthropic.messages.stream(sent).finalMessage(), /No such thing/)
  })

  it('take the key as that client sends it', async () => {
    const guarded = await startLoci({ serve: { key: 'sesame' } })
    try {
      const baseURL = `${guarded.url}/anthropic`
      const good = new Anthropic({ baseURL, apiKey: 'sesame', maxRetries: 0 })
      await assert.rejects(good.messages.create(sent), NotFoundError)
      const bad = new Anthropic({ baseURL, apiKey: 'sesam', maxRetries: 0 })
      await assert.rejects(bad.messages.create(sent), AuthenticationError)
    } finally {
      await guarded.close()
    }
  })
})
