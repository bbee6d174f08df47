import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

async function begin(t: ContractTest, more: { summary?: string } = {}) {
  const agent = await t.newAgent()
  return { agent, ...(await t.letta.conversations.create({ agent_id: agent.id, ...more })) }
}

/** Reads a turn's stream to its end. */
async function say(t: ContractTest, id: string, input: string, reply: string): Promise<string[]> {
  t.model.add({ reply: { text: reply } })
  const types: string[] = []
  for await (const item of await t.letta.conversations.messages.create(id, { input }))
    types.push(String(item.message_type))
  return types
}

async function idOf(t: ContractTest, id: string, type: string): Promise<string> {
  const { items } = await t.letta.conversations.messages.list(id)
  const found = items.find((m) => m.message_type === type)
  assert.ok(found && 'id' in found, type)
  return found.id
}

export const conversationMethods: Method[] = [
  {
    name: 'conversations.create',
    shows: 'a conversation with a system message of its own, and its own model',
    async run(t) {
      const agent = await t.newAgent()
      const made = await t.letta.conversations.create({
        agent_id: agent.id,
        summary: 'a talk',
        model: 'loci/demo',
        model_settings: { provider_type: 'openai', temperature: 0.5 },
      })
      assert.match(made.id, /^conv-[0-9a-f-]{36}$/)
      assert.deepEqual([made.summary, made.model, made.agent_id], ['a talk', 'loci/demo', agent.id])
      assert.equal(made.in_context_message_ids?.length, 1)
      await assert.rejects(
        t.letta.conversations.create({ agent_id: 'agent-00000000-0000-4000-8000-000000000000' }),
        { status: 404 },
      )
    },
  },
  {
    name: 'conversations.retrieve',
    shows: 'what was created',
    async run(t) {
      const { id, summary } = await begin(t, { summary: 'x' })
      assert.equal((await t.letta.conversations.retrieve(id)).summary, summary)
    },
  },
  {
    name: 'conversations.update',
    shows: 'a new summary, and the rest as it was',
    async run(t) {
      const { id } = await begin(t, { summary: 'before' })
      const changed = await t.letta.conversations.update(id, { summary: 'after' })
      assert.deepEqual([changed.summary, changed.model], ['after', null])
      const at = await t.letta.conversations.update(id, { last_message_at: '2026-01-01T00:00:00Z' })
      assert.deepEqual([at.summary, at.last_message_at], ['after', '2026-01-01T00:00:00.000Z'])
    },
  },
  {
    name: 'conversations.list',
    shows: 'the conversations of an agent, newest first, without its default one',
    async run(t) {
      const { agent, id } = await begin(t)
      const second = await t.letta.conversations.create({ agent_id: agent.id })
      const list = await t.letta.conversations.list({ agent_id: agent.id })
      assert.deepEqual(
        list.map((c) => c.id),
        [second.id, id],
      )
      assert.deepEqual(await t.letta.conversations.list({ agent_id: agent.id, after: id }), [])
    },
  },
  {
    name: 'conversations.delete',
    shows: 'a conversation that is gone',
    async run(t) {
      const { id } = await begin(t)
      assert.equal(await t.letta.conversations.delete(id), null)
      await assert.rejects(t.letta.conversations.retrieve(id), { status: 404 })
    },
  },
  {
    name: 'conversations.fork',
    shows: 'a conversation with the same messages, up to one when it is named',
    async run(t) {
      const { id } = await begin(t)
      await say(t, id, 'Hi', 'Hello.')
      const fork = await t.letta.conversations.fork(id)
      assert.notEqual(fork.id, id)
      assert.equal(fork.in_context_message_ids?.length, 3)
      const message_id = await idOf(t, id, 'user_message')
      const early = await t.letta.conversations.fork(id, { message_id })
      assert.deepEqual(early.in_context_message_ids?.slice(1), [message_id])
    },
  },
  {
    name: 'conversations.recompile',
    shows: 'the system prompt of this conversation',
    async run(t) {
      const { id } = await begin(t)
      assert.match(await t.letta.conversations.recompile(id), new RegExp(`CONVERSATION_ID: ${id}`))
    },
  },
  {
    name: 'conversations.cancel',
    shows: 'the turn of this conversation cancelled, and 409 when there is none',
    async run(t) {
      const { id } = await begin(t)
      await assert.rejects(t.letta.conversations.cancel(id), { status: 409 })
      const gate = Promise.withResolvers<void>()
      const at = t.model.requests.length
      t.model.add({ reply: { text: 'Never.', hold: gate.promise } })
      const stream = await t.letta.conversations.messages.create(id, { input: 'Wait' })
      await t.model.request(at)
      assert.deepEqual(Object.values(await t.letta.conversations.cancel(id)), ['cancelled'])
      gate.resolve()
      const types: string[] = []
      for await (const item of stream) types.push(String(item.message_type))
      assert.equal(types.at(-1), 'stop_reason')
    },
  },
  {
    name: 'conversations.messages.create',
    shows: 'a stream, unless it is not wanted',
    async run(t) {
      const { id } = await begin(t)
      assert.deepEqual(await say(t, id, 'Hi', 'Hello.'), [
        'ping',
        'assistant_message',
        'stop_reason',
        'usage_statistics',
      ])
      t.model.add({ reply: { text: 'Whole.' } })
      const whole = await t.http('POST', `/v1/conversations/${id}/messages`, { input: 'x', streaming: false })
      assert.equal(whole.status, 200)
    },
  },
  {
    name: 'conversations.messages.list',
    shows: 'the messages of this conversation alone, newest first',
    async run(t) {
      const { agent, id } = await begin(t)
      await t.say(agent.id, 'elsewhere', 'Yes.')
      await say(t, id, 'Hi', 'Hello.')
      const { items } = await t.letta.conversations.messages.list(id)
      assert.deepEqual(
        items.map((m) => m.message_type),
        ['assistant_message', 'user_message', 'system_message'],
      )
    },
  },
]

