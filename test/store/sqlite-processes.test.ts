import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Store } from '../../shared/core/ports/store.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { aBlock, ADA, anAgent, aMessage, aRun } from '../contracts/store/samples.ts'
import { type Child, startChild } from './child.ts'

const page = { limit: 1000, order: 'asc' } as const

describe('SqliteStore with several processes', () => {
  let directory = ''
  let store: Store
  let children: Child[] = []
  const start = (agent_id: string, ...mode: string[]) => {
    const child = startChild(directory, agent_id, ADA.organization_id, ...mode)
    children.push(child)
    return child
  }
  const begin = (agent_id: string, text = 'hello') => {
    const run = aRun(agent_id)
    const messages = [aMessage(agent_id, 'user', text)]
    return store.turns.open(ADA, { run, conversation_id: agent_id, messages })
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-processes-'))
    store = await openSqliteStore({ directory })
  })
  afterEach(async () => {
    await Promise.all(children.map((child) => child.signal('SIGKILL')))
    children = []
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('keeps every acknowledged message and block edit of processes that write at once', async () => {
    const shared = await store.blocks.create(ADA, aBlock('log', ''))
    const together = await store.agents.create(ADA, anAgent('together', { block_ids: [shared.id] }))
    const alone = await store.agents.create(ADA, anAgent('alone', { block_ids: [shared.id] }))
    const turns = 25
    const workers = [together, together, alone].map((agent) => start(agent.id, 'work', String(turns)))
    const acknowledged = await Promise.all(
      workers.map(async (worker) => {
        const ids: unknown[] = []
        for (;;) {
          const line = await worker.next('an acknowledged message')
          if (line['done']) return ids
          ids.push(line['acknowledged'])
        }
      }),
    )
    const stored = [
      ...(await store.messages.list(ADA, { agent_id: together.id }, page)),
      ...(await store.messages.list(ADA, { agent_id: alone.id }, page)),
    ]
    assert.equal(stored.length, 2 + 3 * turns * 2)
    const ids = new Set(stored.map((message) => message.id))
    assert.ok(acknowledged.flat().every((id) => ids.has(String(id))))
    const block = await store.blocks.get(ADA, shared.id)
    assert.deepEqual([block?.value.length, block?.version], [3 * turns, 3 * turns + 1])
    const roles = (await begin(together.id)).context.map((message) => message.role)
    const expected = Array.from({ length: 2 * turns }, () => ['user', 'assistant']).flat()
    assert.deepEqual(roles, ['system', ...expected, 'user'], 'turns of one conversation never mix')
  })

  it('takes the conversation of a killed process over at once', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const child = start(agent.id, 'hang')
    const { opened: run_id } = await child.next('the turn is open')
    await assert.rejects(begin(agent.id), { code: 'conversation_busy', data: { run_id } })
    await child.signal('SIGKILL')
    const opened = await begin(agent.id)
    assert.equal(opened.context.length, 3, 'the input of the dead turn was stored')
    const run = await store.turns.getRun(ADA, String(run_id))
    assert.deepEqual([run?.status, run?.stop_reason], ['failed', 'error'])
  })

  it('recovers the runs of a killed process and removes its traces', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const child = start(agent.id, 'hang')
    const { opened: run_id } = await child.next('the turn is open')
    assert.deepEqual(await store.turns.recover(), [])
    assert.equal((await readdir(join(directory, 'instances'))).length, 1)
    await child.signal('SIGKILL')
    assert.deepEqual(await store.turns.recover(), [run_id])
    assert.deepEqual(await readdir(join(directory, 'instances')), [])
    await begin(agent.id)
  })

  it('fences a stopped process out once its heart has stood still, and not before', async () => {
    const stale = 600
    await store.close()
    store = await openSqliteStore({ directory, stale_after_ms: stale })
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const child = start(agent.id, 'hang', String(stale))
    const { opened: run_id } = await child.next('the turn is open')
    const heartbeats = () => {
      const database = new DatabaseSync(join(directory, 'loci.db'), { readOnly: true })
      const row = database.prepare('SELECT heartbeat FROM instances').get()
      database.close()
      return Number(row?.['heartbeat'])
    }
    const deadline = Date.now() + 20_000
    while (heartbeats() < 12) {
      assert.ok(Date.now() < deadline, 'waited 20 s for twelve heartbeats, twice the time to count as gone')
      assert.deepEqual(await store.turns.recover(), [], 'it lives')
    }
    await child.signal('SIGSTOP')
    const failed: string[] = []
    while (failed.length === 0) {
      assert.ok(Date.now() < deadline, 'waited 20 s for the stopped process to count as gone')
      failed.push(...(await store.turns.recover()))
    }
    assert.deepEqual(failed, [run_id])
    await begin(agent.id)
    await child.signal('SIGCONT')
    child.say('commit')
    assert.deepEqual(await child.next('the late commit is answered'), { outcome: 'lease_lost' })
    const messages = await store.messages.list(ADA, { agent_id: agent.id }, page)
    assert.deepEqual(
      messages.map((message) => message.role),
      ['system', 'user', 'user'],
    )
  })

  it('opens a new directory from many processes at once', async () => {
    const fresh = join(directory, 'fresh')
    const agents = Array.from({ length: 4 }, () => 'agent-none')
    const racers = agents.map((agent_id) => {
      const child = startChild(fresh, agent_id, ADA.organization_id, 'work', '0')
      children.push(child)
      return child
    })
    for (const racer of racers) assert.deepEqual(await racer.next('it opened and closed'), { done: true })
  })

  it('tells this process what another one changed', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), 15_000)
    const events = store.events.watch(ADA, await store.events.lastId(), { signal: abort.signal })
    const watching = events[Symbol.asyncIterator]()
    const child = start(agent.id, 'hang')
    const { opened: run_id } = await child.next('the turn is open')
    const event = await watching.next()
    clearTimeout(timer)
    abort.abort()
    assert.deepEqual([event.value?.type, event.value?.object_id], ['run.created', run_id])
  })
})
