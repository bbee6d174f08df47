import assert from 'node:assert/strict'
import { collect, type ContractTest } from '../../support/contract.ts'
import { eventually } from '../../support/loci.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

interface Job {
  id: string
  status: string
  job_type: string
  agent_id: string
}

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

/** A turn that waits for its model until the gate opens. */
async function heldTurn(t: ContractTest) {
  const { id } = await t.newAgent()
  const gate = Promise.withResolvers<void>()
  const at = t.model.requests.length
  t.model.add({ reply: { text: 'Done.', hold: gate.promise } })
  const run = await t.letta.agents.messages.createAsync(id, { input: 'Slowly' })
  await t.model.request(at)
  return { run, open: () => gate.resolve() }
}

export const restMethods: Method[] = [
  {
    name: 'messages.list',
    shows: 'the messages of every agent, by conversation, walked back to the first',
    async run(t) {
      const one = await t.newAgent()
      const two = await t.newAgent()
      await t.say(one.id, 'Hi', 'Hello.')
      await t.say(two.id, 'Hey', 'Ho.')
      const newest = await t.letta.messages.list({ limit: 4 })
      const texts = newest.flatMap((m) => ('content' in m ? [m.content] : []))
      assert.deepEqual(texts, ['Ho.', 'Hey', 'Hello.', 'Hi'])
      const mine = await t.letta.messages.list({
        conversation_id: one.id,
        include_return_message_types: ['user_message'],
      })
      assert.deepEqual(
        mine.map((m) => ('content' in m ? m.content : null)),
        ['Hi'],
      )
      const oldest = newest.at(-1)?.id ?? ''
      const before = await t.letta.messages.list({ before: oldest, limit: 1 })
      assert.notEqual(before[0]?.id, oldest)
      await assert.rejects(t.letta.messages.list({ before: `message-${crypto.randomUUID()}` }), {
        status: 404,
      })
    },
  },
  {
    name: 'messages.retrieve',
    shows: 'the parts of one stored message',
    async run(t) {
      const { id } = await t.newAgent()
      const { messages } = await t.say(id, 'Hi', 'Hello.')
      const [said] = messages
      const found = await t.letta.messages.retrieve(said?.id ?? '')
      assert.deepEqual(
        found.map((m) => [m.id, m.message_type]),
        [[said?.id, 'assistant_message']],
      )
      await assert.rejects(t.letta.messages.retrieve(`message-${crypto.randomUUID()}`), { status: 404 })
    },
  },
  {
    name: 'tools.search',
    shows: 'tools by what they do, the best first; no vectors',
    async run(t) {
      const names = async (query: Parameters<typeof t.letta.tools.search>[0]) =>
        (await t.letta.tools.search(query)).map(({ tool }) => tool.name)
      assert.equal((await names({ query: 'insert into memory' }))[0], 'memory_insert')
      assert.equal((await names({ query: 'memory', limit: 1 })).length, 1)
      assert.deepEqual(await names({ query: 'memory', tool_types: ['external_mcp'] }), [])
      assert.deepEqual(await names({ query: '*** ((' }), [])
      assert.ok((await names({})).length > 5, 'no query: all')
      await assert.rejects(t.letta.tools.search({ query: 'x', search_mode: 'vector' }), { status: 400 })
    },
  },
]

export const restOperations: PlainOperation[] = [
  {
    name: 'POST /v1/agents/{agent_id}/generate',
    shows: 'an answer of the model, of which the agent knows nothing',
    async run(t) {
      const { id, message_ids } = await t.newAgent()
      t.model.add({
        expect: ({ messages, tools }) =>
          (messages.length === 2 && tools === undefined) || 'the prompts alone were expected',
        reply: { text: 'Four.' },
      })
      const said = await ask<{ content: string; model: string; usage: { total_tokens: number } }>(
        t,
        'POST',
        `/v1/agents/${id}/generate`,
        { prompt: 'Two and two?', system_prompt: 'Be short.' },
      )
      assert.deepEqual([said.content, said.model], ['Four.', 'openai/test-model'])
      assert.ok(said.usage.total_tokens > 0)
      const read = await t.letta.agents.retrieve(id)
      assert.deepEqual(read.message_ids, message_ids)
      assert.deepEqual((await t.letta.runs.list({ agent_id: id })).items, [])
      assert.equal((await collect(await t.letta.agents.messages.list(id))).length, message_ids?.length)
    },
  },
  {
    name: 'GET /v1/embeddings/total_storage_size',
    shows: 'a number, smaller by the unit',
    async run(t) {
      const size = (unit: string) =>
        ask<number>(
          t,
          'GET',
          `/v1/embeddings/total_storage_size${unit === '' ? '' : `?storage-unit=${unit}`}`,
        )
      const [bare, gb, mb] = [await size(''), await size('GB'), await size('MB')]
      assert.equal(bare, gb)
      assert.equal(mb, gb * 1024)
      const wrong = await t.http('GET', '/v1/embeddings/total_storage_size?storage-unit=furlongs')
      assert.equal(wrong.status, 422)
    },
  },
  {
    name: 'GET /v1/jobs',
    shows: 'runs under their older name',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      const [job] = await ask<Job[]>(t, 'GET', '/v1/jobs/?limit=1')
      assert.deepEqual([job?.agent_id, job?.status, job?.job_type], [id, 'completed', 'run'])
      assert.deepEqual(await ask(t, 'GET', `/v1/jobs/?source_id=source-${crypto.randomUUID()}`), [])
    },
  },
  {
    name: 'GET /v1/jobs/active',
    shows: 'those that have not ended',
    async run(t) {
      const { run, open } = await heldTurn(t)
      const active = await ask<Job[]>(t, 'GET', '/v1/jobs/active')
      assert.ok(active.some(({ id }) => id === run.id))
      open()
      await eventually('the run ends', async () =>
        (await t.letta.runs.retrieve(run.id)).status === 'completed' ? true : null,
      )
    },
  },
  {
    name: 'GET /v1/jobs/{job_id}',
    shows: 'the run',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      const [run] = (await t.letta.runs.list({ agent_id: id })).items
      const job = await ask<Job>(t, 'GET', `/v1/jobs/${run?.id}`)
      assert.deepEqual([job.id, job.agent_id], [run?.id, id])
      assert.equal((await t.http('GET', `/v1/jobs/job-${crypto.randomUUID()}`)).status, 404)
    },
  },
  {
    name: 'PATCH /v1/jobs/{job_id}/cancel',
    shows: 'a run that was cancelled',
    async run(t) {
      const { run, open } = await heldTurn(t)
      const job = await ask<Job>(t, 'PATCH', `/v1/jobs/${run.id}/cancel`)
      assert.equal(job.status, 'cancelled')
      open()
      assert.equal((await t.http('PATCH', `/v1/jobs/${run.id}/cancel`)).status, 409)
    },
  },
  {
    name: 'DELETE /v1/jobs/{job_id}',
    shows: 'a run that is gone',
    async run(t) {
      const { id } = await t.newAgent()
      await t.say(id, 'Hi', 'Hello.')
      const [run] = (await t.letta.runs.list({ agent_id: id })).items
      assert.equal((await ask<Job>(t, 'DELETE', `/v1/jobs/${run?.id}`)).id, run?.id)
      await assert.rejects(t.letta.runs.retrieve(run?.id ?? ''), { status: 404 })
    },
  },
]
