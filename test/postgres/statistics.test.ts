import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { anImport } from '../contracts/store/imports.ts'
import { ADA } from '../contracts/store/samples.ts'
import { clientOf } from './older-schema.ts'
import { startServer, type TestServer } from './server.ts'

describe('what PostgreSQL knows of its tables', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let store: Store
  let client: Client
  before(async () => {
    server = await startServer(undefined, { autovacuum: 'off' })
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('statistics')
    const address = server.address('statistics')
    store = await openPostgresStore({ address, directory })
    client = await clientOf(address)
  })
  after(async () => {
    await client?.end()
    await store?.close()
    await server?.stop()
    await rm(directory, { recursive: true })
  })

  it('is how many messages an import has brought, at once', async () => {
    const known = async () => {
      const { rows } = await client.query<{ n: number }>(
        "SELECT reltuples::float8 AS n FROM pg_class WHERE relname = 'messages_first'",
      )
      return rows[0]?.n
    }
    const bring = async (messages: number) => {
      const made = anImport({ messages, context: [0, 1] })
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      const agents = made.whole.agents.map((agent) => ({ ...agent, tool_ids: [] }))
      await store.imports.complete(ADA, { ...made.whole, agents, new_tools: [] })
      return made.id
    }
    await bring(50)
    assert.equal(await known(), -1, 'a few are left to autovacuum')
    const id = await bring(1_500)
    assert.equal(await known(), 1_550)
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT id FROM messages WHERE conversation_id = '${id}' AND seq > 100 ORDER BY seq LIMIT 50`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    assert.doesNotMatch(plan, /-> +Sort/, 'a page of them is read in the order of the index')
  })
})
