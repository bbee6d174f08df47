/**
 * Turns over many conversations at once, by every way of asking, with a model that misbehaves in every way it can and
 * kill -9 at random moments. At the end no run is stuck, no call is open, nothing acknowledged is lost, every
 * conversation goes on, and a server that has done a lot takes no more memory than one that has done some.
 *
 * LOCI_SOAK (default 200) is the number of turns; LOCI_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/loci.ts'
import { request } from './load.ts'
import { messageFor, pickWay, startMisbehavingModel, WAYS } from './misbehaving-model.ts'
import { randomOf } from './random.ts'
import { ServerProcess } from './server-process.ts'

const TURNS = Number(process.env['LOCI_SOAK'] ?? 200)
const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const CONVERSATIONS = 50
const WORKERS = 6
/** All that a server may keep, whatever it has been through. */
const HEAP_MB = 100
/** Turns between two blows. */
const TURNS_A_KILL = 25

interface Conversation {
  id: string
  agent_id: string
  /** Messages whose turn was answered with `end_turn`, and the answers that were told. */
  asked: Set<string>
  answered: Set<string>
}

interface Message {
  id: string
  message_type: string
  content?: unknown
  tool_calls?: { tool_call_id: string }[]
  tool_returns?: { tool_call_id: string }[]
}

