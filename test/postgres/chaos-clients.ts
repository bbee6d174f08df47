/** Clients of a cluster in which everything dies: what each was told stands in a ledger, to be looked up in the end. */
import { APIConnectionError, APIConnectionTimeoutError, APIError, type Letta } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { randomOf } from '../reliability/random.ts'
import { SCRIPTED } from '../support/loci.ts'
import { answerTo, pause } from './chaos-model.ts'
import type { Cluster } from './cluster.ts'

/** How long a client waits for the head of an answer, and for the next chunk of a stream, in milliseconds. */
export const HEAD_MS = 12_000
const CHUNK_MS = 8_000
/** How long a client goes on with a background run before that is a failure, in milliseconds. */
const PATIENCE_MS = 150_000
/** Agents that are made while it goes on, at the most. */
const MOST_AGENTS = 60

/** `done`: acknowledged; `begun`: its beginning was; `unknown`: there is no answer, so it may be there; `refused`: not there. */
type Fate = 'done' | 'begun' | 'unknown' | 'refused'

export interface Sent {
  agent_id: string
  text: string
  fate: Fate
  run_id: string | null
}

/** A stream of a background run as its client has read it. */
export interface Read {
  run_id: string
  /** The text of each message, in order. */
  texts: Map<string, string>
  stop_reason: string
}

/** `timed_out`: nothing came in time; `cut_off`: the connection ended; `unavailable`: 502 to 504, or another took over. */
type TroubleKind = 'timed_out' | 'cut_off' | 'unavailable' | 'ending'

/** A request without the answer it was made for, from its sending to its end, in the time of `performance.now()`. */
export interface Trouble {
  kind: TroubleKind
  text: string
  from: number
  to: number
}

export interface Ledger {
  messages: Sent[]
  reads: Read[]
  passages: { agent_id: string; text: string; fate: Fate }[]
  agents: { name: string; id: string | null; fate: Fate }[]
  /** By block: the value that was acknowledged last, and the one that was tried last. */
  blocks: Map<string, { acknowledged: number; tried: number }>
  counts: {
    busy: number
    edits: number
    resumed: number
    resumed_elsewhere: number
    taken_over: number
  }
  /** When requests of all kinds got the answer they were made for. */
  answered: number[]
  troubles: Trouble[]
  /** Answers that no fault explains. */
  unexpected: string[]
}

interface Chunk {
  message_type?: string
  id?: string
  content?: unknown
  seq_id?: number | null
  run_id?: string | null
  stop_reason?: string
}

/** Starts clients, each with its own choices of the seed, that go on until `stop`, which resolves when all have got their answers. */
export function startClients(
  cluster: Cluster,
  { clients, agent_ids, seed }: { clients: number; agent_ids: string[]; seed: number },
): { ledger: Ledger; stop(): Promise<void> } {
  const ledger: Ledger = {
    messages: [],
    reads: [],
    passages: [],
    agents: [],
    blocks: new Map(),
    counts: {
      busy: 0,
      edits: 0,
      resumed: 0,
      resumed_elsewhere: 0,
      taken_over: 0,
    },
    answered: [],
    troubles: [],
    unexpected: [],
  }
  const over = new AbortController()
  const working = Array.from({ length: clients }, async (_, i) => {
    const random = randomOf(seed + i)
    const client = new Client(cluster, ledger, { name: `c${i}`, agent_ids, random })
    while (!over.signal.aborted) {
      await client.act()
      await pause(50 + random() * 450)
    }
  })
  // A client that failed is heard of when they are stopped.
  for (const one of working) one.catch(() => undefined)
  return {
    ledger,
    async stop() {
      over.abort()
      await Promise.all(working)
    },
  }
}

class Client {
  readonly #cluster: Cluster
  readonly #letta: Letta
  readonly #ledger: Ledger
  readonly #name: string
  readonly #agents: string[]
  readonly #random: () => number
  #number = 0
  #block: string | null = null

  constructor(
    cluster: Cluster,
    ledger: Ledger,
    { name, agent_ids, random }: { name: string; agent_ids: string[]; random: () => number },
  ) {
    this.#cluster = cluster
    this.#letta = cluster.letta().withOptions({ timeout: HEAD_MS })
    this.#ledger = ledger
    this.#name = name
    this.#agents = agent_ids
    this.#random = random
  }

  async act(): Promise<void> {
    const dice = this.#random()
    if (dice < 0.25) await this.#send()
    else if (dice < 0.45) await this.#stream()
    else if (dice < 0.7) await this.#background()
    else if (dice < 0.85) await this.#edit()
    else if (dice < 0.97 || this.#ledger.agents.length >= MOST_AGENTS) await this.#passage()
    else await this.#create()
  }

  #sent(): Sent {
    const dice = this.#random()
    const verb = dice < 0.25 ? 'remember' : dice < 0.4 ? 'note' : 'say'
    const agent_id = this.#agents[Math.floor(this.#random() * this.#agents.length)] ?? ''
    const sent: Sent = {
      agent_id,
      text: `${verb} ${this.#name}n${++this.#number}`,
      fate: 'unknown',
      run_id: null,
    }
    this.#ledger.messages.push(sent)
    return sent
  }

