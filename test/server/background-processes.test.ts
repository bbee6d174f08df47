import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

interface Chunk {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
}

/** Two `loci server` processes over one data directory, of which tests kill one. */
describe('a background run whose process is killed', function () {
  this.timeout(60_000)
  let data: string
  let model: ScriptedModel
  let doomed: ServerProcess
  let survivor: ServerProcess
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-killed-'))
    model = await startScriptedModel([])
    doomed = new ServerProcess(data, model.url)
    survivor = new ServerProcess(data, model.url)
  })
  afterEach(async () => {
    await doomed.kill()
    await survivor.kill()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })
  const clientOf = (server: ServerProcess) => new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
  const never = () => new Promise<never>(() => undefined)
  const words = Array.from({ length: 40 }, (_, i) => `w${i} `)

  /** Begins a run in the doomed process and reads its stream up to this word. */
  async function begin(until: string, more: object = {}) {
    const letta = clientOf(doomed)
    const agent = await letta.agents.create({ model: SCRIPTED })
    const stream = await letta.agents.messages.create(agent.id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      background: true,
      include_pings: false,
      ...more,
    })
    const seen: Chunk[] = []
    for await (const chunk of stream) {
      seen.push(chunk)
      if ('content' in chunk && chunk.content === until) break
    }
    return { agent, seen, run_id: seen[0]?.run_id ?? '' }
  }
  const follow = async (server: ServerProcess, run_id: string, starting_after: number) => {
    const chunks: Chunk[] = []
    const body = { starting_after, include_pings: false }
    for await (const chunk of await clientOf(server).runs.messages.stream(run_id, body)) chunks.push(chunk)
    return chunks
  }
  const said = (chunks: readonly Chunk[]) => {
    const byId = new Map<string, string>()
    for (const { message_type, id = '', content } of chunks)
      if (message_type === 'assistant_message') byId.set(id, (byId.get(id) ?? '') + String(content))
    return byId
  }

  it('is gone on with by the other one from its last step, and a client misses nothing', async () => {
    await Promise.all([doomed.start(), survivor.start()])
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: words, hold: never(), hold_after: 20 } },
      {
        expect: (body) =>
          assert.equal(body.messages.at(-1)?.role, 'tool', 'the committed step is not asked again'),
        reply: { text: 'the whole answer' },
      },
    )
    const { seen, run_id, agent } = await begin('w9 ')
    await doomed.kill()
    const killed = performance.now()
    const last = seen.at(-1)
    const rest = await follow(survivor, run_id, last?.seq_id ?? 0)
    const took = performance.now() - killed
    assert.ok(took < 10_000, `gone on with and ended in ${Math.round(took)} ms`)
    const whole = said([...seen, ...rest])
    const ids = [...whole.keys()]
    assert.equal(ids.length, 2, 'a new message, and the cut one as it was')
    assert.ok(words.join('').startsWith(whole.get(ids[0] ?? '') ?? '?'), 'the cut one is what the model said')
    assert.equal(whole.get(ids[1] ?? ''), 'the whole answer')
    const numbers = [...seen, ...rest].map((chunk) => chunk.seq_id ?? 0)
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      'numbers grow',
    )
    // Who comes later reads what was stored, which is the same but for what the dead process had no time to store.
    const later = await follow(survivor, run_id, 0)
    assert.equal(said(later).get(ids[1] ?? ''), 'the whole answer')
    const run = await clientOf(survivor).runs.retrieve(run_id)
    assert.deepEqual([run.status, run.stop_reason], ['completed', 'end_turn'])
    const history = (await clientOf(survivor).agents.messages.list(agent.id, { order: 'asc' })).items
    assert.deepEqual(
      history.filter((message) => message.message_type !== 'system_message').map((m) => m.message_type),
      ['user_message', 'tool_call_message', 'tool_return_message', 'assistant_message'],
    )
    await model.done()
  })

  it('is gone on with at the next start', async () => {
    await doomed.start()
    model.add(
      { reply: { text: words, hold: never(), hold_after: 20 } },
      { reply: { text: 'after the restart' } },
    )
    const { run_id, agent } = await begin('w9 ')
    await doomed.kill()
    await survivor.start()
    const busy = await fetch(`${survivor.url}/v1/agents/${agent.id}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'meanwhile', streaming: false }),
    })
    // Either it has ended already, and this is one call too many for the script, or the conversation is still taken.
    assert.ok([409, 502].includes(busy.status), `status ${busy.status}`)
    const rest = await follow(survivor, run_id, 0)
    assert.ok([...said(rest).values()].includes('after the restart'))
    const run = await clientOf(survivor).runs.retrieve(run_id)
    assert.equal(run.status, 'completed')
  })

  it('is cancelled when that was asked for while nobody ran it', async () => {
    await doomed.start()
    model.add({ reply: { text: words, hold: never(), hold_after: 20 } })
    const { run_id, agent } = await begin('w9 ')
    await doomed.kill()
    await survivor.start()
    const answer = await clientOf(survivor).agents.messages.cancel(agent.id)
    assert.deepEqual(answer, { [run_id]: 'cancelled' })
    await model.done()
  })

  it('fails with a reason when it was a foreground turn, and the conversation is free', async () => {
    await Promise.all([doomed.start(), survivor.start()])
    model.add({ reply: { text: words, hold: never(), hold_after: 20 } }, { reply: { text: 'free' } })
    const { run_id, agent } = await begin('w9 ', { background: false })
    await doomed.kill()
    const run = await eventually('the run is failed', async () => {
      const now = await clientOf(survivor).runs.retrieve(run_id)
      return now.status === 'running' ? null : now
    })
    assert.deepEqual([run.status, run.stop_reason], ['failed', 'error'])
    assert.match(String(run.metadata?.['error']), /stopped before the turn was finished/)
    await clientOf(survivor).agents.messages.create(agent.id, { input: 'again' })
    await model.done()
  })

  it('is given up with a reason when it ends one process after the other', async () => {
    await doomed.start()
    const hold = never()
    for (let i = 0; i < 4; i++) model.add({ reply: { text: words, hold, hold_after: 20 } })
    const { run_id } = await begin('w9 ')
    for (let attempt = 1; attempt <= 3; attempt++) {
      await doomed.kill()
      await doomed.start()
      await model.request(attempt)
    }
    await doomed.kill()
    await survivor.start()
    const run = await eventually('the run is given up', async () => {
      const now = await clientOf(survivor).runs.retrieve(run_id)
      return now.status === 'running' ? null : now
    })
    assert.equal(run.status, 'failed')
    assert.match(String(run.metadata?.['error']), /4 times in a row/)
    await assert.rejects(follow(survivor, run_id, 0), /given up/)
    await model.done()
  })
})
