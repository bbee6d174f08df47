import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import type { AgentSecret } from '../../shared/schema/agent.ts'
import { ADA, anAgent } from '../contracts/store/samples.ts'
import { cleanEnvironment, LOCI, start, temporaryFolder } from '../support/cli-process.ts'
import { eventually, startLoci } from '../support/loci.ts'
import { startServer, type TestServer } from './server.ts'

const PASSWORD = 'pa55w0rd'

interface Finding {
  check: string
  status: string
  message: string
  data?: Record<string, unknown>
}

describe('Loci over PostgreSQL, every day', function () {
  this.timeout(120_000)
  let server: TestServer
  let home: Awaited<ReturnType<typeof temporaryFolder>>
  let address: string

  before(async () => {
    server = await startServer()
    home = await temporaryFolder()
    await server.create('loci')
    // Trusted, as everybody is here: nobody asks for it, and nobody is to show it.
    address = server.address('loci').replace('loci@', `loci:${PASSWORD}@`)
    await (await openPostgresStore({ address, directory: home.path })).close()
  })
  after(async () => {
    await home?.remove()
    await server?.stop()
  })

  /** Runs a command to its end. What it says never has the password in it. */
  async function run(args: string[], env: Record<string, string> = { LOCI_STORE: address }) {
    const running = start(process.execPath, [LOCI, ...args], cleanEnvironment(home.path, env))
    const { code } = await running.exited
    const { stdout, stderr } = running
    assert.doesNotMatch(stdout + stderr, new RegExp(PASSWORD))
    return { code, stdout, stderr, all: (stdout + stderr).replaceAll(/\s+/g, ' ') }
  }

  async function doctor(args: string[] = [], env?: Record<string, string>): Promise<Map<string, Finding>> {
    const { stdout, stderr } = await run(['doctor', '--json', ...args], env)
    assert.equal(stderr, '')
    const report = JSON.parse(stdout) as { store: Finding[] }
    return new Map(report.store.map((finding) => [finding.check, finding]))
  }

  it('is examined by loci doctor', async () => {
    const found = await doctor()
    const ok = ['database', 'rights', 'schema', 'connections', 'replication', 'sizes', 'clock', 'secrets']
    for (const check of ok)
      assert.equal(found.get(check)?.status, 'ok', `${check}: ${found.get(check)?.message}`)
    assert.match(found.get('database')?.message ?? '', /PostgreSQL \d+.*, UTF8, connected in/)
    assert.match(
      found.get('connections')?.message ?? '',
      /of 57 taken, .* a server takes up to 11: room for 5/,
    )
    // The test's own server is started so.
    assert.match(found.get('writes')?.message ?? '', /fsync is off/)
    assert.match(found.get('pgvector')?.message ?? '', /compared in the memory of each server|version/)
    const text = await run(['doctor'])
    assert.match(text.all, /Store in PostgreSQL: \S+\/loci ok database/)
    const named = await run(['doctor', '--store', address], {})
    assert.match(named.all, /Store in PostgreSQL/)
  })

  it('is told apart by loci doctor: not there, not allowed, of another program, read-only, newer', async () => {
    const gone = await doctor(['--store', 'postgres://loci@127.0.0.1:1/loci'], {})
    assert.match(gone.get('database')?.message ?? '', /nothing listens there/)
    await server.create('bad')
    const client = new Client({ connectionString: server.address('bad') })
    await client.connect()
    await client.query('CREATE TABLE meta (id int)')
    const bad = server.address('bad')
    const foreign = await doctor(['--store', bad], {})
    assert.match(foreign.get('store')?.message ?? '', /tables of another program/)
    await client.query('DROP TABLE meta')
    await (await openPostgresStore({ address: bad, directory: home.path })).close()
    await client.query("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    assert.match(
      (await doctor(['--store', bad], {})).get('schema')?.message ?? '',
      /a newer Loci has updated it/,
    )
    const allowed = (await doctor(['--store', bad], {})).get('schema')
    assert.equal(allowed?.status, 'warning', 'older servers may go on')
    await client.query("UPDATE meta SET value = '99' WHERE key = 'oldest_writer'")
    assert.equal((await doctor(['--store', bad], {})).get('schema')?.status, 'error')
    await client.query("UPDATE meta SET value = '1' WHERE key IN ('schema_version', 'oldest_writer')")
    await client.query('CREATE ROLE reader LOGIN')
    const reader = await doctor(['--store', bad.replace('loci@', 'reader@')], {})
    assert.equal(reader.get('rights')?.status, 'error')
    await client.query('ALTER DATABASE bad SET default_transaction_read_only = on')
    await client.end()
    const readOnly = await doctor(['--store', bad], {})
    assert.match(readOnly.get('writes')?.message ?? '', /takes no writes/)
  })

  it('is not backed up, restored or removed as a data directory: it is said what to use', async () => {
    const files = await readdir(home.path)
    const backup = await run(['backup', 'friday.dump'])
    assert.equal(backup.code, 1)
    assert.match(backup.all, /Agents are in PostgreSQL \(\S+\/loci\)/)
    assert.match(backup.all, /pg_dump --format=custom --file=friday\.dump 'postgres:\/\/loci@/)
    const restore = await run(['restore', 'friday.dump'])
    assert.equal(restore.code, 1)
    assert.match(restore.all, /pg_restore .*--dbname='postgres:\/\/loci@.* friday\.dump/)
    assert.match((await run(['backup', '--store', address], {})).all, /pg_dump/)
    assert.match((await run(['uninstall'])).all, /Agents are in PostgreSQL .* also with --purge/)
    assert.deepEqual(await readdir(home.path), files)
  })

  it('is where every command looks, also when config.json alone says so', async () => {
    const config = join(home.path, 'loci', 'config.json')
    assert.equal((await run(['agents', 'create', 'Grace', '--model', 'loci/demo'])).code, 0)
    assert.match((await run(['config', 'set', 'store.address', address], {})).all, /store\.address/)
    try {
      assert.match((await run(['agents', 'list'], {})).stdout, /Grace/)
      assert.match((await run(['config', 'show'], {})).stdout, /"address": "postgres:\/\/\*\*\*@/)
      assert.match((await run(['doctor'], {})).all, /Store in PostgreSQL/)
      assert.match((await run(['backup'], {})).all, /pg_dump/)
      // A variable that is not set is no reason to begin another store.
      await writeFile(config, JSON.stringify({ store: { address: '${env:TEAM_STORE}' } }))
      assert.match((await run(['agents', 'list'], { TEAM_STORE: address })).stdout, /Grace/)
      const unset = await run(['agents', 'list'], {})
      assert.equal(unset.code, 1)
      assert.match(unset.all, /store\.address is in the variable TEAM_STORE, which is not set here/)
      await writeFile(config, JSON.stringify({ store: { address: 'mysql://x' } }))
      assert.match((await run(['agents', 'list'], {})).all, /expected postgres:\/\//)
    } finally {
      await writeFile(config, '{}')
    }
    assert.ok(!(await readdir(join(home.path, 'loci'))).includes('loci.db'))
  })

  it('is named by the greeting of loci server, and not with its password', async () => {
    const running = start(
      process.execPath,
      [LOCI, 'server', '--port', '0', '--store', address],
      cleanEnvironment(home.path),
    )
    await running.waitFor(/Agents in PostgreSQL: \S+\/loci\n/)
    await running.waitFor(/loci chat \S+ --url http/)
    await running.stop()
    assert.doesNotMatch(running.stdout + running.stderr, new RegExp(PASSWORD))
  })

  it('is not lost by an MCP host that does not see this shell’s LOCI_STORE', async () => {
    const { code, all } = await run(['mcp', 'install', 'cursor', '--print'])
    assert.equal(code, 1)
    assert.match(all, /loci config set store\.address/)
    assert.equal(
      (await run(['mcp', 'install', 'cursor', '--print', '--url', 'http://127.0.0.1:8283'])).code,
      0,
    )
  })

  it('is not ready where it takes no writes, and ready again afterwards', async () => {
    await server.create('probe')
    const own = server.address('probe')
    const loci = await startLoci({ env: { LOCI_STORE: own } })
    const admin = new Client({ connectionString: server.address('postgres') })
    await admin.connect()
    const end = () =>
      admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'probe'")
    try {
      assert.equal((await loci.http('GET', '/v1/ready')).status, 200)
      await admin.query('ALTER DATABASE probe SET default_transaction_read_only = on')
      await end()
      // What was good a moment ago counts for a second.
      let answer = await loci.http('GET', '/v1/ready')
      for (const until = Date.now() + 10_000; answer.status === 200 && Date.now() < until;)
        answer = await loci.http('GET', '/v1/ready')
      assert.equal(answer.status, 503)
      assert.match(JSON.stringify(answer.body), /takes no writes/)
      await admin.query('ALTER DATABASE probe SET default_transaction_read_only = off')
      await end()
      for (const until = Date.now() + 10_000; answer.status !== 200 && Date.now() < until;)
        answer = await loci.http('GET', '/v1/ready')
      assert.equal(answer.status, 200)
    } finally {
      await admin.end()
      await loci.close()
    }
  })

  describe('has one key for its secrets', () => {
    it('and a server that began without it says so where they are needed, and shows that they are there', async () => {
      await server.create('later')
      const env = { LOCI_STORE: server.address('later') }
      const keyless = await startLoci({ env })
      const first = await startLoci({ env })
      try {
        const secrets = { TOKEN: 'hush' }
        const { id } = await first.letta.agents.create({ name: 'ada', secrets })
        const made = await keyless.http('POST', '/v1/agents/', { name: 'bob', secrets })
        assert.equal(made.status, 503)
        assert.match(JSON.stringify(made.body), /Give this Loci the same LOCI_ENCRYPTION_KEY as the others/)
        for (const read of [
          await keyless.http('GET', `/v1/agents/${id}`),
          await keyless.http('PATCH', `/v1/agents/${id}`, { description: 'changed' }),
        ]) {
          const [secret, ...more] = (read.body as { secrets: AgentSecret[] }).secrets
          assert.deepEqual([secret?.key, secret?.value, more], ['TOKEN', '', []])
          assert.match(secret?.description ?? '', /cannot be read here/)
        }
        const asked = await keyless.http('GET', `/v1/agents/${id}?include=agent.secrets`)
        assert.equal(asked.status, 503)
        assert.match(JSON.stringify(asked.body), /set LOCI_ENCRYPTION_KEY to the key they were stored with/)
        const kept = await first.http('GET', `/v1/agents/${id}`)
        assert.equal((kept.body as { secrets: AgentSecret[] }).secrets[0]?.value, 'hush')
        assert.deepEqual([...keyless.failures, ...first.failures], [])
      } finally {
        await first.close()
        await keyless.close()
      }
    })

    it('and a server that began before there was one is told when there is, once', async () => {
      await server.create('afterwards')
      const address = server.address('afterwards')
      const folders = await Promise.all([temporaryFolder(), temporaryFolder()])
      const [one, two] = folders
      const notices: string[] = []
      const keyless = await openPostgresStore({
        address,
        directory: one.path,
        key_look_ms: 20,
        onNotice: (text) => notices.push(text),
      })
      try {
        assert.deepEqual(notices, [])
        await (
          await openPostgresStore({ address, directory: two.path, encryption_key: 'open sesame' })
        ).close()
        await eventually('it is told', () => (notices.length > 0 ? true : null))
        assert.match(notices.join(), /same LOCI_ENCRYPTION_KEY as the others.*neither read nor keep secrets/)
        await keyless.ready()
        assert.equal(notices.length, 1)
      } finally {
        await keyless.close()
        await Promise.all(folders.map((folder) => folder.remove()))
      }
    })

    it('and a server with another one is told so when it starts, not when it reads', async () => {
      await server.create('keys')
      const own = server.address('keys')
      const folders = await Promise.all([temporaryFolder(), temporaryFolder(), temporaryFolder()])
      const [one, two, three] = folders
      try {
        const first = await openPostgresStore({
          address: own,
          directory: one.path,
          encryption_key: 'open sesame',
        })
        await assert.rejects(
          openPostgresStore({ address: own, directory: two.path, encryption_key: 'another' }),
          {
            code: 'secrets_unreadable',
            message: /Give this Loci the same LOCI_ENCRYPTION_KEY as the others/,
          },
        )
        await (
          await openPostgresStore({ address: own, directory: two.path, encryption_key: 'open sesame' })
        ).close()
        const notices: string[] = []
        const keyless = await openPostgresStore({
          address: own,
          directory: three.path,
          onNotice: (text) => notices.push(text),
        })
        assert.match(notices.join(), /neither read nor keep secrets/)
        const agent = (name: string) => ({ ...anAgent(name), secrets: { KEY: 'value' } })
        await assert.rejects(keyless.agents.create(ADA, agent('a')), { code: 'secrets_unreadable' })
        await first.agents.create(ADA, agent('b'))
        assert.deepEqual(await readdir(three.path), [])
        await keyless.close()
        await first.close()
      } finally {
        await Promise.all(folders.map((folder) => folder.remove()))
      }
    })
  })
})
