import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asks, inserts, READ_FILE, reads, says, searches, withApprovals } from '../support/approvals.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('approvals in streams, conversations and other processes', () => {
  let model: ScriptedModel
  let loci: TestLoci
  const { newAgent, guarded, send, answer, approve, deny, gives, humanBlock, returnsShown, refused } =
    withApprovals((started) => ({ model, t: loci } = started))

  it('are seen and answered from another process, and after a restart', async () => {
    const data = await mkdtemp(join(tmpdir(), 'loci-approvals-'))
    const include: 'agent.pending_approval'[] = ['agent.pending_approval']
    const approvals = (id: string) => [{ type: 'approval' as const, approvals: [approve(id) as never] }]
    const first = await startLoci({ model_url: model.url, data })
    let agent_id: string
    try {
      const agent = await first.letta.agents.create({
        model: SCRIPTED,
        memory_blocks: [{ label: 'human', value: 'a' }],
        tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      })
      agent_id = agent.id
      model.add(asks(inserts('one')), asks(inserts('two')))
      await first.letta.agents.messages.create(agent_id, { input: 'go' })
      const second = await startLoci({ model_url: model.url, data })
      try {
        const found = await second.letta.agents.retrieve(agent_id, { include })
        assert.equal(found.pending_approval?.message_type, 'approval_request_message')
        const again = await second.letta.agents.messages.create(agent_id, { messages: approvals('one') })
        assert.equal(again.stop_reason.stop_reason, 'requires_approval')
      } finally {
        await second.close()
      }
      await refused(
        first.letta.agents.messages.create(agent_id, { messages: approvals('one') }),
        400,
        /'two'/,
      )
    } finally {
      await first.close()
    }
    const later = await startLoci({ model_url: model.url, data })
    try {
      const { letta } = later
      assert.equal(
        (await letta.agents.retrieve(agent_id)).pending_approval,
        null,
        'only when it is asked for',
      )
      const pending = (await letta.agents.retrieve(agent_id, { include })).pending_approval
      const page = await letta.agents.messages.list(agent_id, { limit: 1 })
      assert.deepEqual(page.items, [pending])
      model.add(says('done'))
      const done = await letta.agents.messages.create(agent_id, { messages: approvals('two') })
      assert.equal(done.stop_reason.stop_reason, 'end_turn')
      assert.equal((await letta.agents.retrieve(agent_id, { include })).pending_approval, null)
    } finally {
      await later.close()
      await rm(data, { recursive: true, force: true })
    }
  })

  it('wait in their own conversation, and are answered and cancelled there', async () => {
    const agent = await guarded('memory_insert')
    const { conversations } = loci.letta
    const [one, two] = [
      await conversations.create({ agent_id: agent.id }),
      await conversations.create({ agent_id: agent.id }),
    ]
    const say = (id: string, messages: object[]) =>
      conversations.messages.create(id, { messages: messages, streaming: false })
    const go = [{ role: 'user', content: 'go' }]
    model.add(asks(inserts('in-one')), asks(inserts('in-two')), says('default'), says('one'), says('two'))
    await say(one.id, go)
    await say(two.id, go)
    const found = await loci.letta.agents.retrieve(agent.id, { include: ['agent.pending_approval'] })
    assert.equal(found.pending_approval, null, "not the default conversation's")
    assert.equal((await send(agent.id, 'go')).stop_reason.stop_reason, 'end_turn')
    await refused(say(one.id, go), 409, /PENDING_APPROVAL/)
    await refused(say(one.id, [{ type: 'approval', approvals: [approve('in-two')] }]), 400, /'in-one'/)
    await say(one.id, [{ type: 'approval', approvals: [approve('in-one')] }])
    assert.equal(Object.values(await conversations.cancel(two.id))[0], 'cancelled')
    await say(two.id, go)
    assert.match(returnsShown()['in-two'] ?? '', /denied/)
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('forgotten in any conversation are seen in its object and in lists, and cancelled with the agent', async () => {
    const agent = await guarded('memory_insert')
    const { conversations } = loci.letta
    const ids: string[] = []
    for (const call of ['first', 'second']) {
      const { id } = await conversations.create({ agent_id: agent.id })
      ids.push(id)
      model.add(asks(inserts(call)))
      await conversations.messages.create(id, { input: 'go', streaming: false })
    }
    await conversations.create({ agent_id: agent.id })
    const pending = async () => {
      const { body } = await loci.http('GET', `/v1/conversations/?agent_id=${agent.id}&order=asc`)
      return (body as { pending_request_id: string | null }[]).map((one) => one.pending_request_id)
    }
    const asked = await pending()
    assert.deepEqual(
      asked.map((id) => id?.slice(0, 8) ?? null),
      ['message-', 'message-', null],
    )
    const shown = await conversations.messages.list(ids[0] ?? '', { limit: 1 })
    assert.equal(shown.items[0]?.id, asked[0])
    const one = await loci.http('GET', `/v1/conversations/${ids[1]}`)
    assert.equal((one.body as { pending_request_id: string }).pending_request_id, asked[1])
    const done = await loci.letta.agents.messages.cancel(agent.id)
    assert.deepEqual(Object.values(done), ['cancelled', 'cancelled'])
    assert.deepEqual(await pending(), [null, null, null])
    model.add(says('free'))
    await conversations.messages.create(ids[0] ?? '', { input: 'go', streaming: false })
    assert.match(returnsShown()['first'] ?? '', /denied/)
  })

  it('go into a fork of their conversation, and are answered in each', async () => {
    const agent = await guarded('memory_insert')
    const { conversations } = loci.letta
    const source = await conversations.create({ agent_id: agent.id })
    model.add(asks(inserts()), says('source'), says('fork'))
    const say = (id: string, messages: object[]) =>
      conversations.messages.create(id, { messages: messages, streaming: false })
    await say(source.id, [{ role: 'user', content: 'go' }])
    const fork = await conversations.fork(source.id)
    await say(source.id, [{ type: 'approval', approvals: [deny('call-insert', 'not here')] }])
    await say(fork.id, [{ type: 'approval', approvals: [approve('call-insert')] }])
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('are denied when the conversation is cancelled, and it works afterwards', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), says('next'))
    const asked = await send(agent.id, 'go')
    const run_id = asked.messages[0]?.run_id ?? ''
    assert.deepEqual(await loci.letta.agents.messages.cancel(agent.id), { [run_id]: 'cancelled' })
    await refused(loci.letta.agents.messages.cancel(agent.id), 409, /none is running/)
    assert.equal((await send(agent.id, 'next')).stop_reason.stop_reason, 'end_turn')
    assert.match(returnsShown()['call-insert'] ?? '', /denied.*cancelled/)
    assert.equal(await humanBlock(agent.id), 'a')
  })

  it('leave nothing open when the turn that carries them out fails or is cancelled', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), { reply: { status: 400, body: { error: { message: 'no' } } } }, says('next'))
    await send(agent.id, 'go')
    await refused(answer(agent.id, [approve('call-insert')]), 400, /no/)
    assert.equal((await send(agent.id, 'next')).stop_reason.stop_reason, 'end_turn')
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('stream the call as the request that will be stored', async () => {
    const agent = await newAgent({ parallel_tool_calls: true })
    model.add({ reply: { text: 'Well', tool_calls: [searches(), reads()] } }, says('ok'))
    const stream = await loci.letta.agents.messages.create(agent.id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      client_tools: [READ_FILE],
    })
    const chunks: { message_type: string; id?: string; otid?: string | null; [key: string]: unknown }[] = []
    for await (const chunk of stream) chunks.push(chunk as never)
    const deltas = chunks.filter((chunk) => chunk.message_type === 'approval_request_message')
    assert.ok(deltas.length > 1, 'in pieces')
    assert.ok(deltas.every((delta) => !Array.isArray(delta['tool_calls'])))
    assert.deepEqual(deltas[0]?.['tool_calls'], deltas[0]?.['tool_call'])
    const text = deltas.map((delta) => (delta['tool_call'] as { arguments: string }).arguments).join('')
    assert.deepEqual(JSON.parse(text), reads().arguments)
    const page = await loci.letta.agents.messages.list(agent.id, { limit: 3 })
    const pending = page.items.find((message) => message.message_type === 'approval_request_message')
    assert.deepEqual(
      [...new Set(deltas.map((delta) => `${delta.id} ${delta.otid}`))],
      [`${pending?.id} ${pending?.otid}`],
    )
    const spoken = chunks.find((chunk) => chunk.message_type === 'assistant_message')
    assert.equal(
      spoken?.id,
      page.items.find((message) => message.message_type === 'assistant_message')?.id,
      'what was said has the id it is stored under',
    )
    assert.deepEqual(
      chunks.slice(-2).map((chunk) => chunk['stop_reason'] ?? chunk.message_type),
      ['requires_approval', 'usage_statistics'],
    )
    await answer(agent.id, [gives('call-read', 'hello')])
  })

  it('send the request whole when tokens are not streamed', async () => {
    const agent = await newAgent()
    model.add(asks(reads()), says('ok'))
    const stream = await loci.letta.agents.messages.create(agent.id, {
      input: 'go',
      streaming: true,
      client_tools: [READ_FILE],
    })
    const requests: unknown[] = []
    for await (const chunk of stream)
      if (chunk.message_type === 'approval_request_message') requests.push(chunk.tool_calls)
    assert.equal(requests.length, 1)
    assert.ok(Array.isArray(requests[0]))
    await answer(agent.id, [gives('call-read', 'hello')])
  })
})
