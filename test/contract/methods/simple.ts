import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { eventually, SCRIPTED } from '../../support/loci.ts'
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

/** What the reference of V1 shows, and V1 never had. */
export const referenceOperations: PlainOperation[] = [
  {
    name: 'POST /v1/files',
    shows: 'a file by itself, attached to an agent, detached and deleted',
    async run(t) {
      const form = new FormData()
      form.set('file', new File(['text'], `${crypto.randomUUID()}.txt`))
      const made = await t.recorder.fetch(`${t.loci.url}/v1/files`, { method: 'POST', body: form })
      const { id } = (await made.json()) as { id: string }
      await eventually('the file is read', async () => {
        const file = await ask<{ processing_status: string }>(t, 'GET', `/v1/files/${id}`)
        return file.processing_status === 'completed' ? file : null
      })
      const agent = await t.newAgent()
      await ask(t, 'PATCH', `/v1/agents/${agent.id}/files/attach/${id}`)
      await ask(t, 'PATCH', `/v1/agents/${agent.id}/files/detach/${id}`)
      assert.equal((await t.http('DELETE', `/v1/files/${id}`)).status, 204)
    },
  },
  {
    name: 'POST /v1/agents/{agent_id}/messages',
    shows: 'the agent beside messages and usage, when it is asked for',
    async run(t) {
      const agent = await t.newAgent()
      t.model.add({ reply: { text: 'Hello.' } })
      const sent = { input: 'Hi', include_agent_state: true }
      const path = `/v1/agents/${agent.id}/messages`
      const answer = await ask<{ agent_state: { id: string } }>(t, 'POST', path, sent)
      assert.equal(answer.agent_state.id, agent.id)
    },
  },
  {
    name: 'GET /v1/health',
    shows: 'usage, when it is asked for',
    async run(t) {
      const health = await ask<{ usage: { agents: number } }>(t, 'GET', '/v1/health?include=usage')
      assert.ok(health.usage.agents >= 0)
    },
  },
]

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
