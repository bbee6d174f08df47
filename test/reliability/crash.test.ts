/**
 * kill -9 and SIGSTOP at random moments under load, from several clients, over two servers on one data directory.
 * After each: every acknowledged message and block edit is there, no run is left running, the next message works.
 *
 * LOCI_CRASHES (default 100) and LOCI_FREEZES (default 20) scale it; LOCI_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { type Load, request, startLoad, type Target } from './load.ts'
import { randomOf } from './random.ts'
import { ServerProcess, STALE_AFTER_MS } from './server-process.ts'

const CRASHES = Number(process.env['LOCI_CRASHES'] ?? 100)
const FREEZES = Number(process.env['LOCI_FREEZES'] ?? 20)
const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const AGENTS = 4
const CLIENTS = 6
/** After so many a long run checks everything and goes on with new agents: it stays quick, and shows how far it is. */
const ROUND = 100

describe(`crashes under load (seed ${SEED})`, () => {
  const random = randomOf(SEED)
  let model: ScriptedModel
  let data: string
  let servers: [ServerProcess, ServerProcess]
  const firstAnswers: number[] = []

  before(async () => {
    model = await startScriptedModel([], { forget: true, loop: answer })
    data = await mkdtemp(join(tmpdir(), 'loci-crash-'))
    servers = [new ServerProcess(data, model.url), new ServerProcess(data, model.url)]
    await Promise.all(servers.map((server) => server.start()))
  })
  after(async () => {
    await Promise.all(servers.map((server) => server.kill()))
    await model.close()
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  })

  it(`loses nothing in ${CRASHES} times kill -9`, async function () {
    this.timeout(60_000 + CRASHES * 10_000)
    for (let done = 0; done < CRASHES; done += ROUND) await crash(done, Math.min(ROUND, CRASHES - done))
  })

  async function crash(done: number, times: number): Promise<void> {
    const target = await createTarget(servers[0])
    const load = startLoad(servers, target, { name: `crash${done}`, random })
    try {
      for (let n = 0; n < times; n++) {
        await pause(20 + random() * 250)
        const victim = servers[random() < 0.5 ? 0 : 1]
        const both = random() < 0.15
        await Promise.all(both ? servers.map((server) => server.kill()) : [victim.kill()])
        await Promise.all(both ? servers.map((server) => server.start()) : [victim.start()])
        const from = performance.now()
        await nextMessageWorks(servers, target)
        firstAnswers.push(performance.now() - from)
      }
    } finally {
      await load.stop()
    }
    await everythingIsThere(load)
    assert.equal(load.counts.unavailable, 0, 'a killed process holds no lock')
    report('kill -9', done + times, load)
  }

  it(`loses nothing when a server is frozen past its lease ${FREEZES} times and wakes`, async function () {
    this.timeout(60_000 + FREEZES * 20_000)
    const target = await createTarget(servers[0])
    const load = startLoad(servers, target, { name: 'freeze', random })
    let takenOver = 0
    try {
      for (let n = 0; n < FREEZES; n++) {
        await pause(20 + random() * 200)
        const [frozen, awake] = random() < 0.5 ? servers : [servers[1], servers[0]]
        frozen.signal('SIGSTOP')
        await pause(STALE_AFTER_MS * (1.1 + random()))
        takenOver += (await othersGoOn(awake, target)) ? 1 : 0
        frozen.signal('SIGCONT')
        await nextMessageWorks([frozen, awake], target)
      }
    } finally {
      for (const server of servers) server.signal('SIGCONT')
      await load.stop()
    }
    await everythingIsThere(load)
    console.log(`      the other server went on at once in ${takenOver} of ${FREEZES} freezes`)
    report('SIGSTOP', FREEZES, load)
  })

  /** Every agent answers, whichever server is asked. */
  async function nextMessageWorks(asked: readonly ServerProcess[], { agent_ids }: Target): Promise<void> {
    await Promise.all(
      agent_ids.map((id, i) =>
        eventually(
          `agent ${i} answers the next message`,
          async () => {
            const server = asked[i % asked.length]
            const result =
              server && (await request(server, 'POST', `/v1/agents/${id}/messages`, { input: 'next' }))
            return result?.status === 200 ? result : null
          },
          30_000,
        ),
      ),
    )
  }

  /**
   * Whether the other server answers while one is frozen. Where that one was stopped inside a write transaction it holds
   * the database's lock until it wakes: then the answer is a clear 503, and nothing else.
   */
  async function othersGoOn(awake: ServerProcess, { agent_ids }: Target): Promise<boolean> {
    for (const id of agent_ids) {
      for (;;) {
        const result = await request(awake, 'POST', `/v1/agents/${id}/messages`, { input: 'next' })
        if (result?.status === 200) break
        if (result?.status === 503) {
          assert.match(JSON.stringify(result.body), /another process|locked|busy/i)
          return false
        }
        assert.equal(result?.status, 409, JSON.stringify(result?.body))
      }
    }
    return true
  }

  async function everythingIsThere(load: Load): Promise<void> {
    assert.deepEqual(load.unexpected, [], 'no answer but 200, 409, 503 and a lost connection')
    await eventually(
      'no run is left running',
      async () => {
        const result = await request(servers[0], 'GET', '/v1/runs/?active=true')
        return Array.isArray(result?.body) && result.body.length === 0 ? true : null
      },
      30_000,
    )
    for (const [agent_id, texts] of load.acknowledged.messages) {
      const { asked, answered, orphans } = await history(agent_id)
      assert.deepEqual(
        [...texts].filter((text) => !asked.has(text)),
        [],
        'acknowledged messages that are gone',
      )
      assert.deepEqual(
        [...texts].filter((text) => !answered.has(`re ${text}`)),
        [],
        'acknowledged answers that are gone',
      )
      assert.deepEqual(orphans, [], 'tool calls without a return')
      const { value } = await get<{ value: string }>(`/v1/agents/${agent_id}/core-memory/blocks/notes`)
      const lines = value.split('\n')
      assert.equal(new Set(lines).size, lines.length, 'a line of memory was written twice')
      const written = new Set(lines)
      const missing = [...(load.acknowledged.lines.get(agent_id) ?? [])].filter((line) => !written.has(line))
      assert.deepEqual(missing, [], 'acknowledged memory edits that are gone')
    }
    for (const [block_id, { acknowledged, tried }] of load.acknowledged.blocks) {
      const value = Number((await get<{ value: string }>(`/v1/blocks/${block_id}`)).value)
      assert.ok(
        value >= acknowledged && value <= tried,
        `block at ${value}, acknowledged ${acknowledged}, tried ${tried}`,
      )
    }
    for (const server of servers)
      assert.doesNotMatch(server.output, /\n\s+at /, 'a failure of ours was logged')
  }

  async function history(agent_id: string) {
    const asked = new Set<string>()
    const answered = new Set<string>()
    const open = new Map<string, string>()
    let after = ''
    for (;;) {
      const cursor = after === '' ? '' : `&after=${after}`
      const page = await get<Record<string, unknown>[]>(
        `/v1/agents/${agent_id}/messages?order=asc&limit=1000${cursor}`,
      )
      for (const message of page) {
        if (message['message_type'] === 'user_message') asked.add(String(message['content']))
        if (message['message_type'] === 'assistant_message') answered.add(String(message['content']))
        for (const call of callsOf(message)) open.set(call, String(message['id']))
        for (const call of returnsOf(message)) open.delete(call)
      }
      const last = page.at(-1)
      if (!last) return { asked, answered, orphans: [...open.keys()] }
      after = String(last['id'])
    }
  }

  async function get<T>(path: string): Promise<T> {
    const result = await request(servers[0], 'GET', path)
    assert.equal(result?.status, 200, `${path}: ${JSON.stringify(result?.body)}`)
    return result?.body as T
  }

  function report(what: string, times: number, load: Load): void {
    const sorted = firstAnswers.toSorted((a, b) => a - b)
    const median = sorted[Math.floor(sorted.length / 2)]?.toFixed(0) ?? '?'
    console.log(
      `      seed ${SEED}: ${times} × ${what}; ${load.counts.answered} messages and ${load.counts.edits} block edits ` +
        `acknowledged, ${load.counts.busy} busy, ${load.counts.unavailable} unavailable, ${load.counts.failed} lost connections; ` +
        `all agents answered again ${median} ms (median) after a restart`,
    )
  }
})

