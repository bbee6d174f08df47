import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { isAppError } from '../../shared/schema/errors.ts'
import { newId } from '../../shared/schema/ids.ts'
import type { CopyOptions } from '../../shared/store/copy-sides.ts'
import { copyStore } from '../../shared/store/copy-store.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { ADA, anAgent, at } from '../contracts/store/samples.ts'
import { cleanEnvironment, LOCI, start } from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { type Forwarder, startForwarder } from './forwarder.ts'
import { startServer, type TestServer } from './server.ts'

const PASSAGES = 2_000
/** Without an answer for so long a copy looks what is the matter, in milliseconds. */
const SILENT_MS = 1_500

describe('a copy whose database goes silent in the middle', function () {
  this.timeout(120_000)
  let server: TestServer
  let folder: string
  let source: string
  let way: Forwarder
  let made = 0

  before(async () => {
    server = await startServer()
    folder = await mkdtemp(join(tmpdir(), 'loci-silence-'))
    source = join(folder, 'source')
    const store = await openSqliteStore({ directory: source })
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const passages = Array.from({ length: PASSAGES }, (_, i) => ({
      id: newId('passage'),
      text: `text ${i}`,
      tags: [],
      metadata: {},
      created_at: at(0),
    }))
    await store.passages.create(ADA, agent.id, passages)
    await store.close()
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })
  beforeEach(async () => {
    way = await startForwarder(join(server.folder, '.s.PGSQL.5432'))
  })
  afterEach(() => way.close())

  const directory = () => join(folder, `directory-${made++}`)
  /** A new database: directly, and by a way that may fall silent. */
  async function database() {
    const name = `silent_${made++}`
    await server.create(name)
    return { name, address: server.address(name), there: through(name) }
  }
  const through = (name: string) => `postgres://loci@127.0.0.1:${way.port}/${name}`
  const copy = (from: string, to: string, more: Partial<CopyOptions> = {}) =>
    copyStore({
      from,
      to,
      data: source,
      version: '1.0.0',
      encryption_key: null,
      source_encryption_key: null,
      silent_ms: SILENT_MS,
      ...more,
    })
  /** `event` once the first passages are copied. */
  function inTheMiddle(event: () => void): Pick<CopyOptions, 'onProgress'> {
    let happened = false
    return {
      onProgress(_, table) {
        if (table !== 'passages' || happened) return
        happened = true
        event()
      },
    }
  }
  async function goesOn(from: string, to: string): Promise<void> {
    const { copied, rows, differences } = await copy(from, to)
    assert.deepEqual(differences, [])
    assert.equal(rows['passages'], PASSAGES)
    assert.ok(copied < PASSAGES, `${copied} copied again`)
  }
  const says = (text: RegExp) => (error: unknown) => {
    assert.ok(isAppError(error, 'store_unavailable'), String(error))
    assert.match(error.message, text)
    return true
  }

  it('fails with a sentence, told before that it waits, and goes on later: into it and from it', async () => {
    const { name, address } = await database()
    const back = directory()
    for (const [from, to] of [
      [source, address],
      [address, back],
    ] as const) {
      const waited: [string, number][] = []
      const there = (place: string) => (place === address ? through(name) : place)
      const copying = copy(there(from), there(to), {
        ...inTheMiddle(() => way.silence()),
        onWaiting: (...told) => waited.push(told),
      })
      await assert.rejects(
        copying,
        says(/has answered nothing for \d+ seconds, and nobody else: it stands still/),
      )
      assert.ok(
        waited.length > 0 && waited.every(([place]) => place.startsWith('127.0.0.1:')),
        String(waited),
      )
      await way.close()
      way = await startForwarder(join(server.folder, '.s.PGSQL.5432'))
      await goesOn(from, to)
    }
  })

  it('notices that only its own connection is not answered', async () => {
    const { name, address } = await database()
    const stopped: number[] = []
    const stop = () => {
      for (const pid of processesOf(name)) {
        process.kill(pid, 'SIGSTOP')
        stopped.push(pid)
      }
    }
    try {
      const copying = copy(source, address, inTheMiddle(stop))
      await assert.rejects(
        copying,
        says(/has answered nothing for \d+ seconds on this connection, though it is/),
      )
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT')
    }
    assert.equal(stopped.length, 1)
    await goesOn(source, address)
  })

  it('waits for a statement that takes long, as long as it is worked on', async () => {
    const { address } = await database()
    const stop = new AbortController()
    const stopped = copy(source, address, { ...inTheMiddle(() => stop.abort()), signal: stop.signal })
    await assert.rejects(stopped, { name: 'AbortError' })
    const other = new Client({ connectionString: address, application_name: 'test' })
    await other.connect()
    try {
      await other.query('BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE')
      const longer = Promise.withResolvers<void>()
      const copying = copy(source, address, {
        onWaiting: (_, seconds) => (seconds * 1_000 > 3 * SILENT_MS ? longer.resolve() : undefined),
      })
      await Promise.race([longer.promise, copying.then(() => assert.fail('it did not wait'))])
      await other.query('COMMIT')
      assert.deepEqual((await copying).differences, [])
    } finally {
      await other.end()
    }
  })

  it('ends at once when it is stopped', async () => {
    const { address, there } = await database()
    const stop = new AbortController()
    let asked = 0
    const copying = copy(source, there, {
      ...inTheMiddle(() => way.silence()),
      signal: stop.signal,
      onWaiting() {
        asked ||= performance.now()
        stop.abort()
      },
    })
    await assert.rejects(copying, { name: 'AbortError' })
    assert.ok(performance.now() - asked < 3_000, 'it waited for the database')
    await way.close()
    await goesOn(source, address)
  })

  it('says on the command line that it waits, and ends at once at Ctrl-C', async () => {
    const { there } = await database()
    const running = start(
      process.execPath,
      [LOCI, 'store', 'copy', '--from', source, '--to', there],
      cleanEnvironment(folder),
    )
    running.child.stderr?.on('data', () => {
      if (/^copied agents/m.test(running.stderr)) way.silence()
    })
    await eventually('it says that it waits', () =>
      /^Waiting for 127\.0\.0\.1:\d+\/.*, which has answered nothing for \d+ s$/m.test(running.stderr)
        ? true
        : null,
    )
    const asked = performance.now()
    running.child.kill('SIGINT')
    const { code } = await running.exited
    assert.equal(code, 130, running.stderr)
    assert.match(running.stderr, /loci: Stopped\. To go on, give the same command again/)
    assert.ok(performance.now() - asked < 5_000, 'it waited for the database')
  })
})

/** The processes of PostgreSQL that serve a database, by the titles that they give themselves. */
function processesOf(database: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`postgres: loci ${database} `)
      } catch {
        // It has just ended.
        return false
      }
    })
    .map(Number)
}
