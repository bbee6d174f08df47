import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { eventually } from '../../support/loci.ts'
import type { PlainOperation } from './plain.ts'

const BATCHES = '/v1/messages/batches'
interface Shown {
  id: string
  status: string
  completed_at: string | null
}

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

/** A batch of one request, which calls a tool and answers. */
async function endedBatch(t: ContractTest) {
  t.model.add(
    {
      reply: {
        tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'In London.' } }],
      },
    },
    { reply: { text: 'Noted.' } },
  )
  const agent = await t.newAgent()
  const requests = [{ agent_id: agent.id, messages: [{ role: 'user', content: 'I am in London' }] }]
  const created = await ask<Shown>(t, 'POST', BATCHES, { requests })
  assert.equal(created.status, 'running')
  const batch = await eventually('the batch has ended', async () => {
    const now = await ask<Shown>(t, 'GET', `${BATCHES}/${created.id}`)
    return now.completed_at === null ? null : now
  })
  assert.equal(batch.status, 'completed')
  return { agent, batch }
}

/** The official TypeScript client has no methods for batches: older ones, and the contract, do. */
export const batchOperations: PlainOperation[] = [
  {
    name: 'POST /v1/messages/batches',
    shows: 'a batch whose requests are done by themselves',
    run: async (t) => void (await endedBatch(t)),
  },
  {
    name: 'GET /v1/messages/batches',
    shows: 'batches, newest first',
    async run(t) {
      const [{ batch: one }, { batch: two }] = [await endedBatch(t), await endedBatch(t)]
      assert.deepEqual(await ask(t, 'GET', `${BATCHES}?limit=2`), [two, one])
      assert.deepEqual(await ask(t, 'GET', `${BATCHES}?order=asc&after=${one.id}`), [two])
      assert.deepEqual(await ask(t, 'GET', `${BATCHES}?limit=1&after=${two.id}`), [one])
    },
  },
  {
    name: 'GET /v1/messages/batches/{batch_id}',
    shows: 'a batch',
    async run(t) {
      const { batch } = await endedBatch(t)
      assert.deepEqual(await ask(t, 'GET', `${BATCHES}/${batch.id}`), batch)
    },
  },
  {
    name: 'GET /v1/messages/batches/{batch_id}/items',
    shows: 'what has become of each request',
    async run(t) {
      const { agent, batch } = await endedBatch(t)
      const [item] = await ask<Record<string, string>[]>(t, 'GET', `${BATCHES}/${batch.id}/items`)
      assert.deepEqual([item?.['agent_id'], item?.['status']], [agent.id, 'completed'])
      assert.equal((await t.letta.runs.retrieve(item?.['run_id'] ?? '')).background, true)
    },
  },
  {
    name: 'GET /v1/messages/batches/{batch_id}/messages',
    shows: 'what the agents have answered',
    async run(t) {
      const { agent, batch } = await endedBatch(t)
      const read = (query: string) =>
        ask<{ messages: { role: string }[] }>(t, 'GET', `${BATCHES}/${batch.id}/messages${query}`)
      const roles = (await read('?order=asc')).messages.map(({ role }) => role)
      assert.deepEqual(roles, ['assistant', 'tool', 'assistant'])
      assert.equal((await read(`?agent_id=${agent.id}&limit=2`)).messages.length, 2)
      assert.deepEqual((await read(`?agent_id=agent-${crypto.randomUUID()}`)).messages, [])
    },
  },
  {
    name: 'PATCH /v1/messages/batches/{batch_id}/cancel',
    shows: 'a batch that is cancelled while it runs',
    async run(t) {
      const open = Promise.withResolvers<void>()
      t.model.add({ reply: { text: 'Late.', hold: open.promise } })
      const from = t.model.requests.length
      const agent = await t.newAgent()
      const created = await ask<Shown>(t, 'POST', BATCHES, {
        requests: [1, 2].map((n) => ({ agent_id: agent.id, input: `Request ${n}` })),
      })
      await t.model.request(from)
      await ask(t, 'PATCH', `${BATCHES}/${created.id}/cancel`)
      const end = await eventually('the batch has ended', async () => {
        const now = await ask<Shown>(t, 'GET', `${BATCHES}/${created.id}`)
        return now.completed_at === null ? null : now
      })
      assert.equal(end.status, 'cancelled')
      open.resolve()
    },
  },
]