  async #send(): Promise<void> {
    const sent = this.#sent()
    const from = performance.now()
    try {
      const { messages, stop_reason } = await this.#letta.agents.messages.create(sent.agent_id, {
        input: sent.text,
      })
      sent.run_id = messages[0]?.run_id ?? null
      sent.fate = stop_reason.stop_reason === 'end_turn' ? 'done' : 'begun'
      if (sent.fate === 'done') this.#answered()
      const said = messages.flatMap((one) => (one.message_type === 'assistant_message' ? [one.content] : []))
      if (sent.fate === 'done' && said.at(-1) !== answerTo(sent.text))
        this.#ledger.unexpected.push(`to ${sent.text}: ${JSON.stringify(said)}`)
    } catch (error) {
      sent.fate = this.#fateAfter(error, from)
    }
  }

  async #stream(): Promise<void> {
    const sent = this.#sent()
    const from = performance.now()
    const abort = new AbortController()
    try {
      const stream = await this.#letta.agents.messages.create(
        sent.agent_id,
        { input: sent.text, streaming: true, stream_tokens: true },
        { signal: abort.signal },
      )
      let said = ''
      for await (const chunk of patiently(stream as AsyncIterable<Chunk>, abort)) {
        if (sent.run_id === null && chunk.run_id) {
          sent.run_id = chunk.run_id
          sent.fate = 'begun'
        }
        if (chunk.message_type === 'assistant_message') said += String(chunk.content)
        if (chunk.stop_reason === 'end_turn') sent.fate = 'done'
      }
      if (sent.fate === 'done') this.#answered()
      if (sent.fate === 'done' && said !== answerTo(sent.text))
        this.#ledger.unexpected.push(`to ${sent.text}: ${said}`)
    } catch (error) {
      const fate = this.#fateAfter(error, from)
      if (sent.fate === 'unknown') sent.fate = fate
    }
  }

  /** As a good client does it: the same otid until there is a run, then its stream from where it broke off. */
  async #background(): Promise<void> {
    const sent = this.#sent()
    const messages = [{ role: 'user' as const, content: sent.text, otid: crypto.randomUUID() }]
    const read: Read = { run_id: '', texts: new Map(), stop_reason: '' }
    const end = performance.now() + PATIENCE_MS
    let last = 0
    let by: string | null = null
    let unsure = false
    while (read.stop_reason === '') {
      const from = performance.now()
      const abort = new AbortController()
      const options = { signal: abort.signal }
      try {
        const asked =
          read.run_id === ''
            ? this.#letta.agents.messages.create(
                sent.agent_id,
                { messages, streaming: true, stream_tokens: true, background: true, include_pings: true },
                options,
              )
            : this.#letta.runs.messages.stream(
                read.run_id,
                { starting_after: last, include_pings: true },
                options,
              )
        const { data, response } = await asked.withResponse()
        const now = response.headers.get('x-served-by')
        if (last > 0) this.#ledger.counts.resumed++
        if (last > 0 && by !== now) this.#ledger.counts.resumed_elsewhere++
        by = now
        for await (const chunk of patiently(data as AsyncIterable<Chunk>, abort)) {
          if (chunk.run_id) sent.run_id = read.run_id = chunk.run_id
          if (sent.run_id !== null && sent.fate === 'unknown') sent.fate = 'begun'
          if (chunk.message_type === 'stop_reason') read.stop_reason = chunk.stop_reason ?? ''
          if (typeof chunk.seq_id !== 'number') continue
          if (chunk.seq_id <= last)
            this.#ledger.unexpected.push(`chunk ${chunk.seq_id} of ${read.run_id} after ${last}`)
          if (chunk.seq_id - last >= 10_000) this.#ledger.counts.taken_over++
          last = chunk.seq_id
          if (chunk.message_type === 'assistant_message')
            read.texts.set(chunk.id ?? '', (read.texts.get(chunk.id ?? '') ?? '') + String(chunk.content))
        }
      } catch (error) {
        if (isGivenUp(error)) read.stop_reason = 'error'
        else {
          const fate = this.#fateAfter(error, from)
          if (sent.run_id === null && fate === 'refused') {
            // What was asked before may yet be done, by an instance that wakes up.
            if (!unsure) sent.fate = fate
            return
          }
          unsure = true
        }
      }
      if (read.stop_reason !== '') break
      if (performance.now() > end) {
        this.#ledger.unexpected.push(`no end of run ${read.run_id} in ${PATIENCE_MS} ms (${sent.text})`)
        return
      }
      await pause(100)
    }
    this.#ledger.reads.push(read)
    if (read.stop_reason !== 'end_turn') return
    sent.fate = 'done'
    this.#answered()
  }

  async #edit(): Promise<void> {
    const { blocks, counts } = this.#ledger
    const from = performance.now()
    try {
      if (this.#block === null) {
        const made = await this.#letta.blocks.create({ label: this.#name, value: '0' })
        this.#block = made.id
        blocks.set(made.id, { acknowledged: 0, tried: 0 })
      }
      const state = blocks.get(this.#block)
      assert.ok(state)
      state.tried++
      await this.#letta.blocks.update(this.#block, { value: String(state.tried) })
      state.acknowledged = state.tried
      counts.edits++
      this.#answered()
    } catch (error) {
      this.#fateAfter(error, from)
      // It may yet be written, by a server that wakes up: the next value goes into another one.
      this.#block = null
    }
  }

  async #passage(): Promise<void> {
    const agent_id = this.#agents[Math.floor(this.#random() * this.#agents.length)] ?? ''
    const passage = { agent_id, text: `own ${this.#name}p${++this.#number}`, fate: 'unknown' as Fate }
    this.#ledger.passages.push(passage)
    const from = performance.now()
    try {
      await this.#letta.agents.passages.create(agent_id, { text: passage.text })
      passage.fate = 'done'
      this.#answered()
    } catch (error) {
      passage.fate = this.#fateAfter(error, from)
    }
  }

  async #create(): Promise<void> {
    const made = {
      name: `${this.#name}a${++this.#number}`,
      id: null as string | null,
      fate: 'unknown' as Fate,
    }
    this.#ledger.agents.push(made)
    const from = performance.now()
    try {
      made.id = await createAgent(this.#letta, made.name)
      made.fate = 'done'
      this.#answered()
      this.#agents.push(made.id)
    } catch (error) {
      made.fate = this.#fateAfter(error, from)
    }
  }

  #answered(): void {
    this.#ledger.answered.push(performance.now())
  }

  /** What an error says of the request that was sent then; counts it. */
  #fateAfter(error: unknown, from: number): Fate {
    const { counts, troubles, unexpected } = this.#ledger
    const text = String(error)
    const troubled = (kind: TroubleKind) => troubles.push({ kind, text, from, to: performance.now() })
    if (error instanceof APIConnectionTimeoutError || error instanceof StoodStill) {
      troubled('timed_out')
      return 'unknown'
    }
    if (error instanceof APIConnectionError || isBroken(error)) {
      troubled('cut_off')
      return 'unknown'
    }
    const status: unknown = error instanceof APIError ? error.status : null
    // In the middle of a stream an error has no status.
    const isConflict = status === 409 || status === undefined
    if (status === 409 && text.includes('Another message is being answered')) {
      counts.busy++
      return 'refused'
    }
    if (status === 503 && text.includes('shutting down')) {
      troubled('ending')
      return 'refused'
    }
    // Of a turn whose instance was frozen, and that others have ended meanwhile; and of nginx and the store.
    if (
      (isConflict && /no longer holds|left to another/.test(text)) ||
      [502, 503, 504].includes(Number(status))
    ) {
      troubled('unavailable')
      return 'unknown'
    }
    unexpected.push(`${this.#cluster.url}: ${text}`)
    return 'unknown'
  }
}

