/** The end of a server, and what it says of itself until then. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { listen } from '../../shared/server/serve.ts'
import { bareClient } from '../support/bare-client.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const HOST = 'host: 127.0.0.1\r\n'

describe('a server that is stopped', () => {
  let model: ScriptedModel
  let t: TestLoci
  beforeEach(async () => {
    model = await startScriptedModel([])
    t = await startLoci({ model_url: model.url })
  })
  afterEach(async () => {
    await t.close()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  /** A stream under way on a server of its own, and what lets its model go on. */
  async function midStream(grace_ms: number) {
    const gate = Promise.withResolvers<void>()
    const server = await listen(t.loci, { host: '127.0.0.1', port: 0, grace_ms })
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const text = 'one two three four five six seven eight'
    model.add({ reply: { text, hold: gate.promise, hold_after: 3 } })
    const answer = await fetch(`${server.url}/v1/agents/${agent.id}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'hi', streaming: true, stream_tokens: true }),
    })
    assert.equal(answer.status, 200)
    const idle = await bareClient(server.url, `GET /v1/health HTTP/1.1\r\n${HOST}\r\n`)
    await eventually('a connection with an answer', () => (idle.text.includes('"ok"') ? true : null))
    return { server, agent, text, answer, release: gate.resolve, idle }
  }

  it('ends streams under way whole, and sends new requests away with 503 meanwhile', async () => {
    const { server, agent, text, answer, release, idle } = await midStream(20_000)
    const closing = server.close()
    // On a connection that was there before, and on new ones.
    idle.send(`GET /v1/agents/ HTTP/1.1\r\n${HOST}\r\n`)
    const away = (await idle.ended('sent away')).split('HTTP/1.1 ').at(-1) ?? ''
    assert.match(away, /^503 [\s\S]*retry-after: 1[\s\S]*shutting down/i)
    assert.match(away, /connection: close/i)
    for (const [method, path] of [
      ['GET', '/v1/agents/'],
      ['POST', `/v1/agents/${agent.id}/messages`],
      ['GET', '/mcp'],
    ]) {
      const refused = await fetch(server.url + path, { method: method ?? '' })
      assert.equal(refused.status, 503, path)
      assert.equal(refused.headers.get('retry-after'), '1')
      assert.equal(refused.headers.get('connection'), 'close')
      await refused.text()
    }
    const ready = await fetch(`${server.url}/v1/ready/`)
    assert.equal(ready.status, 503)
    assert.match(((await ready.json()) as { detail: string }).detail, /shutting down/)
    assert.equal((await fetch(`${server.url}/v1/health/`)).status, 200)
    release()
    const events = [...(await answer.text()).matchAll(/^data: (\{.*)$/gm)].map(
      ([, json = '']) => JSON.parse(json) as { message_type: string; content?: string },
    )
    const said = events.filter((event) => event.message_type === 'assistant_message')
    assert.equal(said.map((event) => event.content).join(''), text)
    assert.equal(events.at(-1)?.message_type, 'usage_statistics')
    await closing
    await assert.rejects(fetch(`${server.url}/v1/health/`), 'nobody listens any more')
  })

  it('cancels what has not ended within its grace, and tells the stream so', async () => {
    const { server, answer, idle } = await midStream(300)
    const began = performance.now()
    await server.close()
    assert.ok(performance.now() - began >= 290, 'the grace was given')
    assert.match(await answer.text(), /"stop_reason":"cancelled"/)
    idle.socket.destroy()
  })

  it('does not wait for a client that never sends what it has begun, longer than its grace', async () => {
    const server = await listen(t.loci, { host: '127.0.0.1', port: 0, grace_ms: 100 })
    const stuck = await bareClient(
      server.url,
      `POST /v1/agents/ HTTP/1.1\r\n${HOST}content-type: application/json\r\ncontent-length: 10\r\n\r\n{`,
    )
    const silent = await bareClient(server.url)
    await Promise.all([server.close(), stuck.ended('stuck'), silent.ended('silent')])
  })
})

describe('readiness', () => {
  it('is 503 with the reason while the store takes no write, soon, and good again afterwards', async () => {
    const t = await startLoci()
    const ready = async () => {
      const { status, body } = await t.http('GET', '/v1/ready/')
      return { status, detail: (body as { detail?: string }).detail }
    }
    const other = new DatabaseSync(join(t.data, 'loci.db'))
    try {
      assert.equal((await ready()).status, 200)
      other.exec('BEGIN IMMEDIATE')
      const began = performance.now()
      const { detail } = await eventually('not ready', async () => {
        const answer = await ready()
        return answer.status === 503 ? answer : null
      })
      assert.match(detail ?? '', /taken no write/)
      assert.ok(performance.now() - began < 8_000, 'before the patience of a command is over')
      const { status } = await t.http('GET', '/v1/health/')
      assert.equal(status, 200, 'the process lives')
      other.exec('ROLLBACK')
      await eventually('ready again', async () => ((await ready()).status === 200 ? true : null))
    } finally {
      other.close()
      await t.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('costs at most a write in a second, however often it is asked', async () => {
    const t = await startLoci()
    try {
      await t.http('GET', '/v1/ready/')
      const other = new DatabaseSync(join(t.data, 'loci.db'), { readOnly: true })
      const version = () => Number(other.prepare('PRAGMA data_version').get()?.['data_version'])
      const before = version()
      const began = performance.now()
      await Promise.all(Array.from({ length: 200 }, () => t.http('GET', '/v1/ready/')))
      const seconds = Math.ceil((performance.now() - began) / 1000)
      const writes = version() - before
      other.close()
      assert.ok(writes <= seconds + 1, `${writes} writes in ${seconds} s`)
    } finally {
      await t.close()
    }
  })
})
