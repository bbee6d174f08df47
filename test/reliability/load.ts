/** Clients that keep talking to agents and editing blocks, and remember exactly what was acknowledged to them. */
import type { ServerProcess } from './server-process.ts'

export interface Acknowledged {
  /** Texts of messages that were answered, by agent. */
  messages: Map<string, Set<string>>
  /** Lines that an agent's memory tool was told to have written, by agent. */
  lines: Map<string, Set<string>>
  /** Last acknowledged value of each client's own block, and what may have been written beyond it. */
  blocks: Map<string, { acknowledged: number; tried: number }>
}

export interface Target {
  agent_ids: string[]
  /** One block for each client, of which it is the only writer. */
  block_ids: string[]
}

export interface Load {
  acknowledged: Acknowledged
  counts: { answered: number; busy: number; unavailable: number; failed: number; edits: number }
  /** Answers that no input may cause, as text. */
  unexpected: string[]
  /** Ends after the requests under way; resolves when they are over. */
  stop(): Promise<void>
}

/** Starts one client for each block; every request goes to a server picked at random. `name` makes its texts unlike others'. */
export function startLoad(
  servers: readonly ServerProcess[],
  target: Target,
  options: { name: string; random: () => number },
): Load {
  const { name, random } = options
  const acknowledged: Acknowledged = { messages: new Map(), lines: new Map(), blocks: new Map() }
  for (const id of target.agent_ids) {
    acknowledged.messages.set(id, new Set())
    acknowledged.lines.set(id, new Set())
  }
  const stopping = new AbortController()
  const load: Load = {
    acknowledged,
    counts: { answered: 0, busy: 0, unavailable: 0, failed: 0, edits: 0 },
    unexpected: [],
    async stop() {
      stopping.abort()
      await Promise.all(clients)
    },
  }
  let number = 0
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T

  async function send(): Promise<void> {
    const agent = pick(target.agent_ids)
    const remember = random() < 0.4
    const text = `${remember ? 'remember' : 'say'} ${name} ${++number}`
    const answer = await request(pick(servers), 'POST', `/v1/agents/${agent}/messages`, { input: text })
    if (answer === null) load.counts.failed++
    else if (answer.status === 409) load.counts.busy++
    else if (answer.status === 503) load.counts.unavailable++
    else if (answer.status !== 200) load.unexpected.push(`${answer.status} ${JSON.stringify(answer.body)}`)
    else {
      const { stop_reason } = answer.body as { stop_reason: { stop_reason: string } }
      if (stop_reason.stop_reason !== 'end_turn') return
      load.counts.answered++
      acknowledged.messages.get(agent)?.add(text)
      if (remember) acknowledged.lines.get(agent)?.add(`line of ${text}`)
    }
  }

  async function edit(block_id: string): Promise<void> {
    const state = acknowledged.blocks.get(block_id) ?? { acknowledged: 0, tried: 0 }
    acknowledged.blocks.set(block_id, state)
    state.tried++
    const answer = await request(pick(servers), 'PATCH', `/v1/blocks/${block_id}`, {
      value: String(state.tried),
    })
    if (answer === null) load.counts.failed++
    else if (answer.status === 200) {
      state.acknowledged = state.tried
      load.counts.edits++
    } else if (answer.status === 503) load.counts.unavailable++
    else load.unexpected.push(`${answer.status} ${JSON.stringify(answer.body)}`)
  }

  const clients = target.block_ids.map(async (block_id) => {
    while (!stopping.signal.aborted) await (random() < 0.75 ? send() : edit(block_id))
  })
  return load
}

/** Null when the server went away before it answered: then nothing is known of the request. */
export async function request(
  server: ServerProcess,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch(server.url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    })
    return { status: response.status, body: await response.json() }
  } catch {
    // Refused connections come back at once while a server is down: leave the core to the others.
    await new Promise((resolve) => setTimeout(resolve, 5))
    return null
  }
}
