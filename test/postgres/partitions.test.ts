import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { openDatabase, type PostgresDatabase } from '../../shared/store/postgres/database.ts'
import { makePartitions } from '../../shared/store/postgres/partitions.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, aStep, DONE, text } from '../contracts/store/samples.ts'
import { eventually } from '../support/loci.ts'
import { clientOf, fill, openOlder } from './older-schema.ts'
import { startServer, type TestServer } from './server.ts'

const SIZE = 20

describe('partitions', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let address: string
  let client: Client
  let made = 0

  before(async () => {
    server = await startServer()
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
  })
  after(async () => {
    await server?.stop()
    await rm(directory, { recursive: true })
  })
  beforeEach(async () => {
    const name = `parts_${made++}`
    await server.create(name)
    address = server.address(name)
    await (await openOlder(address)).close()
    client = await clientOf(address)
    await client.query("INSERT INTO meta (key, value) VALUES ('messages_per_partition', $1)", [String(SIZE)])
  })
  afterEach(() => client.end())

  async function withDatabase(work: (database: PostgresDatabase) => Promise<void>): Promise<void> {
    const database = await openDatabase({ address, version: '1.0.0' })
    try {
      await work(database)
    } finally {
      await database.close()
    }
  }
  async function withStore(
    work: (store: Store) => Promise<void>,
    onNotice: (text: string) => void = () => undefined,
  ): Promise<void> {
    const store = await openPostgresStore({ address, directory, onNotice })
    try {
      await work(store)
    } finally {
      await store.close()
    }
  }
  const make = (database: PostgresDatabase, now?: Date) => database.write((tx) => makePartitions(tx, now))
  async function counts(table: string): Promise<Record<string, number>> {
    const { rows } = await client.query(
      `SELECT tableoid::regclass::text AS name, count(*)::int AS n FROM ${table} GROUP BY 1`,
    )
    return Object.fromEntries((rows as { name: string; n: number }[]).map(({ name, n }) => [name, n]))
  }

  it('keep messages in their order, by their ids and in their contexts, wherever they are', () =>
    withStore(async (store) => {
      const { id } = await store.agents.create(ADA, anAgent('ada'))
      const said: string[] = []
      for (let n = 0; n < 40; n++) {
        const run = aRun(id)
        const asked = aMessage(id, 'user', `question${n} kiwi`, { run_id: run.id })
        const opened = await store.turns.open(ADA, { run, conversation_id: id, messages: [asked] })
        const answer = aMessage(id, 'assistant', `answer${n}`, { run_id: run.id })
        const step = aStep(run)
        await store.turns.commit(ADA, aCommit(opened, run, { step, messages: [answer], finish: DONE }))
        said.push(`question${n} kiwi`, `answer${n}`)
        if (n % 5 === 0) await withDatabase(async (database) => void (await make(database)))
      }
      const partitions = await counts('messages')
      assert.ok(Object.keys(partitions).length >= 3, JSON.stringify(partitions))
      assert.equal(partitions['messages_default'], undefined)
      const listed: string[] = []
      for (let before: string | undefined; ;) {
        const page = { order: 'desc', limit: 7, ...(before === undefined ? {} : { before }) } as const
        const messages = await store.messages.list(ADA, { agent_id: id, roles: ['user', 'assistant'] }, page)
        if (messages.length === 0) break
        listed.push(...messages.map(text))
        before = messages.at(-1)?.id
      }
      assert.deepEqual(listed, said.toReversed())
      const context = await store.turns.getContext(ADA, id, id)
      assert.deepEqual(context?.context.slice(1).map(text), said)
      const found = await store.messages.search(ADA, {
        agent_id: id,
        query: 'question3',
        roles: ['user'],
        limit: 5,
      })
      assert.deepEqual(found.map(text), ['question3 kiwi'])
      await store.agents.delete(ADA, id)
      await eventually('all of it is deleted', async () =>
        Object.keys(await counts('messages')).length === 0 ? true : null,
      )
    }))

  it('are there before they are needed, made by one of those who are asked', () =>
    withDatabase(async (database) => {
      assert.deepEqual(await make(database), [])
      await fill(client, 2 * SIZE - 3)
      const asked = await Promise.all([make(database), make(database), make(database)])
      assert.deepEqual(asked.flat(), ['messages_40'])
      await fill(client, SIZE)
      assert.deepEqual(await counts('messages'), { messages_first: 39, messages_40: 18 })
    }))

  it('leave what the default one had to take in where it is, and go on after it', () =>
    withDatabase(async (database) => {
      await fill(client, 2 * SIZE + 5)
      assert.deepEqual(await counts('messages'), { messages_first: 39, messages_default: 6 })
      assert.deepEqual(await make(database), ['messages_60'])
      await fill(client, SIZE)
      assert.deepEqual(await counts('messages'), {
        messages_first: 39,
        messages_default: 20,
        messages_60: 6,
      })
      assert.deepEqual(await make(database), ['messages_80'])
    }))

  it('of steps are months, one for all in which nobody was there', () =>
    withDatabase(async (database) => {
      const soon = (months: number) => {
        const date = new Date()
        return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 15))
      }
      assert.deepEqual(await make(database, soon(2)), [])
      const names = await make(database, soon(12))
      const month = (months: number) => soon(months).toISOString().slice(0, 7).replace('-', '_')
      assert.deepEqual(
        names,
        [4, 12, 13].map((months) => `steps_${month(months)}`),
      )
      const insert = `INSERT INTO steps (id, organization_id, run_id, agent_id, created_at, data)
        VALUES ($1, 'org', 'run', 'agent', $1, '{}')`
      for (const months of [-500, 3, 4, 11, 12, 13, 14])
        await client.query(insert, [soon(months).toISOString()])
      assert.deepEqual(await counts('steps'), {
        steps_first: 2,
        [names[0] ?? '']: 2,
        [names[1] ?? '']: 1,
        [names[2] ?? '']: 1,
        steps_default: 1,
      })
    }))

  it('that may not be made hold nobody up: the default one takes the messages in', async () => {
    await (await openDatabase({ address, version: '1.0.0' })).close()
    await client.query(`CREATE ROLE guest${made} LOGIN`)
    await client.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO guest${made}`)
    await client.query(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest${made}`)
    await client.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
    address = address.replace('loci@', `guest${made}@`)
    const notices: string[] = []
    const work = async (store: Store) => {
      const { id } = await store.agents.create(ADA, anAgent('ada'))
      const ids: string[] = []
      for (let n = 0; n < 2 * SIZE; n++) {
        const run = aRun(id)
        const asked = aMessage(id, 'user', `question${n}`)
        const opened = await store.turns.open(ADA, { run, conversation_id: id, messages: [asked] })
        await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
        ids.push(asked.id)
      }
      await store.ready()
      const page = { order: 'asc', limit: 100 } as const
      const messages = await store.messages.list(ADA, { agent_id: id, roles: ['user'] }, page)
      assert.deepEqual(
        messages.map((message) => message.id),
        ids,
      )
      assert.equal((await counts('messages'))['messages_default'], 32)
    }
    // What is still to be written is enough reason to make the next one.
    await fill(client, 2 * SIZE - 10)
    await withStore(work, (text) => notices.push(text))
    assert.match(notices.join(), /The next partition .* permission denied for schema public/)
  })
})
