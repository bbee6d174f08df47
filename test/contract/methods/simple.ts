import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { SCRIPTED } from '../../support/loci.ts'
import type { PlainOperation } from './plain.ts'

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

/** An agent of the simple API; answers its path. */
async function anAgent(t: ContractTest): Promise<string> {
  const name = `simple-${crypto.randomUUID()}`
  await ask(t, 'POST', '/agents', { name, persona: 'Kind.', model: SCRIPTED })
  return `/agents/${name}`
}

/** The simple API: what it does is tested in test/server/simple-api.test.ts, here that it answers as it says. */
export const simpleOperations: PlainOperation[] = [
  {
    name: 'GET /agents',
    shows: 'agents, as they are made, read, changed and deleted',
    async run(t) {
      const path = await anAgent(t)
      const made = await ask<{ id: string }>(t, 'GET', path)
      assert.ok((await ask<{ id: string }[]>(t, 'GET', '/agents')).some(({ id }) => id === made.id))
      const changed = await ask<{ persona: string }>(t, 'PATCH', path, { persona: 'Kinder.' })
      assert.equal(changed.persona, 'Kinder.')
      await ask(t, 'DELETE', path)
      assert.equal((await t.http('GET', path)).status, 404)
    },
  },
  {
    name: 'POST /agents/{agent}/messages',
    shows: 'an answer, with the agent when it is asked for',
    async run(t) {
      const path = await anAgent(t)
      t.model.add({ reply: { text: 'Hello.' } })
      const sent = { message: 'Hi', include_agent_state: true }
      assert.equal((await ask<{ content: string }>(t, 'POST', `${path}/messages`, sent)).content, 'Hello.')
    },
  },
  {
    name: 'POST /agents/{agent}/batch',
    shows: 'results, and errors in their places',
    async run(t) {
      const path = await anAgent(t)
      t.model.add({ reply: { text: 'One.' } }, { reply: { status: 400, body: { error: { message: 'No' } } } })
      const body = { messages: ['1', '2'], batch_size: 1 }
      const results = await ask<{ error: unknown }[]>(t, 'POST', `${path}/batch`, body)
      assert.deepEqual(
        results.map(({ error }) => error === null),
        [true, false],
      )
    },
  },
  {
    name: 'GET /agents/{agent}/conversations/{conversation}/messages',
    shows: 'what was said in a conversation, which is made, listed and read',
    async run(t) {
      const path = await anAgent(t)
      const made = await ask<{ id: string }>(t, 'POST', `${path}/conversations`)
      assert.equal((await ask<unknown[]>(t, 'GET', `${path}/conversations`)).length, 2)
      assert.deepEqual(await ask(t, 'GET', `${path}/conversations/${made.id}`), made)
      t.model.add({ reply: { text: 'Hello.' } })
      await ask(t, 'POST', `${path}/messages`, { message: 'Hi', conversation_id: made.id })
      const said = await ask<unknown[]>(t, 'GET', `${path}/conversations/${made.id}/messages`)
      assert.equal(said.length, 2)
    },
  },
]
