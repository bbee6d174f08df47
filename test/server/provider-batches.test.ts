import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import type { Batch, BatchItem } from '../../shared/schema/batch.ts'
import type { UsageCounts } from '../../shared/schema/usage.ts'
import { ServerProcess } from '../reliability/server-process.ts'
import {
  type BatchedReply,
  type BatchProvider,
  type SentBatch,
  startBatchProvider,
} from '../support/batch-provider.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import type { ChatBody } from '../support/model-wire.ts'

const BATCHES = '/v1/messages/batches'
/** One request at once of the usual kind, quick looks. */
const CONFIG = {
  server: {
    batch_concurrency: 1,
    provider_batches: {
      max_waiting: 4,
      collect_seconds: 0.6,
      first_poll_seconds: 0.02,
      max_poll_seconds: 0.1,
    },
  },
}

/** Notes something before it answers, if it is asked to; words of the last input decide what else. */
function reply(body: ChatBody): BatchedReply {
  const messages = (body['input'] ?? body.messages) as ChatBody['messages']
  const last = messages.findLast(
    ({ role, content }) => role === 'user' && !JSON.stringify(content).includes('tool_result'),
  )
  const words = JSON.stringify(last?.content)
  const said = /request \d+/.exec(words)?.[0] ?? ''
  if (words.includes('refuse')) return { refuse: 'this prompt is not liked' }
  if (words.includes('expire')) return { expire: true }
  if (words.includes('forget')) return { none: true }
  const returned = JSON.stringify(messages.at(-1))
  if (words.includes('look') && !/"role":"tool"|tool_result|function_call_output/.test(returned))
    return { tool_calls: [{ name: 'conversation_search', arguments: { query: said } }] }
  return { text: `Said: ${said}` }
}

