import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type RetentionReport, retentionReport } from '../../shared/schema/retention.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

const KEY = 'the-server-s-own-key'

describe('rules of retention', () => {
  let data: string
  let loci: TestLoci
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-retention-'))
  })
  afterEach(async () => {
    await loci.close()
    await rm(data, { recursive: true, force: true })
  })
  async function start(retention: object): Promise<void> {
    await writeFile(join(data, 'config.json'), JSON.stringify({ retention }))
    loci = await startLoci({ data, serve: { key: KEY } })
  }
  async function ask(
    method: string,
    path: string,
    { key = KEY, body }: { key?: string; body?: unknown } = {},
  ) {
    const response = await fetch(loci.url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const say = async (agent: string) =>
    ask('POST', `/v1/agents/${agent}/messages`, { body: { input: 'My name is Ada' } })
  async function anAgent(): Promise<string> {
    const body = { model: 'loci/demo', memory_blocks: [{ label: 'human', value: '' }] }
    return String((await ask('POST', '/v1/agents/', { body })).body['id'])
  }
  const counts = ({ rules }: RetentionReport) =>
    Object.fromEntries(rules.map(({ kind, days, count }) => [kind, days === null ? null : count]))
  const report = async (method: string, query = '') => {
    const { status, body } = await ask(method, `/v1/admin/retention${query}`)
    assert.equal(status, 200, JSON.stringify(body))
    return counts(retentionReport.parse(body))
  }
  /** Turns all times of the store back by so many days. */
  function age(days: number): void {
    const db = new DatabaseSync(join(data, 'loci.db'))
    const back = `strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '-${days} days')`
    db.exec(`UPDATE messages SET created_at = ${back};
             UPDATE runs SET created_at = ${back}, completed_at = ${back.replace('created_at', 'completed_at')};
             UPDATE usage_hours SET hour = hour - ${days * 24}`)
    db.close()
  }

  it('delete nothing unless they are set; what one would delete can be looked at before', async () => {
    await start({})
    const agent = await anAgent()
    await say(agent)
    age(40)
    const none = { messages: null, runs: null, batches: null, events: null, usage: null }
    assert.deepEqual(await report('GET'), none)
    assert.deepEqual(await report('POST'), none)
    assert.deepEqual(await report('GET', '?runs_days=30&messages_days=30'), { ...none, messages: 0, runs: 1 })
    assert.deepEqual(await report('GET', '?runs_days=50'), { ...none, runs: 0 })
    assert.equal(((await ask('GET', '/v1/runs/')).body as unknown as unknown[]).length, 1)
  })

  it('delete what is older, and never what an agent has in its context', async () => {
    await start({ messages_days: 30, runs_days: 30, usage_days: 365 })
    const agent = await anAgent()
    await say(agent)
    const before = (await ask('GET', `/v1/agents/${agent}/messages?limit=100`)).body
    assert.equal((await ask('PATCH', `/v1/agents/${agent}/reset-messages`, { body: {} })).status, 200)
    await say(agent)
    age(40)
    await say(agent)
    const { runs, messages } = await report('GET')
    assert.deepEqual([runs, messages], [2, 0])
    const listed = async () => (await ask('GET', `/v1/agents/${agent}/messages?limit=100`)).body
    const seen = await listed()
    assert.deepEqual(await report('POST'), { messages: 0, runs: 2, batches: null, events: null, usage: 0 })
    assert.deepEqual(await listed(), seen)
    assert.notDeepEqual(seen, before)
    const left = (await ask('GET', '/v1/runs/')).body as unknown as unknown[]
    assert.equal(left.length, 1)
    const { total } = (await ask('GET', '/v1/usage?start=2000-01-01')).body as { total: { runs: number } }
    assert.equal(total.runs, 3)
    assert.equal((await say(agent)).status, 200)
    assert.deepEqual(loci.failures, [])
  })

  it('are obeyed by themselves soon after the start', async () => {
    await start({})
    const agent = await anAgent()
    await say(agent)
    age(40)
    await loci.close()
    await start({ runs_days: 30 })
    for (const end = Date.now() + 20_000; ;) {
      const left = (await ask('GET', '/v1/runs/')).body as unknown as unknown[]
      if (left.length === 0) break
      assert.ok(Date.now() < end, 'the old run is deleted')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.deepEqual(loci.failures, [])
  })

  it("are the owner's alone, and must be days", async () => {
    await start({})
    const { body } = await ask('POST', '/v1/admin/users', { body: { name: 'Eve' } })
    const made = await ask('POST', `/v1/admin/users/${String(body['id'])}/keys`)
    const key = String(made.body['key'])
    for (const method of ['GET', 'POST'])
      assert.equal((await ask(method, '/v1/admin/retention', { key })).status, 403)
    assert.equal((await ask('GET', '/v1/admin/retention?runs_days=0')).status, 422)
    assert.equal((await ask('GET', '/v1/admin/retention?runs_days=x')).status, 422)
  })
})