/** Each text once: a `remember` message writes its own line, every message is answered with `re <message>`. */
function answer(body: { messages: { role: string; content?: unknown }[] }) {
  const last = body.messages.at(-1)
  const content = body.messages.findLast((message) => message.role === 'user')?.content
  const said = typeof content === 'string' ? content : ''
  const delay_ms = said.length % 7
  if (last?.role === 'user' && said.startsWith('remember'))
    return {
      delay_ms,
      tool_calls: [{ name: 'memory_insert', arguments: { label: 'notes', new_string: `line of ${said}` } }],
    }
  return { delay_ms, text: `re ${said}` }
}

async function createTarget(server: ServerProcess): Promise<Target> {
  const create = async (path: string, body: object) => {
    const result = await request(server, 'POST', path, body)
    assert.equal(result?.status, 200, JSON.stringify(result?.body))
    const { id } = (result?.body ?? {}) as { id: string }
    return id
  }
  const agent_ids: string[] = []
  for (let i = 0; i < AGENTS; i++)
    agent_ids.push(
      await create('/v1/agents/', {
        name: `crash ${i}`,
        model: 'openai/test-model',
        memory_blocks: [{ label: 'notes', value: 'start' }],
        // Half of them keep their whole history in context; the others keep a long run quick.
        message_buffer_autoclear: i % 2 === 1,
      }),
    )
  const block_ids: string[] = []
  for (let i = 0; i < CLIENTS; i++)
    block_ids.push(await create('/v1/blocks/', { label: `client${i}`, value: '0' }))
  return { agent_ids, block_ids }
}

function callsOf(message: Record<string, unknown>): string[] {
  if (message['message_type'] !== 'tool_call_message') return []
  return (message['tool_calls'] as { tool_call_id: string }[]).map((call) => call.tool_call_id)
}

function returnsOf(message: Record<string, unknown>): string[] {
  if (message['message_type'] !== 'tool_return_message') return []
  return (message['tool_returns'] as { tool_call_id: string }[]).map((result) => result.tool_call_id)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