for (const kind of ['openai', 'responses', 'anthropic'] as const)
  describe(`batches through the batch API of ${kind}`, function () {
    this.timeout(60_000)
    let data: string
    let provider: BatchProvider
    let t: TestLoci
    let agents: string[] = []

    const ok = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
      const answer = await t.http(method, path, body)
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      return answer.body as T
    }
    const create = (requests: unknown[], more: object = { provider_batch: true }) =>
      ok<Batch>('POST', BATCHES, { requests, ...more })
    const read = (id: string) => ok<Batch>('GET', `${BATCHES}/${id}`)
    const items = (id: string) => ok<BatchItem[]>('GET', `${BATCHES}/${id}/items`)
    const ended = (id: string) =>
      eventually(`batch ${id} has ended`, async () => {
        const batch = await read(id)
        return batch.completed_at === null ? null : batch
      })
    const sent = (n: number) => eventually(`batch ${n} at the provider`, () => provider.batches[n] ?? null)
    const said = async (agent_id: string) => {
      const { items } = await t.letta.agents.messages.list(agent_id, { order: 'asc' })
      return items.flatMap((m) => (m.message_type === 'assistant_message' ? [m.content] : []))
    }

    beforeEach(async () => {
      data = await mkdtemp(join(tmpdir(), 'loci-provider-batches-'))
      provider = await startBatchProvider(reply)
      const { url: base_url } = provider
      const own = { name: 'responses', provider_type: 'openai', base_url, api_key: 'test', api: 'responses' }
      const config = { ...CONFIG, providers: kind === 'responses' ? [own] : [] }
      await writeFile(join(data, 'config.json'), JSON.stringify(config))
      t = await startLoci({
        data,
        ...(kind === 'openai' ? { model_url: provider.url } : {}),
        ...(kind !== 'anthropic'
          ? {}
          : { env: { ANTHROPIC_API_KEY: 'test', ANTHROPIC_BASE_URL: provider.url } }),
      })
      agents = []
      for (let n = 0; n < 4; n++) {
        const model = `${kind}/test-model`
        agents.push(
          (await t.letta.agents.create({ model, tools: ['conversation_search'], memory_blocks: [] })).id,
        )
      }
    })
    afterEach(async () => {
      assert.deepEqual(t.failures, [])
      await t.close()
      await provider.close()
      await rm(data, { recursive: true, force: true })
    })

    it('send all steps of all turns together, and give each its own answer', async () => {
      const requests = agents.map((agent_id, n) => ({ agent_id, input: `look for request ${n}` }))
      const batch = await create(requests)
      assert.deepEqual(batch.metadata.provider_batch, { local_requests: 0, local_reason: null })
      const first = await sent(0)
      assert.equal(first.calls.length, 4)
      // A turn that waits there is in nobody's way.
      const model = 'loci/demo'
      const other = (await t.letta.agents.create({ model, memory_blocks: [] })).id
      const usual = await ended((await create([{ agent_id: other, input: 'Hello' }], {})).id)
      assert.equal(usual.status, 'completed')
      assert.equal(usual.metadata.provider_batch, undefined)
      assert.equal((await read(batch.id)).metadata.requests.running, 4)
      provider.end(first)
      const second = await sent(1)
      assert.equal(second.calls.length, 4)
      provider.end(second)
      const end = await ended(batch.id)
      assert.deepEqual([end.status, end.metadata.requests.completed], ['completed', 4])
      for (const [n, agent_id] of agents.entries())
        assert.deepEqual(await said(agent_id), [`Said: request ${n}`])
      assert.deepEqual([provider.batches.length, provider.direct.length], [2, 0])
      const [item] = await items(batch.id)
      const usage = await ok<{ total_tokens: number }>('GET', `/v1/runs/${item?.run_id}/usage`)
      assert.ok(usage.total_tokens > 0)
      // What a call in a batch costs, the list of prices does not say.
      const { total } = await ok<{ total: UsageCounts }>('GET', '/v1/usage')
      assert.deepEqual([total.cost_usd, total.steps_without_cost], [null, 9])
    })

    it('fail what the provider refuses, lets expire or forgets, alone and in its words', async () => {
      const words = ['refuse', 'expire', 'forget', 'answer']
      const batch = await create(
        agents.map((agent_id, n) => ({ agent_id, input: `${words[n]} request ${n}` })),
      )
      provider.end(await sent(0))
      const end = await ended(batch.id)
      const { completed, failed } = end.metadata.requests
      assert.deepEqual([end.status, completed, failed], ['completed', 1, 3])
      const [refused, expired, forgotten, answered] = await items(batch.id)
      assert.match(refused?.error?.message ?? '', /this prompt is not liked/)
      assert.match(expired?.error?.message ?? '', /expired/)
      assert.match(forgotten?.error?.message ?? '', /no answer to this request/)
      assert.equal(answered?.status, 'completed')
    })

    it('are cancelled at the provider once nobody waits in them any more', async () => {
      const [a = '', b = ''] = agents
      const one = await create([{ agent_id: a, input: 'request 1' }])
      const two = await create([{ agent_id: b, input: 'request 2' }])
      const there = await sent(0)
      assert.equal(there.calls.length, 2)
      await ok('PATCH', `${BATCHES}/${one.id}/cancel`)
      await ended(one.id)
      assert.equal(there.state, 'in_progress')
      await ok('PATCH', `${BATCHES}/${two.id}/cancel`)
      await eventually('it is cancelled there', () => (there.state === 'cancelled' ? true : null))
      assert.equal((await ended(two.id)).status, 'cancelled')
    })

    it('wait no more at once than they may, the others follow', async () => {
      const more = (await t.letta.agents.create({ model: `${kind}/test-model`, memory_blocks: [] })).id
      const batch = await create([...agents, more].map((agent_id) => ({ agent_id, input: 'request 1' })))
      const first = await sent(0)
      const { running, pending } = (await read(batch.id)).metadata.requests
      assert.deepEqual([first.calls.length, running, pending], [4, 4, 1])
      provider.end(first)
      const second = await sent(1)
      assert.equal(second.calls.length, 1)
      provider.end(second)
      assert.equal((await ended(batch.id)).metadata.requests.completed, 5)
    })
  })

describe('a batch for a batch API that is not there', function () {
  this.timeout(60_000)
  for (const status of [404, 405, 501])
    it(`asks the models themselves when it answers ${status}, and says so`, async () => {
      const provider = await startBatchProvider(reply, { status })
      const t = await startLoci({ model_url: provider.url })
      try {
        const agents = []
        for (const model of [SCRIPTED, SCRIPTED, 'loci/demo'])
          agents.push((await t.letta.agents.create({ model, memory_blocks: [] })).id)
        const requests = agents.map((agent_id) => ({ agent_id, input: 'request 1' }))
        const made = await t.http('POST', BATCHES, { requests, provider_batch: true })
        const { id } = made.body as Batch
        const end = await eventually('it has ended', async () => {
          const now = (await t.http('GET', `${BATCHES}/${id}`)).body as Batch
          return now.completed_at === null ? null : now
        })
        assert.equal(end.metadata.requests.completed, 3)
        assert.equal(end.metadata.provider_batch?.local_requests, 3)
        assert.match(end.metadata.provider_batch.local_reason ?? '', new RegExp(`answered ${status}`))
        assert.deepEqual([provider.batches.length, provider.direct.length], [0, 2])
        assert.deepEqual(t.failures, [])
      } finally {
        await t.close()
        await provider.close()
      }
    })
})

