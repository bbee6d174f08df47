import assert from 'node:assert/strict'
import type { PlainOperation } from './plain.ts'

/** The APIs of OpenAI and Anthropic: their official clients are tested in test/server, here that answers keep to the contract. */
export const openaiOperations: PlainOperation[] = [
  ...(['/v1', '/openai/v1'] as const).map((base) => ({
    name: `POST ${base}/chat/completions`,
    shows: 'a chat completion',
    async run(t: Parameters<PlainOperation['run']>[0]) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { text: 'Hello.', reasoning: 'Hm.' } })
      const sent = { model: id, messages: [{ role: 'user', content: 'Hi' }] }
      const { status, body } = await t.http('POST', `${base}/chat/completions`, sent)
      assert.equal(status, 200, JSON.stringify(body))
      const { choices } = body as { choices: { message: { content: string } }[] }
      assert.equal(choices[0]?.message.content, 'Hello.')
    },
  })),
  {
    name: 'POST /openai/v1/responses',
    shows: 'a response, which is read again and deleted',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { text: 'Hello.', reasoning: 'Hm.' } })
      const made = await t.http('POST', '/openai/v1/responses', { model: id, input: 'Hi' })
      assert.equal(made.status, 200, JSON.stringify(made.body))
      const path = `/openai/v1/responses/${(made.body as { id: string }).id}`
      const read = await t.http('GET', path)
      assert.equal(read.status, 200, JSON.stringify(read.body))
      const deleted = await t.http('DELETE', path)
      assert.equal(deleted.status, 200, JSON.stringify(deleted.body))
    },
  },
  {
    name: 'POST /anthropic/v1/messages',
    shows: 'a message of Anthropic',
    async run(t) {
      const { id } = await t.newAgent()
      t.model.add({ reply: { text: 'Hello.', reasoning: 'Hm.' } })
      const messages = [{ role: 'user', content: 'Hi' }]
      const sent = { model: id, messages, max_tokens: 100, thinking: { type: 'enabled' } }
      const { status, body } = await t.http('POST', '/anthropic/v1/messages', sent)
      assert.equal(status, 200, JSON.stringify(body))
      assert.equal((body as { content: unknown[] }).content.length, 2)
    },
  },
  {
    name: 'GET /openai/v1/models',
    shows: 'agents as models',
    async run(t) {
      const { id } = await t.newAgent()
      const { body } = await t.http('GET', '/openai/v1/models')
      assert.ok((body as { data: { agent_id: string }[] }).data.some((one) => one.agent_id === id))
      assert.equal((await t.http('GET', `/openai/v1/models/${id}`)).status, 200)
    },
  },
]
