/** What becomes of turns, and of a server that ends, while a real PostgreSQL takes no writes or is not there. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import { Client } from 'pg'
import { ServerProcess } from '../reliability/server-process.ts'
import { temporaryFolder } from '../support/cli-process.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { startForwarder } from './forwarder.ts'
import { startServer, type TestServer } from './server.ts'

/** How long a command waits for the database here, in milliseconds. */
const RETRY_MS = 1_500
/** How much longer an answer may take on a busy machine. */
const SLACK_MS = 4_000
/** After which an instance counts as gone where a test says so, in milliseconds. */
const STALE_MS = 1_200

interface Run {
  status: string
  stop_reason: string | null
  metadata: { error?: { message?: string } } | null
}

describe('while PostgreSQL is away', function () {
  this.timeout(120_000)
  let server: TestServer
  let model: ScriptedModel
  let databases = 0
  const closing: (() => Promise<void>)[] = []

  before(async () => {
    server = await startServer()
    model = await startScriptedModel([])
  })
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })
  after(async () => {
    await model?.close()
    await server?.stop()
  })

  const newDatabase = async () => {
    const name = `loci${databases++}`
    await server.create(name)
    return name
  }
  const begun = async (address: string, env: Record<string, string> = {}): Promise<TestLoci> => {
    const loci = await startLoci({ model_url: model.url, env: { LOCI_STORE: address, ...env } })
    closing.push(() => loci.close())
    return loci
  }
  const setReadOnly = async (on: boolean) => {
    const admin = new Client({ connectionString: server.address('postgres') })
    await admin.connect()
    await admin.query(`ALTER SYSTEM SET default_transaction_read_only = ${on ? 'on' : 'off'}`)
    await admin.query('SELECT pg_reload_conf()')
    await eventually('it is so', async () => {
      const { rows } = await admin.query('SHOW default_transaction_read_only')
      return (rows as { default_transaction_read_only: string }[])[0]?.default_transaction_read_only ===
        (on ? 'on' : 'off')
        ? true
        : null
    })
    await admin.end()
  }
  /** A turn whose second step stands still until it is let go, and what its client reads of it. */
  async function secondStep(loci: Pick<TestLoci, 'letta' | 'url'>, name: string, background: boolean) {
    const { id } = await loci.letta.agents.create({ name, model: SCRIPTED })
    const asked = model.requests.length
    const gate = Promise.withResolvers<void>()
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: name } }] } },
      { reply: { text: 'Second.', hold: gate.promise } },
    )
    const response = fetch(`${loci.url}/v1/agents/${id}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: `hello ${name}`, streaming: true, background }),
    })
    await model.request(asked + 1)
    const [run] = (await loci.letta.runs.list({ agent_id: id })).items
    assert.ok(run)
    const text = response.then((answer) => answer.text())
    // Whoever reads it hears of a failure.
    text.catch(() => undefined)
    return { id, run_id: run.id, letGo: gate.resolve, text }
  }
  const runOf = async (loci: TestLoci, id: string) => (await loci.http('GET', `/v1/runs/${id}`)).body as Run
  const ended = (loci: TestLoci, id: string) =>
    eventually('the run has ended', async () => {
      const run = await runOf(loci, id)
      return run.status === 'running' || run.status === 'created' ? null : run
    })

  for (const [how, longer_ms] of [
    ['a moment longer than a step waits', 500],
    ['much longer', 3 * RETRY_MS],
  ] as const)
    it(`for ${how}: a background run goes on from its last step, a foreground turn ends in time and says why`, async () => {
      const loci = await begun(`${server.address(await newDatabase())}&retry_ms=${RETRY_MS}`)
      const [back, fore] = [await secondStep(loci, 'back', true), await secondStep(loci, 'fore', false)]
      model.add({
        expect: (body) => assert.equal(body.messages.at(-1)?.role, 'tool', 'the first step was kept'),
        reply: { text: 'Third.' },
      })
      await setReadOnly(true)
      const from = performance.now()
      back.letGo()
      fore.letGo()
      const said = fore.text.then((text) => ({ text, after_ms: performance.now() - from }))
      await eventually('its time is over', () =>
        performance.now() - from > RETRY_MS + longer_ms ? true : null,
      )
      await setReadOnly(false)
      const { text, after_ms } = await said
      assert.ok(after_ms < RETRY_MS + 1_000 + SLACK_MS, `the error came after ${after_ms} ms`)
      const reason = new RegExp(
        `${fore.run_id}' could not be saved.*message and the steps before are kept, and .*takes no writes`,
      )
      assert.match(text, /event: error/)
      assert.match(text, reason)
      const failed = await ended(loci, fore.run_id)
      assert.deepEqual([failed.status, failed.stop_reason], ['failed', 'error'])
      assert.match(failed.metadata?.error?.message ?? '', reason)
      const kept = (await loci.letta.agents.messages.list(fore.id)).items.map((m) => m.message_type)
      assert.ok(kept.includes('user_message') && kept.includes('tool_return_message'), kept.join())
      const done = await ended(loci, back.run_id)
      assert.equal(done.status, 'completed', JSON.stringify(done.metadata))
      assert.match(await back.text, /Third\..*\[DONE\]/s)
      for (const id of [back.id, fore.id]) {
        model.add({ reply: { text: 'Here.' } })
        assert.match(
          JSON.stringify(await loci.letta.agents.messages.create(id, { input: 'still there?' })),
          /Here\./,
        )
      }
      await model.done()
    })

  it('for longer than a heart may stand still, nobody takes the turns of an instance that is there', async () => {
    const address = `${server.address(await newDatabase())}&retry_ms=${RETRY_MS}`
    const stale = { LOCI_STALE_AFTER_MS: String(STALE_MS) }
    const [one, two] = [await begun(address, stale), await begun(address, stale)]
    const turns = [await secondStep(one, 'back', true), await secondStep(one, 'fore', false)]
    await setReadOnly(true)
    const from = performance.now()
    await eventually('its heart has stood still for long', () =>
      performance.now() - from > 2.5 * STALE_MS ? true : null,
    )
    const asked = model.requests.length
    await setReadOnly(false)
    const refused = performance.now()
    await eventually('others have looked', () => (performance.now() - refused > 2 * STALE_MS ? true : null))
    for (const { letGo } of turns) letGo()
    for (const { text, run_id } of turns) {
      assert.match(await text, /Second\..*\[DONE\]/s)
      assert.equal((await ended(two, run_id)).status, 'completed')
    }
    assert.equal(model.requests.length, asked, 'nobody has asked again')
  })

  for (const how of ['not there', 'silent'] as const)
    it(`a server that ends with turns under way does not wait for a database that is ${how}`, async () => {
      const name = await newDatabase()
      const way = await startForwarder(join(server.folder, '.s.PGSQL.5432'))
      closing.push(() => way.close())
      const loci = await startLoci({
        model_url: model.url,
        env: { LOCI_STORE: `postgres://loci@127.0.0.1:${way.port}/${name}` },
        serve: { grace_ms: 1_000 },
      })
      await secondStep(loci, 'back', true)
      await secondStep(loci, 'fore', false)
      await secondStep(loci, 'other', true)
      if (how === 'silent') way.silence()
      else way.to(join(server.folder, 'nothing'))
      const from = performance.now()
      await assert.rejects(loci.close(), /cannot be used|was lost|does not answer|nothing listens/)
      const took = performance.now() - from
      console.log(`      it had ended after ${Math.round(took)} ms, with a grace of 1 s`)
      assert.ok(took < 5_000 + SLACK_MS, `it took ${took} ms`)
    })

  it('a process ends with 1 soon after SIGTERM, and another one goes on with what it left', async () => {
    const name = await newDatabase()
    const folders = await Promise.all([temporaryFolder(), temporaryFolder()])
    const way = await startForwarder(join(server.folder, '.s.PGSQL.5432'))
    const env = { LOCI_STORE: `postgres://loci@127.0.0.1:${way.port}/${name}` }
    const [one, two] = folders.map(({ path }) => new ServerProcess(path, model.url, { env }))
    assert.ok(one && two)
    closing.push(async () => {
      await Promise.all([one.kill(), two.kill()])
      await way.close()
      await Promise.all(folders.map((folder) => folder.remove()))
    })
    for (const { path } of folders)
      await writeFile(join(path, 'config.json'), JSON.stringify({ server: { shutdown_grace_seconds: 1 } }))
    await one.start()
    const letta = new Letta({ baseURL: one.url, apiKey: null, maxRetries: 0 })
    const { run_id } = await secondStep({ letta, url: one.url }, 'back', true)
    way.to(join(server.folder, 'nothing'))
    const from = performance.now()
    assert.equal(await one.end('SIGTERM'), 1)
    const took = performance.now() - from
    console.log(`      the process had ended after ${Math.round(took)} ms, with a grace of 1 s`)
    assert.ok(took < 5_000 + SLACK_MS, `it took ${took} ms: ${one.output}`)
    model.add({ reply: { text: 'By another.' } })
    way.to(join(server.folder, '.s.PGSQL.5432'))
    await two.start()
    const run = await eventually('it is gone on with', async () => {
      const answer = await fetch(`${two.url}/v1/runs/${run_id}`)
      const now = (await answer.json()) as Run
      return now.status === 'running' ? null : now
    })
    assert.equal(run.status, 'completed')
  })
})
