import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { startServer, type TestServer } from './server.ts'

/** What a turn may take beyond the time that the database is away: ten seconds that a command waits, twice. */
const PATIENCE_MS = 30_000
/** A request is answered by then, whatever the database does. */
const REQUEST_MS = 15_000
/** Readiness is asked by who has no patience. */
const READY_MS = 4_000

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  collect()
  return process.memoryUsage().heapUsed
}

/** A web page that comes when it is told to. */
async function slowPage(): Promise<{ url: string; asked: Promise<void>; answer(): void; server: Server }> {
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const server = createServer((_, response) => {
    asked.resolve()
    void held.promise.then(() => response.setHeader('content-type', 'text/plain').end('A page.'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, asked: asked.promise, answer: held.resolve, server }
}

describe('a PostgreSQL that is gone in the middle of turns, and comes back', function () {
  this.timeout(180_000)
  let server: TestServer
  let model: ScriptedModel
  let loci: TestLoci
  const rejected: unknown[] = []
  const note = (reason: unknown) => void rejected.push(reason)

  before(async () => {
    process.on('unhandledRejection', note)
    server = await startServer()
    await server.create('loci')
    model = await startScriptedModel([])
    const env = { LOCI_STORE: server.address('loci'), LOCI_ALLOW_PRIVATE_URLS: '1' }
    loci = await startLoci({ model_url: model.url, env })
  })
  after(async () => {
    await loci?.close()
    await model?.close()
    await server?.stop()
    process.off('unhandledRejection', note)
  })

  /** A turn's stream, to its end. */
  async function stream(agent_id: string, input: string): Promise<string> {
    const response = await fetch(`${loci.url}/v1/agents/${agent_id}/messages/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input, stream_tokens: true }),
    })
    return response.text()
  }

  const agentOf = (name: string, tools: string[] = []) =>
    loci.letta.agents.create({ name, model: SCRIPTED, tools, include_base_tools: false })

  for (const away_ms of [2_000, 30_000]) {
    it(`for ${away_ms / 1000} s: turns go on or say why not, nothing hangs, everything is usable again`, async () => {
      const page = await slowPage()
      const names = ['asks', 'calls', ...Array.from({ length: 6 }, (_, i) => `commits ${i}`)]
      const agents = await Promise.all(
        names.map((name) => agentOf(`${name} ${away_ms}`.replaceAll(' ', '-'), ['fetch_webpage'])),
      )
      const [asking, calling, ...committing] = agents
      assert.ok(asking && calling)
      const asked = model.requests.length
      // In the middle of a model call, which ends while the database is away.
      const answered = Promise.withResolvers<void>()
      model.add({ reply: { text: ['Hello ', 'there.'], hold: answered.promise, hold_after: 2 } })
      const turns = [stream(asking.id, 'hi')]
      await model.request(asked)
      // In the middle of a tool call.
      model.add({ reply: { tool_calls: [{ name: 'fetch_webpage', arguments: { url: page.url } }] } })
      turns.push(stream(calling.id, 'read'))
      await page.asked
      // About to commit: their answers come at the very moment.
      const commit = Promise.withResolvers<void>()
      for (const [i, agent] of committing.entries()) {
        model.add({ reply: { text: 'Done.', hold: commit.promise } })
        turns.push(stream(agent.id, 'do'))
        await model.request(asked + 2 + i)
      }
      // What goes on after the tool asks again.
      model.add({ reply: { text: 'I have read it.' } })
      const before = heap()
      commit.resolve()
      const up = await server.down()
      const gone = performance.now()
      answered.resolve()
      page.answer()
      const ended = Promise.all(turns)
      let requests = 0
      let slowest = 0
      const ask = async () => {
        while (performance.now() - gone < away_ms - 500) {
          const began = performance.now()
          const [list, ready] = await Promise.all([
            loci.http('GET', '/v1/agents/'),
            loci.http('GET', '/v1/ready').then((answer) => ({ ...answer, took: performance.now() - began })),
          ])
          requests++
          slowest = Math.max(slowest, performance.now() - began)
          assert.ok(ready.took < READY_MS, `readiness took ${ready.took} ms`)
          // A write that succeeded speaks for a second.
          if (began - gone > 1_500) assert.equal(ready.status, 503)
          if (performance.now() - gone > away_ms) continue
          // A short absence is only waited for.
          if (list.status !== 200) {
            assert.equal(list.status, 503)
            assert.equal(list.headers.get('retry-after'), '1')
            assert.match(JSON.stringify(list.body), /nothing listens there|was lost|starting or stopping/)
          }
        }
      }
      const asking_all = Promise.all(Array.from({ length: 20 }, ask))
      await new Promise((resolve) => setTimeout(resolve, away_ms))
      await up()
      await asking_all
      assert.ok(slowest < REQUEST_MS, `a request took ${slowest} ms`)
      const late = setTimeout(() => assert.fail('a stream did not end'), PATIENCE_MS)
      const texts = await ended
      clearTimeout(late)
      let ready = await loci.http('GET', '/v1/ready')
      for (const until = Date.now() + PATIENCE_MS; ready.status !== 200 && Date.now() < until;)
        ready = await loci.http('GET', '/v1/ready')
      assert.equal(ready.status, 200, JSON.stringify(ready.body))
      const outcomes: string[] = []
      for (const [i, agent] of agents.entries()) {
        const text = texts[i] ?? ''
        const page = await loci.letta.runs.list({ agent_id: agent.id })
        const [run] = page.items
        outcomes.push(`${run?.status} (${run?.stop_reason})`)
        assert.ok(run?.status === 'completed' || run?.status === 'failed', `${names[i]}: ${run?.status}`)
        assert.match(text, /data: \[DONE\]|event: error/, names[i])
        if (run.status === 'failed') {
          assert.match(text, /"message_type":"error_message"|event: error/, names[i])
          assert.ok(run.stop_reason)
        }
      }
      for (const agent of agents) {
        model.add({ reply: { text: 'Here again.' } })
        const answer = await loci.letta.agents.messages.create(agent.id, { input: 'still there?' })
        assert.match(
          JSON.stringify(answer.messages),
          /Here again|I have read it/,
          'or what a turn that failed has not asked for',
        )
      }
      const grown = (heap() - before) / 1024 / 1024
      assert.ok(grown < 20, `the heap grew by ${grown.toFixed(1)} MB`)
      assert.deepEqual(rejected, [])
      console.log(
        `      away ${away_ms / 1000} s: ${outcomes.join(', ')}; ${requests} requests, the slowest ${Math.round(slowest)} ms, heap ${grown.toFixed(1)} MB`,
      )
      page.server.close()
    })
  }
})
