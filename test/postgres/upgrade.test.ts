/** Servers that are replaced by a newer version one after the other, under load. */
import { APIConnectionError, APIError, type Letta } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { temporaryFolder } from '../support/cli-process.ts'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { MIGRATIONS } from '../../shared/store/postgres/migrate.ts'
import { buildOlder } from './older-build.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { clientOf } from './older-schema.ts'

const WORKERS = 6
/** What goes on between two replacements. */
const ACTS = 24

interface Chunk {
  message_type?: string
  run_id?: string | null
  stop_reason?: string
}

/** One client with an agent and a block of its own: what it was told stands in `acknowledged`. */
class Worker {
  readonly #letta: Letta
  readonly agent_id: string
  readonly #block_id: string
  readonly sent: string[] = []
  readonly acknowledged: string[] = []
  /** Requests, answers and runs that are not as they should be. */
  readonly failed: string[] = []
  /** Streams that ended before their run. */
  readonly cut: string[] = []
  edits = 0
  acts = 0

  constructor(letta: Letta, { agent_id, block_id }: { agent_id: string; block_id: string }) {
    this.#letta = letta
    this.agent_id = agent_id
    this.#block_id = block_id
  }

  async act(): Promise<void> {
    const kind = (['turn', 'stream', 'background', 'edit'] as const)[this.acts++ % 4] ?? 'turn'
    try {
      if (kind === 'edit') {
        await this.#letta.blocks.update(this.#block_id, { value: String(this.edits + 1) })
        this.edits++
      } else await this.#say(kind)
    } catch (error) {
      this.failed.push(`${kind}: ${String(error)}`)
    }
  }

  async #say(kind: 'turn' | 'stream' | 'background'): Promise<void> {
    const text = `${kind} ${this.acts} of ${this.agent_id}`
    // A client that asks again says the same: it is answered once.
    const messages = [{ role: 'user' as const, content: text, otid: crypto.randomUUID() }]
    this.sent.push(text)
    if (kind === 'turn') {
      const { stop_reason } = await this.#letta.agents.messages.create(this.agent_id, { messages })
      assert.equal(stop_reason.stop_reason, 'end_turn')
    } else {
      const background = kind === 'background'
      const stream = await this.#letta.agents.messages.create(this.agent_id, {
        messages,
        streaming: true,
        stream_tokens: true,
        background,
      })
      let end = ''
      let run_id = ''
      let why = 'it ended'
      try {
        for await (const chunk of stream as AsyncIterable<Chunk>) {
          run_id = chunk.run_id ?? run_id
          end = chunk.stop_reason ?? end
        }
      } catch (error) {
        // The server's own error in a stream is an answer, no broken connection.
        if (error instanceof APIError && !(error instanceof APIConnectionError)) throw error
        why = String(error)
      }
      if (end === '') {
        this.cut.push(`${kind} ${run_id}: ${why}`)
        assert.notEqual(run_id, '', 'the stream broke off before there was a run')
        await this.#ended(run_id)
      } else assert.equal(end, 'end_turn')
    }
    this.acknowledged.push(text)
  }

  /** A run whose stream broke off is completed all the same. */
  async #ended(run_id: string): Promise<void> {
    const status = await eventually(`the end of ${run_id}`, async () => {
      const run = await this.#letta.runs.retrieve(run_id)
      return run.status === 'created' || run.status === 'running' ? null : run.status
    })
    assert.equal(status, 'completed', `${run_id}, whose stream broke off`)
  }

  /** Nothing that was acknowledged is lost, and nothing is there twice. */
  async check(): Promise<void> {
    const said: string[] = []
    for (let after: string | undefined; ;) {
      const page = await this.#letta.agents.messages.list(this.agent_id, {
        order: 'asc',
        limit: 100,
        ...(after === undefined ? {} : { after }),
      })
      if (page.items.length === 0) break
      for (const message of page.items)
        if (message.message_type === 'user_message' && typeof message.content === 'string')
          said.push(message.content)
      after = page.items.at(-1)?.id
    }
    const ours = said.filter((text) => this.sent.includes(text))
    assert.equal(new Set(ours).size, ours.length, 'a message is there twice')
    assert.deepEqual(
      this.acknowledged.filter((text) => !ours.includes(text)),
      [],
      'a message is lost',
    )
    assert.equal((await this.#letta.blocks.retrieve(this.#block_id)).value, String(this.edits))
  }
}

