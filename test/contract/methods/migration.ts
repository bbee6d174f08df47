import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import type { PlainOperation } from './plain.ts'

async function post<T>(t: ContractTest, path: string, sent: object): Promise<T> {
  const { status, body } = await t.http('POST', `/v1/migration/${path}`, sent)
  assert.equal(status, 200, JSON.stringify(body))
  return body as T
}

const aBlock = () => ({
  id: `block-${crypto.randomUUID()}`,
  label: 'human',
  value: 'Ada',
  limit: 5000,
})

/** What `loci migrate` speaks; the whole of it is in test/cli/migrate*.test.ts. */
export const migrationOperations: PlainOperation[] = [
  {
    name: 'POST /v1/migration/objects',
    shows: 'a block with its id, once',
    async run(t) {
      const value = aBlock()
      const bring = () =>
        post<{ results: { here: string; outcome: string }[] }>(t, 'objects', {
          objects: [{ kind: 'block', value }],
        })
      assert.equal((await bring()).results[0]?.outcome, 'new')
      assert.deepEqual(
        (await bring()).results.map(({ here, outcome }) => [here, outcome]),
        [[value.id, 'same']],
      )
      assert.equal((await t.letta.blocks.retrieve(value.id)).value, 'Ada')
    },
  },
  {
    name: 'POST /v1/migration/known',
    shows: 'which blocks were brought',
    async run(t) {
      const value = aBlock()
      await post(t, 'objects', { objects: [{ kind: 'block', value }] })
      const { ids } = await post<{ ids: string[] }>(t, 'known', {
        kind: 'block',
        ids: [value.id, aBlock().id],
      })
      assert.deepEqual(ids, [value.id])
    },
  },
  {
    name: 'POST /v1/migration/progress',
    shows: 'that nothing of an agent is here yet',
    async run(t) {
      const agent_id = `agent-${crypto.randomUUID()}`
      assert.deepEqual(await post(t, 'progress', { agent_id }), { state: 'new', conversations: [] })
    },
  },
  {
    name: 'POST /v1/migration/messages',
    shows: 'a message of an agent that is still to come, once',
    async run(t) {
      const agent_id = `agent-${crypto.randomUUID()}`
      const id = `message-${crypto.randomUUID()}`
      const part = { id, message_type: 'user_message', content: 'Hi', date: '2026-01-01T00:00:00+00:00' }
      const sent = { agent_id, messages: [{ conversation_id: null, parts: [part] }] }
      assert.deepEqual(await post(t, 'messages', sent), { added: 1, known: 0, problems: [] })
      assert.deepEqual(await post(t, 'messages', sent), { added: 0, known: 1, problems: [] })
      const conversations = [{ id: null, last_message_id: id, messages: 1, went_on: false }]
      assert.deepEqual(await post(t, 'progress', { agent_id }), { state: 'started', conversations })
    },
  },
]
