import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { conversationTurns } from './conversation-turns.ts'
import { aCall, ADA, aMessage, aReturn, at, text } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function describeConversationHistory(subject: Subject): void {
  const { open, turn, contextOf, listed, begin } = conversationTurns(subject)

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
