import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { aFolder } from '../contracts/store/files.ts'
import {
  aBlock,
  aBuiltin,
  aCommit,
  ADA,
  aMessage,
  anAgent,
  aRun,
  aStep,
  DONE,
  text,
} from '../contracts/store/samples.ts'

function has(block: unknown, text: string): boolean {
  return block instanceof Uint8Array && Buffer.from(block).includes(text)
}

/** What the port does not show yet, read from the database itself. */
describe('the rows of SqliteStore', () => {
  let directory = ''
  let store: Store
  const rows = (sql: string, ...values: string[]) => {
    const database = new DatabaseSync(join(directory, 'loci.db'))
    try {
      return database
        .prepare(sql)
        .all(...values)
        .map((row) => ({ ...row }))
    } finally {
      database.close()
    }
  }
  /** Commits in the write-ahead log: frames that carry the size of the database (SQLite file format, 4.1). */
  const commits = async () => {
    const log = await readFile(join(directory, 'loci.db-wal'))
    const frame = 24 + log.readUInt32BE(8)
    let count = 0
    for (let at = 32; at < log.length; at += frame) if (log.readUInt32BE(at + 4) > 0) count++
    return count
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-rows-'))
    store = await openSqliteStore({ directory })
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })

  it('take two write transactions for a plain turn', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
    for (let turn = 0; turn < 3; turn++) {
      const before = await commits()
      const run = aRun(agent.id)
      const messages = [aMessage(agent.id, 'user', 'hello')]
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
      const answer = [aMessage(agent.id, 'assistant', 'hi')]
      const step = aCommit(opened, run, { messages: answer, step: aStep(run), finish: DONE })
      await store.turns.commit(ADA, step)
      assert.equal((await commits()) - before, 2)
    }
  })

  it('share one transaction when they come at once, and one that fails is undone alone', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', '')] }))
    const taken = await store.blocks.create(ADA, aBlock('human', 'another'))
    const before = await commits()
    const watched = await store.events.lastId()
    const [first, refused, second, ...turns] = await Promise.allSettled([
      store.blocks.create(ADA, aBlock('one', '1')),
      store.agents.attachBlock(ADA, agent.id, taken.id),
      store.blocks.create(ADA, aBlock('two', '2')),
      ...[1, 2, 3].map((n) =>
        store.turns.open(ADA, {
          run: aRun(agent.id),
          conversation_id: agent.id,
          messages: [aMessage(agent.id, 'user', `hello ${n}`)],
        }),
      ),
    ])
    // One, unless this machine was held up in the middle of it: what takes long is cut, so that others can read.
    assert.ok((await commits()) - before < 6)
    assert.deepEqual([first?.status, refused?.status, second?.status], ['fulfilled', 'rejected', 'fulfilled'])
    assert.deepEqual(turns.map((turn) => turn.status).sort(), ['fulfilled', 'rejected', 'rejected'])
    const labels = rows('SELECT label FROM blocks ORDER BY seq').map((row) => row['label'])
    assert.deepEqual(labels, ['human', 'human', 'one', 'two'])
    assert.equal(rows('SELECT count(*) AS n FROM agents_blocks')[0]?.['n'], 1)
    assert.equal(rows(`SELECT count(*) AS n FROM messages WHERE role = 'user'`)[0]?.['n'], 1)
    const events = rows(`SELECT type FROM events WHERE id > ${watched}`).map((row) => row['type'])
    assert.deepEqual(events, ['block.created', 'block.created', 'run.created'])
  })

  it('write nothing when the built-in tools, a block or a read change nothing', async () => {
    const block = await store.blocks.create(ADA, aBlock('human', 'a'))
    await store.tools.seed(ADA, [aBuiltin('look')])
    const before = await commits()
    await store.tools.seed(ADA, [aBuiltin('look')])
    await store.blocks.update(ADA, block.id, { value: 'a' })
    await store.agents.list(ADA, {}, { limit: 5, order: 'asc' }, [])
    await store.turns.recover()
    assert.equal(await commits(), before)
  })

  it('wait for the lock of another process, and this process goes on meanwhile', async () => {
    const other = new DatabaseSync(join(directory, 'loci.db'))
    other.exec('BEGIN IMMEDIATE')
    let written = false
    const write = async () => {
      await store.blocks.create(ADA, aBlock('human', ''))
      written = true
    }
    const writing = write()
    // The lock is held all the while: a wait that blocked the event loop would never let these turns pass.
    for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
    assert.equal(await store.blocks.count(ADA, {}), 0, 'reads do not wait')
    assert.equal(written, false)
    other.exec('COMMIT')
    other.close()
    await writing
    assert.equal(await store.blocks.count(ADA, {}), 1)
  })

  it('keep who changed a block, when, from what to what', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada', { new_blocks: [aBlock('human', 'a')] }))
    const block_id = agent.blocks[0]!.id
    const run = aRun(agent.id)
    const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages: [] })
    const block_edits = [{ block_id, base_version: 1, value: 'b' }]
    await store.turns.commit(ADA, aCommit(opened, run, { block_edits, finish: DONE }))
    await store.blocks.update(ADA, block_id, { value: 'c' })
    await store.blocks.update(ADA, block_id, { description: 'no change of the value' })
    const history = rows('SELECT * FROM block_history WHERE block_id = ? ORDER BY version', block_id)
    assert.equal(rows('SELECT version FROM blocks WHERE id = ?', block_id)[0]?.['version'], 4)
    assert.ok(history.every((row) => !Number.isNaN(Date.parse(String(row['created_at'])))))
    assert.deepEqual(
      history.map((row) => [
        row['version'],
        row['agent_id'],
        row['run_id'],
        row['user_id'],
        row['before'],
        row['after'],
      ]),
      [
        [1, null, null, ADA.user_id, null, 'a'],
        [2, agent.id, run.id, ADA.user_id, 'a', 'b'],
        [3, null, null, ADA.user_id, 'b', 'c'],
        [4, null, null, ADA.user_id, 'c', 'c'],
      ],
    )
  })

  it('of old events go when the store is opened, but never the newest ten thousand', async () => {
    await store.close()
    rows(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12500)
       INSERT INTO events (organization_id, type, object_id, date)
       SELECT 'org', 'block.updated', 'block', '2020-01-01T00:00:00.000Z' FROM n`,
    )
    store = await openSqliteStore({ directory })
    const left = () => rows('SELECT count(*) AS n, min(id) AS oldest FROM events')
    const deadline = Date.now() + 15_000
    while (left()[0]?.['n'] !== 10_000) {
      assert.ok(Date.now() < deadline, `waited 15 s for the old events to go: ${JSON.stringify(left())}`)
      await new Promise(setImmediate)
    }
    assert.deepEqual(left(), [{ n: 10_000, oldest: 2501 }])
    assert.equal(await store.events.lastId(), 12_500)
    assert.deepEqual([await store.events.reaches(100), await store.events.reaches(12_000)], [false, true])
  })

  it('of a deleted agent go in short transactions, and the search index keeps nothing of them', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    for (let turn = 0; turn < 10; turn++) {
      const run = aRun(agent.id)
      const messages = Array.from({ length: 200 }, (_, i) => aMessage(agent.id, 'user', `secret${turn}x${i}`))
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
      await store.turns.commit(ADA, aCommit(opened, run, { step: aStep(run), finish: DONE }))
    }
    const indexed = () =>
      rows('SELECT block FROM messages_fts_data').filter(({ block }) => has(block, 'secret'))
    await store.messages.search(ADA, { agent_id: agent.id, query: 'x', roles: ['user'], limit: 1 })
    assert.notEqual(indexed().length, 0)
    const before = await commits()
    assert.equal(await store.agents.delete(ADA, agent.id), true)
    assert.deepEqual(indexed(), [])
    assert.ok((await commits()) - before > 5, 'of 2,000 messages, at most 500 a transaction')
  })

  it('of the search index stay few segments, however many commits there are', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    for (let turn = 0; turn < 60; turn++) {
      const run = aRun(agent.id)
      const messages = [aMessage(agent.id, 'user', `word${turn}`)]
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
      await store.turns.commit(ADA, aCommit(opened, run, { step: aStep(run), finish: DONE }))
    }
    await store.close()
    const segments = rows('SELECT DISTINCT segid FROM messages_fts_idx').length
    assert.ok(segments < 30, `${segments} segments`)
    assert.equal(rows("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'word7'").length, 1)
    store = await openSqliteStore({ directory })
  })

  it('of a file are few segments of the search index too, however many parts it comes in', async () => {
    const { folders, files } = store
    const folder = await folders.create(ADA, aFolder())
    const id = newId('file')
    const file = { id, folder_id: folder.id, name: 'long.txt', type: null, size: 1 }
    await files.create(ADA, file, 'error')
    const claim = await files.claim({ max_attempts: 3 })
    assert.ok(claim)
    for (let line = 0; line < 55; line++) {
      const text = `line${line} of a long text`
      const chunk = { text, first_line: line, last_line: line }
      await files.append(claim, { pieces: [{ first_line: line, text }], chunks: [chunk] })
    }
    const segments = rows('SELECT DISTINCT segid FROM passages_fts_idx').length
    assert.ok(segments < 40, `${segments} segments`)
  })

  it('of messages enter the search index after their commits, and are found before', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const say = async (words: string) => {
      const run = aRun(agent.id)
      const messages = [aMessage(agent.id, 'user', words)]
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
      await store.turns.commit(ADA, aCommit(opened, run, { step: aStep(run), finish: DONE }))
    }
    const indexed = (word: string) =>
      rows('SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?', word).length
    const find = { agent_id: agent.id, roles: ['user' as const], limit: 9 }
    const found = async (query: string, from = store) =>
      (await from.messages.search(ADA, { ...find, query })).map((message) => text(message))
    await say('walrus swimming')
    const before = await commits()
    const other = await openSqliteStore({ directory })
    assert.deepEqual(await found('swims', other), ['walrus swimming'])
    await other.close()
    assert.deepEqual(await found('walrus'), ['walrus swimming'])
    assert.deepEqual([await commits(), indexed('walrus')], [before, 0])
    await say('narwhal')
    await store.close()
    assert.deepEqual([indexed('walrus'), indexed('narwhal')], [1, 1])
    store = await openSqliteStore({ directory })
    await say('walrus again')
    assert.deepEqual(await found('walrus'), ['walrus again', 'walrus swimming'])
    assert.equal(indexed('walrus'), 1)
  })

  it('of an agent whose deletion was interrupted go with the next recovery', async () => {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const kept = await store.agents.create(ADA, anAgent('kept'))
    for (let turn = 0; turn < 3; turn++) {
      const run = aRun(agent.id)
      const messages = Array.from({ length: 200 }, (_, i) => aMessage(agent.id, 'user', `word ${i}`))
      const opened = await store.turns.open(ADA, { run, conversation_id: agent.id, messages })
      await store.turns.commit(ADA, aCommit(opened, run, { step: aStep(run), finish: DONE }))
    }
    rows('DELETE FROM agents WHERE id = ?', agent.id)
    rows('INSERT INTO deletions (agent_id, organization_id) VALUES (?, ?)', agent.id, ADA.organization_id)
    assert.deepEqual(await store.turns.recover(), [])
    const counts = [
      'messages',
      'context_messages',
      'conversations',
      'runs',
      'steps',
      'deletions',
      'messages_fts',
    ]
    assert.deepEqual(
      counts.map((table) => rows(`SELECT count(*) AS n FROM ${table}`)[0]?.['n']),
      // The system message of the other agent and its conversation.
      [1, 1, 1, 0, 0, 0, 0],
    )
    assert.ok(await store.agents.get(ADA, kept.id, []))
  })
})
