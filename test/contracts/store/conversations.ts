import assert from 'node:assert/strict'
import type { NewConversation } from '../../../shared/core/ports/conversation-store.ts'
import type { OpenTurn } from '../../../shared/core/ports/turn-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import {
  aBlock,
  aCall,
  aCommit,
  ADA,
  aMessage,
  anAgent,
  aReturn,
  aRun,
  at,
  DONE,
  EVE,
  text,
} from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

/** A conversation before its first save. */
export function aConversation(agent_id: string, more: Partial<NewConversation> = {}): NewConversation {
  const id = more.id ?? newId('conv')
  return {
    id,
    agent_id,
    created_at: at(0),
    summary: null,
    model: null,
    model_settings: null,
    override: {},
    isolated_block_labels: [],
    hidden: false,
    system_message: aMessage(agent_id, 'system', 'Begin.', { conversation_id: id }),
    ...more,
  }
}

export function describeConversations(subject: Subject): void {
  const place = (message: StoredMessage, conversation_id: string) => ({ ...message, conversation_id })

  const open = async (
    agent_id: string,
    conversation_id: string,
    words: string[],
    more: Partial<OpenTurn> = {},
  ) => {
    const run = aRun(agent_id, { conversation_id: conversation_id === agent_id ? null : conversation_id })
    const messages = words.map((word) =>
      place(aMessage(agent_id, 'user', word, { run_id: run.id }), conversation_id),
    )
    return {
      run,
      messages,
      opened: await subject.store.turns.open(ADA, { run, conversation_id, messages, ...more }),
    }
  }
  /** A whole turn; answers the messages it added. */
  const turn = async (
    agent_id: string,
    conversation_id: string,
    question: string,
    answers: (string | StoredMessage)[],
    more: Partial<OpenTurn> = {},
  ): Promise<StoredMessage[]> => {
    const { run, opened, messages: asked } = await open(agent_id, conversation_id, [question], more)
    const messages = answers.map((answer) =>
      place(typeof answer === 'string' ? aMessage(agent_id, 'assistant', answer) : answer, conversation_id),
    )
    const commit = aCommit(opened, run, { conversation_id, messages, finish: DONE })
    await subject.store.turns.commit(ADA, commit)
    return [...asked, ...messages]
  }
  const contextOf = async (agent_id: string, conversation_id: string) =>
    (await subject.store.turns.getContext(ADA, agent_id, conversation_id))?.context.map(
      (m) => text(m) || m.role,
    )
  const listed = async (agent_id: string, conversation_id: string, more = {}) =>
    (await subject.store.messages.list(ADA, { agent_id, conversation_id, ...more }, page)).map(
      (m) => text(m) || m.role,
    )
  const begin = async (more: Partial<NewConversation> = {}) => {
    const agent = await subject.store.agents.create(
      ADA,
      anAgent('ada', { new_blocks: [aBlock('human', 'Ada'), aBlock('persona', 'P')] }),
    )
    const made = aConversation(agent.id, more)
    return { agent, conversation: await subject.store.conversations.create(ADA, made), made }
  }

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

  describe('a fork', () => {
    const fork = (source: string, agent_id: string, message_id: string | null = null) => {
      const id = newId('conv')
      return subject.store.conversations.fork(ADA, source, {
        id,
        created_at: at(30),
        hidden: false,
        message_id,
        system_message: aMessage(agent_id, 'system', 'Forked.', { conversation_id: id }),
      })
    }

    it('shares the messages of its source, and each goes its own way', async () => {
      const { agent, made } = await begin({ summary: 's' })
      await turn(agent.id, made.id, 'one', ['1'])
      const before = (await subject.store.messages.list(ADA, { agent_id: agent.id }, page)).length
      const forked = await fork(made.id, agent.id)
      assert.equal(forked.summary, 's')
      assert.deepEqual(await contextOf(agent.id, forked.id), ['Forked.', 'one', '1'])
      await turn(agent.id, made.id, 'two', ['2'])
      await turn(agent.id, forked.id, 'drei', ['3'])
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2'])
      assert.deepEqual(await contextOf(agent.id, forked.id), ['Forked.', 'one', '1', 'drei', '3'])
      assert.deepEqual(await listed(agent.id, forked.id), ['one', '1', 'Forked.', 'drei', '3'])
      assert.deepEqual(await listed(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2'])
      const again = await fork(forked.id, agent.id)
      assert.deepEqual(await listed(agent.id, again.id), ['one', '1', 'drei', '3', 'Forked.'])
      const after = (await subject.store.messages.list(ADA, { agent_id: agent.id }, page)).length
      assert.equal(after, before + 2 + 2 + 2, 'no message was copied')
    })

    it('is listed page by page through what it shares', async () => {
      const { agent, made } = await begin()
      await turn(agent.id, made.id, 'one', ['1'])
      const forked = await fork(made.id, agent.id)
      await turn(agent.id, forked.id, 'two', ['2'])
      const read = async (more: object) =>
        subject.store.messages.list(ADA, { conversation_id: forked.id }, { limit: 2, order: 'desc', ...more })
      const pages: string[] = []
      for (let before: string | undefined; ;) {
        const some = await read(before === undefined ? {} : { before })
        if (some.length === 0) break
        pages.push(some.map(text).join())
        before = some.at(-1)?.id
      }
      assert.deepEqual(pages, ['2,two', 'Forked.,1', 'one'])
      const found = await subject.store.messages.search(ADA, {
        query: 'one',
        agent_id: agent.id,
        conversation_id: forked.id,
        roles: ['user'],
        limit: 10,
      })
      assert.deepEqual(found.map(text), ['one'])
    })

    it('up to a message holds what came before it, with the returns of its tool calls', async () => {
      const { agent, made } = await begin()
      const [, call] = await turn(agent.id, made.id, 'one', [
        aCall(agent.id, 'c'),
        aReturn(agent.id, 'c', 'r'),
        'done',
      ])
      await turn(agent.id, made.id, 'two', ['2'])
      const forked = await fork(made.id, agent.id, call?.id)
      assert.deepEqual(await contextOf(agent.id, forked.id), ['Forked.', 'one', 'assistant', 'tool'])
      assert.deepEqual(await listed(agent.id, forked.id), ['one', 'assistant', 'tool', 'Forked.'])
      await assert.rejects(fork(made.id, agent.id, newId('message')), { code: 'not_found' })
      const other = await begin()
      await assert.rejects(fork(other.made.id, other.agent.id, call?.id), { code: 'not_found' })
    })

    it('keeps what it shares when its source is reset or deleted', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      await turn(agent.id, made.id, 'one', ['1'])
      const forked = await fork(made.id, agent.id)
      await turn(agent.id, made.id, 'two', ['2'])
      const system = aMessage(agent.id, 'system', 'Anew.', { conversation_id: made.id })
      await store.turns.reset(ADA, agent.id, made.id, system)
      assert.deepEqual(await listed(agent.id, made.id), ['Anew.'])
      assert.deepEqual(await listed(agent.id, forked.id), ['one', '1', 'Forked.'])
      assert.deepEqual(await contextOf(agent.id, forked.id), ['Forked.', 'one', '1'])
      await turn(agent.id, made.id, 'three', ['3'])
      assert.deepEqual(await listed(agent.id, made.id), ['Anew.', 'three', '3'])
      await store.conversations.delete(ADA, made.id)
      assert.deepEqual(await listed(agent.id, forked.id), ['one', '1', 'Forked.'])
    })

    it('of a context that ends in an open tool call gets a return of its own', async () => {
      const { agent, made } = await begin()
      await turn(agent.id, made.id, 'one', [aCall(agent.id, 'c')])
      const forked = await fork(made.id, agent.id)
      await turn(agent.id, forked.id, 'two', ['2'])
      assert.deepEqual(await contextOf(agent.id, forked.id), [
        'Forked.',
        'one',
        'assistant',
        'tool',
        'two',
        '2',
      ])
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', 'assistant'])
      assert.deepEqual(await listed(agent.id, made.id), ['Begin.', 'one', 'assistant'])
    })
  })

  describe('a rewind', () => {
    it('goes back to a message, deletes nothing, and is taken back', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [, one] = await turn(agent.id, made.id, 'one', ['1'])
      const [, two] = await turn(agent.id, made.id, 'two', ['2'])
      const back = await store.conversations.rewind(ADA, made.id, one!.id)
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1'])
      assert.deepEqual([back.undo_message_id, back.removed, back.restored], [two!.id, 2, 0])
      assert.equal(back.conversation.in_context_message_ids.length, 3)
      assert.deepEqual(await listed(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2'])
      assert.deepEqual(await listed(agent.id, made.id, { in_context: true }), ['Begin.', 'one', '1'])
      const forward = await store.conversations.rewind(ADA, made.id, back.undo_message_id)
      assert.deepEqual([forward.removed, forward.restored], [0, 2])
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2'])
      await turn(agent.id, made.id, 'three', ['3'])
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2', 'three', '3'])
    })

    it('shows what is in context in its order, page by page', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      await turn(agent.id, made.id, 'one', ['1'])
      const [two] = await turn(agent.id, made.id, 'two', ['2'])
      const id = newId('conv')
      const system_message = aMessage(agent.id, 'system', 'Forked.', { conversation_id: id })
      const fork = { id, created_at: at(1), hidden: false, message_id: null, system_message }
      await store.conversations.fork(ADA, made.id, fork)
      const read = async (more: object) =>
        (
          await store.messages.list(
            ADA,
            { conversation_id: id, in_context: true },
            { limit: 2, order: 'desc', ...more },
          )
        ).map(text)
      assert.deepEqual(await read({ order: 'asc', limit: 9 }), ['Forked.', 'one', '1', 'two', '2'])
      assert.deepEqual(await read({}), ['2', 'two'])
      assert.deepEqual(await read({ before: two!.id }), ['1', 'one'])
      assert.deepEqual(await read({ after: system_message.id, order: 'asc' }), ['one', '1'])
      assert.deepEqual(await read({ before: system_message.id }), [])
      await assert.rejects(read({ before: made.system_message.id }), { code: 'not_found' })
    })

    it('finds the way back to another branch', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [, one] = await turn(agent.id, made.id, 'one', ['1'])
      const [, left] = await turn(agent.id, made.id, 'left', ['L'])
      await store.conversations.rewind(ADA, made.id, one!.id)
      await turn(agent.id, made.id, 'right', ['R'])
      const swap = await store.conversations.rewind(ADA, made.id, left!.id)
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'left', 'L'])
      await store.conversations.rewind(ADA, made.id, swap.undo_message_id)
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'right', 'R'])
      assert.equal((await listed(agent.id, made.id)).length, 7)
    })

    it('to the system message empties the context', async () => {
      const { store } = subject
      const { agent } = await begin()
      await turn(agent.id, agent.id, 'one', ['1'])
      const [system] = (await store.conversations.get(ADA, agent.id))?.in_context_message_ids ?? []
      await store.conversations.rewind(ADA, agent.id, system ?? '')
      await turn(agent.id, agent.id, 'anew', ['2'])
      assert.deepEqual(await contextOf(agent.id, agent.id), ['You remember.', 'anew', '2'])
    })

    it('keeps a tool call with its return', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [, call, back] = await turn(agent.id, made.id, 'one', [
        aCall(agent.id, 'c'),
        aReturn(agent.id, 'c', 'r'),
        'done',
      ])
      for (const message of [call, back]) {
        await store.conversations.rewind(ADA, made.id, message!.id)
        assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', 'assistant', 'tool'])
      }
    })

    it('waits for nobody: it is refused while a turn runs', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [, one] = await turn(agent.id, made.id, 'one', ['1'])
      const { run } = await open(agent.id, made.id, ['two'])
      await assert.rejects(store.conversations.rewind(ADA, made.id, one!.id), {
        code: 'conversation_busy',
        data: { run_id: run.id },
      })
    })

    it('to a message that was never in this context says so', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [elsewhere] = await turn(agent.id, agent.id, 'one', ['1'])
      await assert.rejects(store.conversations.rewind(ADA, made.id, elsewhere!.id), { code: 'conflict' })
      await assert.rejects(store.conversations.rewind(ADA, made.id, newId('message')), { code: 'not_found' })
      await assert.rejects(store.conversations.rewind(ADA, newId('conv'), elsewhere!.id), {
        code: 'not_found',
      })
    })

    it('is forgotten by a reset', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      const [, one] = await turn(agent.id, made.id, 'one', ['1'])
      const system = aMessage(agent.id, 'system', 'Anew.', { conversation_id: made.id })
      await store.turns.reset(ADA, agent.id, made.id, system)
      await assert.rejects(store.conversations.rewind(ADA, made.id, one!.id), { code: 'not_found' })
    })
  })

  describe('an edited message', () => {
    it('stands in the place of what it edits and of all that came after', async () => {
      const { store } = subject
      const { agent, made } = await begin()
      await turn(agent.id, made.id, 'one', ['1'])
      const [two, answer] = await turn(agent.id, made.id, 'two', ['2'])
      await turn(agent.id, made.id, 'three', ['3'])
      await turn(agent.id, made.id, 'zwei', ['4'], { edit: { message_id: two!.id } })
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'zwei', '4'])
      assert.equal((await listed(agent.id, made.id)).length, 9, 'nothing is deleted')
      await turn(agent.id, made.id, 'five', ['5'])
      await store.conversations.rewind(ADA, made.id, answer!.id)
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2'])
      await turn(agent.id, made.id, 'six', ['6'])
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two', '2', 'six', '6'])
    })

    it('is a message of a user, and changes nothing while a turn runs', async () => {
      const { agent, made } = await begin()
      const [one, answer] = await turn(agent.id, made.id, 'one', ['1'])
      const edit = (message_id: string) => turn(agent.id, made.id, 'x', ['y'], { edit: { message_id } })
      await assert.rejects(edit(answer!.id), { code: 'invalid_argument' })
      await assert.rejects(edit(made.system_message.id), { code: 'invalid_argument' })
      await assert.rejects(edit(newId('message')), { code: 'not_found' })
      await open(agent.id, made.id, ['two'])
      await assert.rejects(edit(one!.id), { code: 'conversation_busy' })
      assert.deepEqual(await contextOf(agent.id, made.id), ['Begin.', 'one', '1', 'two'])
    })
  })
}
