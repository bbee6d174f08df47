import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { isAppError } from '../../shared/schema/errors.ts'
import type { CopyOptions } from '../../shared/store/copy-sides.ts'
import { copyStore, discardCopy } from '../../shared/store/copy-store.ts'
import { verifyCopy } from '../../shared/store/verify-copy.ts'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { COPIED, NOT_COPIED } from '../../shared/store/sql/copied-tables.ts'
import { MIGRATIONS } from '../../shared/store/sqlite/migrate.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { cleanEnvironment, loci, start } from '../support/cli-process.ts'
import type { ModelServer } from '../support/model-server.ts'
import { answersOf, enlarge, fill, MARK, type Place, startEmbedder, startOn } from './copied-store.ts'
import { startServer, type TestServer, withPgVector } from './server.ts'

const PROCESS = fileURLToPath(new URL('./copy-process.ts', import.meta.url))
const SEED = Number(process.env['LOCI_TEST_SEED'] ?? 20_261_122)

describe('the tables that are copied', () => {
  it('are all tables of the migrations, each after those that it refers to', () => {
    const database = new DatabaseSync(':memory:')
    for (const migration of MIGRATIONS) database.exec(migration)
    const tables = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .all()
      .map((row) => String(row['name']))
      .filter((name) => !/_fts_/.test(name))
    const known: readonly string[] = [...COPIED, ...NOT_COPIED]
    assert.deepEqual(known.toSorted(), tables.toSorted(), 'add a new table to sql/copied-tables.ts')
    const early = COPIED.flatMap((name, i) =>
      database
        .prepare(`PRAGMA foreign_key_list("${name}")`)
        .all()
        .map((row) => String(row['table']))
        .filter((other) => !(COPIED.slice(0, i) as readonly string[]).includes(other))
        .map((other) => `${name} before ${other}`),
    )
    database.close()
    assert.deepEqual(early, [])
  })
})

