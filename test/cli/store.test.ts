import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'

describe('loci store copy', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let source: string

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    source = join(folder.path, 'loci')
    const made = await loci(['agents', 'create', 'Ada', '--model', 'loci/demo'], { env })
    assert.equal(made.code, 0, made.stderr)
  })
  afterEach(() => folder.remove())

  const copy = (to: string, ...more: string[]) =>
    loci(['store', 'copy', '--from', source, '--to', to, ...more], { env })

  /** Many messages, so that a copy takes a while. */
  function enlarge(rows: number): void {
    const store = new DatabaseSync(join(source, 'loci.db'))
    store.exec(`
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
      INSERT INTO messages (id, organization_id, agent_id, conversation_id, role, is_err, searchable, created_at, data)
        SELECT printf('message-%08x-0000-4000-8000-000000000000', i), organization_id, agent_id, conversation_id, role, 0, 0,
          created_at, data FROM n, (SELECT * FROM messages LIMIT 1)`)
    store.close()
  }

  it('prints rows of each table, and the copy has the agents', async () => {
    const to = join(folder.path, 'copy')
    const { code, stdout, stderr } = await copy(to)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^agents\t1$/m)
    assert.match(stdout, /^in all\t\d+$/m)
    assert.match(stderr, /^copied agents: 1 row$/m)
    assert.match(stderr, /Copied and verified in .* rows from .*loci to .*copy\./)
    const listed = await loci(['agents', 'list', '--data', to], { env })
    assert.match(listed.stdout, /^Ada\t/)
  })

  it('tells it as JSON, with nothing on stderr', async () => {
    const to = join(folder.path, 'copy')
    const { code, stdout, stderr } = await copy(to, '--json')
    assert.deepEqual([code, stderr], [0, ''])
    const told = JSON.parse(stdout) as Record<string, unknown> & { rows: Record<string, number> }
    assert.deepEqual([told['same'], told['differences'], told['to'], told.rows['agents']], [true, [], to, 1])
    assert.equal(told['copied'], told['total'])
  })

  it('verifies alone, and ends with 1 naming what differs', async () => {
    const to = join(folder.path, 'copy')
    await copy(to)
    const same = await copy(to, '--verify')
    assert.equal(same.code, 0, same.stderr)
    assert.match(same.stderr, /Every row of .*loci is in .*copy, and nothing else/)
    const store = new DatabaseSync(join(to, 'loci.db'))
    const id = String(store.prepare('SELECT id FROM agents').get()?.['id'])
    store.exec("UPDATE agents SET name = 'Eve'")
    store.close()
    const { code, stderr } = await copy(to, '--verify')
    assert.equal(code, 1)
    assert.ok(stderr.includes(`agents ["${id}"]: changed`), stderr)
    assert.match(stderr, /loci: 1 row is not the same in .*, the first in agents/)
    const json = await copy(to, '--verify', '--json')
    const told = JSON.parse(json.stdout) as Record<string, unknown>
    assert.deepEqual([json.code, told['same']], [1, false])
    assert.deepEqual(told['differences'], [{ table: 'agents', key: JSON.stringify([id]), what: 'changed' }])
  })

  it('verifies nothing that is not there, and makes nothing', async () => {
    const typo = join(folder.path, 'locj')
    const data = ['--data', join(folder.path, 'elsewhere')]
    for (const places of [
      ['--from', source, '--to', typo],
      ['--from', typo, '--to', source],
    ]) {
      const before = await readdir(folder.path, { recursive: true })
      const { code, stdout, stderr } = await loci(['store', 'copy', ...places, ...data, '--verify'], { env })
      assert.deepEqual([code, stdout], [1, ''])
      assertReadable(stderr)
      assert.match(stderr, /There is nothing to compare: .*locj holds no Loci data/)
      assert.deepEqual(await readdir(folder.path, { recursive: true }), before)
    }
  })

  it('stops at Ctrl-C saying how to go on; nobody opens the copy until it is complete', async function () {
    this.timeout(60_000)
    enlarge(60_000)
    const to = join(folder.path, 'copy')
    const running = start(process.execPath, [LOCI, 'store', 'copy', '--from', source, '--to', to], env)
    let sent = false
    running.child.stderr?.on('data', () => {
      // What comes next are the messages.
      if (sent || !/^copied conversations/m.test(running.stderr)) return
      sent = true
      // One Ctrl-C reaches it twice where something passes it on.
      for (const signal of ['SIGINT', 'SIGINT'] as const) running.child.kill(signal)
    })
    const { code } = await running.exited
    assert.equal(code, 130, running.stderr)
    assert.match(running.stderr, /loci: Stopped\. To go on, give the same command again/)
    const opened = await loci(['agents', 'list', '--data', to], { env })
    assert.equal(opened.code, 1)
    assertReadable(opened.stderr)
    assert.match(opened.stderr, /is not complete: a copy of .*loci into it began/)
    const doctor = await loci(['doctor', '--data', to, '--json'], { env })
    const { store } = JSON.parse(doctor.stdout) as { store: { check: string; status: string }[] }
    assert.equal(store.find(({ check }) => check === 'copy')?.status, 'error')
    const { code: done, stderr } = await copy(to)
    assert.equal(done, 0, stderr)
    assert.match(stderr, /60,\d{3} rows \([\d,]+ were there from before\)/)
  })

  describe('from or to a database that accepts connections and says nothing', () => {
    let silent: Server
    let address: string
    const sockets: Socket[] = []

    beforeEach(async () => {
      silent = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
      silent.listen(0, '127.0.0.1')
      await once(silent, 'listening')
      address = `postgres://loci@127.0.0.1:${(silent.address() as AddressInfo).port}/loci`
    })
    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.destroy()
      silent.close()
    })

    it('ends at once at Ctrl-C', async () => {
      for (const places of [
        ['--from', address, '--to', join(folder.path, 'copy')],
        ['--from', source, '--to', address],
      ]) {
        const connected = once(silent, 'connection')
        const running = start(process.execPath, [LOCI, 'store', 'copy', ...places], env)
        await connected
        const asked = performance.now()
        running.child.kill('SIGINT')
        const { code } = await running.exited
        assert.equal(code, 130, running.stderr)
        assert.equal(running.stderr, 'loci: Stopped. Nothing was copied.\n')
        assert.ok(performance.now() - asked < 5_000, 'it waited for the database')
      }
    })

    it('says so after ten seconds', async () => {
      const { code, stderr } = await copy(address)
      assert.equal(code, 1)
      assertReadable(stderr)
      assert.match(stderr, /The database 127\.0\.0\.1:\d+\/loci has not answered in 10 seconds/)
    })
  })

  it('gives an unfinished copy up, and no other', async () => {
    const to = join(folder.path, 'copy')
    await copy(to)
    const kept = await loci(['store', 'copy', '--to', to, '--discard'], { env })
    assert.equal(kept.code, 1)
    assert.match(kept.stderr, /was left as it is/)
  })

  it('refuses in a sentence, without the password, and changes nothing', async () => {
    const to = join(folder.path, 'copy')
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    await server.waitFor(/ on (http:\/\/127\.0\.0\.1:\d+)$/m)
    const used = await copy(to)
    await server.stop()
    assert.equal(used.code, 1)
    assert.match(used.stderr, /is in use by process \d+.*then copy again/)
    assert.ok(!existsSync(to))
    for (const place of [
      'postgres://ada:hidden@127.0.0.1:1/loci',
      'mysql://ada:hidden@db/loci',
      'postgres://ada:hid den@x:y/l',
    ])
      for (const args of [
        ['--from', source, '--to', place],
        ['--from', place, '--to', to],
      ]) {
        const { code, stdout, stderr } = await loci(['store', 'copy', ...args], { env })
        assert.equal(code, 1)
        assertReadable(stderr)
        assert.doesNotMatch(stdout + stderr, /hid/)
      }
  })
})
