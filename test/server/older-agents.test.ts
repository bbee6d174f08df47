import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { type ContractTest, startContractTest } from '../support/contract.ts'

type AgentType = NonNullable<Letta.AgentState['agent_type']>
type Sent = { message_type?: string | null } & Record<string, unknown>

const say = (message: string, more = {}) => ({
  name: 'send_message',
  arguments: { thinking: 'A greeting.', message, ...more },
})
const remember = (request_heartbeat = true) => ({
  name: 'memory_insert',
  arguments: { thinking: 'A city.', label: 'human', new_string: 'In London.', request_heartbeat },
})

/** What an item says or does, in one line. */
function line(item: Sent): string {
  const call = item['tool_call'] as { name?: string } | undefined
  const said = item['reasoning'] ?? item['content'] ?? call?.name ?? item['status'] ?? item['stop_reason']
  const shown = typeof said === 'string' ? said : ''
  return shown === '' ? String(item.message_type) : `${item.message_type}: ${shown}`
}

/** Deltas of one part put together, in order of their beginning. */
function joined(items: Sent[]): Sent[] {
  const parts = new Map<string, Sent>()
  for (const item of items.filter((i) => typeof i['otid'] === 'string')) {
    const key = `${String(item['id'])} ${String(item['otid'])}`
    const part = parts.get(key)
    if (!part) parts.set(key, { ...item })
    else {
      assert.equal(part.message_type, item.message_type, 'one otid is one part')
      for (const field of ['reasoning', 'content'])
        if (typeof item[field] === 'string') part[field] = String(part[field]) + item[field]
    }
  }
  return [...parts.values()]
}

