import assert from 'node:assert/strict'
import type Letta from '@letta-ai/letta-client'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('conversations over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const newAgent = (more: Partial<Letta.AgentCreateParams> = {}) =>
    t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [
        { label: 'human', value: 'Name: Ada' },
        { label: 'persona', value: 'Kind.' },
      ],
      ...more,
    })
  /** Sends and reads the stream to its end; answers what the agent said. */
  const say = async (
    id: string,
    input: string,
    more: Partial<Letta.Conversations.MessageCreateParams> = {},
  ) => {
    let said = ''
    for await (const item of await t.letta.conversations.messages.create(id, { input, ...more }))
      if (item.message_type === 'assistant_message' && typeof item.content === 'string') said += item.content
    return said
  }
  const answer = async (id: string, input: string, reply: string) => {
    model.add({ reply: { text: reply } })
    return say(id, input)
  }
  const textOf = (content: unknown) => (typeof content === 'string' ? content : JSON.stringify(content))
  const asked = (index = -1) =>
    (model.requests.at(index)?.body.messages ?? []).slice(1).map((m) => textOf(m.content))
  const systemText = (index = -1) => textOf(model.requests.at(index)?.body.messages[0]?.content)
  const listed = async (id: string, query: object = {}) => {
    const { items } = await t.letta.conversations.messages.list(id, { order: 'asc', ...query })
    return items.map((m) => ('content' in m ? textOf(m.content).slice(0, 20) : m.message_type))
  }
  const idOf = async (id: string, content: string) => {
    const { items } = await t.letta.conversations.messages.list(id)
    const found = items.find((m) => 'content' in m && m.content === content)
    assert.ok(found && 'id' in found, `no message '${content}'`)
    return found.id
  }

  it('streams unless told otherwise, and names itself in the prompt', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id, summary: 'a talk' })
    assert.match(id, /^conv-/)
    assert.equal(await answer(id, 'Hi', 'Hello.'), 'Hello.')
    assert.match(systemText(), new RegExp(`CONVERSATION_ID: ${id}`))
    model.add({ reply: { text: 'Whole.' } })
    const whole = await t.http('POST', `/v1/conversations/${id}/messages`, {
      input: 'And?',
      streaming: false,
    })
    assert.equal(whole.status, 200)
    const body = whole.body as { messages: { content: string }[]; stop_reason: { stop_reason: string } }
    assert.deepEqual([body.messages[0]?.content, body.stop_reason.stop_reason], ['Whole.', 'end_turn'])
    const read = await t.letta.conversations.retrieve(id)
    assert.equal(read.in_context_message_ids?.length, 5)
    assert.ok(read.last_message_at)
  })

  it('keep apart what is said in each, and share what is remembered', async () => {
    const agent = await newAgent()
    const [a, b] = await Promise.all([
      t.letta.conversations.create({ agent_id: agent.id }),
      t.letta.conversations.create({ agent_id: agent.id }),
    ])
    await answer(a.id, 'I am in Oslo', 'Cold.')
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    await say(b.id, 'I like tea')
    assert.deepEqual(asked(-2), ['I like tea'], 'not a word of the other one')
    await answer(a.id, 'What do I like?', 'Tea.')
    assert.match(systemText(), /Likes tea\./)
    assert.deepEqual(asked(), ['I am in Oslo', 'Cold.', 'What do I like?'])
    const whole = await t.letta.agents.messages.list(agent.id, { limit: 100 })
    const said = whole.items.flatMap((m) => (m.message_type === 'user_message' ? [m.content] : []))
    assert.deepEqual(said.toSorted(), ['I am in Oslo', 'I like tea', 'What do I like?'])
    const some = await t.letta.agents.messages.list(agent.id, { conversation_id: b.id })
    assert.ok(some.items.every((m) => !('content' in m) || m.content !== 'I am in Oslo'))
    const direct = await t.letta.agents.messages.list(agent.id, { conversation_id: 'default' })
    assert.deepEqual(
      direct.items.map((m) => m.message_type),
      ['system_message'],
    )
  })

  it('run at the same time and edit a shared block without losing anything', async () => {
    const agent = await newAgent()
    const conversations = await Promise.all(
      Array.from({ length: 5 }, () => t.letta.conversations.create({ agent_id: agent.id })),
    )
    const gate = Promise.withResolvers<void>()
    const from = model.requests.length
    // The scripted model answers by what it is asked: requests of several turns come in any order.
    for (let i = 0; i < 5; i++)
      model.add({
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: `fact ${i}` } }],
          hold: gate.promise,
        },
      })
    for (let i = 0; i < 5; i++) model.add({ reply: { text: 'Done.' } })
    const turns = conversations.map(({ id }) => say(id, 'remember'))
    await model.request(from + 4)
    gate.resolve()
    assert.deepEqual(await Promise.all(turns), Array(5).fill('Done.'))
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.deepEqual(
      block.value.split('\n').toSorted(),
      ['Name: Ada', ...Array.from({ length: 5 }, (_, i) => `fact ${i}`)].toSorted(),
    )
  })

  it('with an isolated block edit their own copy', async () => {
    const agent = await newAgent()
    const made = await t.http('POST', `/v1/conversations/?agent_id=${agent.id}`, {
      isolated_block_labels: ['human'],
    })
    const { id, isolated_block_ids } = made.body as { id: string; isolated_block_ids: string[] }
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Private.' } }],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    await say(id, 'between us')
    await answer(id, 'and?', 'Yes.')
    assert.match(systemText(), /Private\./)
    assert.equal((await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })).value, 'Name: Ada')
    assert.equal((await t.letta.blocks.retrieve(isolated_block_ids[0] ?? '')).value, 'Name: Ada\nPrivate.')
    const unknown = await t.http('POST', `/v1/conversations/?agent_id=${agent.id}`, {
      isolated_block_labels: ['nope'],
    })
    assert.equal(unknown.status, 400)
  })

  it('with an isolated block that is deleted have none of its label, and never the agent’s', async () => {
    const agent = await newAgent()
    const made = await t.http('POST', `/v1/conversations/?agent_id=${agent.id}`, {
      isolated_block_labels: ['human'],
    })
    const { id, isolated_block_ids } = made.body as { id: string; isolated_block_ids: string[] }
    const [own = ''] = isolated_block_ids
    const stranger = await t.letta.agents.create({ model: SCRIPTED })
    const attached = await t.http('PATCH', `/v1/agents/${stranger.id}/core-memory/blocks/attach/${own}`)
    assert.equal(attached.status, 409)
    assert.match(JSON.stringify(attached.body), /private to the conversation/)
    await t.letta.blocks.delete(own)
    model.add(
      {
        expect: (body) => assert.doesNotMatch(JSON.stringify(body.messages), /Name: Ada/),
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Private.' } }],
        },
      },
      { reply: { text: 'I cannot.' } },
    )
    await say(id, 'between us')
    assert.equal((await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })).value, 'Name: Ada')
    const { body } = await t.http('GET', `/v1/conversations/${id}`)
    assert.deepEqual((body as { isolated_block_ids: string[] }).isolated_block_ids, [])
  })

  it('use their own model and settings', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({
      agent_id: agent.id,
      model_settings: { provider_type: 'openai', temperature: 0.25 },
    })
    await answer(id, 'Hi', 'Hello.')
    assert.equal(model.requests.at(-1)?.body.temperature, 0.25)
    await t.letta.conversations.update(id, { model: 'loci/demo' })
    const before = model.requests.length
    assert.notEqual(await say(id, 'Hi'), '')
    assert.equal(model.requests.length, before, 'the demo answers')
    const back = await t.letta.conversations.update(id, { model: null, model_settings: null })
    assert.deepEqual([back.model, back.model_settings], [null, null])
    await answer(id, 'Hi', 'Hello.')
    assert.notEqual(model.requests.at(-1)?.body.temperature, 0.25)
    await assert.rejects(t.letta.conversations.update(id, { model: 'openai/nothing' }), { status: 404 })
    await assert.rejects(t.letta.conversations.update(agent.id, { model: 'loci/demo' }), { status: 400 })
  })

  it('send a byte-identical prefix turn after turn, each its own', async () => {
    const agent = await newAgent()
    const ids = [agent.id]
    for (let i = 0; i < 2; i++) ids.push((await t.letta.conversations.create({ agent_id: agent.id })).id)
    const from = model.requests.length
    for (let round = 0; round < 3; round++)
      for (const id of ids) await answer(id, `round ${round}`, `ok ${round}`)
    for (const [i, id] of ids.entries()) {
      const own = model.requests.slice(from).filter((_, n) => n % ids.length === i)
      for (const [n, request] of own.entries()) {
        const next = own[n + 1]
        if (!next) continue
        const prefix = JSON.stringify(request.body.messages)
        const longer = JSON.stringify(next.body.messages.slice(0, request.body.messages.length))
        assert.equal(longer, prefix, `conversation ${id}, turn ${n}`)
      }
    }
  })

  it('default is named by its agent on every route', async () => {
    const agent = await newAgent()
    for (const [name, agent_id] of [
      ['default', agent.id],
      [agent.id, undefined],
    ] as const) {
      model.add({ reply: { text: 'Here.' } })
      const more = agent_id === undefined ? {} : { agent_id }
      assert.equal(await say(name, 'Hi', more), 'Here.')
      assert.ok((await listed(name, more)).includes('Here.'))
      assert.match(await t.letta.conversations.recompile(name, { dry_run: true, ...more }), /Name: Ada/)
      await assert.rejects(t.letta.conversations.cancel(name, more), { status: 409 })
      assert.match((await t.letta.conversations.fork(name, more)).id, /^conv-/)
    }
    assert.match(systemText(), /CONVERSATION_ID: default/)
    for (const [query, more] of [
      [`?agent_id=${agent.id}`, {}],
      ['', { agent_id: agent.id }],
    ] as const) {
      const post = async (action: string, body: object, expected = 200) => {
        const path = `/v1/conversations/default/${action}${query}`
        const { status, body: answered } = await t.http('POST', path, { ...body, ...more })
        assert.equal(status, expected, `${path}: ${JSON.stringify(answered)}`)
      }
      model.add(...['Hello.', 'A greeting.', 'Yes.', 'Again.'].map((text) => ({ reply: { text } })))
      await post('messages', { input: 'Hi', streaming: false })
      await post('compact', { compaction_settings: { mode: 'all', model: SCRIPTED } })
      await post('messages', { input: 'Still there?', streaming: false })
      const { items } = await t.letta.agents.messages.list(agent.id, { limit: 2 })
      const message_id = items.find((message) => message.message_type === 'user_message')?.id ?? ''
      await post('fork', {})
      await post(`messages/${message_id}/edit-and-resend`, { streaming: false })
      await post('rewind', { message_id })
      await post('cancel', {}, 409)
      await post('reset', {})
    }
    await assert.rejects(t.letta.conversations.messages.list('default'), { status: 400 })
    await assert.rejects(t.letta.conversations.delete(agent.id), { status: 400 })
    await assert.rejects(t.letta.conversations.retrieve('nonsense'), { status: 422 })
    const conversation = await t.letta.conversations.create({ agent_id: agent.id })
    const other = await newAgent()
    await assert.rejects(t.letta.conversations.messages.list(conversation.id, { agent_id: other.id }), {
      status: 400,
    })
  })

  it('are cancelled by themselves, and deleted with what they are doing', async () => {
    const agent = await newAgent()
    const [a, b] = await Promise.all([
      t.letta.conversations.create({ agent_id: agent.id }),
      t.letta.conversations.create({ agent_id: agent.id }),
    ])
    const gate = Promise.withResolvers<void>()
    const from = model.requests.length
    model.add(
      { reply: { text: 'Never.', hold: gate.promise } },
      { reply: { text: 'Never.', hold: gate.promise } },
    )
    const turns = [say(a.id, 'one'), say(b.id, 'two')]
    await model.request(from + 1)
    const busy = await t.http('POST', `/v1/conversations/${a.id}/messages`, { input: 'me too' })
    assert.equal(busy.status, 409)
    assert.match(String((busy.body as { run_id?: string }).run_id), /^run-/)
    const cancelled = await t.letta.conversations.cancel(a.id)
    assert.deepEqual(Object.values(cancelled), ['cancelled'])
    await t.letta.conversations.delete(b.id)
    await Promise.all(turns)
    gate.resolve()
    await assert.rejects(t.letta.conversations.retrieve(b.id), { status: 404 })
    await assert.rejects(say(b.id, 'still there?'), { status: 404 })
    const { items } = await t.letta.runs.list({ agent_id: agent.id })
    assert.deepEqual(
      items.map((run) => run.status),
      ['cancelled', 'cancelled'],
    )
  })

  it('two forks at once, and a fork from a message, go on by themselves', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    await answer(id, 'two', '2')
    const message_id = await idOf(id, '1')
    const [x, y, early] = await Promise.all([
      t.letta.conversations.fork(id),
      t.letta.conversations.fork(id),
      t.letta.conversations.fork(id, { message_id }),
    ])
    await answer(x.id, 'left', 'L')
    assert.deepEqual(asked(), ['one', '1', 'two', '2', 'left'])
    await answer(y.id, 'right', 'R')
    assert.deepEqual(asked(), ['one', '1', 'two', '2', 'right'])
    await answer(early.id, 'early', 'E')
    assert.deepEqual(asked(), ['one', '1', 'early'])
    assert.deepEqual((await listed(id)).slice(1), ['one', '1', 'two', '2'])
    assert.deepEqual(
      (await listed(early.id)).filter((text) => (text ?? '').length < 8),
      ['one', '1', 'early', 'E'],
    )
  })

  it('are rewound to a message, and forward again', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    await answer(id, 'two', '2')
    const message_id = await idOf(id, '1')
    const back = await t.http('POST', `/v1/conversations/${id}/rewind`, { message_id })
    assert.equal(back.status, 200)
    const { undo_message_id, removed } = back.body as { undo_message_id: string; removed: number }
    assert.equal(removed, 2)
    assert.deepEqual((await listed(id, { in_context: true })).slice(1), ['one', '1'])
    assert.deepEqual((await listed(id)).slice(1), ['one', '1', 'two', '2'], 'nothing is deleted')
    await t.http('POST', `/v1/conversations/${id}/rewind`, { message_id: undo_message_id })
    await answer(id, 'three', '3')
    assert.deepEqual(asked(), ['one', '1', 'two', '2', 'three'])
    const nowhere = await t.http('POST', `/v1/conversations/${id}/rewind`, {
      message_id: 'message-00000000-0000-4000-8000-000000000000',
    })
    assert.equal(nowhere.status, 404)
  })

  it('answer an edited message in its place, or the same one again', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    await answer(id, 'two', '2')
    const message_id = await idOf(id, 'two')
    const path = `/v1/conversations/${id}/messages/${message_id}/edit-and-resend`
    model.add({ reply: { text: 'II' } })
    const edited = await t.http('POST', path, { input: 'deux', streaming: false })
    assert.equal(edited.status, 200, JSON.stringify(edited.body))
    assert.deepEqual(asked(), ['one', '1', 'deux'])
    model.add({ reply: { text: '2b' } })
    assert.equal((await t.http('POST', path, { streaming: false })).status, 200)
    assert.deepEqual(asked(), ['one', '1', 'two'])
    assert.deepEqual((await listed(id)).slice(1), ['one', '1', 'two', '2', 'deux', 'II', 'two', '2b'])
    assert.deepEqual((await listed(id, { in_context: true })).slice(1), ['one', '1', 'two', '2b'])
    const reply = await idOf(id, '2b')
    const refused = await t.http('POST', path.replace(message_id, reply), { input: 'x', streaming: false })
    assert.equal(refused.status, 400)
    assert.equal((await t.http('POST', path, { input: 'a', messages: [] })).status, 422)
  })

  it('edit a message before a tool call without an orphan, and a busy one not at all', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'X.' } }],
        },
      },
      { reply: { text: 'Done.' } },
    )
    await say(id, 'do')
    const { items } = await t.letta.conversations.messages.list(id, { order: 'asc' })
    const call = items.find((m) => m.message_type === 'tool_call_message')
    assert.ok(call && 'id' in call)
    await t.http('POST', `/v1/conversations/${id}/rewind`, { message_id: call.id })
    await answer(id, 'next', 'Yes.')
    assert.deepEqual(
      model.requests.at(-1)?.body.messages.map((m) => m.role),
      ['system', 'user', 'assistant', 'tool', 'user'],
    )
    const gate = Promise.withResolvers<void>()
    const from = model.requests.length
    model.add({ reply: { text: 'Held.', hold: gate.promise } })
    const turn = say(id, 'wait')
    await model.request(from)
    const path = `/v1/conversations/${id}/messages/${await idOf(id, 'next')}/edit-and-resend`
    const busy = await t.http('POST', path, { input: 'now', streaming: false })
    assert.equal(busy.status, 409)
    assert.match(String((busy.body as { run_id?: string }).run_id), /^run-/)
    gate.resolve()
    await turn
  })

  it('are reset one by one', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    await answer(agent.id, 'default', 'D')
    const fork = await t.letta.conversations.fork(id)
    const reset = await t.http('POST', `/v1/conversations/${id}/reset`)
    assert.equal(reset.status, 200)
    assert.deepEqual((await listed(id)).length, 1)
    assert.deepEqual((await listed(agent.id)).slice(1), ['default', 'D'])
    await answer(fork.id, 'two', '2')
    assert.deepEqual(asked(), ['one', '1', 'two'], 'a fork keeps what it shares')
  })

  it('are listed by text and time, page by page', async () => {
    const agent = await newAgent()
    const created: Letta.Conversation[] = []
    for (const summary of ['Tea', 'Coffee', 'tea again'])
      created.push(await t.letta.conversations.create({ agent_id: agent.id, summary }))
    // Those of one millisecond are in the order of their ids.
    const made = created.map((one) => one.id).toSorted()
    const ids = async (query: Letta.ConversationListParams) =>
      (await t.letta.conversations.list({ agent_id: agent.id, ...query })).map((c) => c.id)
    assert.deepEqual(await ids({}), made.toReversed())
    assert.deepEqual(await ids({ order: 'asc', limit: 2 }), made.slice(0, 2))
    assert.deepEqual(await ids({ order: 'asc', after: made[1] ?? '' }), made.slice(2))
    assert.deepEqual(
      await ids({ summary_search: 'TEA' }),
      made.toReversed().filter((id) => id !== created[1]?.id),
    )
    await answer(made[1] ?? '', 'Hi', 'Hello.')
    assert.equal((await ids({ order_by: 'last_message_at' }))[0], made[1])
    assert.equal((await ids({ order_by: 'last_run_completion' }))[0], made[1])
    await assert.rejects(ids({ after: 'conv-00000000-0000-4000-8000-000000000000' }), { status: 404 })
  })

  it('of two processes over one data directory do not meet', async () => {
    const other = await startLoci({ model_url: model.url, data: t.data })
    try {
      const agent = await newAgent()
      const a = await t.letta.conversations.create({ agent_id: agent.id })
      const b = await other.letta.conversations.create({ agent_id: agent.id })
      const gate = Promise.withResolvers<void>()
      const from = model.requests.length
      model.add({ reply: { text: 'A', hold: gate.promise } }, { reply: { text: 'B', hold: gate.promise } })
      const here = say(a.id, 'one')
      await model.request(from)
      const there = (async () => {
        let said = ''
        for await (const item of await other.letta.conversations.messages.create(b.id, { input: 'two' }))
          if (item.message_type === 'assistant_message') said += textOf(item.content)
        return said
      })()
      await model.request(from + 1)
      await assert.rejects(
        other.letta.conversations.messages.create(a.id, { input: 'me too' }),
        { status: 409 },
        'the turn is in the other process',
      )
      gate.resolve()
      assert.deepEqual(await Promise.all([here, there]), ['A', 'B'])
      const forks = await Promise.all([
        t.letta.conversations.fork(a.id),
        other.letta.conversations.fork(a.id),
      ])
      for (const { id } of forks) {
        model.add({ reply: { text: 'F' } })
        await say(id, 'go on')
        assert.deepEqual(asked(), ['one', 'A', 'go on'])
      }
      assert.deepEqual(other.failures, [])
    } finally {
      await other.close()
    }
  })

  it('refuse bad input in words', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    const other = await newAgent()
    const base = `/v1/conversations/${id}`
    const nothing = 'message-00000000-0000-4000-8000-000000000000'
    const nowhere = 'conv-00000000-0000-4000-8000-000000000000'
    const [system] = (await t.letta.conversations.retrieve(id)).in_context_message_ids ?? []
    const cases: [string, string, unknown, number][] = [
      ['POST', '/v1/conversations/', {}, 422],
      ['POST', '/v1/conversations/?agent_id=nonsense', {}, 422],
      ['POST', `/v1/conversations/?agent_id=${agent.id}`, '[]', 422],
      ['POST', `/v1/conversations/?agent_id=${agent.id}`, { isolated_block_labels: 'human' }, 422],
      ['POST', `/v1/conversations/?agent_id=${agent.id}`, { model: 'no-slash' }, 400],
      ['GET', '/v1/conversations/?limit=0', undefined, 422],
      ['GET', '/v1/conversations/?order_by=summary', undefined, 422],
      ['GET', `/v1/conversations/?after=${agent.id}x`, undefined, 404],
      ['GET', `/v1/conversations/${nowhere}`, undefined, 404],
      ['GET', '/v1/conversations/agent-00000000-0000-4000-8000-000000000000', undefined, 404],
      ['GET', '/v1/conversations/default', undefined, 400],
      ['PATCH', base, { summary: 5 }, 422],
      ['PATCH', base, { last_message_at: 'soon' }, 422],
      ['PATCH', base, { model: 'openai/none' }, 404],
      ['PATCH', base, '{', 422],
      ['PUT', base, {}, 405],
      ['GET', `${base}/messages?after=${nothing}`, undefined, 404],
      ['GET', `${base}/messages?in_context=true&before=${nothing}`, undefined, 404],
      ['GET', `${base}/messages?agent_id=${other.id}`, undefined, 400],
      ['POST', `${base}/messages`, {}, 422],
      ['POST', `${base}/messages`, { input: 'x', agent_id: other.id }, 400],
      ['POST', `/v1/conversations/${nowhere}/messages`, { input: 'x' }, 404],
      ['POST', `${base}/fork?message_id=${nothing}`, undefined, 404],
      ['POST', `${base}/fork?message_id=5`, undefined, 422],
      ['POST', `${base}/rewind`, {}, 422],
      ['POST', `${base}/rewind`, { message_id: nothing }, 404],
      ['POST', `${base}/messages/${nothing}/edit-and-resend`, { input: 'x' }, 404],
      ['POST', `${base}/messages/${system}/edit-and-resend`, { input: 'x' }, 400],
      ['POST', `${base}/messages/5/edit-and-resend`, { input: 'x' }, 422],
      ['POST', `${base}/cancel`, undefined, 409],
      ['DELETE', `/v1/conversations/${nowhere}`, undefined, 404],
    ]
    for (const [method, path, body, status] of cases) {
      const got = await t.http(method, path, body)
      assert.equal(
        got.status,
        status,
        `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(got.body)}`,
      )
      assert.equal(typeof (got.body as { detail: unknown }).detail, 'string')
    }
    await answer(id, 'two', '2')
    assert.deepEqual(asked(), ['one', '1', 'two'], 'nothing of it has changed anything')
  })

  it('go on in the background, and may be forked meanwhile', async () => {
    const agent = await newAgent()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await answer(id, 'one', '1')
    const gate = Promise.withResolvers<void>()
    const from = model.requests.length
    model.add({ reply: { text: 'Slow.', hold: gate.promise } })
    const turn = say(id, 'two', { background: true })
    await model.request(from)
    const fork = await t.letta.conversations.fork(id, { message_id: await idOf(id, '1') })
    await answer(fork.id, 'meanwhile', 'Yes.')
    assert.deepEqual(asked(), ['one', '1', 'meanwhile'])
    gate.resolve()
    assert.equal(await turn, 'Slow.')
    assert.deepEqual((await listed(id)).slice(1), ['one', '1', 'two', 'Slow.'])
  })

  it('tell of themselves in the events feed', async () => {
    const agent = await newAgent()
    const response = await fetch(`${t.url}/v1/events`)
    const seen: string[] = []
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        for (const line of value.split('\n')) if (line.startsWith('data: ')) seen.push(line)
      }
    })()
    const { id } = await t.letta.conversations.create({ agent_id: agent.id })
    await t.letta.conversations.update(id, { summary: 's' })
    await t.letta.conversations.delete(id)
    await eventually('three events', () =>
      ['created', 'updated', 'deleted'].every((what) =>
        seen.some((line) => line.includes(`conversation.${what}`) && line.includes(id)),
      )
        ? true
        : null,
    )
    await reader.cancel()
    await reading
  })
})
