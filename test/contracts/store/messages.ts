import assert from 'node:assert/strict'
import type { MessageSearch } from '../../../shared/core/ports/message-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import { aCommit, ADA, aMessage, anAgent, aReturn, aRun, aStep, at, DONE, text } from './samples.ts'

/** An agent whose history is its system message and then these. */
async function withHistory(
  subject: Subject,
  make: (agent_id: string) => StoredMessage[],
  step: { id?: string; run_id?: string } | null = null,
) {
  const { store } = subject
  const agent = await store.agents.create(ADA, anAgent('ada'))
  const run = aRun(agent.id)
  const messages = make(agent.id)
  const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
  const row = step ? { step: aStep(run, step) } : {}
  await store.turns.commit(ADA, aCommit(opened, run, { ...row, finish: DONE }))
  return { agent_id: agent.id, messages, run }
}

export function describeMessages(subject: Subject): void {
  describe('message lists', () => {
    it('keep a message exactly as it was given', async () => {
      const { store } = subject
      const { agent_id, messages } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'emoji 🎉, "quotes", \u0000NUL and 東京', {
          name: 'Ada',
          otid: 'o',
          sender_id: 's',
          group_id: 'g',
        }),
        aMessage(id, 'assistant', '', {
          content: [
            { type: 'reasoning', is_native: true, reasoning: 'hm', signature: 'sig' },
            { type: 'text', text: 'hi' },
          ],
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'look', arguments: '{"a": broken' } }],
          model: 'loci/demo',
          step_id: newId('step'),
        }),
        aReturn(id, 'c', 'seen'),
      ])
      const stored = await store.messages.list(ADA, { agent_id }, { limit: 10, order: 'asc' })
      assert.deepEqual(stored.slice(1), messages)
    })

    it('have `after` newer and `before` older whatever the order, and take the page next to the cursor', async () => {
      const { store } = subject
      const { agent_id } = await withHistory(subject, (id) =>
        Array.from({ length: 6 }, (_, i) => aMessage(id, 'user', `m${i + 1}`)),
      )
      const oldest = await store.messages.list(ADA, { agent_id }, { limit: 100, order: 'asc' })
      const ids = oldest.map((message) => message.id)
      for (const order of ['asc', 'desc'] as const) {
        const present = (some: string[]) => (order === 'asc' ? some : some.toReversed())
        const list = async (more: { after?: string; before?: string }, limit = 2) =>
          (await store.messages.list(ADA, { agent_id }, { limit, order, ...more })).map((m) => m.id)
        assert.deepEqual(await list({}), present(order === 'asc' ? ids.slice(0, 2) : ids.slice(-2)))
        assert.deepEqual(await list({ after: ids[2]! }), present(ids.slice(3, 5)))
        assert.deepEqual(await list({ before: ids[3]! }), present(ids.slice(1, 3)))
        assert.deepEqual(await list({ after: ids[0]!, before: ids[4]! }, 9), present(ids.slice(1, 4)))
        assert.deepEqual(await list({ before: ids[0]! }), [])
        assert.deepEqual(await list({ after: ids[6]! }), [])
      }
      const unknown = store.messages.list(
        ADA,
        { agent_id },
        { limit: 1, order: 'asc', after: newId('message') },
      )
      await assert.rejects(unknown, { code: 'not_found' })
    })

    it('filter by run, step and conversation, and leave failed messages out unless asked', async () => {
      const { store } = subject
      const step_id = newId('step')
      const run_id = newId('run')
      const made = (id: string) => [
        aMessage(id, 'user', 'of the run', { run_id }),
        aMessage(id, 'assistant', 'of the step', { run_id, step_id }),
        aMessage(id, 'assistant', 'failed', { is_err: true }),
      ]
      const { agent_id } = await withHistory(subject, made, { id: step_id, run_id })
      const texts = async (filter: Parameters<typeof store.messages.list>[1]) =>
        (await store.messages.list(ADA, filter, { limit: 10, order: 'asc' })).map(text)
      assert.deepEqual(await texts({ run_id }), ['of the run', 'of the step'])
      assert.deepEqual(await texts({ step_id }), ['of the step'])
      assert.deepEqual(await texts({ conversation_id: agent_id }), [
        'You remember.',
        'of the run',
        'of the step',
      ])
      assert.deepEqual(await texts({ agent_id: newId('agent') }), [])
      assert.deepEqual((await texts({ agent_id, include_err: true })).at(-1), 'failed')
    })
  })

  describe('message search', () => {
    const found = async (agent_id: string, query: string | undefined, more: Partial<MessageSearch> = {}) => {
      const roles = ['user', 'assistant'] as const
      const search = { agent_id, query, roles: [...roles], limit: 10, ...more }
      return (await subject.store.messages.search(ADA, search)).map((message) =>
        message.role === 'tool' ? message.tool_returns[0]?.func_response : text(message),
      )
    }

    it('finds other forms of a word, the best match first, the newest of equals first', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'I was running in the park'),
        aMessage(id, 'assistant', 'Parks are nice'),
        aMessage(id, 'user', 'Bread again'),
        aMessage(id, 'user', 'Bread again'),
        aMessage(id, 'user', 'Crème brûlée'),
      ])
      assert.deepEqual((await found(agent_id, 'runs park'))[0], 'I was running in the park')
      assert.deepEqual(
        new Set(await found(agent_id, 'park')),
        new Set(['I was running in the park', 'Parks are nice']),
      )
      assert.deepEqual(await found(agent_id, 'creme BRULEE'), ['Crème brûlée'])
      const search = { agent_id, query: 'bread', roles: ['user' as const], limit: 1 }
      const [newest] = await subject.store.messages.search(ADA, search)
      const [last] = await subject.store.messages
        .list(ADA, { agent_id }, { limit: 2, order: 'desc' })
        .then((m) => m.slice(1))
      assert.equal(newest?.id, last?.id)
    })

    it('finds the oldest text with a rare word, though thousands share a common one', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'a walrus by the sea'),
        ...Array.from({ length: 2_100 }, (_, i) => aMessage(id, 'user', `the sea, wave ${1_000 + i}`)),
      ])
      const both = await found(agent_id, 'sea walrus', { limit: 3 })
      assert.deepEqual(both, ['a walrus by the sea', 'the sea, wave 3099', 'the sea, wave 3098'])
      assert.deepEqual(await found(agent_id, 'sea', { limit: 2 }), both.slice(1))
      assert.deepEqual(await found(agent_id, 'wave 1007 sea', { limit: 1 }), ['the sea, wave 1007'])
    })

    it('takes quoted text as a phrase', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'the red house'),
        aMessage(id, 'user', 'the house is red'),
      ])
      assert.deepEqual(await found(agent_id, '"red house"'), ['the red house'])
      assert.equal((await found(agent_id, 'red house')).length, 2)
    })

    it('finds Chinese, Japanese, Korean and Thai words in unspaced text, also of one character', async () => {
      const sentences = [
        '昨日、東京タワーに行った',
        '黒猫が好きです',
        'ฉันชอบกินข้าวผัด',
        '저는 김치를 좋아해요',
        '私はPythonを書く',
      ]
      const { agent_id } = await withHistory(subject, (id) => sentences.map((s) => aMessage(id, 'user', s)))
      for (const [query, sentence] of [
        ['東京', 0],
        ['タワー', 0],
        ['ﾀﾜｰ', 0],
        ['猫', 1],
        ['す', 1],
        ['ข้าว', 2],
        ['김치', 3],
        ['Python', 4],
        ['"書く"', 4],
      ] as const) {
        assert.deepEqual(await found(agent_id, query), [sentences[sentence]], query)
      }
      assert.deepEqual(await found(agent_id, '京都'), [])
    })

    it('takes every operator of a search engine as text', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'cats and dogs: NEAR misses, owner'),
      ])
      for (const query of [
        'cats"',
        '"cats',
        '""',
        '"',
        '*',
        'cats*',
        '^cats',
        'NEAR(cats dogs)',
        'cats AND',
        'OR',
        'NOT dogs',
        '-dogs',
        'text:cats',
        'owner : cats',
        '{owner text} : cats',
        '(cats',
        'cats)',
        'a\\b',
        "'; DROP TABLE messages; --",
        '%',
        '_',
        '?',
        ':x',
        '@',
        '\0cats\0',
        '🎉',
        '\uD800',
        'x '.repeat(20_000),
        '(('.repeat(5_000),
        '"a b" '.repeat(500),
      ]) {
        await found(agent_id, query)
      }
      assert.equal((await found(agent_id, '"cats')).length, 1)
      assert.equal((await found(agent_id, 'NOT cats')).length, 1)
      assert.deepEqual(await found(agent_id, 'text:cats'), [], 'the two words in this order, no column')
      assert.deepEqual(await found(agent_id, 'do*'), [])
      assert.deepEqual(await found(agent_id, '🎉'), [])
      assert.deepEqual(await found(agent_id, agent_id), [])
    })

    it('answers a blank query with the newest messages', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'one'),
        aMessage(id, 'assistant', 'two'),
        aMessage(id, 'user', 'three'),
      ])
      assert.deepEqual(await found(agent_id, undefined, { limit: 2 }), ['three', 'two'])
      assert.deepEqual(await found(agent_id, '  \n'), ['three', 'two', 'one'])
    })

    it('finds what an agent said by its tool, and nothing that only the program said', async () => {
      const spoken = (message: string) => ({
        id: 'c',
        type: 'function' as const,
        function: { name: 'send_message', arguments: JSON.stringify({ message }) },
      })
      const packed = (type: string, fields: object) =>
        JSON.stringify({ type, ...fields, time: '2026-01-31 10:00:00 AM UTC+0000' })
      const { agent_id, messages } = await withHistory(subject, (id) => [
        aMessage(id, 'assistant', '', { tool_calls: [spoken('green tea')] }),
        aReturn(id, 'c', 'tea sent', 'send_message'),
        aMessage(id, 'user', packed('heartbeat', { reason: 'tea' })),
        aMessage(id, 'user', packed('user_message', { message: 'black tea' })),
      ])
      const search = { agent_id, roles: ['user', 'assistant', 'tool'] as const, limit: 10 }
      const ids = async (query: string) =>
        (await subject.store.messages.search(ADA, { ...search, roles: [...search.roles], query })).map(
          (message) => messages.findIndex(({ id }) => id === message.id),
        )
      assert.deepEqual((await ids('tea')).toSorted(), [0, 3])
      assert.deepEqual(await ids('heartbeat'), [])
      assert.deepEqual(await ids('user_message'), [])
    })

    it('keeps to the roles, times, conversation and agent asked for', async () => {
      const { agent_id } = await withHistory(subject, (id) => [
        aMessage(id, 'user', 'tea one', { created_at: at(1) }),
        aMessage(id, 'assistant', 'tea two', { created_at: at(2) }),
        aReturn(id, 'c', 'tea three'),
        aReturn(id, 'd', 'tea repeated', 'conversation_search'),
        aMessage(id, 'system', 'tea of the system'),
        aMessage(id, 'assistant', 'tea failed', { is_err: true }),
      ])
      const other = await withHistory(subject, (id) => [aMessage(id, 'user', 'tea of another')])
      assert.deepEqual(new Set(await found(agent_id, 'tea')), new Set(['tea one', 'tea two']))
      assert.deepEqual(await found(agent_id, 'tea', { roles: ['user'] }), ['tea one'])
      assert.deepEqual(await found(agent_id, 'tea', { roles: ['tool'] }), ['tea three'])
      assert.deepEqual(await found(agent_id, 'tea', { roles: [] }), [])
      assert.deepEqual(await found(agent_id, 'tea', { start_date: at(2) }), ['tea two'])
      assert.deepEqual(await found(agent_id, 'tea', { end_date: at(2) }), ['tea one'])
      assert.deepEqual(await found(agent_id, 'tea', { end_date: '2026-01-01T14:02:00+02:00' }), ['tea one'])
      assert.deepEqual(await found(agent_id, 'tea', { conversation_id: newId('conv') }), [])
      assert.deepEqual(await found(other.agent_id, 'tea'), ['tea of another'])
    })
  })
}