/** Makes an agent whose turns write memory and passages. */
export async function createAgent(letta: Letta, name: string): Promise<string> {
  const { id } = await letta.agents.create({
    name,
    model: SCRIPTED,
    tools: ['archival_memory_insert'],
    memory_blocks: [{ label: 'notes', value: 'start', limit: 1_000_000 }],
  })
  return id
}

/** A stream whose next chunk did not come. */
class StoodStill extends Error {}

/** The chunks of a stream; aborts it when the next one does not come. */
async function* patiently(stream: AsyncIterable<Chunk>, abort: AbortController): AsyncGenerator<Chunk> {
  let timer = setTimeout(() => abort.abort(), CHUNK_MS)
  try {
    for await (const chunk of stream) {
      clearTimeout(timer)
      yield chunk
      timer = setTimeout(() => abort.abort(), CHUNK_MS)
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
  if (abort.signal.aborted) throw new StoodStill(`no chunk came in ${CHUNK_MS} ms`)
}

/** The connection ended in the middle of an answer. */
function isBroken(error: unknown): boolean {
  return (
    error instanceof Error &&
    /terminated|aborted|broke off|premature|ECONNRESET|fetch failed/i.test(String(error))
  )
}

function isGivenUp(error: unknown): boolean {
  return /\d+ times in a row/.test(String(error))
}
