import assert from 'node:assert/strict'
import type Letta from '@letta-ai/letta-client'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const CALL = {
  reply: {
    tool_calls: [{ id: 'call-1', name: 'memory_insert', arguments: { label: 'human', new_string: 'X.' } }],
  },
}

describe('rewinds, forks and edits around approvals and summaries', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLociEach((started) => ({ t, model } = started))

  const begin = async (more: Partial<Letta.AgentCreateParams> = {}) => {
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada.' }],
      ...more,
    })
    return t.letta.conversations.create({ agent_id: agent.id })
  }
  const guarded = () => begin({ tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }] })

  interface Answer {
    messages: { message_type: string; content?: string; id: string }[]
    stop_reason: { stop_reason: string }
  }
  const send = async (id: string, body: object) => {
    const { status, body: answer } = await t.http('POST', `/v1/conversations/${id}/messages`, {
      streaming: false,
      ...body,
    })
    return { status, ...(answer as Answer) }
  }
  const approve = (id: string) =>
    send(id, {
      messages: [
        { type: 'approval', approvals: [{ type: 'approval', tool_call_id: 'call-1', approve: true }] },
      ],
    })
  const rewind = async (id: string, message_id: string) => {
    const { status, body } = await t.http('POST', `/v1/conversations/${id}/rewind`, { message_id })
    return { status, ...(body as { undo_message_id: string; removed: number; restored: number }) }
  }
  const textOf = (content: unknown) => (typeof content === 'string' ? content : JSON.stringify(content))
  const inContext = async (id: string) => {
    const { items } = await t.letta.conversations.messages.list(id, {
      order: 'asc',
      ...({ in_context: true } as object),
    })
    return items.slice(1).map((m) => ('content' in m ? textOf(m.content) : m.message_type))
  }
  const idOf = async (id: string, content: string) => {
    const { items } = await t.letta.conversations.messages.list(id)
    const found = items.find((m) => 'content' in m && m.content === content)
    assert.ok(found && 'id' in found, `no message '${content}'`)
    return found.id
  }
  const talk = async (id: string, ...rounds: string[]) => {
    for (const round of rounds) {
      model.add({ reply: { text: `re ${round}` } })
      await send(id, { input: round })
    }
  }
  const roles = () => model.requests.at(-1)?.body.messages.map((m) => m.role)

  it('a rewind before a request for approval frees the conversation, and back again it waits', async () => {
    const { id } = await guarded()
    await talk(id, 'one')
    model.add(CALL)
    assert.equal((await send(id, { input: 'two' })).stop_reason.stop_reason, 'requires_approval')
    assert.equal((await send(id, { input: 'three' })).status, 409)
    const back = await rewind(id, await idOf(id, 're one'))
    assert.equal(back.status, 200)
    await talk(id, 'instead')
    assert.deepEqual(roles(), ['system', 'user', 'assistant', 'user'])
    assert.deepEqual(await inContext(id), ['one', 're one', 'instead', 're instead'])
    assert.equal((await rewind(id, back.undo_message_id)).status, 200)
    assert.equal((await send(id, { input: 'three' })).status, 409, 'it is pending again')
    model.add({ reply: { text: 'Done.' } })
    assert.equal((await approve(id)).stop_reason.stop_reason, 'end_turn')
    assert.deepEqual(roles(), ['system', 'user', 'assistant', 'user', 'assistant', 'tool'])
  })

  it('an edit takes the place of a message that led to a request for approval', async () => {
    const { id } = await guarded()
    model.add(CALL)
    await send(id, { input: 'one' })
    model.add({ reply: { text: 'No tool.' } })
    const path = `/v1/conversations/${id}/messages/${await idOf(id, 'one')}/edit-and-resend`
    assert.equal((await t.http('POST', path, { input: 'eins', streaming: false })).status, 200)
    assert.deepEqual(await inContext(id), ['eins', 'No tool.'])
  })

  it('a fork of a conversation that waits for approval is answered by itself', async () => {
    const { id, agent_id } = await guarded()
    model.add(CALL)
    await send(id, { input: 'one' })
    const fork = await t.letta.conversations.fork(id)
    model.add({ reply: { text: 'In the fork.' } })
    assert.equal((await approve(fork.id)).stop_reason.stop_reason, 'end_turn')
    assert.deepEqual(roles(), ['system', 'user', 'assistant', 'tool'])
    assert.equal((await send(id, { input: 'two' })).status, 409, 'the source waits still')
    model.add({ reply: { text: 'In the source.' } })
    assert.equal((await approve(id)).stop_reason.stop_reason, 'end_turn')
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id })
    assert.equal(block.value, 'Ada.\nX.\nX.', 'each ran its own call')
  })

  it('a fork of a message before an approval, and a rewind to the call, are whole', async () => {
    const { id } = await guarded()
    model.add(CALL)
    await send(id, { input: 'one' })
    model.add({ reply: { text: 'Done.' } })
    await approve(id)
    const { items } = await t.letta.conversations.messages.list(id, { order: 'asc' })
    const request = items.find((m) => m.message_type === 'approval_request_message')
    assert.ok(request && 'id' in request)
    assert.equal((await rewind(id, request.id)).status, 200)
    await talk(id, 'two')
    assert.deepEqual(roles(), ['system', 'user', 'assistant', 'tool', 'user'])
    const fork = await t.letta.conversations.fork(id, { message_id: await idOf(id, 'one') })
    await talk(fork.id, 'three')
    assert.deepEqual(roles(), ['system', 'user', 'user'])
  })

  it('a message that was compacted away comes back with the context as it was', async () => {
    const { id } = await begin()
    await talk(id, 'one', 'two', 'three', 'four')
    model.add({ reply: { text: 'They counted.' } })
    await t.letta.conversations.messages.compact(id, {
      compaction_settings: { mode: 'all', model: SCRIPTED },
    })
    const short = await inContext(id)
    assert.ok(!short.includes('two') && short.length < 4, short.join())
    const fork = await t.letta.conversations.fork(id, { message_id: await idOf(id, 're one') })
    await talk(fork.id, 'other')
    assert.deepEqual(await inContext(fork.id), ['one', 're one', 'other', 're other'])
    const back = await rewind(id, await idOf(id, 're two'))
    assert.equal(back.status, 200)
    assert.deepEqual(await inContext(id), ['one', 're one', 'two', 're two'])
    await rewind(id, back.undo_message_id)
    assert.deepEqual(await inContext(id), short, 'the summary, as it was')
    model.add({ reply: { text: 'anew' } })
    const path = `/v1/conversations/${id}/messages/${await idOf(id, 'two')}/edit-and-resend`
    assert.equal((await t.http('POST', path, { input: 'zwei', streaming: false })).status, 200)
    assert.deepEqual(await inContext(id), ['one', 're one', 'zwei', 'anew'])
  })

  it('an agent that keeps nothing between messages says why there is nothing to go back to', async () => {
    const { id } = await begin({ message_buffer_autoclear: true })
    await talk(id, 'one', 'two')
    const { status, ...rest } = await rewind(id, await idOf(id, 'one'))
    assert.equal(status, 409)
    assert.match(JSON.stringify(rest), /message_buffer_autoclear/)
  })

  it('a request that fails has edited nothing', async () => {
    const { id } = await begin()
    await talk(id, 'one', 'two')
    const path = `/v1/conversations/${id}/messages/${await idOf(id, 'one')}/edit-and-resend`
    const image = { type: 'image', source: { type: 'url', url: 'http://127.0.0.1:1/x.png' } }
    const failed = await t.http('POST', path, { input: [image], streaming: false })
    assert.equal(failed.status, 400)
    assert.deepEqual(await inContext(id), ['one', 're one', 'two', 're two'])
  })
})
