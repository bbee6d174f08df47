/** The official client of OpenAI, with its Responses, against agents. */
import assert from 'node:assert/strict'
import OpenAI, { BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError } from 'openai'
import { eventually, SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ChatBody } from '../support/model-wire.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('responses of agents', () => {
  let t: TestLoci
  let model: ScriptedModel
  let openai: OpenAI
  let sam: string
  withLociEach((started) => ({ t, model } = started))
  beforeEach(async () => {
    openai = new OpenAI({ baseURL: `${t.url}/openai/v1`, apiKey: 'none', maxRetries: 0 })
    const made = await t.letta.agents.create({
      name: 'sam',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada' }],
    })
    sam = made.id
  })
  const REMEMBER = { name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }
  const contents = ({ messages }: ChatBody) => messages.slice(1).map(({ content }) => content)
  const conversationOf = (response: OpenAI.Responses.Response) => response.conversation?.id ?? ''

  it('begin a conversation, and go on with it', async () => {
    model.add(
      { reply: { text: 'Hello.' } },
      {
        expect: (body) => assert.deepEqual(contents(body), ['Hi', 'Hello.', 'Who am I?']),
        reply: { text: 'Ada.' },
      },
      { expect: (body) => assert.deepEqual(contents(body), ['Hey']), reply: { text: 'Ho.' } },
    )
    const first = await openai.responses.create({ model: 'sam', input: 'Hi' })
    assert.deepEqual([first.output_text, first.status, first.error], ['Hello.', 'completed', null])
    assert.ok((first.usage?.total_tokens ?? 0) > 0)
    const second = await openai.responses.create({
      model: sam,
      input: [{ role: 'user', content: 'Who am I?' }],
      previous_response_id: first.id,
    })
    assert.equal(second.output_text, 'Ada.')
    assert.equal(conversationOf(second), conversationOf(first))
    const third = await openai.responses.create({ model: 'sam', input: 'Hey' })
    assert.notEqual(conversationOf(third), conversationOf(first))
    const conversations = (await t.letta.conversations.list({ agent_id: sam })).length
    assert.equal(conversations, 2)
  })

  it('go on from an earlier answer in a conversation of their own', async () => {
    for (const text of ['A.', 'B.', 'C.']) model.add({ reply: { text } })
    const one = await openai.responses.create({ model: 'sam', input: '1' })
    const two = await openai.responses.create({ model: 'sam', input: '2', previous_response_id: one.id })
    const other = await openai.responses.create({ model: 'sam', input: '3', previous_response_id: one.id })
    assert.equal(conversationOf(two), conversationOf(one))
    assert.notEqual(conversationOf(other), conversationOf(one))
    assert.deepEqual(contents(model.requests[2]!.body), ['1', 'A.', '3'])
  })

  it('speak in a conversation that is named', async () => {
    const talk = await t.letta.conversations.create({ agent_id: sam })
    model.add({ reply: { text: 'Here.' } }, { reply: { text: 'Default.' } })
    const here = await openai.responses.create({ model: 'sam', input: 'Hi', conversation: talk.id })
    assert.equal(conversationOf(here), talk.id)
    const usual = await openai.responses.create({
      model: 'sam',
      input: 'Hi',
      conversation: { id: 'default' },
    })
    assert.equal(conversationOf(usual), sam)
  })

  it('show thoughts, calls of the agent with what they returned, and are read again', async () => {
    model.add(
      { reply: { reasoning: 'Tea!', text: 'One moment.', tool_calls: [REMEMBER] } },
      { reply: { text: 'Noted.' } },
    )
    const response = await openai.responses.create({ model: 'sam', input: 'I like tea' })
    assert.deepEqual(
      response.output.map(({ type }) => type),
      ['reasoning', 'message', 'mcp_call', 'message'],
    )
    const call = response.output.find((item) => item.type === 'mcp_call')
    assert.deepEqual([call?.name, call?.output, call?.error], ['memory_insert', 'Ada\nLikes tea.', null])
    const again = await openai.responses.retrieve(response.id)
    assert.deepEqual(again.output, response.output)
    assert.deepEqual(again.usage, response.usage)
    await assert.rejects(openai.responses.retrieve('resp_run-1'), NotFoundError)
  })

  it('stream, so that the helper of the client ends with the same response', async () => {
    model.add(
      { reply: { reasoning: ['Te', 'a!'], text: ['One ', 'moment.'], tool_calls: [REMEMBER] } },
      { reply: { text: ['Not', 'ed.'] } },
    )
    const stream = openai.responses.stream({ model: 'sam', input: 'I like tea' })
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of stream) events.push(event)
    const final = await stream.finalResponse()
    assert.deepEqual(
      events.map(({ sequence_number }) => sequence_number),
      events.map((_, i) => i),
    )
    const types = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])
    assert.deepEqual(types, [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.reasoning_summary_part.added',
      'response.reasoning_summary_text.delta',
      'response.reasoning_summary_text.done',
      'response.reasoning_summary_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const deltas = events.flatMap((event) =>
      event.type === 'response.output_text.delta' ? [event.delta] : [],
    )
    assert.deepEqual(deltas, ['One ', 'moment.', 'Not', 'ed.'])
    assert.equal(final.output_text, 'One moment.Noted.')
    const read = await openai.responses.retrieve(final.id)
    assert.deepEqual(read.output, JSON.parse(JSON.stringify(final.output)).map(withoutParsed))
  })

  const tools: OpenAI.Responses.FunctionTool[] = [
    {
      type: 'function',
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
      strict: false,
    },
  ]
  for (const streamed of [false, true])
    it(`call the tools of the client${streamed ? ', streamed' : ''}, which sends what they return`, async () => {
      model.add({
        reply: { tool_calls: [{ id: 'call_w', name: 'get_weather', arguments: { city: 'Rome' } }] },
      })
      const sent = { model: 'sam', input: 'How is Rome?', tools }
      const asked = streamed
        ? await openai.responses.stream(sent).finalResponse()
        : await openai.responses.create(sent)
      const [call] = asked.output
      assert.ok(call?.type === 'function_call')
      assert.deepEqual([call.name, call.call_id], ['get_weather', 'call_w'])
      assert.deepEqual(JSON.parse(call.arguments), { city: 'Rome' })
      model.add({
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /Sunny/),
        reply: { text: 'It is sunny.' },
      })
      const told = await openai.responses.create({
        model: 'sam',
        previous_response_id: asked.id,
        input: [{ type: 'function_call_output', call_id: call.call_id, output: 'Sunny' }],
        tools,
      })
      assert.equal(told.output_text, 'It is sunny.')
    })

  it('go on in a conversation where a call of a tool was dropped, not from the response that has it', async () => {
    model.add({
      reply: { tool_calls: [{ id: 'call_w', name: 'get_weather', arguments: {} }] },
    })
    const asked = await openai.responses.create({
      model: 'sam',
      input: 'Rome?',
      tools,
      conversation: 'default',
    })
    await assert.rejects(
      openai.responses.create({ model: 'sam', input: 'And?', previous_response_id: asked.id }),
      ConflictError,
    )
    model.add({ reply: { text: 'Hello again.' } })
    const told = await openai.responses.create({ model: 'sam', input: 'Hi', conversation: 'default' })
    assert.equal(told.output_text, 'Hello again.')
  })

  it('are deleted by the client that made them, while their conversation goes on', async () => {
    model.add({ reply: { text: 'Hello.' } }, { reply: { text: 'Still here.' } })
    const made = await openai.responses.create({ model: 'sam', input: 'Hi', conversation: 'default' })
    await openai.responses.delete(made.id)
    await assert.rejects(openai.responses.retrieve(made.id), NotFoundError)
    await assert.rejects(openai.responses.delete(made.id), NotFoundError)
    await assert.rejects(
      openai.responses.create({ model: 'sam', input: 'And?', previous_response_id: made.id }),
      NotFoundError,
    )
    await openai.responses.create({ model: 'sam', input: 'Again', conversation: 'default' })
    assert.deepEqual(contents(model.requests[1]!.body), ['Hi', 'Hello.', 'Again'])
  })

  it('keep nothing with store: false', async () => {
    model.add({ reply: { text: 'Hello.' } })
    const response = await openai.responses.create({ model: 'sam', input: 'Hi', store: false })
    assert.deepEqual([response.output_text, response.conversation], ['Hello.', null])
    await eventually('nothing is kept', async () => {
      const kept = await t.letta.messages.list({})
      return kept.every(({ message_type }) => message_type === 'system_message') ? true : null
    })
  })

  it('fail with the errors that the client knows', async () => {
    const ask = (more: object) => openai.responses.create({ model: 'sam', input: 'Hi', ...more })
    await assert.rejects(ask({ model: 'nobody' }), NotFoundError)
    await assert.rejects(ask({ previous_response_id: 'resp_x' }), NotFoundError)
    await assert.rejects(ask({ input: '' }), UnprocessableEntityError)
    for (const type of ['json_object', 'json_schema'])
      await assert.rejects(
        ask({ text: { format: { type, name: 'a', schema: {} } } }),
        (error) => error instanceof UnprocessableEntityError && /text\.format\.type/.test(error.message),
      )
    await assert.rejects(ask({ input: [{ type: 'robot' }] }), UnprocessableEntityError)
    await assert.rejects(
      ask({ input: [{ type: 'function_call_output', call_id: 'a', output: 'b' }] }),
      (error) => error instanceof UnprocessableEntityError && /go on with it/.test(error.message),
    )
    model.add({ reply: { text: 'Hello.' } })
    const first = await ask({ text: { format: { type: 'text' }, verbosity: 'low' } })
    await assert.rejects(
      ask({ previous_response_id: first.id, conversation: 'default' }),
      UnprocessableEntityError,
    )
    await t.letta.agents.create({ name: 'max', model: SCRIPTED })
    await assert.rejects(ask({ model: 'max', previous_response_id: first.id }), BadRequestError)
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    await assert.rejects(
      ask({}),
      (error) => error instanceof BadRequestError && /No such thing/.test(error.message),
    )
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    const last = []
    for await (const event of await openai.responses.create({ model: 'sam', input: 'Hi', stream: true }))
      last.push(event)
    const failed = last.at(-1)
    assert.ok(failed?.type === 'response.failed')
    assert.match(failed.response.error?.message ?? '', /No such thing/)
  })
})

/** The client's helper adds what it has parsed. */
function withoutParsed(item: { content?: object[] }): unknown {
  if (!item.content) return item
  return {
    ...item,
    content: item.content.map((part) =>
      Object.fromEntries(Object.entries(part).filter(([key]) => key !== 'parsed')),
    ),
  }
}
