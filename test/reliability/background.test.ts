/**
 * Clients of background runs while servers get kill -9 at random moments: each message is answered once, each client
 * reads a stream without a hole, whichever process it is served by.
 *
 * LOCI_BACKGROUND_CRASHES (default 12) scales it; LOCI_SEED repeats a run.
 */
import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { randomOf } from './random.ts'
import { ServerProcess } from './server-process.ts'

const CRASHES = Number(process.env['LOCI_BACKGROUND_CRASHES'] ?? 12)
const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const CLIENTS = 3
/** How long a client tries to get its answer, in milliseconds. */
const PATIENCE_MS = 60_000

interface Chunk {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
  stop_reason?: string
}
interface Said {
  agent_id: string
  run_id: string
  /** What the client made of the stream: the text of each message, in order. */
  texts: Map<string, string>
  stop_reason: string
}

describe(`background runs under kill -9 (seed ${SEED})`, () => {
  const random = randomOf(SEED)
  let model: ScriptedModel
  let data: string
  let servers: [ServerProcess, ServerProcess]
  let told = 0

  before(async () => {
    model = await startScriptedModel([], { forget: true, loop: slowly })
    data = await mkdtemp(join(tmpdir(), 'loci-background-'))
    servers = [new ServerProcess(data, model.url), new ServerProcess(data, model.url)]
    await Promise.all(servers.map((server) => server.start()))
  })
  after(async () => {
    await Promise.all(servers.map((server) => server.kill()))
    await model.close()
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  })

  /** A tool call, then an answer; each stands still in the middle for a while. */
  function slowly(body: { messages: { role: string }[] }) {
    const hold = pause(50 + random() * 300)
    if (body.messages.at(-1)?.role !== 'tool')
      return { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }], hold }
    const text = Array.from({ length: 30 }, (_, i) => `t${told}w${i} `)
    told++
    return { text, hold, hold_after: Math.floor(random() * 25) }
  }

  it(`answers each message once through ${CRASHES} crashes`, async function () {
    this.timeout(120_000 + CRASHES * 10_000)
    let over = false
    const clients = Array.from({ length: CLIENTS }, () => talk(() => over))
    const working = Promise.all(clients)
    for (let n = 0; n < CRASHES; n++) {
      await Promise.race([pause(100 + random() * 1500), working])
      const both = random() < 0.2
      const victims = both ? servers : [servers[random() < 0.5 ? 0 : 1]]
      await Promise.all(victims.map((server) => server.kill()))
      await Promise.all(victims.map((server) => server.start()))
    }
    over = true
    const said = (await working).flat()
    assert.ok(said.length >= CLIENTS, 'messages were answered')
    await check(said)
    console.log(`      ${said.length} messages through ${CRASHES} crashes`)
  })

  /** Sends one message after the other, each until it is answered. */
  async function talk(isOver: () => boolean): Promise<Said[]> {
    const agent = await retry(async (letta) => letta.agents.create({ model: SCRIPTED }))
    const said: Said[] = []
    while (!isOver()) said.push(await say(agent.id))
    return said
  }

  /** As a good client does it: the same otid until there is a run, then its stream from where it broke off. */
  async function say(agent_id: string): Promise<Said> {
    const messages = [{ role: 'user' as const, content: 'go', otid: crypto.randomUUID() }]
    const said: Said = { agent_id, run_id: '', texts: new Map(), stop_reason: '' }
    let last = 0
    await retry(async (letta) => {
      const stream =
        said.run_id === ''
          ? await letta.agents.messages.create(agent_id, {
              messages,
              streaming: true,
              stream_tokens: true,
              background: true,
            })
          : await letta.runs.messages.stream(said.run_id, { starting_after: last })
      for await (const chunk of stream as AsyncIterable<Chunk>) {
        if (chunk.run_id) said.run_id = chunk.run_id
        if (chunk.message_type === 'stop_reason') said.stop_reason = chunk.stop_reason ?? ''
        if (typeof chunk.seq_id !== 'number') continue
        assert.ok(chunk.seq_id > last, `chunk ${chunk.seq_id} after ${last}`)
        last = chunk.seq_id
        if (chunk.message_type === 'assistant_message')
          said.texts.set(chunk.id ?? '', (said.texts.get(chunk.id ?? '') ?? '') + String(chunk.content))
      }
      if (said.stop_reason === '') throw new Error('the stream broke off')
    }).catch((error: unknown) => {
      if (!isGivenUp(error)) throw error
    })
    return said
  }

  /** Tries one server after the other. */
  async function retry<T>(attempt: (letta: Letta) => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MS
    for (let n = Math.floor(random() * 2); ; n++) {
      const server = servers[n % 2 === 0 ? 0 : 1]
      try {
        return await attempt(new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 }))
      } catch (error) {
        if (error instanceof assert.AssertionError || isGivenUp(error) || performance.now() > end) throw error
        await pause(50)
      }
    }
  }

  async function check(said: readonly Said[]): Promise<void> {
    const letta = new Letta({ baseURL: servers[0].url, apiKey: null, maxRetries: 0 })
    await eventually('no run is active', async () => {
      const active = (await letta.runs.list({ active: true })).items
      return active.length === 0 ? true : null
    })
    const byRun = new Map(said.map((one) => [one.run_id, one]))
    assert.equal(byRun.size, said.length, 'each message had a run of its own')
    for (const agent_id of new Set(said.map((one) => one.agent_id))) {
      const runs = (await letta.runs.list({ agent_id, limit: 1000 })).items
      assert.equal(
        runs.length,
        said.filter((one) => one.agent_id === agent_id).length,
        'no message ran twice',
      )
    }
    let given_up = 0
    for (const [run_id, one] of byRun) {
      const run = await letta.runs.retrieve(run_id)
      if (one.stop_reason === 'error') {
        // So many crashes within one step are taken for its doing, which the client is told.
        assert.equal(run.status, 'failed')
        assert.ok(isGivenUp(run.metadata?.['error']), JSON.stringify(run.metadata))
        given_up++
        continue
      }
      const why = `run ${run_id} ${run.status}: ${JSON.stringify(run.metadata)}`
      assert.deepEqual([run.status, one.stop_reason], ['completed', 'end_turn'], why)
      const stored = (await letta.runs.messages.list(run_id)).items
      assert.deepEqual(
        stored.map((message) => message.message_type),
        ['user_message', 'tool_call_message', 'tool_return_message', 'assistant_message'],
        why,
      )
      const answer = stored.at(-1)
      assert.ok(answer?.message_type === 'assistant_message')
      assert.equal(
        [...one.texts.keys()].at(-1),
        answer.id,
        'the last message of the stream is the one that stays',
      )
      assert.equal(one.texts.get(answer.id), answer.content, 'and its text has no hole')
    }
    assert.ok(given_up <= said.length / 10, `${given_up} of ${said.length} were given up`)
  }
})

function isGivenUp(error: unknown): boolean {
  return /\d+ times in a row/.test(String(error))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
