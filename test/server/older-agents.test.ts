import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import type { ContractTest } from '../support/contract.ts'
import { joined, line, say, type Sent, withOlderAgents } from '../support/older-agents.ts'

describe('agents of the older types over the official client', () => {
  let t: ContractTest
  const { agentOf, send, stream, list } = withOlderAgents((started) => (t = started))
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
})
