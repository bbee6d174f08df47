import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

/** An agent with something to sum up, in its default conversation. */
async function talked(t: ContractTest): Promise<string> {
  const { id } = await t.newAgent({ compaction_settings: { model: 'openai/test-model', mode: 'all' } })
  for (const i of [1, 2]) await t.say(id, `Question ${i}?`, `Answer ${i}.`)
  return id
}

async function compacted(t: ContractTest): Promise<string> {
  const id = await talked(t)
  t.model.add({ reply: { text: 'Two questions, answered.' } })
  await t.letta.agents.messages.compact(id)
  return id
}

export const compactionMethods: Method[] = [
  {
    name: 'agents.messages.compact',
    shows: 'the summary that stands for all messages now, and their numbers',
    async run(t) {
      const id = await talked(t)
      t.model.add({ reply: { text: 'Two questions, answered.' } })
      const done = await t.letta.agents.messages.compact(id)
      const { summary, num_messages_before, num_messages_after } = done
      assert.deepEqual([summary, num_messages_before, num_messages_after], ['Two questions, answered.', 5, 2])
      await assert.rejects(t.letta.agents.messages.compact(id), { status: 400 })
      const { items } = await t.letta.agents.messages.list(id, { limit: 50 })
      assert.equal(items.length, 6, 'nothing left the history')
    },
  },
  {
    name: 'conversations.messages.compact',
    shows: 'the same in one conversation, which leaves the others alone',
    async run(t) {
      const id = await talked(t)
      const { id: conversation } = await t.letta.conversations.create({ agent_id: id })
      for (const i of [1, 2]) {
        t.model.add({ reply: { text: `Sure ${i}.` } })
        const stream = await t.letta.conversations.messages.create(conversation, { input: `Hello ${i}?` })
        for await (const _ of stream);
      }
      t.model.add({ reply: { text: 'Two greetings.' } })
      const done = await t.letta.conversations.messages.compact(conversation)
      assert.deepEqual([done.summary, done.num_messages_after], ['Two greetings.', 2])
      const present = await t.letta.conversations.retrieve(conversation)
      assert.equal(present.in_context_message_ids?.length, 2)
      assert.equal((await t.letta.agents.retrieve(id)).message_ids?.length, 5)
      t.model.add({ reply: { text: 'Two questions.' } })
      const byDefault = await t.letta.conversations.messages.compact('default', { agent_id: id })
      assert.equal(byDefault.num_messages_before, 5)
    },
  },
]

export const compactionOperations: PlainOperation[] = [
  {
    name: 'GET /v1/agents/{agent_id}/context',
    shows: 'what fills the context: parts that add up',
    async run(t) {
      const id = await compacted(t)
      const { status, body } = await t.http('GET', `/v1/agents/${id}/context`)
      assert.equal(status, 200)
      const overview = body as Record<string, unknown>
      const parts = Object.entries(overview).filter(([key]) => key.startsWith('num_tokens_'))
      const sum = parts.reduce((total, [, tokens]) => total + Number(tokens), 0)
      assert.equal(overview['context_window_size_current'], sum)
      assert.ok(sum > 200)
      assert.match(String(overview['core_memory']), /^<memory_blocks>[^]*Name: Ada[^]*<\/memory_blocks>$/)
      assert.match(String(overview['external_memory_summary']), /^<memory_metadata>/)
      assert.match(String(overview['summary_memory']), /Two questions, answered/)
      assert.doesNotMatch(String(overview['system_prompt']), /memory_blocks>/)
      const other = await t.http(
        'GET',
        `/v1/agents/${id}/context?conversation_id=conv-${crypto.randomUUID()}`,
      )
      assert.equal(other.status, 404)
      await t.letta.agents.blocks.update('human', { agent_id: id, value: 'Name: Grace' })
      const next = (await t.http('GET', `/v1/agents/${id}/context`)).body as Record<string, unknown>
      assert.match(String(next['core_memory']), /Name: Grace/, 'as it will be, not as it was')
    },
  },
  {
    name: 'GET /v1/agents/{agent_id}/compactions',
    shows: 'the record of each, by conversation too',
    async run(t) {
      const id = await compacted(t)
      const read = async (query: string) =>
        (await t.http('GET', `/v1/agents/${id}/compactions${query}`)).body as Record<string, unknown>[]
      const [record, ...others] = await read('')
      assert.equal(others.length, 0)
      assert.deepEqual([record?.['trigger'], record?.['conversation_id']], ['manual', null])
      assert.deepEqual(await read('?conversation_id=default'), [record])
      assert.deepEqual(await read(`?after=${String(record?.['id'])}`), [])
    },
  },
  {
    name: 'GET /v1/agents/{agent_id}/compactions/{compaction_id}',
    shows: 'the messages that left the context',
    async run(t) {
      const id = await compacted(t)
      const [record] = (await t.http('GET', `/v1/agents/${id}/compactions`)).body as { id: string }[]
      const { body } = await t.http('GET', `/v1/agents/${id}/compactions/${record?.id}`)
      const detail = body as { evicted_message_ids: string[]; evicted_count: number }
      assert.equal(detail.evicted_message_ids.length, 4)
      assert.equal(detail.evicted_count, 4)
      const unknown = await t.http('GET', `/v1/agents/${id}/compactions/compaction-${crypto.randomUUID()}`)
      assert.equal(unknown.status, 404)
    },
  },
  {
    name: 'GET /v1/conversations/{conversation_id}/compactions',
    shows: 'the record of each compaction of a conversation',
    async run(t) {
      const id = await compacted(t)
      const { body } = await t.http('GET', `/v1/conversations/default/compactions?agent_id=${id}`)
      assert.equal((body as unknown[]).length, 1)
    },
  },
]
