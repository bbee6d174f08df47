import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { aConversation, conversationTurns } from './conversation-turns.ts'
import { aBlock, aCommit, ADA, anAgent, at, DONE, EVE, text } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function describeConversations(subject: Subject): void {
  const { open, turn, listed, begin } = conversationTurns(subject)

  describe('conversations', () => {
    it('begin with their own system message, and are read, listed, changed and deleted', async () => {
      const { conversations } = subject.store
      const { agent, conversation, made } = await begin({ summary: '50% done' })
      assert.deepEqual(conversation, {
        id: made.id,
        agent_id: agent.id,
        summary: '50% done',
        in_context_message_ids: [made.system_message.id],
        isolated_block_ids: [],
        model: null,
        model_settings: null,
        last_message_at: null,
        pending_request_id: null,
        created_at: at(0),
        updated_at: at(0),
        created_by_id: ADA.user_id,
        last_updated_by_id: ADA.user_id,
      })
      assert.deepEqual(await conversations.get(ADA, made.id), conversation)
      assert.equal((await conversations.get(ADA, agent.id))?.agent_id, agent.id, 'the default one')
      const changed = await conversations.update(ADA, made.id, { summary: 'done', last_message_at: at(9) })
      assert.deepEqual([changed?.summary, changed?.last_message_at], ['done', at(9)])
      await turn(agent.id, made.id, 'hello', ['hi'])
      assert.equal(await conversations.delete(ADA, made.id), true)
      assert.equal(await conversations.delete(ADA, made.id), false)
      assert.equal(await conversations.get(ADA, made.id), null)
      assert.deepEqual(await conversations.list(ADA, {}, page), [])
      await assert.rejects(open(agent.id, made.id, ['again']), { code: 'not_found' })
      assert.ok((await listed(agent.id, made.id)).includes('hi'), 'its messages stay')
      assert.equal(await conversations.delete(ADA, agent.id), false, 'the default one goes with its agent')
    })

    it('are listed by agent, text and time, page by page, without hidden ones', async () => {
      const { conversations } = subject.store
      const { agent } = await begin({ summary: 'first 100%', created_at: at(1) })
      const second = await conversations.create(
        ADA,
        aConversation(agent.id, { created_at: at(2), summary: 'Two' }),
      )
      const third = await conversations.create(ADA, aConversation(agent.id, { created_at: at(3) }))
      await conversations.create(ADA, aConversation(agent.id, { hidden: true }))
      const other = await begin({ created_at: at(4) })
      const ids = async (filter: object, more: object = {}) =>
        (await conversations.list(ADA, filter, { limit: 50, order: 'desc', ...more })).map((c) => c.id)
      const mine = await ids({ agent_id: agent.id })
      assert.deepEqual(mine.slice(0, 2), [third.id, second.id])
      assert.equal(mine.length, 3)
      assert.deepEqual((await ids({}))[0], other.conversation.id)
      assert.deepEqual(await ids({ agent_id: agent.id }, { after: third.id, limit: 1 }), [second.id])
      assert.deepEqual(await ids({ agent_id: agent.id }, { after: mine[2] }), [], 'past the end')
      assert.deepEqual(await ids({ summary_search: 'two' }), [second.id])
      assert.equal((await ids({ summary_search: '0%' })).length, 1, 'a percent sign is a percent sign')
      await turn(agent.id, second.id, 'hello', ['hi'])
      assert.equal((await ids({ agent_id: agent.id, order_by: 'last_run_completion' }))[0], second.id)
      assert.equal((await ids({ agent_id: agent.id, order_by: 'last_message_at' }))[0], second.id)
      await assert.rejects(ids({}, { after: newId('conv') }), { code: 'not_found' })
    })

    it('of one agent run at once, each with its own context', async () => {
      const { agent, made } = await begin()
      const one = await open(agent.id, made.id, ['one'])
      const two = await open(agent.id, agent.id, ['two'])
      assert.deepEqual(one.opened.context.map(text), ['Begin.', 'one'])
      assert.deepEqual(two.opened.context.map(text), ['You remember.', 'two'])
      await assert.rejects(open(agent.id, made.id, ['more']), {
        code: 'conversation_busy',
        data: { run_id: one.run.id },
      })
      for (const { run, opened } of [two, one])
        await subject.store.turns.commit(ADA, {
          ...aCommit(opened, run, { finish: DONE }),
          conversation_id: run.conversation_id ?? agent.id,
        })
      assert.deepEqual(await listed(agent.id, made.id), ['Begin.', 'one'])
      const all = await subject.store.messages.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(all.map(text).toSorted(), ['Begin.', 'You remember.', 'one', 'two'])
    })

    it('see the agent with their own model and settings', async () => {
      const { store } = subject
      const { agent, made } = await begin({
        model: 'x/other',
        override: { llm_config: { temperature: 0.2 }, model_settings: { temperature: 0.2 } },
      })
      const { opened } = await open(agent.id, made.id, ['hello'])
      assert.equal(opened.agent.llm_config.temperature, 0.2)
      assert.equal(opened.agent.llm_config.context_window, agent.llm_config.context_window)
      const other = { ...agent.llm_config, model: 'other', context_window: 9 }
      const override = { model: 'x/other', llm_config: other, model_settings: {} }
      await store.conversations.update(ADA, made.id, { model: 'x/other', override })
      const seen = (await store.turns.getContext(ADA, agent.id, made.id))?.agent
      assert.deepEqual([seen?.model, seen?.llm_config.context_window], ['x/other', 9])
      const plain = (await store.turns.getContext(ADA, agent.id, agent.id))?.agent
      assert.equal(plain?.model, agent.model)
    })

    it('refuse what belongs to another organisation', async () => {
      const { conversations } = subject.store
      const { agent, made } = await begin()
      assert.equal(await conversations.get(EVE, made.id), null)
      assert.equal(await conversations.update(EVE, made.id, { summary: 'x' }), null)
      assert.equal(await conversations.delete(EVE, made.id), false)
      assert.deepEqual(await conversations.list(EVE, { agent_id: agent.id }, page), [])
      const system_message = made.system_message
      await assert.rejects(conversations.create(EVE, aConversation(agent.id)), { code: 'not_found' })
      const fork = { id: newId('conv'), created_at: at(1), hidden: false, message_id: null, system_message }
      await assert.rejects(conversations.fork(EVE, made.id, fork), { code: 'not_found' })
      await assert.rejects(conversations.rewind(EVE, made.id, system_message.id), { code: 'not_found' })
      const theirs = await subject.store.agents.create(EVE, anAgent('eve'))
      await assert.rejects(conversations.rewind(EVE, theirs.id, system_message.id), { code: 'not_found' })
    })

    it('go with their agent', async () => {
      const { store } = subject
      const { agent, made } = await begin({ isolated_block_labels: ['human'] })
      const [copy] = (await store.conversations.get(ADA, made.id))?.isolated_block_ids ?? []
      await turn(agent.id, made.id, 'hello', ['hi'])
      await store.agents.delete(ADA, agent.id)
      assert.equal(await store.conversations.get(ADA, made.id), null)
      assert.deepEqual(await store.conversations.list(ADA, {}, page), [])
      assert.deepEqual(await store.messages.list(ADA, { conversation_id: made.id }, page), [])
      assert.equal(await store.blocks.get(ADA, copy ?? ''), null, 'its private blocks, too')
      assert.equal((await store.blocks.list(ADA, {}, page)).length, 2, 'the blocks of the agent stay')
    })
  })

  describe('isolated blocks', () => {
    const edit = async (agent_id: string, conversation_id: string, block_edits: object[]) => {
      const { run, opened } = await open(agent_id, conversation_id, ['edit'])
      const commit = aCommit(opened, run, { finish: DONE, block_edits: block_edits as never })
      return subject.store.turns.commit(ADA, { ...commit, conversation_id })
    }
    const seen = async (agent_id: string, conversation_id: string) =>
      (await subject.store.turns.getContext(ADA, agent_id, conversation_id))?.agent.blocks.map(
        (b) => `${b.label}=${b.value}`,
      )

    it('are copies that only their conversation sees and edits', async () => {
      const { store } = subject
      const { agent, made, conversation } = await begin({ isolated_block_labels: ['human'] })
      const [copy] = conversation.isolated_block_ids
      assert.notEqual(copy, agent.blocks[0]?.id)
      assert.deepEqual(await edit(agent.id, made.id, [{ block_id: copy, base_version: 1, value: 'Bo' }]), {
        status: 'committed',
      })
      assert.deepEqual(await seen(agent.id, made.id), ['human=Bo', 'persona=P'])
      assert.deepEqual(await seen(agent.id, agent.id), ['human=Ada', 'persona=P'])
      assert.deepEqual(
        (await store.agents.get(ADA, agent.id, ['agent.blocks']))?.blocks.map((b) => b.value),
        ['Ada', 'P'],
      )
      const persona = agent.blocks[1]!.id
      await edit(agent.id, made.id, [{ block_id: persona, base_version: 1, value: 'shared' }])
      assert.deepEqual(await seen(agent.id, agent.id), ['human=Ada', 'persona=shared'])
      const stale = await edit(agent.id, agent.id, [{ block_id: copy, base_version: 2, value: 'x' }])
      assert.equal(stale.status, 'conflict', 'another conversation does not have it')
    })

    it('are taken away and made again for their conversation alone', async () => {
      const { agent, made, conversation } = await begin({ isolated_block_labels: ['human'] })
      const [copy] = conversation.isolated_block_ids
      await edit(agent.id, made.id, [{ block_id: copy, base_version: 1, detach: true }])
      assert.deepEqual(await seen(agent.id, made.id), ['persona=P'])
      assert.deepEqual(await seen(agent.id, agent.id), ['human=Ada', 'persona=P'])
      await edit(agent.id, made.id, [{ block_id: newId('block'), create: aBlock('human', 'Cy') }])
      assert.deepEqual(await seen(agent.id, made.id), ['human=Cy', 'persona=P'])
      assert.deepEqual(await seen(agent.id, agent.id), ['human=Ada', 'persona=P'])
      await edit(agent.id, made.id, [{ block_id: newId('block'), create: aBlock('to do', 'tea') }])
      assert.deepEqual(await seen(agent.id, agent.id), ['human=Ada', 'persona=P', 'to do=tea'])
    })

    it('that are deleted leave their conversation without the label, and belong to no agent', async () => {
      const { store } = subject
      const { agent, made, conversation } = await begin({ isolated_block_labels: ['human'] })
      const [copy = ''] = conversation.isolated_block_ids
      const { id: stranger } = await store.agents.create(ADA, anAgent('bo'))
      await assert.rejects(store.agents.attachBlock(ADA, stranger, copy), { code: 'conflict' })
      assert.equal(await store.blocks.delete(ADA, copy), true)
      const opened = await store.turns.getContext(ADA, agent.id, made.id)
      assert.ok(!opened?.agent.blocks.some((block) => block.label === 'human'))
      assert.deepEqual((await store.conversations.get(ADA, made.id))?.isolated_block_ids, [])
    })

    it('cannot be had of a label that the agent does not have', async () => {
      await assert.rejects(begin({ isolated_block_labels: ['nope'] }), {
        code: 'invalid_argument',
        message: /human, persona/,
      })
      assert.deepEqual(await subject.store.conversations.list(ADA, {}, page), [])
    })

    it('keep the label that they stand for when they are renamed', async () => {
      const { agent, made, conversation } = await begin({ isolated_block_labels: ['human'] })
      const [copy] = conversation.isolated_block_ids
      await edit(agent.id, made.id, [{ block_id: copy, base_version: 1, label: 'person' }])
      assert.deepEqual(await seen(agent.id, made.id), ['person=Ada', 'persona=P'])
      const persona = agent.blocks[1]!.id
      const refused = await edit(agent.id, made.id, [{ block_id: persona, base_version: 1, label: 'human' }])
      assert.equal(refused.status, 'conflict', 'the agent has a block of that label, which is not seen here')
    })
  })
}
