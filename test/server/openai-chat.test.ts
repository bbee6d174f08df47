/** The official client of OpenAI against agents. */
import assert from 'node:assert/strict'
import OpenAI, {
  AuthenticationError,
  BadRequestError,
  ConflictError,
  NotFoundError,
  UnprocessableEntityError,
} from 'openai'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

type Completion = OpenAI.ChatCompletion & { conversation_id: string | null }

describe('agents as models of OpenAI', () => {
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
  async function ask(text: string, more: object = {}): Promise<Completion> {
    const messages = [{ role: 'user' as const, content: text }]
    const answer = await openai.chat.completions.create({ model: 'sam', messages, stream: false, ...more })
    return answer as Completion
  }
  const history = async (conversation_id = sam) => {
    const items = await t.letta.conversations.messages.list(conversation_id, { order: 'asc' })
    return items.items.flatMap((m) =>
      m.message_type === 'user_message' || m.message_type === 'assistant_message' ? [m.content] : [],
    )
  }

  it('are listed and read, by their names and their ids', async () => {
    const listed = []
    for await (const one of openai.models.list()) listed.push(one.id)
    assert.deepEqual(listed, ['sam'])
    for (const name of ['sam', sam]) {
      const one = (await openai.models.retrieve(name)) as OpenAI.Model & { agent_id: string }
      assert.deepEqual([one.id, one.object, one.agent_id], [name, 'model', sam])
      assert.ok(Math.abs(one.created - Date.now() / 1000) < 3600)
    }
    const twin = await t.letta.agents.create({ name: 'sam', model: SCRIPTED })
    const { data } = await openai.models.list()
    assert.deepEqual(data.map(({ id }) => id).toSorted(), [sam, twin.id].toSorted())
  })

  it('answer, and keep what was said: only what is new is sent to them', async () => {
    model.add({ reply: { text: 'Hello Ada.', reasoning: 'Who is it?' } })
    const first = await ask('Hi')
    const [choice] = first.choices
    assert.deepEqual([choice?.message.content, choice?.finish_reason], ['Hello Ada.', 'stop'])
    assert.equal(
      (choice?.message as { reasoning_content?: string } | undefined)?.reasoning_content,
      'Who is it?',
    )
    assert.equal(first.conversation_id, sam)
    assert.ok(first.usage && first.usage.total_tokens > 0)
    const run = await t.letta.runs.retrieve(first.id.replace('chatcmpl-', ''))
    assert.equal(run.status, 'completed')
    model.add({
      expect: ({ messages }) =>
        assert.deepEqual(
          messages.map(({ role }) => role),
          ['system', 'user', 'assistant', 'user'],
        ),
      reply: { text: 'You are Ada.' },
    })
    await openai.chat.completions.create({
      model: sam,
      messages: [
        { role: 'system', content: 'You are somebody else.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello Ada.' },
        { role: 'user', content: 'Who am I?' },
      ],
    })
    assert.deepEqual(await history(), ['Hi', 'Hello Ada.', 'Who am I?', 'You are Ada.'])
  })

  it('stream what they say and think, with usage when it is asked for', async () => {
    model.add(
      { reply: { reasoning: 'Tea!', text: ['Noted', '.'], tool_calls: [REMEMBER] } },
      { reply: { text: ['I will ', 'remember.'] } },
    )
    const stream = await openai.chat.completions.create({
      model: 'sam',
      messages: [{ role: 'user', content: 'I like tea' }],
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta))
    assert.equal(deltas.map(({ content }) => content ?? '').join(''), 'Noted.\n\nI will remember.')
    assert.ok(deltas.filter(({ content }) => content).length >= 4, 'piece by piece')
    const thoughts = deltas
      .map((delta) => (delta as { reasoning_content?: string }).reasoning_content ?? '')
      .join('')
    assert.match(thoughts, /^Tea!\n\[memory_insert \{.*Likes tea\..*\}\]\n$/)
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
    assert.deepEqual(chunks.at(-1)?.choices, [])
    assert.ok((chunks.at(-1)?.usage?.total_tokens ?? 0) > 0)
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
  })

  it('end a stream as the helper of the client expects', async () => {
    model.add({ reply: { text: ['One ', 'two.'] } })
    const stream = openai.chat.completions.stream({
      model: 'sam',
      messages: [{ role: 'user', content: 'Count' }],
    })
    assert.equal(await stream.finalContent(), 'One two.')
  })

  it('show their own calls as thoughts, or not at all', async () => {
    model.add(
      { reply: { tool_calls: [REMEMBER] } },
      { reply: { text: 'Done.' } },
      { reply: { tool_calls: [REMEMBER] } },
      { reply: { text: 'Done.' } },
    )
    const shown = (await ask('Tea')).choices[0]?.message as { reasoning_content?: string }
    assert.match(shown.reasoning_content ?? '', /^\[memory_insert \{/)
    const hidden = await ask('Tea again', { tool_display: 'none' })
    assert.equal(Object.hasOwn(hidden.choices[0]?.message ?? {}, 'reasoning_content'), false)
    assert.equal(Object.hasOwn(hidden.choices[0]?.message ?? {}, 'tool_calls'), false)
  })

  const tools: OpenAI.ChatCompletionTool[] = [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'The weather of a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ]
  const WEATHER_CALL = { name: 'get_weather', arguments: '{"city":"Rome"}' }
  const WEATHER = { id: 'call_w', name: 'get_weather', arguments: { city: 'Rome' } }

  it('call the tools of the client, which sends what they return', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'How is Rome?' }]
    model.add({ reply: { tool_calls: [WEATHER] } })
    const asked = await openai.chat.completions.create({ model: 'sam', messages, tools })
    const [choice] = asked.choices
    assert.deepEqual([choice?.finish_reason, choice?.message.content], ['tool_calls', null])
    const [call] = choice?.message.tool_calls ?? []
    assert.ok(call?.type === 'function')
    assert.deepEqual(
      [call.function.name, JSON.parse(call.function.arguments)],
      ['get_weather', { city: 'Rome' }],
    )
    messages.push(choice!.message, { role: 'tool', tool_call_id: call.id, content: 'Sunny' })
    model.add({
      expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /Sunny/),
      reply: { text: 'It is sunny.' },
    })
    const told = await openai.chat.completions.create({ model: 'sam', messages, tools })
    assert.equal(told.choices[0]?.message.content, 'It is sunny.')
  })

  it('call the tools of the client while they stream', async () => {
    model.add({ reply: { tool_calls: [WEATHER] } })
    const stream = openai.chat.completions.stream({
      model: 'sam',
      messages: [{ role: 'user', content: 'How is Rome?' }],
      tools,
    })
    const { choices } = await stream.finalChatCompletion()
    const [call] = choices[0]?.message.tool_calls ?? []
    assert.ok(call?.type === 'function')
    assert.equal(call.function.name, 'get_weather')
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Rome' })
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
  })

  it('go on when the client has dropped the call of its tool', async () => {
    model.add({ reply: { tool_calls: [WEATHER] } })
    await ask('How is Rome?', { tools })
    await assert.rejects(
      openai.chat.completions.create({
        model: 'sam',
        messages: [
          { role: 'assistant', tool_calls: [{ id: 'call_w', type: 'function', function: WEATHER_CALL }] },
          { role: 'user', content: 'And?' },
        ],
      }),
      (error) =>
        error instanceof ConflictError && error.message.includes(`POST /v1/agents/${sam}/messages/cancel`),
    )
    model.add(
      {
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-2)), /"call_w".*cancelled/),
        reply: { text: 'Hello again.' },
      },
      { reply: { tool_calls: [WEATHER] } },
      { reply: { text: ['And ', 'again.'] } },
    )
    assert.equal((await ask('Hi')).choices[0]?.message.content, 'Hello again.')
    await ask('How is Rome?', { tools })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const stream = openai.chat.completions.stream({ model: 'sam', messages })
    assert.equal(await stream.finalContent(), 'And again.')
  })

  it('leave what waits for a person, or for a client of /v1, as it is', async () => {
    const refused = (error: unknown) => error instanceof ConflictError && /approval/.test(error.message)
    await t.letta.agents.tools.updateApproval('memory_insert', {
      agent_id: sam,
      body_requires_approval: true,
    })
    model.add({ reply: { tool_calls: [REMEMBER] } })
    await ask('I like tea', { tools })
    await assert.rejects(ask('Hi'), refused)
    await t.letta.agents.messages.cancel(sam)
    model.add({ reply: { tool_calls: [REMEMBER, WEATHER] } })
    await ask('I like tea in Rome', { tools })
    await assert.rejects(ask('Hi'), refused)
    await t.letta.agents.messages.cancel(sam)
    model.add({ reply: { tool_calls: [WEATHER] } })
    const client_tools = tools.flatMap((tool) => (tool.type === 'function' ? [tool.function] : []))
    await t.http('POST', `/v1/agents/${sam}/messages`, { input: 'How is Rome?', client_tools })
    await assert.rejects(ask('Hi'), refused)
  })

  it('keep nothing of a request with store: false but what they write into their memory', async () => {
    model.add(
      {
        expect: ({ messages }) =>
          assert.deepEqual(
            messages.slice(1).map(({ content }) => content),
            ['<system>\nBe brief.\n</system>', 'Hi', 'Hello.', 'I like tea'],
          ),
        reply: { tool_calls: [REMEMBER] },
      },
      { reply: { text: 'Noted.' } },
      { reply: { text: 'Streamed.' } },
    )
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: 'I like tea' },
    ]
    const answer = (await openai.chat.completions.create({
      model: 'sam',
      messages,
      store: false,
    })) as Completion
    assert.deepEqual([answer.choices[0]?.message.content, answer.conversation_id], ['Noted.', null])
    const stream = await openai.chat.completions.create({
      model: 'sam',
      messages: [{ role: 'user', content: 'Hi' }],
      store: false,
      stream: true,
    })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    assert.equal(text, 'Streamed.')
    await eventually('nothing is kept', async () => {
      const kept = await t.letta.messages.list({})
      return kept.every(({ message_type }) => message_type === 'system_message') ? true : null
    })
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: sam })
    assert.equal(block.value, 'Ada\nLikes tea.')
  })

  it('know who speaks, by an identity that is made when there is none', async () => {
    model.add({ reply: { text: 'Hello.' } }, { reply: { text: 'Again.' } })
    await Promise.all([ask('Hi', { user: 'ada@example.com' }), ask('Hey', { user: 'ada@example.com' })])
    const { body } = await t.http('GET', '/v1/identities/?identifier_key=ada%40example.com')
    const items = body as { id: string; name: string; agent_ids: string[] }[]
    assert.deepEqual(
      items.map(({ name, agent_ids }) => [name, agent_ids]),
      [['ada@example.com', [sam]]],
    )
    const said = (await t.letta.agents.messages.list(sam)).items.filter(
      ({ message_type }) => message_type === 'user_message',
    )
    assert.deepEqual(
      said.map(({ sender_id }) => sender_id),
      [items[0]?.id, items[0]?.id],
    )
  })

  it('speak in another conversation when one is named', async () => {
    const other = await t.letta.conversations.create({ agent_id: sam })
    model.add({ reply: { text: 'There.' } }, { reply: { text: 'Here.' } })
    await ask('One', { metadata: { conversation_id: other.id } })
    const answer = await ask('Two', { conversation_id: other.id })
    assert.equal(answer.conversation_id, other.id)
    assert.deepEqual(await history(other.id), ['One', 'There.', 'Two', 'Here.'])
    await assert.rejects(ask('Three', { conversation_id: `conv-${crypto.randomUUID()}` }), { status: 404 })
  })

  it('see images, and give log probabilities', async () => {
    const pixel =
      'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
    model.add({
      expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /iVBORw0KGgo/),
      reply: { text: 'A dot.', logprobs: true },
    })
    const answer = await openai.chat.completions.create({
      model: 'sam',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: pixel } },
          ],
        },
      ],
    })
    assert.equal(answer.choices[0]?.message.content, 'A dot.')
  })

  it('fail with the errors that the client knows', async () => {
    await assert.rejects(
      openai.chat.completions.create({ model: 'nobody', messages: [{ role: 'user', content: 'Hi' }] }),
      (error) =>
        error instanceof NotFoundError &&
        error.code === 'not_found' &&
        /There is no agent 'nobody'/.test(error.message),
    )
    const wrong: [object, RegExp][] = [
      [{ messages: [] }, /body\.messages/],
      [{ messages: [{ role: 'system', content: 'Be kind' }] }, /there is nothing to answer/],
      [{ messages: [{ role: 'assistant', content: 'Hi' }] }, /there is nothing to answer/],
      [{ messages: [{ role: 'robot', content: 'Hi' }] }, /body\.messages\.0\.role/],
      [{ n: 2 }, /an agent answers once/],
      [{ response_format: { type: 'json_object' } }, /body\.response_format\.type: the agent's own/],
      [
        { store: false, messages: [{ role: 'tool', tool_call_id: 'a', content: 'b' }] },
        /calls of tools need the conversation in which they were made/,
      ],
    ]
    for (const [more, says] of wrong)
      await assert.rejects(
        ask('Hi', more),
        (error) =>
          error instanceof UnprocessableEntityError &&
          says.test(error.message) &&
          error.type === 'invalid_request_error',
        String(says),
      )
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    await assert.rejects(
      ask('Hi'),
      (error) => error instanceof BadRequestError && /No such thing/.test(error.message),
    )
    model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
    const stream = await openai.chat.completions.create({
      model: 'sam',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    })
    await assert.rejects(async () => {
      for await (const chunk of stream) assert.ok(!chunk.choices[0]?.delta.content)
    }, /No such thing/)
    const { data } = await openai.models.list()
    assert.equal(data.length, 1)
    const head = await fetch(`${t.url}/openai/v1/models/nobody`, { method: 'HEAD' })
    assert.equal(head.status, 404)
  })

  it('answer under the path of V1 too', async () => {
    model.add({ reply: { text: 'Hello.' } })
    const v1 = new OpenAI({ baseURL: `${t.url}/v1`, apiKey: 'none', maxRetries: 0 })
    const answer = await v1.chat.completions.create({
      model: sam,
      messages: [{ role: 'user', content: 'Hi' }],
    })
    assert.equal(answer.choices[0]?.message.content, 'Hello.')
  })

  for (const store of [true, false])
    it(`are asked once by a client that asks again, with store: ${store}`, async () => {
      const gate = Promise.withResolvers<void>()
      model.add({ reply: { text: 'Slowly.', hold: gate.promise } })
      let requests = 0
      const patient = new OpenAI({
        baseURL: `${t.url}/openai/v1`,
        apiKey: 'none',
        maxRetries: 1,
        timeout: 1000,
        fetch(url, init) {
          const answer = fetch(url, init)
          if (++requests === 2) gate.resolve()
          return answer
        },
      })
      const asked = patient.chat.completions.create({
        model: 'sam',
        messages: [{ role: 'user', content: 'Hi' }],
        store,
      })
      assert.equal((await asked).choices[0]?.message.content, 'Slowly.')
      assert.deepEqual([requests, model.requests.length], [2, 1])
    })
})

describe('a server with a key', () => {
  it('takes it from the client of OpenAI', async () => {
    const t = await startLoci({ serve: { key: 'sesame' } })
    try {
      const baseURL = `${t.url}/openai/v1`
      const good = new OpenAI({ baseURL, apiKey: 'sesame', maxRetries: 0 })
      assert.deepEqual((await good.models.list()).data, [])
      const bad = new OpenAI({ baseURL, apiKey: 'sesam', maxRetries: 0 })
      await assert.rejects(bad.models.list(), AuthenticationError)
    } finally {
      await t.close()
    }
  })
})
