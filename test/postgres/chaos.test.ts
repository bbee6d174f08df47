/**
 * Three instances over one PostgreSQL behind nginx, while instances are killed, frozen and ended and the database crashes
 * and restarts: what was acknowledged is there, once; no run is left running; every conversation answers; and whenever
 * nothing is struck, every request is answered.
 *
 * LOCI_CHAOS_SECONDS (default 60) is how long it strikes; LOCI_CHAOS_SEED repeats the choices of a run.
 */
import assert from 'node:assert/strict'
import { Client } from 'pg'
import { randomOf } from '../reliability/random.ts'
import { eventually } from '../support/loci.ts'
import { createAgent, HEAD_MS, type Ledger, startClients } from './chaos-clients.ts'
import { type Faults, noFaults, strike, wasCalm, wasWhole } from './chaos-faults.ts'
import { type Feed, followFeed } from './chaos-feed.ts'
import { answerTo, lineOf, passageOf, pause, startChaosModel } from './chaos-model.ts'
import { type Cluster, startCluster } from './cluster.ts'

const SECONDS = Number(process.env['LOCI_CHAOS_SECONDS'] ?? 60)
const SEED = Number(process.env['LOCI_CHAOS_SEED'] ?? Date.now() % 1_000_000)
const CLIENTS = 20
const AGENTS = 40
/** Passages that one page may have. */
const MOST_PASSAGES = 1000
/** The longest freeze, in seconds: a heart that stands still for 12 counts as stopped. */
const MOST_FROZEN = SECONDS < 300 ? 18 : 40
/** It strikes for so many seconds, then leaves everybody in peace for so many, and again. */
const ROUND_SECONDS = 60
const CALM_SECONDS = 16
/** How long after the last blow a request may still be refused or cut off, in milliseconds. */
const RECOVERY_MS = 10_000
/** Answers in ten seconds of peace: less than a tenth of what two busy cores give. */
const LEAST_ANSWERS = 20
/** How long it may take until all runs have ended, in milliseconds. */
const SETTLE_MS = 60_000

interface Message {
  id: string
  run_id?: string | null
  message_type: string
  content?: unknown
  tool_calls?: { tool_call_id: string }[]
  tool_returns?: { tool_call_id: string }[]
}

