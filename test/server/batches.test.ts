import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Batch, type BatchItem, type BatchMessage } from '../../shared/schema/batch.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const BATCHES = '/v1/messages/batches'

describe('batches', () => {
  let data: string
  let model: ScriptedModel
  let t: TestLoci
  const agents: string[] = []
  /** Calls that the model has not answered yet, now and at the most; of each agent by a word in its prompt. */
  let at_once = 0
  let most = 0
  let open = Promise.withResolvers<void>()

  const ok = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await t.http(method, path, body)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body as T
  }
  const create = (requests: unknown[], more: object = {}) => ok<Batch>('POST', BATCHES, { requests, ...more })
  const read = (id: string) => ok<Batch>('GET', `${BATCHES}/${id}`)
  const items = (id: string) => ok<BatchItem[]>('GET', `${BATCHES}/${id}/items?limit=1000`)
  const ended = (id: string) =>
    eventually(
      `batch ${id} has ended`,
      async () => {
        const batch = await read(id)
        return batch.completed_at === null ? null : batch
      },
      60_000,
    )
  const agent = (n: number) => agents[n % agents.length] ?? ''
  const start = () => startLoci({ data, model_url: model.url })

  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-batches-'))
    await writeFile(join(data, 'config.json'), JSON.stringify({ server: { batch_concurrency: 3 } }))
    model = await startScriptedModel([], {
      loop: (body) => {
        at_once++
        most = Math.max(most, at_once)
        const words = JSON.stringify(body.messages.at(-1))
        const done = new Promise((resolve) => setImmediate(resolve))
        const held = words.includes('hold') ? open.promise : done
        void held.then(() => at_once--)
        if (words.includes('fail')) return { status: 400, body: { error: { message: 'no such thing' } } }
        return { text: `Said: ${/request \d+/.exec(words)?.[0] ?? ''}`, hold: held }
      },
    })
    t = await start()
    for (let n = 0; n < 5; n++) {
      const made = await t.letta.agents.create({ name: `agent-${n}`, model: SCRIPTED, memory_blocks: [] })
      agents.push(made.id)
    }
  })
  beforeEach(() => {
    open = Promise.withResolvers<void>()
    most = 0
  })
  after(async () => {
    open.resolve()
    await t.close()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })

  it('do 50 requests of five agents, three at once, each once, each agent in order; one fails alone', async () => {
    const requests = Array.from({ length: 50 }, (_, n) => ({
      agent_id: agent(n),
      input: n === 17 ? 'fail this' : n < 3 ? `hold request ${n}` : `request ${n}`,
    }))
    const batch = await create(requests)
    assert.match(batch.id, /^job-/)
    assert.equal(batch.status, 'running')
    assert.equal(batch.metadata.requests.total, 50)
    await eventually('three are asked', () => (at_once === 3 ? true : null))
    const { running, pending } = (await read(batch.id)).metadata.requests
    assert.deepEqual([running, pending], [3, 47])
    open.resolve()
    const end = await ended(batch.id)
    assert.deepEqual(end.metadata.requests, {
      total: 50,
      pending: 0,
      running: 0,
      completed: 49,
      failed: 1,
      cancelled: 0,
    })
    assert.equal(end.status, 'completed')
    assert.equal(most, 3)
    const done = await items(batch.id)
    assert.deepEqual(
      done.map((item) => item.agent_id),
      requests.map((request) => request.agent_id),
    )
    assert.equal(new Set(done.map((item) => item.run_id)).size, 50, 'a run of its own each')
    assert.equal(done[17]?.status, 'failed')
    assert.match(done[17]?.error?.message ?? '', /no such thing/)
    const { messages } = await ok<{ messages: BatchMessage[] }>(
      'GET',
      `${BATCHES}/${batch.id}/messages?limit=1000&order=asc`,
    )
    assert.equal(messages.length, 49)
    for (const [n, item] of done.entries()) {
      if (n === 17) continue
      const mine = messages.filter((message) => message.batch_item_id === item.id)
      assert.equal(mine.length, 1)
      assert.match(JSON.stringify(mine[0]?.content), new RegExp(`Said: request ${n}"`))
    }
    const ofOne = messages.filter((message) => message.agent_id === agent(0))
    assert.deepEqual(
      ofOne.map((message) => /request (\d+)/.exec(JSON.stringify(message.content))?.[1]),
      ['0', '5', '10', '15', '20', '25', '30', '35', '40', '45'],
    )
    const next = `${BATCHES}/${batch.id}/messages?limit=30`
    const first = await ok<{ messages: BatchMessage[] }>('GET', next)
    const last = first.messages.at(-1)?.id ?? ''
    const rest = await ok<{ messages: BatchMessage[] }>('GET', `${next}&after=${last}`)
    assert.deepEqual(
      [...first.messages, ...rest.messages].map(({ id }) => id),
      messages.map(({ id }) => id).toReversed(),
      'pages follow the order',
    )
    assert.deepEqual(t.failures, [])
  })

  it('are cancelled: what has not begun never begins, what runs ends', async () => {
    const from = model.requests.length
    const batch = await create(Array.from({ length: 10 }, (_, n) => ({ agent_id: agent(n), input: 'hold' })))
    await eventually('three run', () => (model.requests.length >= from + 3 ? true : null))
    await ok('PATCH', `${BATCHES}/${batch.id}/cancel`)
    const end = await ended(batch.id)
    assert.equal(end.status, 'cancelled')
    assert.deepEqual(end.metadata.requests, {
      total: 10,
      pending: 0,
      running: 0,
      completed: 0,
      failed: 0,
      cancelled: 10,
    })
    assert.equal(model.requests.length, from + 3)
    const done = await items(batch.id)
    const runs = done.flatMap(({ run_id }) => run_id ?? [])
    assert.equal(runs.length, 3)
    for (const id of runs) assert.equal((await t.letta.runs.retrieve(id)).status, 'cancelled')
    await ok('PATCH', `/v1/jobs/${batch.id}/cancel`)
    assert.deepEqual(await ok('GET', `/v1/jobs/${batch.id}`), end)
    open.resolve()
  })

  it('wait for an agent that somebody speaks with, and go on when it is free', async () => {
    const from = model.requests.length
    const talk = t.letta.agents.messages.create(agent(0), { input: 'hold' })
    await eventually('the turn runs', () => (model.requests.length > from ? true : null))
    const batch = await create([
      { agent_id: agent(0), input: 'request 1' },
      { agent_id: agent(1), input: 'request 2' },
    ])
    await eventually('the other agent is done', async () =>
      (await items(batch.id))[1]?.status === 'completed' ? true : null,
    )
    assert.notEqual((await items(batch.id))[0]?.status, 'completed')
    open.resolve()
    await talk
    assert.equal((await ended(batch.id)).metadata.requests.completed, 2)
  })

  it('survive a restart in the middle: each request is answered once', async () => {
    const from = model.requests.length
    const inputs = Array.from({ length: 12 }, (_, n) => (n < 3 ? `hold restart ${n}.` : `restart ${n}.`))
    const batch = await create(inputs.map((input, n) => ({ agent_id: agent(n), input })))
    await eventually('three run', () => (model.requests.length >= from + 3 ? true : null))
    await t.close()
    open.resolve()
    t = await start()
    const end = await ended(batch.id)
    assert.deepEqual([end.status, end.metadata.requests.completed], ['completed', 12])
    const said = await ok<{ messages: BatchMessage[] }>('GET', `${BATCHES}/${batch.id}/messages?limit=1000`)
    assert.equal(said.messages.length, 12)
    const asked: string[] = []
    for (const id of agents)
      for (const message of (await t.letta.agents.messages.list(id, { limit: 1000 })).items)
        if (message.message_type === 'user_message') asked.push(message.content as string)
    assert.deepEqual(asked.filter((text) => text.includes('restart')).toSorted(), inputs.toSorted())
    const runs = (await items(batch.id)).map(({ run_id }) => run_id)
    assert.equal(new Set(runs).size, 12)
  })

  it('call back once, with the job, its status and when it ended, also after a restart', async () => {
    const bodies: Record<string, unknown>[] = []
    const receiver = createServer((request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      request.on('end', () => {
        bodies.push(JSON.parse(text) as Record<string, unknown>)
        response.end()
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const callback_url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/done`
    try {
      const batch = await create([{ agent_id: agent(0), input: 'request 1' }], { callback_url })
      const end = await ended(batch.id)
      await eventually('the call', () => bodies[0] ?? null)
      assert.deepEqual(bodies, [{ job_id: batch.id, status: 'completed', completed_at: end.completed_at }])
      const kept = await eventually('how it went is kept', async () => {
        const now = await read(batch.id)
        return now.callback_sent_at === null ? null : now
      })
      assert.deepEqual([kept.callback_status_code, kept.callback_error], [200, null])
      const from = model.requests.length
      const second = await create([{ agent_id: agent(0), input: 'hold' }], { callback_url })
      await eventually('it runs', () => (model.requests.length > from ? true : null))
      await t.close()
      open.resolve()
      t = await start()
      await ended(second.id)
      await eventually('the second call', () => bodies[1] ?? null)
      assert.equal(bodies[1]?.['job_id'], second.id)
    } finally {
      receiver.close()
    }
  })

  it('end the requests of an agent that is deleted meanwhile, and fail when none is left', async () => {
    const made = await t.letta.agents.create({ name: 'short', model: SCRIPTED, memory_blocks: [] })
    const from = model.requests.length
    const batch = await create([
      { agent_id: made.id, input: 'hold' },
      { agent_id: made.id, input: 'request 2' },
    ])
    await eventually('the first runs', () => (model.requests.length > from ? true : null))
    await t.letta.agents.delete(made.id)
    const end = await ended(batch.id)
    assert.equal(end.status, 'failed')
    for (const item of await items(batch.id)) assert.notEqual(item.status, 'completed')
    open.resolve()
  })

  it('refuse bad input: no agent, no requests, no input, another address, what has ended', async () => {
    const refused = async (status: number, method: string, path: string, body?: unknown) => {
      const answer = await t.http(method, path, body)
      assert.equal(answer.status, status, JSON.stringify(answer.body))
    }
    const gone = `agent-${crypto.randomUUID()}`
    await refused(404, 'POST', BATCHES, { requests: [{ agent_id: gone, input: 'Hi' }] })
    await refused(422, 'POST', BATCHES, { requests: [] })
    await refused(422, 'POST', BATCHES, {})
    await refused(422, 'POST', BATCHES, { requests: [{ agent_id: agent(0) }] })
    await refused(422, 'POST', BATCHES, { requests: [{ agent_id: 'nobody', input: 'Hi' }] })
    const requests = [{ agent_id: agent(0), input: 'request 1' }]
    await refused(422, 'POST', BATCHES, { requests, callback_url: 'ftp://127.0.0.1/' })
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/items'],
      ['GET', '/messages'],
      ['PATCH', '/cancel'],
    ] as const)
      await refused(404, method, `${BATCHES}/job-${crypto.randomUUID()}${path}`)
    const batch = await create(requests)
    await ended(batch.id)
    await refused(409, 'PATCH', `${BATCHES}/${batch.id}/cancel`)
    await refused(404, 'GET', `${BATCHES}?after=job-${crypto.randomUUID()}`)
    const listed = await ok<Batch[]>('GET', `${BATCHES}?limit=1`)
    assert.deepEqual(
      listed.map(({ id }) => id),
      [batch.id],
    )
  })
})
