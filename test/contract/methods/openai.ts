import assert from 'node:assert/strict'
import type { PlainOperation } from './plain.ts'

/** OpenAI's API: its official client is tested in test/server/openai-*.test.ts, here that answers keep to the contract. */
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