describe('a rolling upgrade', function () {
  this.timeout(180_000)
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let older: Awaited<ReturnType<typeof buildOlder>>
  let model: ScriptedModel
  let cluster: Cluster
  let newer: string

  before(async () => {
    folder = await temporaryFolder()
    older = await buildOlder(folder.path)
    const hold = () => new Promise((resolve) => setTimeout(resolve, 100))
    model = await startScriptedModel([], {
      forget: true,
      loop: () => ({ text: 'yes of course', hold: hold() }),
    })
    cluster = await startCluster({ model_url: model.url, started: 0 })
    for (const instance of cluster.instances) {
      newer = instance.program
      instance.program = older.program
    }
    await Promise.all(cluster.instances.map((instance) => instance.start()))
  })
  after(async () => {
    await cluster?.close()
    await model?.close()
    await folder?.remove()
  })

  const schema = async () => {
    const client = await clientOf(cluster.address)
    const { rows } = await client.query("SELECT value FROM meta WHERE key = 'schema_version'")
    await client.end()
    return (rows[0] as { value: string }).value
  }

  it('of three servers behind nginx loses nothing, and clients notice nothing', async () => {
    const letta = cluster.letta().withOptions({ maxRetries: 2 })
    const workers = await Promise.all(
      Array.from({ length: WORKERS }, async (_, n) => {
        const { id } = await letta.agents.create({ name: `agent ${n}`, model: SCRIPTED })
        const block = await letta.blocks.create({ label: `block ${n}`, value: '0' })
        return new Worker(letta, { agent_id: id, block_id: block.id })
      }),
    )
    assert.equal(await schema(), older.schema)
    const over = new AbortController()
    const working = Promise.all(
      workers.map(async (worker) => {
        while (!over.signal.aborted) await worker.act()
      }),
    )
    const sum = (of: (worker: Worker) => number) => workers.reduce((n, worker) => n + of(worker), 0)
    const goOn = async () => {
      const goal = sum(({ acts }) => acts) + ACTS
      await eventually('the load goes on', () => (sum(({ acts }) => acts) >= goal ? true : null), 60_000)
    }
    try {
      for (const instance of cluster.instances) {
        await goOn()
        await instance.end('SIGTERM')
        instance.program = newer
        await instance.start()
      }
      await goOn()
    } finally {
      over.abort()
      await working
    }
    assert.equal(await schema(), String(MIGRATIONS.length))
    const failed = workers.flatMap((worker) => worker.failed)
    const cut = workers.flatMap((worker) => worker.cut)
    console.log(
      `      from ${older.from}: ${sum(({ acknowledged }) => acknowledged.length)} messages and ` +
        `${sum(({ edits }) => edits)} edits, ${cut.length} streams cut, ${failed.length} requests failed`,
    )
    assert.deepEqual(failed, [])
    // Turns of 100 ms end within the grace of a server that is told to end, and their streams with them.
    assert.deepEqual(cut, [], 'streams that broke off')
    await eventually('all runs have ended', async () =>
      (await letta.runs.list({ active: true })).items.length === 0 ? true : null,
    )
    for (const worker of workers) await worker.check()
  })

  it('can be undone while the older version may write, and not after', async () => {
    const [instance] = cluster.instances
    assert.ok(instance)
    await instance.end('SIGTERM')
    instance.program = older.program
    await instance.start()
    const letta = cluster.letta(instance)
    const { id } = await letta.agents.create({ model: SCRIPTED })
    const { stop_reason } = await letta.agents.messages.create(id, { input: 'hi' })
    assert.equal(stop_reason.stop_reason, 'end_turn')
    await instance.end('SIGTERM')
    const client = await clientOf(cluster.address)
    await client.query("UPDATE meta SET value = '99' WHERE key IN ('schema_version', 'oldest_writer')")
    await client.end()
    await assert.rejects(instance.start(), /was updated by Loci .*; restart this process/)
  })
})
