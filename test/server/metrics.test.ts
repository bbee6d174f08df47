import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const KEY = 'the-server-s-own-key'

/** Samples of a Prometheus text by their name and labels, in the order of their labels. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, labels, value] = /^([a-z_0-9]+)(\{.*\})? (\S+)$/.exec(line) ?? []
    assert.ok(name !== undefined, `no sample: ${line}`)
    samples.set(name + (labels ?? ''), Number(value))
  }
  return samples
}

describe('GET /metrics', () => {
  let data: string
  let model: ScriptedModel
  let loci: TestLoci
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-metrics-'))
    model = await startScriptedModel([])
  })
  afterEach(async () => {
    await loci.close()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })
  async function start(server: object, key: string | null = KEY): Promise<void> {
    await writeFile(join(data, 'config.json'), JSON.stringify({ server }))
    loci = await startLoci({ data, model_url: model.url, serve: { key } })
  }
  async function ask(key: string | null, method: string, path: string, body?: unknown) {
    const response = await fetch(loci.url + path, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  const json = async (method: string, path: string, body?: unknown) =>
    JSON.parse((await ask(KEY, method, path, body)).text) as { id: string; key: string }

  it('is off unless it was switched on, and says how', async () => {
    await start({})
    const { status, text } = await ask(KEY, 'GET', '/metrics')
    assert.equal(status, 404)
    assert.match(text, /loci config set server\.metrics true/)
  })

  it('is for the owner and their admins alone', async () => {
    await start({ metrics: true })
    assert.equal((await ask(null, 'GET', '/metrics')).status, 401)
    assert.equal((await ask('wrong', 'GET', '/metrics')).status, 401)
    const own = 'org-00000000-0000-4000-8000-000000000000'
    const statuses = []
    for (const user of [
      { name: 'admin', organization_id: own, role: 'admin' },
      { name: 'member', organization_id: own, role: 'member' },
      { name: 'guest', role: 'admin' },
    ]) {
      const { id } = await json('POST', '/v1/admin/users', user)
      const { key } = await json('POST', `/v1/admin/users/${id}/keys`)
      statuses.push((await ask(key, 'GET', '/metrics')).status)
    }
    assert.deepEqual(statuses, [200, 403, 403])
    assert.equal((await ask(KEY, 'GET', '/metrics')).status, 200)
  })

  it('needs no key where nothing does', async () => {
    await start({ metrics: true }, null)
    const { status, headers } = await ask(null, 'GET', '/metrics')
    assert.equal(status, 200)
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    assert.equal((await ask(null, 'POST', '/metrics')).status, 405)
  })

  it('counts requests by route, turns, steps, tokens, calls of tools and failures of models', async () => {
    await start({ metrics: true })
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 110,
      prompt_tokens_details: { cached_tokens: 40 },
    }
    const call = { name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }
    const wrong = { name: 'memory_insert', arguments: { label: 'none', new_string: 'x' } }
    model.add(
      { reply: { tool_calls: [call], usage } },
      { reply: { tool_calls: [wrong], usage } },
      { reply: { text: 'Done.', usage } },
      { reply: { status: 400, body: { error: { message: 'no' } } } },
    )
    const agent = await json('POST', '/v1/agents/', {
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: '' }],
    })
    const say = () =>
      ask(KEY, 'POST', `/v1/agents/${agent.id}/messages`, { messages: [{ role: 'user', content: 'Go' }] })
    assert.equal((await say()).status, 200)
    await say()
    await ask(KEY, 'GET', `/v1/agents/${agent.id}`)
    await ask(KEY, 'GET', '/v1/agents/agent-00000000-0000-4000-8000-000000000009')
    await ask(KEY, 'GET', '/no/such/path?secret=1')
    await ask(KEY, 'GET', '/v1/none-of-this')
    const socket = new WebSocket(`${loci.url.replace('http', 'ws')}/v1/ws`)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('the WebSocket did not open')))
    })
    const { text } = await ask(KEY, 'GET', '/metrics')
    socket.close()
    const samples = samplesOf(text)
    const of = (name: string) => samples.get(name)
    const route = '/v1/agents/:agent_id'
    assert.equal(of(`loci_http_requests_total{method="GET",route="${route}",status="200"}`), 1)
    assert.equal(of(`loci_http_requests_total{method="GET",route="${route}",status="404"}`), 1)
    assert.equal(of('loci_http_requests_total{method="GET",route="none",status="404"}'), 2)
    assert.equal(of(`loci_http_request_duration_seconds_count{method="POST",route="${route}/messages"}`), 2)
    assert.equal(of('loci_turns_running'), 0)
    assert.equal(of('loci_websockets_open'), 1)
    assert.equal(of('loci_turns_total{status="completed"}'), 1)
    assert.equal(of('loci_turns_total{status="failed"}'), 1)
    assert.equal(of('loci_steps_total'), 3)
    assert.equal(of(`loci_model_calls_total{model="${SCRIPTED}",outcome="success"}`), 3)
    assert.equal(of(`loci_model_errors_total{model="${SCRIPTED}",kind="llm_bad_request"}`), 1)
    assert.equal(of(`loci_model_tokens_total{model="${SCRIPTED}",type="input"}`), 300)
    assert.equal(of(`loci_model_tokens_total{model="${SCRIPTED}",type="cached_input"}`), 120)
    assert.equal(of(`loci_model_tokens_total{model="${SCRIPTED}",type="output"}`), 30)
    assert.equal(of(`loci_model_first_token_seconds_count{model="${SCRIPTED}"}`), 3)
    assert.equal(of('loci_tool_calls_total{kind="builtin",outcome="success"}'), 1)
    assert.equal(of('loci_tool_calls_total{kind="builtin",outcome="error"}'), 1)
    assert.ok((of('loci_store_commit_seconds_count') ?? 0) > 3)
    assert.ok((of('loci_store_flush_seconds_count') ?? 0) > 3)
    for (const queue of ['messages', 'batch_requests', 'files', 'embeddings'])
      assert.equal(of(`loci_queue_depth{queue="${queue}"}`), 0, queue)
    assert.ok((of('process_resident_memory_bytes') ?? 0) > 1e6)
    assert.ok(samples.has('nodejs_eventloop_lag_p99_seconds'))
    assert.doesNotMatch(text, new RegExp(`${agent.id}|secret|none-of-this`))
  })

  it('tells at most a hundred models apart, whatever names are asked for', async () => {
    await start({ metrics: true })
    const names = Array.from({ length: 130 }, (_, i) => `m${i}`)
    await model.close()
    model = await startScriptedModel([], { models: names, loop: () => ({ text: 'Yes.' }) })
    await loci.close()
    await start({ metrics: true })
    const agent = await json('POST', '/v1/agents/', { model: 'openai/m0' })
    for (const name of names)
      await ask(KEY, 'POST', `/v1/agents/${agent.id}/messages`, {
        input: 'Go',
        override_model: `openai/${name}`,
      })
    const calls = [...samplesOf((await ask(KEY, 'GET', '/metrics')).text)].filter(([name]) =>
      name.startsWith('loci_model_calls_total'),
    )
    assert.equal(calls.length, 101)
    const other = calls.find(([name]) => name.includes('model="other"'))
    assert.equal(other?.[1], 30)
  })
})