describe('a batch at a provider whose server is killed', function () {
  this.timeout(90_000)
  let data: string
  let provider: BatchProvider
  let server: ServerProcess
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-provider-killed-'))
    await writeFile(join(data, 'config.json'), JSON.stringify(CONFIG))
    provider = await startBatchProvider(reply)
    server = new ServerProcess(data, provider.url)
  })
  after(async () => {
    await server.kill()
    await provider.close()
    await rm(data, { recursive: true, force: true })
  })

  it('gives its answers to the next one: nothing is sent, or paid for, twice', async () => {
    await server.start()
    let letta = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const agents = []
    for (let n = 0; n < 3; n++)
      agents.push(
        await letta.agents.create({ model: SCRIPTED, tools: ['conversation_search'], memory_blocks: [] }),
      )
    const requests = agents.map(({ id }, n) => ({ agent_id: id, input: `look for request ${n}` }))
    const batch = await letta.post<Batch>(BATCHES, { body: { requests, provider_batch: true } })
    // In their first step, and in the one after their tool calls.
    for (const n of [0, 1]) {
      const there: SentBatch = await eventually('it is sent', () => provider.batches[n] ?? null, 40_000)
      await eventually('it is waited for', () => (there.polls > 1 ? true : null))
      await server.kill()
      provider.end(there)
      await server.start()
    }
    letta = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const end = await eventually(
      'the batch has ended',
      async () => {
        const now = await letta.get<Batch>(`${BATCHES}/${batch.id}`)
        return now.completed_at === null ? null : now
      },
      40_000,
    )
    assert.deepEqual([end.status, end.metadata.requests.completed], ['completed', 3])
    const sizes = provider.batches.map(({ calls }) => calls.length)
    assert.deepEqual([sizes, provider.direct.length], [[3, 3], 0])
    for (const [n, { id }] of agents.entries()) {
      const { items } = await letta.agents.messages.list(id, { order: 'asc' })
      const said = items.flatMap((m) => (m.message_type === 'assistant_message' ? [m.content] : []))
      assert.deepEqual(said, [`Said: request ${n}`])
    }
    assert.doesNotMatch(server.output, /error/i)
  })

  it('is left at once, and not cancelled, by a server that ends', async () => {
    const letta = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const { id } = await letta.agents.create({ model: SCRIPTED, memory_blocks: [] })
    const requests = [{ agent_id: id, input: 'request 7' }]
    const batch = await letta.post<Batch>(BATCHES, { body: { requests, provider_batch: true } })
    const there = await eventually('it is sent', () => provider.batches[2] ?? null)
    await eventually('it is waited for', () => (there.polls > 1 ? true : null))
    const from = Date.now()
    server.signal('SIGTERM')
    await eventually('the server has ended', () => (server.isRunning ? null : true))
    assert.ok(Date.now() - from < 8000, 'the grace for turns that run is not waited out')
    assert.equal(there.state, 'in_progress')
    provider.end(there)
    await server.start()
    const again = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const end = await eventually('the batch has ended', async () => {
      const now = await again.get<Batch>(`${BATCHES}/${batch.id}`)
      return now.completed_at === null ? null : now
    })
    assert.deepEqual([end.status, provider.batches.length], ['completed', 3])
  })

  it('is not sent again when the server ends while it is on its way', async () => {
    const letta = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const { id } = await letta.agents.create({ model: SCRIPTED, memory_blocks: [] })
    const requests = [{ agent_id: id, input: 'request 8' }]
    const arrived = Promise.withResolvers<void>()
    provider.hold = arrived.promise
    const batch = await letta.post<Batch>(BATCHES, { body: { requests, provider_batch: true } })
    const there = await eventually('it is sent', () => provider.batches[3] ?? null)
    server.signal('SIGTERM')
    await eventually('the server is ending', async () => {
      const ready = await fetch(`${server.url}/v1/ready/`).catch(() => null)
      return ready?.status === 200 ? null : true
    })
    arrived.resolve()
    provider.hold = null
    await eventually('the server has ended', () => (server.isRunning ? null : true))
    provider.end(there)
    await server.start()
    const again = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
    const end = await eventually('the batch has ended', async () => {
      const now = await again.get<Batch>(`${BATCHES}/${batch.id}`)
      return now.completed_at === null ? null : now
    })
    assert.deepEqual([end.status, provider.batches.length], ['completed', 4])
  })
})