describe(`three instances while everything dies (seed ${SEED}, ${SECONDS} s)`, function () {
  this.timeout(SECONDS * 1000 + Math.ceil(SECONDS / ROUND_SECONDS) * 60_000 + 240_000)
  let scripted: Awaited<ReturnType<typeof startChaosModel>>
  let cluster: Cluster

  before(async () => {
    scripted = await startChaosModel(randomOf(SEED + 1))
    cluster = await startCluster({ model_url: scripted.model.url })
  })
  after(async () => {
    await cluster?.close()
    await scripted?.model.close()
  })

  it('lose nothing, double nothing, leave nothing running', async () => {
    console.log(`      seed ${SEED}`)
    const agent_ids: string[] = []
    for (let i = 0; i < AGENTS; i++) agent_ids.push(await createAgent(cluster.letta(), `agent${i}`))
    const feed = followFeed(cluster.url)
    const load = startClients(cluster, {
      clients: CLIENTS,
      agent_ids,
      seed: SEED + 2,
    })
    const faults = noFaults()
    const calms: { from: number; to: number }[] = []
    const random = randomOf(SEED)
    try {
      for (let left = SECONDS; left > 0; left -= ROUND_SECONDS) {
        const seconds = Math.min(left, ROUND_SECONDS)
        await strike(cluster, faults, { seconds, random, most_frozen: MOST_FROZEN })
        const from = performance.now()
        await pause(CALM_SECONDS * 1000)
        calms.push({ from, to: performance.now() })
      }
    } finally {
      await load.stop()
    }
    const { ledger } = load
    const settled = await settle()
    report(ledger, { faults, feed, settled, calms })
    const failures = cluster.instances.flatMap(({ output }) => output.match(/^loci: .*$/gm) ?? [])
    for (const text of new Set(failures)) console.log(`      said: ${text}`)
    await everyAgentAnswers(agent_ids)
    assert.deepEqual(ledger.unexpected, [], 'answers that no fault explains')
    checkTroubles(ledger, faults)
    checkEnough(ledger, faults, calms)
    assert.deepEqual(scripted.complaints, [], 'contexts that no model should be sent')
    assert.deepEqual(faults.exits, [], 'instances that were told to end did not end well')
    await checkAgents(ledger)
    for (const agent_id of agent_ids) await checkAgent(agent_id, ledger)
    await checkBlocks(ledger)
    await checkReads(ledger)
    await checkRuns()
    await checkFeed(feed)
  })

  /** Requests that no blow explains: ones that hang, and ones refused or cut off in peace. */
  function checkTroubles({ troubles }: Ledger, faults: Faults): void {
    const hung = troubles.filter(({ kind, to }) => kind === 'timed_out' && wasWhole(faults, to - HEAD_MS, to))
    assert.deepEqual(hung, [], `no answer though nothing stood still for ${HEAD_MS} ms`)
    const refused = troubles.filter(
      ({ kind, from, to }) => kind !== 'timed_out' && wasCalm(faults, from - RECOVERY_MS, to),
    )
    assert.deepEqual(refused, [], `refused or cut off, ${RECOVERY_MS} ms after the last blow`)
  }

  /** A run in which little happened shows little. */
  function checkEnough(ledger: Ledger, faults: Faults, calms: readonly { from: number; to: number }[]): void {
    for (const { from, to } of calms) {
      const answers = answersIn(ledger, from, to)
      assert.ok(
        answers >= (LEAST_ANSWERS * (to - from)) / 10_000,
        `${answers} answers in ${to - from} ms of peace`,
      )
    }
    if (SECONDS < ROUND_SECONDS) return
    for (const [kind, count] of Object.entries(faults.counts)) assert.ok(count > 0, `nothing was ${kind}`)
    assert.ok(ledger.counts.resumed > 0, 'no stream was resumed')
  }

  /** Seconds until no run is running any more. */
  async function settle(): Promise<number> {
    const from = performance.now()
    await eventually(
      'no run is left running',
      async () => {
        const active = await cluster
          .letta()
          .runs.list({ active: true, limit: 100 })
          .catch(() => null)
        return active?.items.length === 0 ? true : null
      },
      SETTLE_MS,
    )
    return (performance.now() - from) / 1000
  }

  async function everyAgentAnswers(agent_ids: readonly string[]): Promise<void> {
    for (const [i, id] of agent_ids.entries()) {
      const instance = cluster.instances[i % cluster.instances.length]
      const { stop_reason } = await cluster.letta(instance).agents.messages.create(id, { input: 'say last' })
      assert.equal(stop_reason.stop_reason, 'end_turn')
    }
  }

  async function checkAgents({ agents }: Ledger): Promise<void> {
    for (const { name, id, fate } of agents) {
      const found = (await cluster.letta().agents.list({ name })).items.map((agent) => agent.id)
      if (fate === 'done') assert.deepEqual(found, [id], `agent ${name}`)
      else assert.ok(found.length <= 1, `agent ${name} ${found.length} times`)
    }
  }

  async function checkAgent(agent_id: string, ledger: Ledger): Promise<void> {
    const letta = cluster.letta()
    const history = await historyOf(agent_id)
    const ids = history.map(({ id, message_type }) => `${id} ${message_type}`)
    assert.equal(new Set(ids).size, ids.length, 'a message is listed twice')
    const said = countsOf(history, 'user_message')
    const answered = countsOf(history, 'assistant_message')
    const calls = history.flatMap(({ tool_calls = [] }) => tool_calls.map((call) => call.tool_call_id))
    const returns = history.flatMap(({ tool_returns = [] }) => tool_returns.map((one) => one.tool_call_id))
    assert.deepEqual(returns.toSorted(), calls.toSorted(), 'each call has one return')
    const { value } = await letta.agents.blocks.retrieve('notes', { agent_id })
    const lines = counted(value.split('\n'))
    const passages = counted((await passagesOf(agent_id)).map(({ text }) => text))
    for (const { text, fate } of ledger.messages.filter((sent) => sent.agent_id === agent_id)) {
      const times = said.get(text) ?? 0
      const answers = answered.get(answerTo(text)) ?? 0
      const lined = lines.get(lineOf(text)) ?? 0
      const noted = passages.get(passageOf(text)) ?? 0
      const what = `'${text}' (${fate}) of ${agent_id}: there ${times}, answered ${answers}, line ${lined}, passage ${noted}`
      assert.ok(times <= 1 && answers <= times && lined <= times && noted <= times, `doubled: ${what}`)
      if (fate === 'done' || fate === 'begun') assert.equal(times, 1, `lost: ${what}`)
      if (fate === 'refused') assert.equal(times, 0, `written though refused: ${what}`)
      if (fate !== 'done') continue
      assert.equal(answers, 1, `lost: ${what}`)
      assert.equal(lined, Number(text.startsWith('remember')), `lost: ${what}`)
      assert.equal(noted, Number(text.startsWith('note')), `lost: ${what}`)
    }
    for (const { text, fate } of ledger.passages.filter((one) => one.agent_id === agent_id)) {
      const times = passages.get(text) ?? 0
      assert.ok(
        fate === 'done' ? times === 1 : times <= 1,
        `passage '${text}' (${fate}) is there ${times} times`,
      )
    }
    const { message_ids } = await letta.agents.retrieve(agent_id)
    const known = new Set(history.map(({ id }) => id))
    assert.deepEqual(
      (message_ids ?? []).filter((id) => !known.has(id)),
      [],
      'in context, and not in the history',
    )
    assert.equal(new Set(message_ids).size, message_ids?.length, 'twice in context')
  }

  async function checkBlocks({ blocks }: Ledger): Promise<void> {
    for (const [id, { acknowledged, tried }] of blocks) {
      const value = Number((await cluster.letta().blocks.retrieve(id)).value)
      const what = `block at ${value}, acknowledged ${acknowledged}, tried ${tried}`
      assert.ok(value >= acknowledged && value <= tried, what)
    }
  }

  /** What clients have read of background runs is what is stored, whoever has told them. */
  async function checkReads({ reads }: Ledger): Promise<void> {
    const letta = cluster.letta()
    assert.equal(
      new Set(reads.map(({ run_id }) => run_id)).size,
      reads.length,
      'each message had a run of its own',
    )
    for (const { run_id, texts, stop_reason } of reads) {
      const run = await letta.runs.retrieve(run_id)
      const why = `run ${run_id} ${run.status} (${stop_reason}): ${JSON.stringify(run.metadata)}`
      assert.equal(run.status, stop_reason === 'end_turn' ? 'completed' : 'failed', why)
      if (run.status !== 'completed') continue
      const answer = (await letta.runs.messages.list(run_id)).items.at(-1)
      assert.ok(answer?.message_type === 'assistant_message', why)
      assert.equal(
        [...texts.keys()].at(-1),
        answer.id,
        'the last message of the stream is the one that stays',
      )
      assert.equal(texts.get(answer.id), answer.content, 'and its text has no hole')
    }
  }

  /** A run that failed says why. */
  async function checkRuns(): Promise<void> {
    const rows = await ask<{ status: string; metadata: string | null; n: string }>(
      'SELECT status, metadata, count(*) AS n FROM runs GROUP BY 1, 2 ORDER BY 3 DESC',
    )
    for (const { status, metadata, n } of rows) {
      if (status === 'failed') console.log(`      ${n} runs failed: ${metadata?.slice(0, 200)}`)
      assert.ok(
        status === 'completed' || (status === 'failed' && metadata?.includes('error')),
        `a run is ${status}`,
      )
    }
  }

  /** Each event came once, and none is missing. */
  async function checkFeed(feed: Feed): Promise<void> {
    const stored = (await ask<{ id: string }>('SELECT id FROM events ORDER BY xid, id')).map(({ id }) =>
      Number(id),
    )
    await feed.reached(stored.at(-1) ?? 0, 30_000)
    await feed.stop()
    assert.equal(feed.resets, 0)
    assert.deepEqual(feed.ids, stored)
  }

  async function ask<Row extends object>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: cluster.address })
    await client.connect()
    try {
      return (await client.query<Row>(sql)).rows
    } finally {
      await client.end()
    }
  }

  async function historyOf(agent_id: string): Promise<Message[]> {
    const found: Message[] = []
    const letta = cluster.letta()
    for await (const message of letta.agents.messages.list(agent_id, { order: 'asc', limit: 500 }))
      found.push(message as Message)
    return found
  }

  async function passagesOf(agent_id: string): Promise<{ text: string }[]> {
    const all = await cluster.letta().agents.passages.list(agent_id, { limit: MOST_PASSAGES })
    assert.ok(all.length < MOST_PASSAGES, 'these are all passages')
    return all
  }

  function report(
    ledger: Ledger,
    {
      faults,
      feed,
      settled,
      calms,
    }: { faults: Faults; feed: Feed; settled: number; calms: readonly { from: number; to: number }[] },
  ): void {
    const { messages, passages, agents, counts, troubles } = ledger
    const met = (kind: string) => troubles.filter((one) => one.kind === kind).length
    const of = (fate: string) => messages.filter((sent) => sent.fate === fate).length
    const { killed, all_killed, frozen, ended, crashed, restarted } = faults.counts
    const lines = [
      `seed ${SEED}, ${SECONDS} s: ${killed} × kill -9 and ${all_killed} of all at once, ${frozen} × SIGSTOP ` +
        `(${Math.round(faults.frozen_seconds)} s), ${ended} × SIGTERM, database ${crashed} × crashed, ${restarted} × restarted`,
      `${messages.length} messages: ${of('done')} answered, ${of('begun')} begun and cut off, ${of('unknown')} without ` +
        `an answer, ${of('refused')} busy; ${met('cut_off')} lost connections, ` +
        `${met('timed_out')} timed out, ${met('unavailable')} unavailable, ${met('ending')} sent away`,
      `${passages.filter(({ fate }) => fate === 'done').length} passages, ${counts.edits} block edits, ` +
        `${agents.filter(({ fate }) => fate === 'done').length} agents acknowledged`,
      `${ledger.reads.length} background runs read to their end, ${counts.resumed} times resumed, ` +
        `${counts.resumed_elsewhere} of them on another instance; ${counts.taken_over} times the run itself had moved`,
      `answers in peace: ${calms.map(({ from, to }) => `${answersIn(ledger, from, to)} in ${Math.round((to - from) / 1000)} s`).join(', ')}`,
      `${feed.ids.length} events over ${feed.connections} connections; all runs had ended after ${settled.toFixed(1)} s`,
    ]
    for (const line of lines) console.log(`      ${line}`)
  }
})

function answersIn({ answered }: Ledger, from: number, to: number): number {
  return answered.filter((at) => at >= from && at <= to).length
}

function counted(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

function countsOf(history: readonly Message[], type: string): Map<string, number> {
  return counted(
    history.filter(({ message_type }) => message_type === type).map(({ content }) => String(content)),
  )
}
