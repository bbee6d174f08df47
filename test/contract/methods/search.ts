import assert from 'node:assert/strict'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

const uniqueWord = () => `w${crypto.randomUUID().replaceAll('-', '')}`

export const searchMethods: Method[] = [
  {
    name: 'messages.search',
    shows: 'what was said, of all agents, of one, of one conversation and of a time',
    async run(t) {
      const [ada, bo] = [await t.newAgent(), await t.newAgent()]
      const word = uniqueWord()
      await t.say(ada.id, `The ${word} is blue`, 'Noted.')
      await t.say(bo.id, 'Hello', `A ${word}, you say?`)
      const { id: conversation_id } = await t.letta.conversations.create({ agent_id: ada.id })
      t.model.add({ reply: { text: 'Good.' } })
      await t.letta.conversations.messages.create(conversation_id, {
        input: `One more ${word}`,
        streaming: false,
      })
      const search = async (query: object) =>
        (await t.letta.messages.search({ query: word, ...query })).map((message) => [
          message.agent_id,
          message.message_type,
          message.conversation_id,
        ])
      const adas = [ada.id, 'user_message', null]
      const inConversation = [ada.id, 'user_message', conversation_id]
      assert.equal((await search({})).length, 3)
      assert.deepEqual(await search({ agent_id: bo.id }), [[bo.id, 'assistant_message', null]])
      assert.deepEqual(
        (await search({ agent_id: ada.id, search_mode: 'fts' })).toSorted(),
        [adas, inConversation].toSorted(),
      )
      assert.deepEqual(await search({ conversation_id }), [inConversation])
      assert.deepEqual(await search({ end_date: '2020-01-01' }), [])
      assert.equal((await search({ limit: 1 })).length, 1)
      assert.deepEqual(await t.letta.messages.search({ query: '" OR * NEAR(' }), [])
      await assert.rejects(t.letta.messages.search({ query: word, start_date: 'soon' }), { status: 422 })
    },
  },
]

export const searchOperations: PlainOperation[] = [
  {
    name: 'POST /v1/agents/messages/search',
    shows: 'stored messages with their ranks, by role',
    async run(t) {
      const { id } = await t.newAgent()
      const word = uniqueWord()
      await t.say(id, `The ${word} is blue`, `So the ${word} is blue.`)
      const search = async (body: object) => {
        const { status, body: found } = await t.http('POST', '/v1/agents/messages/search', {
          query: word,
          ...body,
        })
        assert.equal(status, 200)
        return found as { message: { role: string }; fts_rank: number; embedded_text: string }[]
      }
      assert.equal((await search({ agent_id: id })).length, 2)
      const [only, ...more] = await search({ roles: ['user'] })
      assert.deepEqual(more, [])
      assert.deepEqual([only?.message.role, only?.fts_rank], ['user', 1])
      assert.match(only?.embedded_text ?? '', new RegExp(word))
    },
  },
]