/** Routes of ours, and the ones that the client has no method for. */
export const plainConversationOperations: PlainOperation[] = [
  {
    name: 'POST /v1/conversations/{conversation_id}/rewind',
    shows: 'a shorter context, and what takes it back',
    async run(t) {
      const { id } = await begin(t)
      await say(t, id, 'Hi', 'Hello.')
      const message_id = await idOf(t, id, 'system_message')
      const { body } = await t.http('POST', `/v1/conversations/${id}/rewind`, { message_id })
      assert.equal((body as { removed: number }).removed, 2)
    },
  },
  {
    name: 'POST /v1/conversations/{conversation_id}/reset',
    shows: 'nothing but a system message',
    async run(t) {
      const { id } = await begin(t)
      await say(t, id, 'Hi', 'Hello.')
      assert.equal((await t.http('POST', `/v1/conversations/${id}/reset`)).status, 200)
      assert.equal((await t.letta.conversations.messages.list(id)).items.length, 1)
    },
  },
  {
    name: 'POST /v1/conversations/{conversation_id}/messages/{message_id}/edit-and-resend',
    shows: 'an answer to a message in other words',
    async run(t) {
      const { id } = await begin(t)
      await say(t, id, 'Hi', 'Hello.')
      const message_id = await idOf(t, id, 'user_message')
      t.model.add({ reply: { text: 'Good day.' } })
      const path = `/v1/conversations/${id}/messages/${message_id}/edit-and-resend`
      const { status } = await t.http('POST', path, { input: 'Hallo', streaming: false })
      assert.equal(status, 200)
      assert.equal((await t.letta.conversations.retrieve(id)).in_context_message_ids?.length, 3)
    },
  },
  {
    name: 'POST /v1/conversations/{conversation_id}/messages/preview-raw-payload',
    shows: 'what would go to the model, which hears nothing',
    async run(t) {
      const { id } = await begin(t)
      await say(t, id, 'Hi', 'Hello.')
      const asked = t.model.requests.length
      const path = `/v1/conversations/${id}/messages/preview-raw-payload`
      const { body } = await t.http('POST', path, { input: 'And?', stream_tokens: true })
      assert.equal(t.model.requests.length, asked)
      const types = await say(t, id, 'And?', 'Yes.')
      assert.equal(types.at(-1), 'usage_statistics')
      const { messages, tools } = body as { messages: unknown; tools: unknown }
      assert.deepEqual(t.model.requests.at(-1)?.body.messages, messages)
      assert.deepEqual(t.model.requests.at(-1)?.body.tools, tools)
    },
  },
  {
    name: 'POST /v1/agents/{agent_id}/messages/preview-raw-payload',
    shows: 'what would go to the model',
    async run(t) {
      const { id } = await t.newAgent()
      const { body } = await t.http('POST', `/v1/agents/${id}/messages/preview-raw-payload`, { input: 'Hi' })
      const { messages } = body as { messages: { role: string }[] }
      assert.deepEqual(
        messages.map((m) => m.role),
        ['system', 'user'],
      )
      assert.equal((await t.letta.agents.messages.list(id)).items.length, 1, 'nothing was stored')
    },
  },
]
