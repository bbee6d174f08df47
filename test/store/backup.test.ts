import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isAppError } from '../../shared/schema/errors.ts'
import { backUp } from '../../shared/store/sqlite/backup.ts'
import { examineStore } from '../../shared/store/sqlite/doctor.ts'
import { planPurge, purge } from '../../shared/store/sqlite/purge.ts'
import { restore } from '../../shared/store/sqlite/restore.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { ADA, aMessage, anAgent, aRun } from '../contracts/store/samples.ts'
import { type Child, startChild } from './child.ts'

describe('backup and restore', () => {
  let root = ''
  let directory = ''
  let children: Child[] = []
  const inside = (...names: string[]) => join(directory, ...names)

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'loci-backup-'))
    directory = join(root, 'data')
  })
  afterEach(async () => {
    await Promise.all(children.map((child) => child.signal('SIGKILL')))
    children = []
    await rm(root, { recursive: true })
  })

  async function withAgents(...names: string[]): Promise<string[]> {
    const store = await openSqliteStore({ directory })
    const ids: string[] = []
    for (const name of names) ids.push((await store.agents.create(ADA, anAgent(name))).id)
    await store.close()
    return ids
  }

  async function agentNames(): Promise<string[]> {
    const store = await openSqliteStore({ directory })
    const agents = await store.agents.list(ADA, {}, { limit: 100, order: 'asc' }, [])
    await store.close()
    return agents.map((agent) => agent.name).sort()
  }

  async function codeOf(promise: Promise<unknown>, message: RegExp): Promise<string> {
    const error: unknown = await promise.then(
      () => assert.fail('expected a failure'),
      (thrown: unknown) => thrown,
    )
    assert.ok(isAppError(error), String(error))
    assert.match(error.message, message)
    return error.code
  }

  it('holds everything acknowledged before it began, while two processes go on writing', async () => {
    const [one = '', two = ''] = await withAgents('one', 'two')
    children = [one, two].map((id) => startChild(directory, id, ADA.organization_id, 'work', '100000'))
    const before: string[] = []
    for (const child of children) {
      for (let i = 0; i < 20; i++) {
        const line = await child.next('an acknowledged message')
        before.push(String(line['acknowledged']))
      }
    }
    const copy = await backUp({ directory })
    // They were not stopped for it.
    for (const child of children) await child.next('a message after the backup')
    const database = new DatabaseSync(copy.path, { readOnly: true })
    const ids = new Set(
      database
        .prepare('SELECT id FROM messages')
        .all()
        .map((row) => row['id']),
    )
    assert.equal(database.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok')
    assert.deepEqual({ ...database.prepare('PRAGMA journal_mode').get() }, { journal_mode: 'delete' })
    database.close()
    assert.deepEqual(
      before.filter((id) => !ids.has(id)),
      [],
    )
    assert.equal(copy.rows['messages'], ids.size)
    assert.equal((await stat(copy.path)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(inside('backups')), [copy.path.slice(inside('backups').length + 1)])
  })

  it('tells how far it is, stops when asked to, and leaves nothing then', async () => {
    await withAgents('one')
    const seen: string[] = []
    await backUp({ directory, onProgress: (phase, share) => seen.push(`${phase} ${share}`) })
    assert.deepEqual(seen.slice(-3), ['copying 1', 'verifying 0', 'verifying 1'])
    const stop = new AbortController()
    stop.abort(new Error('stopped'))
    const database = new DatabaseSync(inside('loci.db'))
    database.exec('CREATE TABLE filler (x); BEGIN')
    const insert = database.prepare('INSERT INTO filler VALUES (zeroblob(100000))')
    for (let i = 0; i < 200; i++) insert.run()
    database.exec('COMMIT')
    database.close()
    await assert.rejects(backUp({ directory, file: join(root, 'b.db'), signal: stop.signal }), /stopped/)
    assert.deepEqual(await readdir(root), ['data'])
  })

  it('overwrites no file, and says where there is nothing to copy', async () => {
    await withAgents('one')
    const file = join(root, 'mine.db')
    await writeFile(file, 'precious')
    assert.equal(await codeOf(backUp({ directory, file }), /mine\.db exists already/), 'conflict')
    assert.equal(await readFile(file, 'utf8'), 'precious')
    const nowhere = join(root, 'nope', 'x.db')
    assert.equal(
      await codeOf(backUp({ directory, file: nowhere }), /no folder .*nope for the backup/),
      'not_found',
    )
    assert.equal(existsSync(join(root, 'nope')), false)
    const empty = join(root, 'empty')
    assert.equal(await codeOf(backUp({ directory: empty }), /nothing to back up: .*empty/), 'not_found')
  })

  it('restores what was there, keeps what is there now, and undoes it by that name', async () => {
    await withAgents('old')
    const { path: file } = await backUp({ directory, file: join(root, 'old.db') })
    await withAgents('new')
    const { previous, restored } = await restore({ directory, file })
    assert.equal(restored.rows['agents'], 1)
    assert.ok(previous)
    assert.deepEqual(await agentNames(), ['old'])
    await restore({ directory, file: previous })
    assert.deepEqual(await agentNames(), ['new', 'old'])
    assert.deepEqual((await readdir(directory)).sort(), ['backups', 'instances', 'loci.db'])
  })

  it('restores into a directory without data, also from a raw copy with its log', async () => {
    const [id = ''] = await withAgents('one')
    const store = await openSqliteStore({ directory })
    await store.turns.open(ADA, {
      run: aRun(id),
      conversation_id: id,
      messages: [aMessage(id, 'user', 'in the log')],
    })
    for (const suffix of ['', '-wal'])
      await copyFile(inside(`loci.db${suffix}`), join(root, `raw.db${suffix}`))
    await store.close()
    directory = join(root, 'elsewhere')
    const { previous, restored } = await restore({ directory, file: join(root, 'raw.db') })
    assert.equal(previous, null)
    assert.equal(restored.rows['messages'], 2)
    assert.deepEqual(await agentNames(), ['one'])
  })

  it('refuses what is not a whole backup of Loci, and leaves the data as they are', async () => {
    await withAgents('one')
    const { path: good, bytes } = await backUp({ directory, file: join(root, 'good.db') })
    const before = await readFile(inside('loci.db'))
    const file = join(root, 'bad.db')
    const tries: [() => Promise<void>, RegExp, string][] = [
      [
        () => writeFile(file, 'no database at all, but long enough to look at'),
        /bad\.db is not an SQLite/,
        'invalid_argument',
      ],
      [
        () => writeFile(file, ''),
        /bad\.db is an SQLite database, but not a store of Loci/,
        'invalid_argument',
      ],
      [
        async () => writeFile(file, (await readFile(good)).subarray(0, bytes / 2)),
        /bad\.db is damaged/,
        'store_unavailable',
      ],
      [async () => damage(good, file), /bad\.db is damaged/, 'store_unavailable'],
      [async () => makeNewer(good, file), /newer Loci than this one/, 'store_newer'],
    ]
    for (const [make, message, code] of tries) {
      await rm(file, { force: true })
      await make()
      assert.equal(await codeOf(restore({ directory, file }), message), code)
    }
    assert.equal(
      await codeOf(restore({ directory, file: join(root, 'none.db') }), /no file .*none/),
      'not_found',
    )
    assert.equal(await codeOf(restore({ directory, file: root }), /not a file/), 'invalid_argument')
    assert.equal(
      await codeOf(restore({ directory, file: inside('loci.db') }), /present data itself/),
      'invalid_argument',
    )
    assert.deepEqual(await readFile(inside('loci.db')), before)
    assert.deepEqual(await readdir(inside('backups')), [])
    assert.deepEqual(await agentNames(), ['one'])
  })

  it('refuses to restore while another process has the store open, even one that does nothing', async () => {
    const [id = ''] = await withAgents('one')
    const { path: file } = await backUp({ directory })
    const idle = await openSqliteStore({ directory })
    assert.equal(await codeOf(restore({ directory, file }), /in use by .*Stop it/), 'conflict')
    await idle.close()
    const child = startChild(directory, id, ADA.organization_id, 'hang')
    children = [child]
    await child.next('an open turn')
    await child.signal('SIGSTOP')
    assert.equal(
      await codeOf(restore({ directory, file }), new RegExp(`${child.pid}|another Loci`)),
      'conflict',
    )
    await child.signal('SIGKILL')
    await restore({ directory, file })
    assert.deepEqual(await agentNames(), ['one'])
  })

  it('restores over a damaged store, which is kept with its log', async () => {
    await withAgents('one')
    const { path: file } = await backUp({ directory })
    await writeFile(inside('loci.db'), 'gone')
    await writeFile(inside('loci.db-wal'), 'a log that must not be read into the new file')
    const { previous } = await restore({ directory, file })
    assert.deepEqual(await agentNames(), ['one'])
    assert.equal(await readFile(previous ?? '', 'utf8'), 'gone')
    assert.match(await readFile(`${previous}-wal`, 'utf8'), /must not be read/)
  })

  describe('purge', () => {
    it("removes what is Loci's and leaves what is not", async () => {
      await withAgents('one')
      await backUp({ directory })
      await writeFile(inside('notes.txt'), 'mine')
      await writeFile(inside('config.json'), '{}')
      const installed = inside('parsers', '0123456789abcdef', 'node_modules', 'unpdf')
      await mkdir(installed, { recursive: true })
      await writeFile(join(installed, 'index.js'), 'export {}')
      const plan = planPurge(directory)
      assert.deepEqual(plan.stays, ['notes.txt'])
      assert.equal(plan.items.at(-1)?.name, 'loci.db')
      assert.ok(plan.items.every(({ bytes }) => bytes > 0))
      await purge(plan)
      assert.deepEqual(await readdir(directory), ['notes.txt'])
    })

    it('removes the directory itself when nothing else is in it', async () => {
      await withAgents('one')
      await purge(planPurge(directory))
      assert.deepEqual(await readdir(root), [])
    })

    it("refuses a directory that is not Loci's, and one that is in use", async () => {
      await writeFile(join(root, 'config.json'), '{}')
      assert.throws(() => planPurge(root), /not a data directory of Loci/)
      await writeFile(join(root, 'loci.db'), '')
      assert.throws(() => planPurge(root), /not a data directory of Loci/)
      assert.throws(() => planPurge(join(root, 'none')), /There is no .*none/)
      await withAgents('one')
      const store = await openSqliteStore({ directory })
      assert.equal(await codeOf(purge(planPurge(directory)), /in use/), 'conflict')
      assert.deepEqual((await store.agents.list(ADA, {}, { limit: 9, order: 'asc' }, [])).length, 1)
      await store.close()
    })
  })

  describe('examination', () => {
    const look = async () => {
      const findings = await examineStore(directory)
      return Object.fromEntries(findings.map(({ check, ...rest }) => [check, rest]))
    }

    it('finds uploads that no file waits for', async () => {
      await withAgents('one')
      await mkdir(inside('files'))
      await writeFile(inside('files', 'file-new'), 'it may be coming')
      assert.equal((await look())['uploads']?.status, 'ok')
      await writeFile(inside('files', 'file-left.part'), 'left')
      const long_ago = new Date(Date.now() - 3_600_000)
      await utimes(inside('files', 'file-left.part'), long_ago, long_ago)
      const found = (await look())['uploads']
      assert.deepEqual([found?.status, found?.data?.['orphans']], ['warning', ['file-left.part']])
    })

    it('finds nothing wrong with a store in use, and names who uses it', async () => {
      await withAgents('one')
      const store = await openSqliteStore({ directory })
      const found = await look()
      await store.close()
      assert.deepEqual(
        Object.entries(found).filter(([, { status }]) => status === 'error'),
        [],
      )
      assert.match(found['schema']?.message ?? '', /the newest/)
      assert.match(found['integrity']?.message ?? '', /found nothing/)
    })

    it('changes nothing where there is no store', async () => {
      assert.match((await look())['directory']?.message ?? '', /not there yet/)
      assert.deepEqual(await readdir(root), [])
    })

    it('reports a run that a killed process left', async () => {
      const [id = ''] = await withAgents('one')
      const child = startChild(directory, id, ADA.organization_id, 'hang')
      children = [child]
      const { opened } = await child.next('an open turn')
      assert.equal((await look())['runs']?.status, 'ok')
      await child.signal('SIGKILL')
      const { status, data, mend } = (await look())['runs'] ?? {}
      assert.equal(status, 'warning')
      assert.deepEqual(data, { stuck: [opened] })
      assert.match(mend ?? '', /loci server/)
    })

    it('reports an emptied store and the database of another program, as the server refuses them', async () => {
      const path = join(directory, 'loci.db')
      const wrong = async () => {
        const findings = await examineStore(directory)
        return findings.filter(({ status }) => status === 'error').map(({ message }) => message)
      }
      await withAgents('one')
      const copy = await backUp({ directory })
      await writeFile(path, '')
      const [emptied, ...more] = await wrong()
      assert.match(emptied ?? '', /loci\.db is empty \(0 bytes\).*loci restore/)
      assert.ok(emptied?.includes(copy.path))
      assert.deepEqual(more, [])
      await rm(copy.path)
      assert.deepEqual(await wrong(), [], 'a store that has not begun')
      const other = new DatabaseSync(path)
      other.exec('CREATE TABLE bookmarks (url TEXT)')
      other.close()
      assert.match((await wrong()).join(), /of another program \(it has the tables 'bookmarks'\)/)
      assert.equal(
        await codeOf(backUp({ directory }), /data\/loci\.db is an SQLite database, but not/),
        'invalid_argument',
      )
    })

    it('reports damage, a newer schema, a file instead of a folder, and rights', async () => {
      await withAgents('one')
      const { path: good } = await backUp({ directory })
      await rm(inside('loci.db'))
      await damage(good, inside('loci.db'))
      assert.equal((await look())['integrity']?.status, 'error')
      await writeFile(inside('loci.db'), 'nothing')
      assert.match((await look())['integrity']?.mend ?? '', /loci restore FILE/)
      await rm(inside('loci.db'))
      await makeNewer(good, inside('loci.db'))
      assert.equal((await look())['schema']?.status, 'error')
      await chmod(directory, 0o755)
      assert.equal((await look())['permissions']?.status, 'warning')
      await rm(directory, { recursive: true })
      await writeFile(directory, 'a file')
      assert.match((await look())['directory']?.message ?? '', /is not a directory/)
    })
  })
})

/** A copy in which pages in the middle are noise. */
async function damage(good: string, file: string): Promise<void> {
  await copyFile(good, file)
  const handle = await open(file, 'r+')
  const { size } = await handle.stat()
  for (let at = 3 * 4096; at + 4096 <= size; at += 4096)
    await handle.write(Buffer.alloc(2000, 0xa5), 0, 2000, at)
  await handle.close()
}

async function makeNewer(good: string, file: string): Promise<void> {
  await copyFile(good, file)
  const database = new DatabaseSync(file)
  database.exec('PRAGMA user_version = 999')
  database.close()
}