describe(`a soak (seed ${SEED})`, () => {
  const random = randomOf(SEED)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const counts = new Map<string, number>()
  const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
  const unexpected: string[] = []
  const conversations: Conversation[] = []
  let model: Awaited<ReturnType<typeof startMisbehavingModel>>
  let data: string
  let servers: [ServerProcess, ServerProcess]

  before(async () => {
    model = await startMisbehavingModel()
    data = await mkdtemp(join(tmpdir(), 'loci-soak-'))
    servers = [1, 2].map(() => new ServerProcess(data, model.url, { heap_mb: HEAP_MB })) as typeof servers
    await Promise.all(servers.map((server) => server.start()))
    for (let n = 0; n < CONVERSATIONS / 5; n++) await createAgent(n)
  })
  after(async () => {
    await Promise.all(servers.map((server) => server.kill()))
    await model.close()
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  })

  it(`keeps everything over ${TURNS} turns`, async function () {
    this.timeout(300_000 + TURNS * 2_000)
    let begun = 0
    const workers = Array.from({ length: WORKERS }, async () => {
      while (begun < TURNS) await turn(pick(conversations), `turn-${++begun}`)
    })
    const over = new AbortController()
    const kills = (async () => {
      for (let next = TURNS_A_KILL; next < TURNS; next += TURNS_A_KILL) {
        await eventually(
          'the next turns',
          () => (begun >= next || over.signal.aborted ? true : null),
          600_000,
        )
        const victim = pick(servers)
        await victim.kill()
        count('kill -9')
        await victim.start()
      }
    })()
    await Promise.all(workers).finally(() => over.abort())
    await kills
    assert.deepEqual(unexpected, [], 'answers that nothing explains')
    await nothingIsStuck()
    for (const conversation of conversations) await everythingIsThere(conversation)
    for (const server of servers)
      assert.doesNotMatch(server.output, /\n\s+at /, 'a failure of ours was logged')
    console.log(`      seed ${SEED}: ${[...counts].map(([what, n]) => `${n} ${what}`).join(', ')}`)
  })

  it('takes no more memory the longer it runs', async function () {
    this.timeout(300_000 + TURNS * 2_000)
    const some = Math.max(100, Math.ceil(TURNS / 4))
    const round = async (name: string) => {
      let begun = 0
      await Promise.all(
        Array.from({ length: WORKERS }, async () => {
          while (begun < some) await turn(pick(conversations), `${name}-${++begun}`)
        }),
      )
      await nothingIsStuck()
      return Math.max(...(await Promise.all(servers.map(residentMb))))
    }
    const starts = servers.map((server) => server.starts)
    await round('warm')
    const before = await round('some')
    const after = await round('more')
    console.log(
      `      resident: ${before.toFixed(0)} MB after ${2 * some} turns, ${after.toFixed(0)} MB after ${3 * some}`,
    )
    // Beside the heap there are buffers that the allocator keeps; a heap that grows beyond its bound ends the server.
    assert.ok(after < 4 * HEAP_MB, `${after} MB`)
    for (const server of servers) assert.ok(server.isRunning, server.output.slice(-2000))
    assert.deepEqual(
      servers.map((server) => server.starts),
      starts,
    )
    assert.deepEqual(unexpected, [])
  })

  /** One of a kind, by its number, with five conversations. */
  async function createAgent(n: number): Promise<void> {
    const kind = [
      {},
      { tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }] },
      { agent_type: 'memgpt_v2_agent' },
      { context_window_limit: 6000 },
      { parallel_tool_calls: true },
    ][n % 5]
    const agent = await post<{ id: string }>('/v1/agents/', {
      name: `soak ${n}`,
      model: 'openai/test-model',
      memory_blocks: [{ label: 'notes', value: 'start' }],
      ...kind,
    })
    for (let i = 0; i < 5; i++) {
      const made = i === 0 ? agent : await post<{ id: string }>(`/v1/conversations/?agent_id=${agent.id}`, {})
      conversations.push({
        id: made.id,
        agent_id: agent.id,
        asked: new Set(),
        answered: new Set(),
      })
    }
  }

  async function turn(conversation: Conversation, name: string): Promise<void> {
    const way = pickWay(random)
    const server = pick(servers)
    const text = messageFor(way, name)
    const path = `/v1/conversations/${conversation.id}`
    const mode = pick(['whole', 'whole', 'stream', 'background'] as const)
    if (way === 'hang') void cancelSoon(conversation)
    const body = {
      input: text,
      streaming: mode !== 'whole',
      ...(mode === 'whole' ? {} : { stream_tokens: random() < 0.5, background: mode === 'background' }),
    }
    count(way)
    const answer =
      mode === 'whole'
        ? await request(server, 'POST', `${path}/messages`, body)
        : await read(server, `${path}/messages`, body)
    if (answer === null) {
      count('lost connections')
      // Its server is being started again: the next turns are not to be lost on it too.
      await new Promise((resolve) => setTimeout(resolve, 200))
      return
    }
    if (answer.status === 409) return settle(conversation, answer.body)
    if (answer.status !== 200) {
      if (WAYS[way].answered && answer.status !== 503)
        unexpected.push(`${way}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`)
      return
    }
    const { stop_reason, said } = outcomeOf(answer.body)
    count(stop_reason)
    if (stop_reason === 'end_turn') {
      conversation.asked.add(text)
      if (WAYS[way].answered && said.includes(`re ${text}`)) conversation.answered.add(`re ${text}`)
      if (WAYS[way].answered && !said.includes(`re ${text}`))
        unexpected.push(
          `${text} in ${conversation.id} of agent ${conversations.indexOf(conversation) / 5}, ${mode}: ended without its answer: ${said.slice(0, 200)}`,
        )
    }
  }

  /** A conversation that waits for an approval gets one, or a denial; a busy one is left alone. */
  async function settle(conversation: Conversation, body: unknown): Promise<void> {
    if (!JSON.stringify(body).includes('PENDING_APPROVAL')) {
      count('busy')
      return
    }
    const agent = await request(
      pick(servers),
      'GET',
      `/v1/conversations/${conversation.id}/messages?order=desc&limit=5`,
    )
    if (agent?.status !== 200) return
    const pending = (agent.body as Message[]).find(
      (message) => message.message_type === 'approval_request_message',
    )
    if (!pending) return
    const approve = random() < 0.7
    const approvals = (pending.tool_calls ?? []).map(({ tool_call_id }) => ({
      type: 'approval',
      tool_call_id,
      approve,
      ...(approve ? {} : { reason: 'not now' }),
    }))
    const messages = [{ type: 'approval', approvals }]
    const answer = await request(pick(servers), 'POST', `/v1/conversations/${conversation.id}/messages`, {
      messages,
      streaming: false,
    })
    count(approve ? 'approved' : 'denied')
    // Somebody else may have settled it first, in other words.
    if (answer && ![200, 400, 409, 503].includes(answer.status))
      unexpected.push(`approval: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`)
  }

  async function cancelSoon({ id }: Conversation): Promise<void> {
    for (let tries = 0; tries < 40; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      const answer = await request(pick(servers), 'POST', `/v1/conversations/${id}/cancel`)
      if (answer?.status !== 200) continue
      count('cancels')
      return
    }
  }

  async function nothingIsStuck(): Promise<void> {
    await eventually(
      'no run is left running',
      async () => {
        const answer = await request(servers[0], 'GET', '/v1/runs/?active=true')
        if (!Array.isArray(answer?.body)) return null
        // A hanging model holds its turn until somebody cancels it: also one whose canceller met a killed server.
        for (const run of answer.body as { agent_id: string; conversation_id: string | null }[])
          await request(servers[0], 'POST', `/v1/conversations/${run.conversation_id ?? run.agent_id}/cancel`)
        return answer.body.length === 0 ? true : null
      },
      60_000,
    )
  }

  async function everythingIsThere(conversation: Conversation): Promise<void> {
    const path = `/v1/conversations/${conversation.id}/messages`
    // What still waits for an approval is denied first: by the cancel that a user would press.
    await request(servers[0], 'POST', `/v1/conversations/${conversation.id}/cancel`)
    const text = messageFor('plain', `last-of-${conversation.id}`)
    const goes_on = await eventually(
      'a conversation goes on',
      async () => {
        const answer = await request(servers[0], 'POST', path, { input: text, streaming: false })
        return answer?.status === 200 && outcomeOf(answer.body).stop_reason === 'end_turn' ? answer : null
      },
      30_000,
    )
    assert.ok(outcomeOf(goes_on.body).said.includes(`re ${text}`))
    const messages = await history(path)
    const texts = messages.map((message) => JSON.stringify(message.content ?? ''))
    const missing = [...conversation.asked, ...conversation.answered].filter(
      (wanted) => !texts.some((said) => said.includes(wanted)),
    )
    assert.deepEqual(missing, [], `messages of ${conversation.id} that are gone`)
    const open = new Set<string>()
    for (const message of messages) {
      if (message.message_type === 'tool_call_message' || message.message_type === 'approval_request_message')
        for (const { tool_call_id } of message.tool_calls ?? []) open.add(tool_call_id)
      for (const { tool_call_id } of message.tool_returns ?? []) open.delete(tool_call_id)
    }
    assert.deepEqual([...open], [], `calls of ${conversation.id} without a return`)
  }

  async function history(path: string): Promise<Message[]> {
    const all: Message[] = []
    for (let after = ''; ;) {
      const answer = await request(servers[0], 'GET', `${path}?order=asc&limit=200${after}`)
      assert.equal(answer?.status, 200)
      const page = answer.body as Message[]
      const last = page.at(-1)
      if (!last) return all
      all.push(...page)
      after = `&after=${last.id}`
    }
  }

  async function post<T>(path: string, body: unknown): Promise<T> {
    const answer = await request(servers[0], 'POST', path, body)
    assert.equal(answer?.status, 200, JSON.stringify(answer?.body))
    return answer.body as T
  }
})

/** A streamed answer put together as the whole one would be; null when the server went away. */
async function read(
  server: ServerProcess,
  path: string,
  body: unknown,
): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    if (response.status !== 200) return { status: response.status, body: await response.json() }
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: {'))
    const items = events.map(
      (event) => JSON.parse(event.slice('data: '.length)) as Message & { stop_reason?: string },
    )
    const stop = items.find((item) => item.message_type === 'stop_reason')
    return {
      status: 200,
      body: { messages: items, stop_reason: { stop_reason: stop?.stop_reason ?? 'none' } },
    }
  } catch {
    return null
  }
}

function outcomeOf(body: unknown): { stop_reason: string; said: string } {
  const { messages, stop_reason } = body as { messages: Message[]; stop_reason: { stop_reason: string } }
  const said = messages
    .filter((message) => message.message_type === 'assistant_message')
    .map((message) =>
      typeof message.content === 'string' ? message.content : JSON.stringify(message.content),
    )
    .join('')
  return { stop_reason: stop_reason.stop_reason, said }
}

async function residentMb(server: ServerProcess): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}