describe('a copy of a whole store', function () {
  this.timeout(180_000)
  let server: TestServer
  let embedder: ModelServer
  let folder: string
  let source: Place
  let ids: Record<string, string>
  let answers: Record<string, unknown>
  let made = 0

  before(async () => {
    server = await startServer(withPgVector())
    embedder = await startEmbedder()
    folder = await mkdtemp(join(tmpdir(), 'loci-copy-'))
    source = { data: join(folder, 'source') }
    const started = await startOn(source, embedder)
    ids = await fill(started)
    answers = await answersOf(started, ids)
    await started.loci.close()
    assert.deepEqual(started.loci.failures, [])
  })
  after(async () => {
    await server.stop()
    await embedder.close()
    await rm(folder, { recursive: true, force: true })
  })

  const directory = () => join(folder, `directory-${made++}`)
  const database = async () => {
    const name = `copy_${made++}`
    await server.create(name)
    return server.address(name)
  }
  const optionsFor = (from: string, to: string, more: Partial<CopyOptions> = {}): CopyOptions => ({
    from,
    to,
    data: source.data,
    version: '1.0.0',
    encryption_key: null,
    source_encryption_key: null,
    ...more,
  })
  const copy = async (from: string, to: string, more: Partial<CopyOptions> = {}) => {
    const report = await copyStore(optionsFor(from, to, more))
    assert.deepEqual(report.differences, [])
    return report
  }
  const refused = (code: Parameters<typeof isAppError>[1], text: RegExp) => (error: unknown) => {
    assert.ok(isAppError(error, code), String(error))
    assert.match(error.message, text)
    return true
  }
  const ask = async (address: string, text: string) => {
    const client = new Client({ connectionString: address, application_name: 'test' })
    await client.connect()
    try {
      return (await client.query(text)).rows as Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }
  const says = async (place: Place) => {
    const started = await startOn(place, embedder)
    try {
      return await answersOf(started, ids)
    } finally {
      await started.loci.close()
    }
  }

  it('goes to PostgreSQL, to another database, and back to a directory, where a server says the same', async () => {
    const beside = directory()
    const [first, second, back] = [await database(), await database(), directory()]
    const report = await copy(source.data, first, { data: beside })
    assert.ok(
      (report.rows['messages'] ?? 0) > 4 && (report.rows['vectors'] ?? 0) >= 3,
      JSON.stringify(report.rows),
    )
    const absent = COPIED.filter((name) => report.rows[name] === 0)
    assert.ok(
      absent.length <= 16,
      `too little in the source to show anything: it has no ${absent.join(', ')}`,
    )
    assert.ok(report.secrets.opened >= 3 && report.secrets.sealed === 0, JSON.stringify(report.secrets))
    await copy(first, second, { data: beside })
    await copy(second, back, { data: beside })
    const again = directory()
    await copy(back, again)
    // A server changes what it starts on, so all copies are made before.
    assert.deepEqual(await says({ data: beside, address: first }), answers)
    assert.deepEqual(await says({ data: beside, address: second }), answers)
    assert.deepEqual(await says({ data: back }), answers)
    assert.deepEqual(await says({ data: again }), answers)
  })

  it('goes on counting where the source was, and finds vectors with an index', async () => {
    const beside = directory()
    const there = await database()
    await copy(source.data, there, { data: beside })
    const numbers = new DatabaseSync(join(source.data, 'loci.db'))
    const last = numbers.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").get()?.['seq']
    numbers.close()
    const [row] = await ask(there, "SELECT nextval(pg_get_serial_sequence('messages', 'seq'))::int AS next")
    assert.equal(row?.['next'], Number(last) + 1)
    const indexes = await ask(there, "SELECT indexname FROM pg_indexes WHERE indexname = 'vectors_hnsw_256'")
    assert.equal(indexes.length, 1)
    const started = await startOn({ data: beside, address: there }, embedder)
    await started.good('POST', `/v1/agents/${ids['second']}/messages`, { input: 'And the narwhal.' })
    const found = await started.good('POST', '/v1/messages/search', { query: 'narwhal' })
    assert.equal((found as unknown as unknown[]).length > 0, true)
    await started.loci.close()
    assert.deepEqual(started.loci.failures, [])
  })

  it('goes to a PostgreSQL without pgvector and back', async () => {
    const plain = await startServer()
    try {
      await plain.create('plain')
      const [address, back, beside] = [plain.address('plain'), directory(), directory()]
      await copy(source.data, address, { data: beside })
      await copy(address, back, { data: beside })
      assert.deepEqual(await says({ data: beside, address }), answers)
      assert.deepEqual(await says({ data: back }), answers)
    } finally {
      await plain.stop()
    }
  })

  it('goes on after kill -9, as often as it takes, and doubles and loses nothing', async () => {
    const large = directory()
    await copy(source.data, large)
    enlarge(large, 4_000)
    const random = numbersFrom(SEED)
    for (const [name, to] of [
      ['postgres', await database()],
      ['directory', directory()],
    ] as const) {
      let killed = 0
      for (let complete = false; !complete;) {
        const running = start(process.execPath, [PROCESS, large, to, large], cleanEnvironment(folder))
        const rows = 1_000 + Math.floor(random.next().value * 2_500)
        running.child.stdout?.on('data', () => {
          const last = Number(running.stdout.trimEnd().split('\n').at(-1))
          if (killed < 4 && last >= rows) running.child.kill('SIGKILL')
        })
        const { code, signal } = await running.exited
        complete = running.stdout.endsWith('complete\n')
        if (complete) break
        assert.equal(signal, 'SIGKILL', `${name}: ${code} ${running.stderr}`)
        killed++
        if (name === 'postgres')
          await assert.rejects(
            openPostgresStore({ address: to, directory: large }),
            refused('store_unavailable', /is not complete: a copy of .* --discard/),
          )
        else
          await assert.rejects(
            openSqliteStore({ directory: to }),
            refused('store_unavailable', /is not complete: a copy of .* --discard/),
          )
      }
      console.log(`      ${name}: killed ${killed} times (LOCI_TEST_SEED=${SEED})`)
      assert.ok(killed >= 3, `${name}: killed ${killed} times only`)
      const { differences, rows } = await verifyCopy(optionsFor(large, to, { data: large }))
      assert.deepEqual(differences, [])
      assert.ok((rows['messages'] ?? 0) > 4_000)
    }
  })

  it('is verified: a row that was changed, lost or added is named', async () => {
    const there = await database()
    await copy(source.data, there)
    const check = async () => (await verifyCopy(optionsFor(source.data, there))).differences
    assert.deepEqual(await check(), [])
    await ask(there, `UPDATE blocks SET value = value || '!' WHERE id = '${ids['block_id']}'`)
    const [block] = await ask(there, `SELECT seq::int FROM blocks WHERE id = '${ids['block_id']}'`)
    assert.deepEqual(await check(), [
      { table: 'blocks', key: JSON.stringify([block?.['seq']]), what: 'changed' },
    ])
    await ask(there, `UPDATE blocks SET value = rtrim(value, '!') WHERE id = '${ids['block_id']}'`)
    await ask(there, `DELETE FROM identities WHERE id = '${ids['identity_id']}'`)
    await ask(there, "INSERT INTO request_counts VALUES ('nobody', 1, 1)")
    assert.deepEqual(
      (await check()).toSorted((a, b) => a.table.localeCompare(b.table)),
      [
        { table: 'identities', key: JSON.stringify([ids['identity_id']]), what: 'missing' },
        { table: 'request_counts', key: '["nobody",1]', what: 'surplus' },
      ],
    )
    await ask(there, 'DELETE FROM messages_fts WHERE rowid = (SELECT min(rowid) FROM messages_fts)')
    assert.ok((await check()).some(({ table }) => table === 'messages_fts'))
  })

  it('is verified where there are two stores only, and nothing is made', async () => {
    const [empty, beside] = [await database(), directory()]
    const verify = (to: string) => verifyCopy(optionsFor(source.data, to, { data: beside }))
    await assert.rejects(verify(empty), refused('not_found', /nothing to compare: the database .* holds no/))
    const tables = await ask(
      empty,
      "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    )
    assert.deepEqual(tables, [])
    await assert.rejects(verify(directory()), refused('not_found', /nothing to compare/))
    await assert.rejects(verify(source.data), refused('invalid_argument', /onto itself/))
    // A copy that was given up leaves tables without rows.
    const stopped = new AbortController()
    const { signal } = stopped
    const stop = copy(source.data, empty, { onProgress: () => stopped.abort(), signal })
    await assert.rejects(stop, { name: 'AbortError' })
    await discardCopy({ to: empty, version: '1.0.0' })
    await assert.rejects(verify(empty), refused('not_found', /is empty/))
    assert.ok(!existsSync(beside))
  })

  it('is refused: nothing to copy, a target with data, one place, servers at work, text that is no store', async () => {
    const [filled, empty] = [await database(), await database()]
    await copy(source.data, filled)
    const kept = await ask(filled, 'SELECT count(*)::int AS n FROM messages')
    await assert.rejects(
      copy(source.data, filled),
      refused('conflict', /is complete: .* copied from .*source already.* --verify/),
    )
    await ask(
      filled,
      "INSERT INTO events (organization_id, type, object_id, date) VALUES ('o', 't', 'x', 'd')",
    )
    await assert.rejects(
      copy(source.data, filled),
      refused('conflict', /is not empty \(rows: .*nothing was copied/),
    )
    assert.deepEqual(await ask(filled, 'SELECT count(*)::int AS n FROM messages'), kept)
    await assert.rejects(copy(directory(), empty), refused('not_found', /holds no Loci data/))
    await assert.rejects(copy(empty, directory()), refused('not_found', /holds no Loci data/))
    await assert.rejects(copy(source.data, source.data), refused('invalid_argument', /onto itself/))
    await assert.rejects(
      copy(filled, `${filled}&application_name=x`),
      refused('invalid_argument', /onto itself/),
    )
    await assert.rejects(copy(join(source.data, 'loci.db'), empty), refused('invalid_argument', /not a file/))
    await assert.rejects(
      copy('mysql://root:hidden@x/y', empty),
      (error: unknown) => !String(error).includes('hidden'),
    )
    await assert.rejects(
      copy(source.data, 'postgres://loci:hidden@127.0.0.1:9/loci'),
      (error: unknown) =>
        refused('store_unavailable', /127\.0\.0\.1:9/)(error) && !String(error).includes('hidden'),
    )
    await assert.rejects(
      copy('postgres://loci:hid den@x:99999999/loci', empty),
      (error: unknown) =>
        refused('invalid_argument', /address cannot be read/)(error) && !String(error).includes('hid'),
    )
    const other = await database()
    await ask(other, 'CREATE TABLE agents (name text)')
    await assert.rejects(copy(source.data, other), refused('store_unavailable', /of another program/))
    const store = await openPostgresStore({ address: filled, directory: folder })
    try {
      await assert.rejects(copy(filled, directory()), refused('conflict', /in use by Loci servers/))
    } finally {
      await store.close()
    }
    const opened = await openSqliteStore({ directory: source.data })
    try {
      await assert.rejects(copy(source.data, empty), refused('conflict', /is in use by/))
    } finally {
      await opened.close()
    }
    await assert.rejects(
      discardCopy({ to: empty, version: '1.0.0' }),
      refused('conflict', /not the target of an unfinished copy/),
    )
    await copy(source.data, empty)
  })

  it('notices that the source was used before it could go on, and begins anew when told to', async () => {
    const [used, to] = [directory(), await database()]
    await copy(source.data, used)
    const stopped = new AbortController()
    const stop = copy(used, to, {
      onProgress: (_, table) => table === 'passages' && stopped.abort(),
      signal: stopped.signal,
    })
    await assert.rejects(stop, { name: 'AbortError' })
    const started = await startOn({ data: used }, embedder)
    await started.good('POST', `/v1/agents/${ids['second']}/messages`, { input: 'Later.' })
    await started.loci.close()
    await assert.rejects(copy(used, to), refused('conflict', /not what that was then.*--restart/))
    await copy(used, to, { restart: true })
    await assert.rejects(discardCopy({ to, version: '1.0.0' }), refused('conflict', /was left as it is/))
  })

  it('notices that a database was changed while it was copied, and is not complete then', async () => {
    const [from, to] = [await database(), directory()]
    await copy(source.data, from)
    const changes: Promise<unknown>[] = []
    const copying = copy(from, to, {
      onProgress: (_, table) => {
        if (table === 'messages' && changes.length === 0)
          changes.push(
            ask(
              from,
              "INSERT INTO events (organization_id, type, object_id, date) VALUES ('o', 't', 'x', 'd')",
            ),
          )
      },
    })
    await assert.rejects(copying, refused('conflict', /was changed while it was copied.*--restart/))
    await Promise.all(changes)
    await assert.rejects(openSqliteStore({ directory: to }), refused('store_unavailable', /is not complete/))
    await copy(from, to, { restart: true })
  })

  it('says that a database went away in the middle, of either side, and goes on when it is back', async () => {
    const own = await startServer(withPgVector())
    try {
      await own.create('here')
      await own.create('there')
      const [here, there] = [own.address('here'), own.address('there')]
      for (const [from, to] of [
        [source.data, here],
        [here, there],
        [there, directory()],
      ] as const) {
        const crashes: Promise<void>[] = []
        const copying = copy(from, to, {
          onProgress: (_, table) => {
            if (table === 'runs' && crashes.length === 0) crashes.push(own.crash())
          },
          onStage: () => assert.fail('it went on without its database'),
        })
        await assert.rejects(
          copying,
          refused('store_unavailable', /^The (?:connection to the )?database \/.*\/(?:here|there)/),
        )
        await Promise.all(crashes)
        const { copied, rows } = await copy(from, to)
        const all = Object.values(rows).reduce((sum, n) => sum + n, 0)
        assert.ok(copied < all, `${copied} of ${all}`)
      }
    } finally {
      await own.stop()
    }
  })

  it('is given up: the target is empty again, and usable', async () => {
    for (const to of [await database(), directory()]) {
      const stopped = new AbortController()
      const stop = copy(source.data, to, {
        onProgress: (_, table) => table === 'messages' && stopped.abort(),
        signal: stopped.signal,
      })
      await assert.rejects(stop, { name: 'AbortError' })
      await assert.rejects(copy(to, directory()), refused('store_unavailable', /is not complete/))
      const address = to.startsWith('postgres') ? { LOCI_STORE: to } : {}
      const doctor = await loci(['doctor', '--json'], {
        env: { ...cleanEnvironment(folder), LOCI_HOME: to.startsWith('postgres') ? folder : to, ...address },
      })
      const told = JSON.parse(doctor.stdout) as { store: { check: string; status: string }[] }
      assert.equal(told.store.find(({ check }) => check === 'copy')?.status, 'error', doctor.stdout)
      assert.ok((await discardCopy({ to, version: '1.0.0' })).rows > 20)
      await copy(source.data, to)
    }
  })

  it('has its secrets encrypted with its own key, and says whose key is not here', async () => {
    const [there, back, beside] = [await database(), directory(), directory()]
    await copy(source.data, there, { encryption_key: 'a pass phrase', data: beside })
    const agent = `/v1/agents/${ids['second']}?include=agent.secrets`
    const read = async (place: Place, env: Record<string, string> = {}) => {
      const started = await startOn(place, embedder, env)
      try {
        const { secrets } = (await started.good('GET', agent)) as unknown as { secrets: { value: string }[] }
        return secrets.map(({ value }) => value)
      } finally {
        await started.loci.close()
      }
    }
    const elsewhere = directory()
    await assert.rejects(
      copy(there, back, { data: elsewhere }),
      refused('secrets_unreadable', /LOCI_ENCRYPTION_KEY.*--keep-sealed/),
    )
    await copy(there, back, { source_encryption_key: 'a pass phrase', data: elsewhere })
    assert.deepEqual(await read({ data: back }), [`${MARK} is secret`])
    const sealed = directory()
    const { secrets } = await copy(there, sealed, { keep_sealed: true, data: elsewhere })
    assert.ok(secrets.sealed >= 3 && secrets.opened === 0)
    assert.deepEqual(await read({ data: sealed }, { LOCI_ENCRYPTION_KEY: 'a pass phrase' }), [
      `${MARK} is secret`,
    ])
    assert.deepEqual(
      await read({ data: elsewhere, address: there }, { LOCI_ENCRYPTION_KEY: 'a pass phrase' }),
      [`${MARK} is secret`],
    )
  })

  /** The secret of the second agent, as a server with this pass phrase shows it. */
  const secretAt = async (address: string, key: string) => {
    const started = await startOn({ data: directory(), address }, embedder, { LOCI_ENCRYPTION_KEY: key })
    try {
      const path = `/v1/agents/${ids['second']}?include=agent.secrets`
      const { secrets } = (await started.good('GET', path)) as unknown as { secrets: { value: string }[] }
      return secrets.map(({ value }) => value)
    } finally {
      await started.loci.close()
    }
  }

  it('has a key of its own, also where servers were started on the source', async () => {
    const [used, further] = [await database(), await database()]
    await copy(source.data, used, { encryption_key: 'the first', data: directory() })
    assert.deepEqual(await secretAt(used, 'the first'), [`${MARK} is secret`])
    await copy(used, further, {
      source_encryption_key: 'the first',
      encryption_key: 'the second',
      data: directory(),
    })
    assert.deepEqual(await secretAt(further, 'the second'), [`${MARK} is secret`])
  })

  it('is refused by servers with another key than the one that its secrets have', async () => {
    const [there, sealed, beside] = [await database(), await database(), directory()]
    const { key } = await copy(source.data, there, { encryption_key: 'the first', data: beside })
    assert.equal(key?.from, 'LOCI_ENCRYPTION_KEY')
    const as_it_is = await copy(there, sealed, { keep_sealed: true, data: beside })
    assert.deepEqual(as_it_is.key, { id: key.id, from: null })
    for (const address of [there, sealed]) {
      await assert.rejects(secretAt(address, 'the second'), refused('secrets_unreadable', /is not here/))
      assert.deepEqual(await secretAt(address, 'the first'), [`${MARK} is secret`])
    }
  })

  it('goes on with the key that it began with only', async () => {
    const to = await database()
    const stopped = new AbortController()
    const stop = copy(source.data, to, {
      encryption_key: 'the first',
      onProgress: (_, table) => table === 'messages' && stopped.abort(),
      signal: stopped.signal,
    })
    await assert.rejects(stop, { name: 'AbortError' })
    const other = copy(source.data, to, { encryption_key: 'the second' })
    await assert.rejects(other, refused('conflict', /began with another key .*--restart/))
    await copy(source.data, to, { encryption_key: 'the first' })
    assert.deepEqual(await secretAt(to, 'the first'), [`${MARK} is secret`])
  })

  it('is verified with its secrets where both keys are here, and says how many cannot be compared', async () => {
    const [there, beside, elsewhere] = [await database(), directory(), directory()]
    const { secrets, key } = await copy(source.data, there, { encryption_key: 'the second', data: beside })
    const verify = (more: Partial<CopyOptions>) => verifyCopy(optionsFor(source.data, there, more))
    const nothing = { secrets: 0, source_keys: [], target_keys: [] }
    const both = await verify({ encryption_key: 'the second', data: elsewhere })
    assert.deepEqual([both.differences, both.uncompared], [[], nothing])
    const none = await verify({ data: elsewhere })
    const { id } = key ?? assert.fail()
    const uncompared = { secrets: secrets.opened, source_keys: [], target_keys: [id] }
    assert.deepEqual([none.differences, none.uncompared], [[], uncompared])
    const back = await verifyCopy(optionsFor(there, source.data, { data: elsewhere }))
    assert.deepEqual(
      [back.differences, back.uncompared],
      [[], { ...uncompared, source_keys: [id], target_keys: [] }],
    )
    const env = { ...cleanEnvironment(folder), LOCI_HOME: elsewhere }
    const command = ['store', 'copy', '--from', source.data, '--to', there, '--verify']
    const told = await loci(command, { env })
    assert.equal(told.code, 1, told.stderr)
    const said = `${secrets.opened} secrets cannot be compared without their keys: set LOCI_ENCRYPTION_KEY to that of`
    assert.ok(told.stderr.includes(said) && told.stderr.includes(id), told.stderr)
    const content = await loci([...command, '--keep-sealed'], { env })
    assert.equal(content.code, 0, content.stderr)
    assert.ok(content.stderr.includes(said), content.stderr)
    const whole = await loci(command, { env: { ...env, LOCI_ENCRYPTION_KEY: 'the second' } })
    assert.equal(whole.code, 0, whole.stderr)
    assert.ok(!whole.stderr.includes('cannot be compared'), whole.stderr)
    // With the keys a secret that is another is found, and without them one that is gone.
    await ask(
      there,
      `UPDATE agent_secrets SET value = set_byte(value, 20, 255 - get_byte(value, 20)) WHERE agent_id = '${ids['second']}'`,
    )
    const changed = await verify({ encryption_key: 'the second', data: elsewhere })
    assert.deepEqual(
      changed.differences.map(({ table, what }) => [table, what]),
      [['agent_secrets', 'changed']],
    )
    await ask(there, `DELETE FROM agent_secrets WHERE agent_id = '${ids['second']}'`)
    const gone = await verify({ data: elsewhere })
    assert.deepEqual(
      gone.differences.map(({ table, what }) => [table, what]),
      [['agent_secrets', 'missing']],
    )
  })

  it('says which key its secrets have, and how a server is started that reads them', async () => {
    const [to, beside] = [await database(), directory()]
    const env = { ...cleanEnvironment(folder), LOCI_HOME: beside }
    const { code, stderr } = await loci(['store', 'copy', '--from', source.data, '--to', to], { env })
    assert.equal(code, 0, stderr)
    const file = join(beside, 'secrets.key')
    assert.ok(stderr.includes(`encrypted with the key in ${file}. Servers with another data`), stderr)
    assert.ok(stderr.includes(`LOCI_ENCRYPTION_KEY="$(head -n 1 ${file})"`), stderr)
    assert.ok(stderr.includes(`To use the copy: loci server --data ${beside} --store postgres://…`), stderr)
    const line = (await readFile(file, 'utf8')).trim()
    assert.deepEqual(await secretAt(to, line), [`${MARK} is secret`])
  })

  it('brings uploads that nobody has read yet', async () => {
    const [waiting, to] = [directory(), directory()]
    await copy(source.data, waiting)
    const file_id = 'file-00000000-0000-4000-8000-00000000abcd'
    const store = new DatabaseSync(join(waiting, 'loci.db'))
    store
      .prepare(
        `INSERT INTO files (id, organization_id, folder_id, name, size, status, type, created_at, updated_at)
         SELECT ?, organization_id, id, 'later.txt', 18, 'pending', 'text/plain', created_at, updated_at FROM folders WHERE id = ?`,
      )
      .run(file_id, ids['unread'] ?? '')
    store.close()
    const there = await database()
    const absent = await copy(waiting, there)
    assert.deepEqual(absent.uploads, { copied: 0, absent: ['later.txt'] })
    await mkdir(join(waiting, 'files'), { recursive: true })
    await writeFile(join(waiting, 'files', file_id), 'Pangolins do read.')
    assert.deepEqual((await copy(waiting, to)).uploads, { copied: 1, absent: [] })
    assert.equal(await readFile(join(to, 'files', file_id), 'utf8'), 'Pangolins do read.')
    const [grown, back] = [await database(), directory()]
    assert.deepEqual((await copy(waiting, grown)).uploads, { copied: 1, absent: [] })
    assert.deepEqual((await copy(grown, back)).uploads, { copied: 1, absent: [] })
    assert.equal(await readFile(join(back, 'files', file_id), 'utf8'), 'Pangolins do read.')
    const check = async (from: string, other: string) =>
      (await verifyCopy(optionsFor(from, other))).differences
    assert.deepEqual(await check(waiting, grown), [])
    assert.deepEqual(await check(grown, back), [])
    const unlike = (what: string) => [{ table: 'uploads', key: JSON.stringify([file_id]), what }]
    await writeFile(join(back, 'files', file_id), 'Pangolins do real.')
    assert.deepEqual(await check(grown, back), unlike('changed'))
    await ask(grown, 'TRUNCATE upload_chunks')
    assert.deepEqual(await check(waiting, grown), unlike('missing'))
    // Given up, nothing of it stays.
    for (const there of [await database(), directory()]) {
      const given_up = new AbortController()
      const onProgress = (phase: string) => phase === 'verifying' && given_up.abort()
      await assert.rejects(copy(waiting, there, { onProgress, signal: given_up.signal }), {
        name: 'AbortError',
      })
      const left = async () =>
        there.startsWith('postgres')
          ? (await ask(there, 'SELECT DISTINCT file_id FROM upload_chunks')).map((row) => row['file_id'])
          : await readdir(join(there, 'files'))
      assert.deepEqual(await left(), [file_id])
      await discardCopy({ to: there, version: '1.0.0' })
      assert.deepEqual(await left(), [])
    }
    // What an earlier call has left there is not taken for it.
    const [over, stop] = [directory(), new AbortController()]
    await mkdir(join(over, 'files'), { recursive: true })
    await writeFile(join(over, 'files', file_id), 'Something else.')
    const onStage = () => stop.abort()
    await assert.rejects(copy(waiting, over, { onStage, signal: stop.signal }), { name: 'AbortError' })
    assert.equal(await readFile(join(over, 'files', file_id), 'utf8').catch(() => ''), '')
    assert.deepEqual((await copy(waiting, over)).uploads, { copied: 1, absent: [] })
  })
})

/** The same numbers from 0 to 1 for the same seed. */
function* numbersFrom(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 32
  }
}