describe('agents of the older types over the official client', () => {
  let t: ContractTest
  beforeEach(async () => {
    t = await startContractTest()
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') return t.abandon()
    try {
      await t.recorder.verify()
    } finally {
      await t.close()
    }
  })

  const agentOf = (agent_type: AgentType, more: Partial<Letta.AgentCreateParams> = {}) =>
    t.newAgent({ agent_type, ...more })
  const send = (id: string, more: object = {}) =>
    t.letta.agents.messages.create(id, { input: 'Hi, I am in London', ...more, streaming: false })
  const stream = async (id: string, more: object = {}): Promise<Sent[]> => {
    const items: Sent[] = []
    const answer = await t.letta.agents.messages.stream(id, {
      input: 'Hi, I am in London',
      include_pings: false,
      ...more,
    })
    for await (const item of answer) items.push(item as unknown as Sent)
    return items
  }
  const list = async (id: string, query: object = {}): Promise<Sent[]> => {
    const { items } = await t.letta.agents.messages.list(id, { order: 'asc', ...query })
    return items as unknown as Sent[]
  }
  const names = (agent: Letta.AgentState) => agent.tools.map((tool) => tool.name)

  it('get the tools, rules and first messages of their type', async () => {
    const shown = []
    for (const type of [
      'memgpt_agent',
      'memgpt_v2_agent',
      'split_thread_agent',
      'react_agent',
      'workflow_agent',
      'sleeptime_agent',
      'voice_convo_agent',
      'voice_sleeptime_agent',
    ] as const) {
      const agent = await agentOf(type)
      const rules = (agent.tool_rules ?? []).map((rule) => `${rule.type} ${rule.tool_name}`)
      shown.push([
        type,
        names(agent).join(' '),
        rules.filter((rule) => rule.startsWith('exit')),
        agent.message_ids?.length,
      ])
    }
    const core = 'conversation_search core_memory_append core_memory_replace memory memory_apply_patch'
    assert.deepEqual(shown, [
      ['memgpt_agent', `send_message ${core}`, ['exit_loop send_message'], 4],
      [
        'memgpt_v2_agent',
        'send_message conversation_search memory_replace memory_insert',
        ['exit_loop send_message'],
        4,
      ],
      ['split_thread_agent', `send_message ${core}`, ['exit_loop send_message'], 4],
      ['react_agent', '', [], 1],
      ['workflow_agent', '', [], 1],
      [
        'sleeptime_agent',
        'memory_replace memory_insert memory_rethink memory_finish_edits',
        ['exit_loop memory_finish_edits'],
        1,
      ],
      ['voice_convo_agent', 'send_message search_memory', ['exit_loop send_message'], 4],
      [
        'voice_sleeptime_agent',
        'store_memories rethink_user_memory finish_rethinking_memory',
        ['exit_loop finish_rethinking_memory'],
        1,
      ],
    ])
  })

  it('take what the request says of tools, rules and first messages', async () => {
    const bare = await agentOf('memgpt_v2_agent', { include_base_tools: false, initial_message_sequence: [] })
    assert.deepEqual([names(bare), bare.tool_rules, bare.message_ids?.length], [[], [], 1])
    const ruled = await agentOf('memgpt_agent', { include_base_tool_rules: false })
    assert.deepEqual(ruled.tool_rules, [])
    const own = { type: 'continue_loop' as const, tool_name: 'send_message' }
    const kept = await agentOf('memgpt_v2_agent', { tool_rules: [own] })
    assert.deepEqual(
      kept.tool_rules?.filter((rule) => rule.tool_name === 'send_message').map((rule) => rule.type),
      ['continue_loop'],
      'the own rule stands',
    )
    const current = await agentOf('letta_v1_agent', { include_base_tool_rules: true })
    assert.deepEqual(
      current.tool_rules?.map((rule) => rule.type),
      ['continue_loop', 'continue_loop', 'continue_loop'],
    )
    const sequence: Letta.MessageCreate[] = [
      { role: 'user', content: 'Hello there' },
      { role: 'assistant', content: 'General greeting' },
    ]
    for (const type of ['memgpt_agent', 'letta_v1_agent'] as const) {
      const { id } = await agentOf(type, { initial_message_sequence: sequence })
      assert.deepEqual((await list(id)).slice(1).map(line), [
        'user_message: Hello there',
        'assistant_message: General greeting',
      ])
    }
    const workflow = await agentOf('workflow_agent', { message_buffer_autoclear: false })
    assert.equal(workflow.message_buffer_autoclear, true)
    const asleep = await agentOf('memgpt_agent', { enable_sleeptime: true })
    assert.deepEqual(names(asleep), ['send_message', 'conversation_search', 'archival_memory_search'])
    await assert.rejects(agentOf('memgpt_agent', { tools: ['no_such_tool'] }), { status: 400 })
  })

  it('begin with a boot sequence, and again after a reset that asks for it', async () => {
    const { id } = await agentOf('memgpt_agent')
    const boot = async () => (await list(id)).map((m) => m.message_type)
    const expected = ['system_message', 'reasoning_message', 'assistant_message', 'user_message']
    assert.deepEqual(await boot(), expected)
    const login = JSON.parse(String((await list(id)).at(-1)?.['content'])) as Record<string, unknown>
    assert.deepEqual(
      [login['type'], typeof login['last_login'], typeof login['time']],
      ['login', 'string', 'string'],
    )
    await t.letta.agents.messages.reset(id, { add_default_initial_messages: false })
    assert.deepEqual(await boot(), ['system_message'])
    await t.letta.agents.messages.reset(id, { add_default_initial_messages: true })
    assert.deepEqual(await boot(), expected)
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    assert.deepEqual(
      (await send(id)).messages.map((m) => line(m as unknown as Sent)).at(-1),
      'assistant_message: Hello.',
    )
  })

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
      .map((m) => JSON.parse(String(m.content)) as Record<string, unknown>)
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

  it('gives the user the words of a model that ignores tool_choice', async () => {
    const { id } = await agentOf('memgpt_agent')
    t.model.add({ reply: { text: ['Plain ', 'words.'] } })
    const answer = await send(id)
    assert.deepEqual(
      answer.messages.map((m) => line(m as unknown as Sent)),
      ['assistant_message: Plain words.'],
    )
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    t.model.add({ reply: { text: ['Plain ', 'words.'] } })
    assert.deepEqual(joined(await stream(id, { stream_tokens: true })).map(line), [
      'assistant_message: Plain words.',
    ])
  })

  it('lets a model try again whose call cannot be read, and shows what went wrong', async () => {
    const { id } = await agentOf('memgpt_agent')
    const broken = [
      { name: 'send_message', arguments: '{"thinking":"Hm.","message":' },
      { name: 'send_message', arguments: { thinking: 'Hm.', text: 'wrong' } },
      { name: 'no_such_tool', arguments: { thinking: 'Hm.', request_heartbeat: false } },
    ]
    for (const stream_tokens of [true, false])
      for (const call of broken) {
        t.model.add({ reply: { tool_calls: [call] } }, { reply: { tool_calls: [say('Sorry.')] } })
        const items = joined(await stream(id, { stream_tokens }))
        assert.deepEqual(items.map(line), [
          'reasoning_message: Hm.',
          `tool_call_message: ${call.name}`,
          'tool_return_message: error',
          'reasoning_message: A greeting.',
          'assistant_message: Sorry.',
        ])
      }
  })

  it('runs only the first of several calls', async () => {
    const { id, blocks } = await agentOf('memgpt_v2_agent')
    t.model.add(
      { reply: { tool_calls: [remember(), say('Dropped.')] } },
      { reply: { tool_calls: [say('Hello.')] } },
    )
    const items = joined(await stream(id, { stream_tokens: true }))
    assert.deepEqual(items.map(line), [
      'reasoning_message: A city.',
      'tool_call_message: memory_insert',
      'tool_return_message: success',
      'reasoning_message: A greeting.',
      'assistant_message: Hello.',
    ])
    const human = blocks.find((block) => block.label === 'human')
    assert.match((await t.letta.blocks.retrieve(human?.id ?? '')).value, /In London/)
  })

  it('ends after a tool without a heartbeat, goes on by a rule, and stops at max_steps', async () => {
    const { id } = await agentOf('memgpt_v2_agent', { include_base_tool_rules: false })
    t.model.add({ reply: { tool_calls: [remember(false)] } })
    assert.equal((await send(id)).stop_reason.stop_reason, 'end_turn', 'no heartbeat, no rule')
    t.model.add(
      { reply: { tool_calls: [say('Hello.', { request_heartbeat: true })] } },
      { reply: { tool_calls: [say('More.')] } },
    )
    assert.equal((await send(id)).usage.step_count, 2, 'send_message without its rule may go on')
    const ruled = await agentOf('memgpt_v2_agent')
    t.model.add({ reply: { tool_calls: [remember(false)] } }, { reply: { tool_calls: [say('Hello.')] } })
    assert.equal((await send(ruled.id)).usage.step_count, 2, 'a continue_loop rule')
    t.model.add({ reply: { tool_calls: [say('Hello.', { request_heartbeat: true })] } })
    assert.equal(
      (await send(ruled.id)).stop_reason.stop_reason,
      'tool_rule',
      'an exit_loop rule stands above a heartbeat',
    )
    t.model.add({ reply: { tool_calls: [remember()] } })
    assert.equal((await send(ruled.id, { max_steps: 1 })).stop_reason.stop_reason, 'max_steps')
    t.model.add({ reply: { tool_calls: [say('Hello.')] } })
    assert.equal((await send(ruled.id, { max_steps: 1 })).stop_reason.stop_reason, 'end_turn')
  })

  it('may not end before a tool that is required was called', async () => {
    const rules: Letta.AgentCreateParams['tool_rules'] = [
      { type: 'required_before_exit', tool_name: 'conversation_search' },
    ]
    const { id } = await agentOf('memgpt_v2_agent', { tool_rules: rules })
    t.model.add(
      { reply: { tool_calls: [say('Bye.')] } },
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { tool_calls: [say('Now.')] } },
    )
    const { usage, stop_reason } = await send(id)
    assert.deepEqual([usage.step_count, stop_reason.stop_reason], [3, 'end_turn'])
    const last = JSON.stringify(t.model.requests[1]?.body.messages.at(-1))
    assert.match(last, /heartbeat.*conversation_search/)
  })

  for (const stream_tokens of [true, false])
    it(`waits for an approval and goes on after it (tokens: ${stream_tokens})`, async () => {
      const rules: Letta.AgentCreateParams['tool_rules'] = [
        { type: 'requires_approval', tool_name: 'memory_insert' },
      ]
      const { id } = await agentOf('memgpt_v2_agent', { tool_rules: rules })
      t.model.add({ reply: { tool_calls: [remember()] } })
      const items = await stream(id, { stream_tokens })
      assert.deepEqual(joined(items).map(line), [
        'reasoning_message: A city.',
        'approval_request_message: memory_insert',
      ])
      assert.deepEqual(items.slice(-2, -1).map(line), ['stop_reason: requires_approval'])
      await assert.rejects(t.loci.letta.agents.messages.create(id, { input: 'And?' }), { status: 409 })
      const waiting = items.find((i) => i.message_type === 'approval_request_message')
      assert.ok(waiting)
      const { tool_call_id } = waiting['tool_call'] as { tool_call_id: string }
      const answer = (approve: boolean) => ({
        input: undefined,
        messages: [
          {
            type: 'approval' as const,
            approvals: [{ type: 'approval' as const, tool_call_id, approve, reason: approve ? null : 'No.' }],
          },
        ],
      })
      t.model.add({ reply: { tool_calls: [say('Noted.')] } })
      const rest = await stream(id, { ...answer(stream_tokens), stream_tokens })
      assert.deepEqual(joined(rest).map(line), [
        `tool_return_message: ${stream_tokens ? 'success' : 'error'}`,
        'reasoning_message: A greeting.',
        'assistant_message: Noted.',
      ])
      const seen = t.model.requests.at(-1)?.body.messages ?? []
      assert.deepEqual(
        seen.slice(-3).map((m) => m.role),
        ['assistant', 'tool', 'user'],
      )
      assert.match(String(seen.at(-1)?.content), /"type":"heartbeat"/)
    })

  it('hands a call to the client that brought the tool', async () => {
    const { id } = await agentOf('memgpt_v2_agent')
    const client_tools = [
      {
        name: 'look_outside',
        description: 'What the weather is.',
        parameters: { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] },
      },
    ]
    const args = { thinking: 'Rain?', at: 'here', request_heartbeat: true }
    t.model.add({ reply: { tool_calls: [{ name: 'look_outside', arguments: args }] } })
    const asked = await send(id, { client_tools })
    assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
    const [call] = asked.messages.flatMap((m) => ('tool_call' in m ? [m.tool_call] : []))
    assert.deepEqual(JSON.parse(call?.arguments ?? ''), { at: 'here', request_heartbeat: true })
    t.model.add({ reply: { tool_calls: [say('It rains.')] } })
    const done = await send(id, {
      input: undefined,
      client_tools,
      messages: [
        {
          type: 'approval',
          approvals: [
            { type: 'tool', tool_call_id: call?.tool_call_id ?? '', tool_return: 'rain', status: 'success' },
          ],
        },
      ],
    })
    assert.deepEqual(
      done.messages.slice(-1).map((m) => line(m as unknown as Sent)),
      ['assistant_message: It rains.'],
    )
  })

  for (const mode of ['self_compact_all', 'sliding_window'] as const)
    it(`compacts by ${mode} and goes on`, async () => {
      const { id } = await agentOf('memgpt_agent', { compaction_settings: { mode } })
      for (const message of ['One.', 'Two.', 'Three.', 'Four.']) {
        t.model.add({ reply: { tool_calls: [say(message)] } })
        await send(id)
      }
      t.model.add({ reply: { text: 'They counted.' } })
      await t.letta.agents.messages.compact(id)
      const [before, asked] = t.model.requests.slice(-2).map(({ body }) => body)
      if (mode === 'self_compact_all') {
        const text = (body: typeof before) => JSON.stringify(body?.messages).slice(0, -1)
        assert.ok(text(asked).startsWith(text(before)), 'the request begins with the bytes of the last one')
        assert.deepEqual(asked?.tools, before?.tools)
      }
      t.model.add({ reply: { tool_calls: [say('Five.')] } })
      assert.equal((await send(id)).stop_reason.stop_reason, 'end_turn')
      assert.match(JSON.stringify(t.model.requests.at(-1)?.body.messages), /They counted/)
    })

  it('is cancelled in the middle of a message, keeps what was heard, and goes on afterwards', async () => {
    const { id } = await agentOf('memgpt_agent')
    const gate = Promise.withResolvers<void>()
    t.model.add({
      reply: {
        tool_calls: [say('One two three four five six seven eight')],
        hold: gate.promise,
        hold_after: 7,
      },
    })
    const items: Sent[] = []
    const answer = await t.letta.agents.messages.stream(id, { input: 'Go', stream_tokens: true })
    for await (const item of answer) {
      items.push(item as unknown as Sent)
      if (item.message_type === 'assistant_message' && items.every((i) => i['cancelled'] !== true)) {
        items.push({ cancelled: true })
        await t.letta.agents.messages.cancel(id)
      }
    }
    gate.resolve()
    const heard = items
      .filter((i) => i.message_type === 'assistant_message')
      .map((i) => i['content'])
      .join('')
    assert.ok(heard.startsWith('One'), heard)
    assert.deepEqual(items.slice(-1).map(line), ['stop_reason: cancelled'])
    assert.deepEqual((await list(id, { include_err: true })).slice(-1).map(line), [
      `assistant_message: ${heard}`,
    ])
    t.model.add({ reply: { tool_calls: [say('Still here.')] } })
    assert.equal((await send(id)).stop_reason.stop_reason, 'end_turn')
  })

  it('react_agent: answers in words when it has no tool to speak with, and shows no blocks', async () => {
    const { id } = await agentOf('react_agent', { tools: ['conversation_search'] })
    const search = {
      name: 'conversation_search',
      arguments: { thinking: 'Look.', query: 'x', request_heartbeat: true },
    }
    const script = () =>
      t.model.add({ reply: { tool_calls: [search] } }, { reply: { text: ['All ', 'done.'] } })
    const expected = [
      'reasoning_message: Look.',
      'tool_call_message: conversation_search',
      'tool_return_message: success',
      'assistant_message: All done.',
    ]
    script()
    assert.deepEqual(
      (await send(id)).messages.map((m) => line(m as unknown as Sent)),
      expected,
    )
    script()
    const tokens = await stream(id, { stream_tokens: true })
    assert.deepEqual(joined(tokens).map(line), expected)
    assert.equal(tokens.filter((i) => i.message_type === 'assistant_message').length, 2, 'as it comes')
    const { body } = t.model.requests[0]!
    assert.equal(body['tool_choice'] ?? 'auto', 'auto')
    assert.equal(String(body.messages[0]?.content).includes('<memory_blocks>'), false)
  })

  it('workflow_agent: begins each request with an empty context', async () => {
    const { id } = await agentOf('workflow_agent', { tools: ['send_message'] })
    for (const message of ['One.', 'Two.']) {
      t.model.add({ reply: { tool_calls: [say(message)] } })
      await send(id)
    }
    const roles = t.model.requests.map(({ body }) => body.messages.map((m) => m.role))
    assert.deepEqual(roles, [
      ['system', 'user'],
      ['system', 'user'],
    ])
    assert.equal(t.model.requests[0]?.body['tool_choice'] && true, true)
    assert.deepEqual(
      (await list(id)).map((m) => m.message_type).filter((type) => type === 'assistant_message').length,
      2,
    )
  })

  it('sleeptime_agent: edits memory until it says that it is done', async () => {
    const { id } = await agentOf('sleeptime_agent')
    t.model.add(
      {
        reply: {
          tool_calls: [
            { name: 'memory_rethink', arguments: { label: 'human', new_memory: 'Ada, in London' } },
          ],
        },
      },
      { reply: { tool_calls: [{ name: 'memory_finish_edits', arguments: {} }] } },
    )
    const answer = await send(id)
    assert.equal(answer.stop_reason.stop_reason, 'tool_rule')
    assert.equal((await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value, 'Ada, in London')
  })

  it('voice_sleeptime_agent: stores memories, rewrites the user and finishes', async () => {
    const { id } = await agentOf('voice_sleeptime_agent')
    t.model.add(
      {
        reply: {
          tool_calls: [
            { name: 'store_memories', arguments: { chunks: [{ context: 'Ada moved to London.' }] } },
          ],
        },
      },
      {
        reply: { tool_calls: [{ name: 'rethink_user_memory', arguments: { new_memory: 'Ada, in London' } }] },
      },
      { reply: { tool_calls: [{ name: 'finish_rethinking_memory', arguments: {} }] } },
    )
    assert.equal((await send(id)).stop_reason.stop_reason, 'end_turn')
    assert.equal((await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value, 'Ada, in London')
    const passages = await t.letta.agents.passages.list(id)
    assert.deepEqual(
      passages.map((passage) => passage.text),
      ['Ada moved to London.'],
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
