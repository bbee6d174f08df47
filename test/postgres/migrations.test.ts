import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client } from 'pg'
import { openDatabase } from '../../shared/store/postgres/database.ts'
import { type Migration, MIGRATIONS } from '../../shared/store/postgres/migrate.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, aStep, DONE } from '../contracts/store/samples.ts'
import { randomOf } from '../reliability/random.ts'
import { eventually } from '../support/loci.ts'
import { clientOf, fill, openOlder, storeIn } from './older-schema.ts'
import { startServer, type TestServer } from './server.ts'

const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const KILLS = 6
const MESSAGES = 200_000
const MIGRATING = fileURLToPath(new URL('migrating-process.ts', import.meta.url))

const newest = (address: string, more: { migrations?: readonly Migration[]; deadline_ms?: number } = {}) =>
  openDatabase({ address, version: '1.0.0', ...more })

describe(`a migration (seed ${SEED})`, function () {
  this.timeout(120_000)
  let server: TestServer
  let made = 0
  const clients: Client[] = []

  before(async () => {
    server = await startServer()
    await server.create('older')
    const address = server.address('older')
    await (await openOlder(address)).close()
    const client = await clientOf(address)
    await fill(client, 2_000)
    await client.end()
  })
  after(() => server?.stop())
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()))
  })

  /** A database with the older schema, and somebody who looks into it. */
  async function older(): Promise<{ address: string; client: Client }> {
    const name = `half_${made++}`
    await server.create(name, 'older')
    const client = await clientOf(server.address(name))
    clients.push(client)
    return { address: server.address(name), client }
  }
  async function one<T>(client: Client, sql: string): Promise<T> {
    return Object.values((await client.query(sql)).rows[0] as Record<string, T>)[0] as T
  }
  const version = (client: Client) =>
    one<string>(client, "SELECT value FROM meta WHERE key = 'schema_version'")
  const rows = (client: Client) => one<string>(client, 'SELECT count(*)::text FROM messages')
  /** The tables, their columns, rules and indexes. */
  async function shape(client: Client): Promise<unknown[]> {
    const { rows } = await client.query(
      `SELECT table_name || '.' || column_name || ' ' || coalesce(column_default, is_identity) AS thing
       FROM information_schema.columns WHERE table_schema = 'public'
       UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace
       UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`,
    )
    return rows
  }
  async function migrated(address: string, client: Client): Promise<void> {
    await (await newest(address)).close()
    assert.equal(await version(client), String(MIGRATIONS.length))
    assert.equal(await rows(client), '2000')
    const partitioned = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'p'"
    assert.equal(await one(client, partitioned), 'messages steps')
  }

  it('that fails in the middle leaves the database as it was, and the next process does it', async () => {
    const { address, client } = await older()
    const before = await shape(client)
    const broken: Migration[] = [
      ...MIGRATIONS.slice(0, 1),
      { ...MIGRATIONS[1]!, sql: `${MIGRATIONS[1]!.sql}; CREATE TABLE half (x int); SELECT 1 / 0` },
    ]
    await assert.rejects(newest(address, { migrations: broken }), /division by zero/)
    assert.deepEqual(await shape(client), before)
    assert.equal(await version(client), '1')
    await migrated(address, client)
  })

  it('gives up after a time when somebody holds the tables, and says who', async () => {
    const { address, client } = await older()
    const before = await shape(client)
    const holder = await clientOf(address)
    clients.push(holder)
    await holder.query("SET application_name = 'a backup'")
    await holder.query('BEGIN')
    await holder.query('SELECT count(*) FROM messages')
    const late = newest(address, { deadline_ms: 1_000 })
    const over = new AbortController()
    const ended = late.catch(() => undefined).then(() => over.abort())
    let waited = 0
    while (!over.signal.aborted) {
      const from = performance.now()
      await fill(client, 2)
      waited = Math.max(waited, performance.now() - from)
      await client.query('DELETE FROM messages WHERE seq > (SELECT max(seq) FROM messages) - 2')
    }
    await ended
    await assert.rejects(late, {
      code: 'store_unavailable',
      message:
        /held its tables for 1 seconds, the longest of them process \d+ \(a backup\)\. Nothing was changed/,
    })
    // A lock is waited for 250 ms, and the others wait behind that.
    assert.ok(waited < 1_000, `others waited ${waited} ms`)
    assert.deepEqual(await shape(client), before)
    await holder.query('COMMIT')
    await migrated(address, client)
  })

  it('whose connection is cut leaves the database as it was', async () => {
    const { address, client } = await older()
    const before = await shape(client)
    const slow: Migration[] = [
      ...MIGRATIONS.slice(0, 1),
      { sql: `${MIGRATIONS[1]!.sql}; SELECT pg_sleep(60)`, compatible: true },
    ]
    const cut = newest(address, { migrations: slow })
    cut.catch(() => undefined)
    const sleeper =
      "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    const pid = await eventually('it is in the middle', async () => {
      const { rows } = await client.query(sleeper)
      return (rows[0] as { pid: number } | undefined)?.pid ?? null
    })
    await client.query('SELECT pg_terminate_backend($1)', [pid])
    await assert.rejects(cut, { code: 'store_unavailable' })
    assert.deepEqual(await shape(client), before)
    await migrated(address, client)
  })

  it('is begun anew after a kill -9 at any moment', async () => {
    const random = randomOf(SEED)
    const found: string[] = []
    for (let n = 0; n < KILLS; n++) {
      const { address, client } = await older()
      const child = spawn(process.execPath, [MIGRATING, address], { stdio: ['ignore', 'pipe', 'inherit'] })
      const ended = once(child, 'exit')
      await once(child.stdout, 'data')
      const until = performance.now() + random() * 80
      await eventually('the moment', () => (performance.now() >= until ? true : null))
      child.kill('SIGKILL')
      await ended
      const rules =
        "SELECT count(*)::text FROM pg_constraint WHERE conname IN ('messages_first', 'steps_first')"
      found.push(`${await version(client)}${(await one(client, rules)) === '0' ? '' : ' (prepared)'}`)
      // Whatever it was at: others go on.
      await fill(client, 2)
      await client.query('DELETE FROM messages WHERE seq > (SELECT max(seq) FROM messages) - 2')
      await migrated(address, client)
    }
    console.log(`      seed ${SEED}: schema after each kill -9: ${found.join(', ')}`)
  })

  it('is done once by processes that start at once', async () => {
    const { address, client } = await older()
    await client.query("INSERT INTO meta (key, value) VALUES ('messages_per_partition', '1000')")
    const opened = await Promise.all(Array.from({ length: 6 }, () => newest(address)))
    await Promise.all(opened.map((database) => database.check()))
    await Promise.all(opened.map((database) => database.close()))
    await migrated(address, client)
    const bounds = `SELECT string_agg(pg_get_expr(relpartbound, oid), '; ' ORDER BY relname DESC) FROM pg_class
      WHERE relispartition AND relkind = 'r' AND relname LIKE 'messages%'`
    assert.equal(await one(client, bounds), "FOR VALUES FROM (MINVALUE) TO ('4000'); DEFAULT")
  })

  it(`of ${MESSAGES} messages holds the turns of older servers up for moments`, async () => {
    const { address, client } = await older()
    await fill(client, MESSAGES)
    const directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    const database = await openOlder(address)
    const store = storeIn(database, directory)
    const stop = new AbortController()
    const turns: { from: number; to: number }[] = []
    const worker = async (name: string) => {
      const { id } = await store.agents.create(ADA, anAgent(name))
      while (!stop.signal.aborted) {
        const run = aRun(id)
        const from = performance.now()
        const messages = [aMessage(id, 'user', 'hi')]
        const opened = await store.turns.open(ADA, { run, conversation_id: id, messages })
        const step = aCommit(opened, run, {
          step: aStep(run),
          messages: [aMessage(id, 'assistant', 'ho')],
          finish: DONE,
        })
        assert.equal((await store.turns.commit(ADA, step)).status, 'committed')
        turns.push({ from, to: performance.now() })
      }
      return id
    }
    const workers = Array.from({ length: 4 }, (_, n) => worker(`agent ${n}`))
    const enough = (more: number) => {
      const goal = turns.length + more
      return eventually('turns go on', () => (turns.length >= goal ? true : null))
    }
    await enough(200)
    // Someone reads for a while, who holds the tables.
    const reader = await clientOf(address)
    clients.push(reader)
    await reader.query('BEGIN')
    await reader.query('SELECT count(*) FROM messages')
    const from = performance.now()
    const upgrading = newest(address)
    await enough(100)
    await reader.query('COMMIT')
    await (await upgrading).close()
    const to = performance.now()
    await enough(200)
    stop.abort()
    const ids = await Promise.all(workers)
    const longest = (some: typeof turns) => Math.max(...some.map((turn) => turn.to - turn.from))
    const during = longest(turns.filter((turn) => turn.to > from && turn.from < to))
    const besides = longest(turns.filter((turn) => turn.to < from || turn.from > to))
    console.log(
      `      migrated in ${(to - from).toFixed(0)} ms; the longest turn took ${during.toFixed(0)} ms meanwhile, ` +
        `${besides.toFixed(0)} ms otherwise (${turns.length} turns)`,
    )
    assert.ok(during < 3_000, `a turn took ${during} ms`)
    const stored = await one<string>(
      client,
      `SELECT count(*)::text FROM messages WHERE agent_id IN (${ids.map((id) => `'${id}'`).join()})`,
    )
    assert.equal(Number(stored), turns.length * 2 + ids.length)
    await store.close()
    await database.close()
    await rm(directory, { recursive: true })
  })
})
