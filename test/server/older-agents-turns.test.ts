import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import type { ContractTest } from '../support/contract.ts'
import { joined, line, remember, say, type Sent, withOlderAgents } from '../support/older-agents.ts'

describe('turns of agents of the older types', () => {
  let t: ContractTest
  const { agentOf, send, stream, list } = withOlderAgents((started) => (t = started))

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
})
