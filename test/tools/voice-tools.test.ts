import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('the tools of older agents, as a model calls them', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  /** One turn of an agent of the current type, in which the model makes this call; answers its return. */
  async function call(name: string, args: unknown, more: { id?: string; blocks?: boolean } = {}) {
    const created =
      more.id === undefined
        ? await t.letta.agents.create({
            model: SCRIPTED,
            tools: [name],
            memory_blocks: more.blocks === false ? [] : [{ label: 'human', value: 'Ada' }],
          })
        : await t.letta.agents.retrieve(more.id)
    model.add({ reply: { tool_calls: [{ name, arguments: args as never }] } }, { reply: { text: 'ok' } })
    const { messages } = await t.letta.agents.messages.create(created.id, {
      input: 'go',
      use_assistant_message: false,
    })
    const result = messages.find((m) => m.message_type === 'tool_return_message')
    assert.ok(result?.message_type === 'tool_return_message')
    return { id: created.id, status: result.status, text: result.tool_return }
  }

  it('send_message answers the same whatever is said, and refuses what is no text', async () => {
    const { status, text } = await call('send_message', { message: 'Hello' })
    assert.deepEqual([status, text], ['success', 'Sent message successfully.'])
    for (const args of [{}, { message: 5 }, { message: null }])
      assert.equal((await call('send_message', args)).status, 'error')
  })

  it('search_memory searches each word, in a span of time', async () => {
    const { id } = await call('search_memory', { convo_keyword_queries: ['nothing'] })
    model.add({ reply: { text: 'Tea it is.' } })
    await t.letta.agents.messages.create(id, { input: 'I like green tea' })
    const found = async (args: object) => {
      const { status, text } = await call('search_memory', args, { id })
      assert.equal(status, 'success', text)
      const results = (
        JSON.parse(text) as { convo_keyword_search_results: Record<string, { content: string }[]> }
      ).convo_keyword_search_results
      return Object.fromEntries(
        Object.entries(results).map(([word, hits]) => [word, hits.map((h) => h.content)]),
      )
    }
    const both = await found({ convo_keyword_queries: ['green', 'coffee'] })
    assert.deepEqual(both, { green: ['I like green tea'], coffee: [] })
    assert.deepEqual(await found({ convo_keyword_queries: 'green', start_minutes_ago: 5 }), {
      green: ['I like green tea'],
    })
    assert.deepEqual(await found({ convo_keyword_queries: ['green'], end_minutes_ago: 5 }), { green: [] })
    for (const args of [{}, { convo_keyword_queries: [' '] }, { convo_keyword_queries: [5] }])
      assert.equal((await call('search_memory', args, { id })).status, 'error')
  })

  it('store_memories stores all of them or none', async () => {
    const { id, text } = await call('store_memories', { chunks: [{ context: 'one' }, { context: 'two' }] })
    assert.equal(text, 'Stored 2 memories.')
    const stored = async () => (await t.letta.agents.passages.list(id)).map((passage) => passage.text)
    assert.deepEqual((await stored()).toSorted(), ['one', 'two'])
    for (const chunks of [undefined, [], 'one', [{ context: 'three' }, {}], [null], [{ context: ' ' }]])
      assert.equal((await call('store_memories', { chunks }, { id })).status, 'error')
    assert.equal((await stored()).length, 2)
  })

  it('rethink_user_memory writes the block of the user, and makes it when there is none', async () => {
    for (const blocks of [true, false]) {
      const { id, status } = await call('rethink_user_memory', { new_memory: 'Ada, in London' }, { blocks })
      assert.equal(status, 'success')
      const block = await t.letta.agents.blocks.retrieve('human', { agent_id: id })
      assert.equal(block.value, 'Ada, in London')
    }
  })
})
