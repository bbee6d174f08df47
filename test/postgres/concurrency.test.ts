import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Store } from '../../shared/core/ports/store.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { ADA, aCommit, aMessage, anAgent, aRun, aStep, DONE } from '../contracts/store/samples.ts'
import { startServer, type TestServer } from './server.ts'

const AGENTS = 16
const TURNS = 10

describe('many at once in one database', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let store: Store

  before(async () => {
    server = await startServer()
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await server.create('many')
    store = await openPostgresStore({ address: server.address('many'), directory })
  })
  after(async () => {
    await store.close()
    await server.stop()
    await rm(directory, { recursive: true })
  })

  it('turns of different agents do not stop each other', async () => {
    const ids: string[] = []
    for (let i = 0; i < AGENTS; i++) ids.push((await store.agents.create(ADA, anAgent(`agent ${i}`))).id)
    const before = await rolledBack()
    await Promise.all(ids.map((id) => talk(id)))
    const again = (await rolledBack()) - before
    // Two transactions each; those that begin at the same moment may meet in the row of their instance.
    assert.ok(again < AGENTS * TURNS * 0.5, `${again} transactions of ${2 * AGENTS * TURNS} ran again`)
  })

  async function talk(agent_id: string): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) {
      const run = aRun(agent_id)
      const messages = [aMessage(agent_id, 'user', `question ${turn}`, { run_id: run.id })]
      const opened = await store.turns.open(ADA, { run, conversation_id: agent_id, messages })
      const answer = aMessage(agent_id, 'assistant', `answer ${turn}`, { run_id: run.id })
      const step = aCommit(opened, run, { step: aStep(run), messages: [answer], finish: DONE })
      assert.equal((await store.turns.commit(ADA, step)).status, 'committed')
    }
  }

  async function rolledBack(): Promise<number> {
    const client = new Client({ connectionString: server.address('many') })
    await client.connect()
    try {
      const deadline = performance.now() + 5_000
      // A connection tells its numbers when it has been idle for a second.
      for (let last = -1; performance.now() < deadline;) {
        const { rows } = await client.query(
          'SELECT xact_rollback::int AS n FROM pg_stat_database WHERE datname = current_database()',
        )
        const n = (rows as { n: number }[])[0]?.n ?? 0
        if (n === last) return n
        last = n
        await new Promise((resolve) => setTimeout(resolve, 1_500))
      }
      throw new Error('the numbers of the database do not settle')
    } finally {
      await client.end()
    }
  }
})
