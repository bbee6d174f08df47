import assert from 'node:assert/strict'
import type { ContractTest } from '../support/contract.ts'
import { joined, line, remember, say, type Sent, withOlderAgents } from '../support/older-agents.ts'

describe('what agents of the older types are asked and show', () => {
  let t: ContractTest
  const { agentOf, send, stream, list } = withOlderAgents((started) => (t = started))

  for (const type of ['memgpt_agent', 'memgpt_v2_agent', 'split_thread_agent', 'voice_convo_agent'] as const)
    it(`${type}: acts with a heartbeat, then speaks by send_message`, async () => {
      const tool = type === 'voice_convo_agent' ? 'search_memory' : 'conversation_search'
      const args = { query: 'London', convo_keyword_queries: ['London'] }
      const search = { name: tool, arguments: { thinking: 'Where?', ...args, request_heartbeat: true } }
      const script = () =>
        t.model.add({ reply: { tool_calls: [search] } }, { reply: { tool_calls: [say('Hello.')] } })
      const { id } = await agentOf(type)
      const expected = [
        'reasoning_message: Where?',
        `tool_call_message: ${tool}`,
        'tool_return_message: success',
        'reasoning_message: A greeting.',
        'assistant_message: Hello.',
      ]
      script()
      const answer = await send(id)
      assert.deepEqual(
        answer.messages.map((m) => line(m as unknown as Sent)),
        expected,
      )
      assert.equal(answer.stop_reason.stop_reason, 'end_turn')
      assert.equal(answer.usage.step_count, 2)
      script()
      const steps = await stream(id)
      assert.deepEqual(steps.map(line), [...expected, 'stop_reason: end_turn', 'usage_statistics'])
      script()
      const tokens = await stream(id, { stream_tokens: true })
      assert.deepEqual(joined(tokens).map(line), expected)
      assert.ok(tokens.filter((i) => i.message_type === 'assistant_message').length >= 1)
      const listed = (await list(id, { limit: 100 })).slice(-expected.length - 1)
      const withHeartbeat = listed.map(line)
      assert.match(withHeartbeat.splice(3, 1)[0] ?? '', /^user_message: \{"type":"heartbeat","reason":/)
      assert.deepEqual(withHeartbeat, expected)
      assert.deepEqual(
        joined(tokens).map((i) => `${String(i['id'])} ${String(i['otid'])}`),
        listed
          .filter((i) => i.message_type !== 'user_message')
          .map((i) => `${String(i['id'])} ${String(i['otid'])}`),
        'the stored messages have the ids and otids that were streamed',
      )
    })

  it('shows the raw calls when use_assistant_message is off, everywhere', async () => {
    const { id } = await agentOf('memgpt_agent', { initial_message_sequence: [] })
    const raw = [
      'reasoning_message: A greeting.',
      'tool_call_message: send_message',
      'tool_return_message: success',
    ]
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    const off = { use_assistant_message: false }
    const answer = await send(id, off)
    assert.deepEqual(
      answer.messages.map((m) => line(m as unknown as Sent)),
      raw,
    )
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    assert.deepEqual((await stream(id, off)).slice(0, 3).map(line), raw)
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    assert.deepEqual(joined(await stream(id, { ...off, stream_tokens: true })).map(line), raw)
    assert.deepEqual((await list(id, off)).slice(-3).map(line), raw)
    assert.deepEqual((await list(id)).slice(-2).map(line), [
      'reasoning_message: A greeting.',
      'assistant_message: Hello.',
    ])
    const [run] = (await t.letta.runs.list({ agent_id: id })).items
    const ofRun = (await t.letta.runs.messages.list(run?.id ?? '')).items as unknown as Sent[]
    assert.deepEqual(ofRun.slice(1).map(line), raw, 'a run shows its messages as its request wanted them')
  })

  it('speaks by another tool and argument when the request names them', async () => {
    const { id } = await agentOf('memgpt_v2_agent')
    const own = { assistant_message_tool_name: 'memory_insert', assistant_message_tool_kwarg: 'new_string' }
    t.model.add({ reply: { tool_calls: [remember(true)] } }, { reply: { tool_calls: [say('Hello.')] } })
    assert.deepEqual(joined(await stream(id, { ...own, stream_tokens: true })).map(line), [
      'reasoning_message: A city.',
      'assistant_message: In London.',
      'reasoning_message: A greeting.',
      'tool_call_message: send_message',
      'tool_return_message: success',
    ])
    assert.deepEqual(
      (await list(id, own))
        .slice(-7)
        .map(line)
        .filter((l) => l.includes('London')),
      ['user_message: Hi, I am in London', 'assistant_message: In London.'],
    )
  })

  it('streams what is said as it comes, only the asked types if it is told', async () => {
    const { id } = await agentOf('memgpt_agent')
    const message = 'One two three four five six seven eight nine ten.'
    t.model.add({ reply: { tool_calls: [say(message)] } })
    const types = { include_return_message_types: ['assistant_message'] }
    const items = await stream(id, { stream_tokens: true, ...types })
    const said = items.filter((item) => item.message_type === 'assistant_message')
    assert.ok(said.length > 3, `${said.length} deltas`)
    assert.equal(said.map((item) => item['content']).join(''), message)
    assert.deepEqual(
      items.slice(said.length).map((item) => item.message_type),
      ['stop_reason', 'usage_statistics'],
    )
    const [stored] = (await list(id, types)).slice(-1)
    assert.deepEqual([stored?.['id'], stored?.['otid']], [said[0]?.['id'], said[0]?.['otid']])
  })

  it('forces a call, asks for a thought and a heartbeat, and packs what the user says', async () => {
    const { id } = await agentOf('memgpt_v2_agent')
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    await t.letta.agents.messages.create(id, {
      messages: [
        { role: 'system', content: 'The house is on fire' },
        { role: 'user', content: 'Hi' },
      ],
    })
    const { body } = t.model.requests[0]!
    assert.equal(body['tool_choice'], 'required')
    assert.equal(body['parallel_tool_calls'], false)
    const schema = (name: string) =>
      body.tools?.find((tool) => tool.function.name === name)?.function.parameters as {
        properties: Record<string, unknown>
        required: string[]
      }
    assert.deepEqual(Object.keys(schema('send_message').properties), ['thinking', 'message'])
    assert.deepEqual(schema('send_message').required, ['thinking', 'message'])
    assert.deepEqual(schema('memory_insert').required, [
      'thinking',
      'label',
      'new_string',
      'request_heartbeat',
    ])
    const [alert, hi] = body.messages
      .slice(-2)
      .map((m) => String(m.content).replace(/^<system>\n([^]*)\n<\/system>$/, '$1'))
      .map((content) => JSON.parse(content) as Record<string, unknown>)
    assert.deepEqual([alert?.['type'], alert?.['message']], ['system_alert', 'The house is on fire'])
    assert.deepEqual([hi?.['type'], hi?.['message'], typeof hi?.['time']], ['user_message', 'Hi', 'string'])
    assert.deepEqual((await list(id)).slice(-4, -2).map(line), [
      'system_message: The house is on fire',
      'user_message: Hi',
    ])
    assert.match(String(body.messages[0]?.content), /<memory_blocks>/)
  })

  it('asks for no thought in the arguments when it is switched off, and shows text as thought', async () => {
    const { id } = await agentOf('memgpt_agent', { reasoning: false, initial_message_sequence: [] })
    t.model.add(
      {
        reply: {
          text: 'They greet me.',
          tool_calls: [{ name: 'send_message', arguments: { message: 'Hello.' } }],
        },
      },
      { reply: { tool_calls: [say('Again.')] } },
    )
    const items = joined(await stream(id, { stream_tokens: true }))
    assert.deepEqual(items.map(line), ['reasoning_message: They greet me.', 'assistant_message: Hello.'])
    assert.equal(items[0]?.['source'], 'non_reasoner_model')
    await send(id)
    const { body } = t.model.requests[1]!
    assert.equal(JSON.stringify(body.tools).includes('thinking'), false)
    assert.equal(body.messages.find((m) => m.role === 'assistant')?.content, 'They greet me.')
    assert.deepEqual((await list(id)).slice(-1).map(line), ['assistant_message: Again.'])
  })

  it('keeps the prefix of its requests byte-identical within and across turns', async () => {
    const { id } = await agentOf('memgpt_agent')
    for (const stream_tokens of [false, true]) {
      t.model.add(
        {
          reply: {
            tool_calls: [
              {
                name: 'conversation_search',
                arguments: { thinking: 'Look.', query: 'x', request_heartbeat: true },
              },
            ],
          },
        },
        { reply: { text: 'Hm.', tool_calls: [say('Hello.')] } },
      )
      await stream(id, { stream_tokens })
    }
    t.model.add({ reply: { text: 'Plain words.' } }, { reply: { tool_calls: [say('Bye.')] } })
    await send(id)
    await send(id)
    const bodies = t.model.requests.map(({ body }) => body)
    assert.equal(bodies.length, 6)
    const text = (body: (typeof bodies)[number]) => JSON.stringify(body.messages).slice(0, -1)
    for (const [i, body] of bodies.entries()) {
      assert.deepEqual(body.tools, bodies[0]?.tools, 'the tools stay')
      const before = bodies[i - 1]
      if (before) assert.ok(text(body).startsWith(text(before)), `request ${i} begins with request ${i - 1}`)
    }
    assert.ok(
      JSON.stringify(bodies[5]?.messages).includes('\\"thinking\\":\\"Look.\\"'),
      'it sees its thoughts',
    )
  })

  it('streams what it stores, whatever a model does on its way to an answer', async () => {
    const seed = Number(process.env['LOCI_TEST_SEED'] ?? 20_260_131)
    let state = seed
    const random = (n: number) => (state = (state * 48_271) % 2_147_483_647) % n
    const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T
    const { id } = await agentOf('memgpt_v2_agent', { include_base_tool_rules: true })
    const words = () => pick(['', 'Hm. ', 'One\ntwo "three" \\ 😀', '{"a":1}', '   '])
    const args = () =>
      pick([
        { thinking: words(), query: 'x', request_heartbeat: true },
        { query: 'x', thinking: words(), request_heartbeat: 'true' },
        { request_heartbeat: true, label: 'human', new_string: words(), thinking: 5 },
        '{"thinking":"half',
        '{"message":"half',
        'nonsense',
        '',
        '[]',
        { message: 7, request_heartbeat: true },
      ])
    const onTheWay = () => ({
      reply: {
        ...pick([{}, { text: words() }, { reasoning: 'Deep.' }]),
        tool_calls: Array.from({ length: 1 + random(2) }, () => ({
          name: pick(['conversation_search', 'memory_insert', 'no_such_tool']),
          arguments: args(),
        })),
      },
    })
    for (let turn = 0; turn < 40; turn++) {
      const [before] = (await t.letta.agents.messages.list(id, { limit: 1 })).items
      t.model.add(
        ...Array.from({ length: random(4) }, onTheWay),
        pick([
          { reply: { tool_calls: [say('Done 😀.')] } },
          { reply: { text: 'Hm.', tool_calls: [say('Done 😀.')] } },
          { reply: { text: 'Done 😀.' } },
        ]),
      )
      const streamed = joined(await stream(id, { stream_tokens: true }))
      const stored = await list(id, { after: before?.id ?? '', limit: 100 })
      // A model that thinks after it has begun to act is heard in that order; lists show thoughts first.
      const shown = (items: Sent[]) => items.map((i) => `${String(i['id'])} ${line(i)}`).toSorted()
      assert.deepEqual(
        shown(streamed),
        shown(stored.filter((item) => item.message_type !== 'user_message')),
        `turn ${turn}, seed ${seed}`,
      )
      assert.equal(streamed.map(line).at(-1), 'assistant_message: Done 😀.', `turn ${turn}, seed ${seed}`)
      await t.model.done()
    }
  })

  it('keep what they are told with the scripted demo model, as agents of the current type do', async () => {
    for (const type of ['memgpt_agent', 'memgpt_v2_agent'] as const) {
      const { id } = await agentOf(type, { model: 'loci/demo' })
      const told = await send(id, { input: 'My name is Ben' })
      assert.match(
        told.messages.map((m) => line(m as unknown as Sent)).at(-1) ?? '',
        /^assistant_message: Noted.*Ben/,
      )
      assert.match((await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value, /Name: Ben/)
      const asked = await send(id, { input: 'What is my name?' })
      assert.match(asked.messages.map((m) => line(m as unknown as Sent)).at(-1) ?? '', /Name: Ben/)
    }
  })

  it('finds again what was said by send_message, and no heartbeat', async () => {
    const { id } = await agentOf('memgpt_agent')
    t.model.add({
      reply: {
        tool_calls: [
          {
            name: 'core_memory_append',
            arguments: { label: 'human', content: 'x', request_heartbeat: true },
          },
        ],
      },
    })
    t.model.add({ reply: { tool_calls: [say('The password is swordfish.')] } })
    await send(id)
    const search = { name: 'conversation_search', arguments: { query: 'swordfish', request_heartbeat: true } }
    t.model.add({ reply: { tool_calls: [search] } }, { reply: { tool_calls: [say('Found.')] } })
    await send(id)
    const found = String(t.model.requests.at(-1)?.body.messages.findLast((m) => m.role === 'tool')?.content)
    assert.match(found, /The password is swordfish/)
    const beats = { name: 'conversation_search', arguments: { query: 'heartbeat', request_heartbeat: true } }
    t.model.add({ reply: { tool_calls: [beats] } }, { reply: { tool_calls: [say('None.')] } })
    await send(id)
    const none = String(t.model.requests.at(-1)?.body.messages.findLast((m) => m.role === 'tool')?.content)
    assert.match(none, /No results/)
  })

  it('keeps its thoughts in the arguments when its model changes', async () => {
    const { id } = await agentOf('memgpt_agent')
    const changed = await t.letta.agents.update(id, { model: 'loci/demo' })
    assert.equal(changed.llm_config.put_inner_thoughts_in_kwargs, true)
  })
})
