/** What is said when a connection to a real server is not made, and what TLS verifies. */
import assert from 'node:assert/strict'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { isAppError, messageOf } from '../../shared/schema/errors.ts'
import { openDatabase, type PostgresDatabase } from '../../shared/store/postgres/database.ts'
import { examineDatabase } from '../../shared/store/postgres/doctor.ts'
import { WriteProbe } from '../../shared/store/postgres/write-probe.ts'
import { type Certificate, createAuthority } from '../support/certificates.ts'
import { nobody, startServer, type TestServer } from './server.ts'

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

describe('a connection to PostgreSQL', () => {
  const authority = createAuthority()
  let folder: string
  let port: number
  let server: TestServer
  const opened: PostgresDatabase[] = []
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)

  const open = async (address: string) => {
    const database = await openDatabase({ address, version: '0', deadline_ms: 1_000 })
    opened.push(database)
    return database
  }
  const tcp = (options: string, { host = 'localhost', name = 'loci' } = {}) =>
    `postgres://loci:sesame@${host}:${port}/${name}?${options}`
  const ask = async (sql: string) => {
    const admin = new Client({ connectionString: server.address('postgres') })
    await admin.connect()
    try {
      return (await admin.query(sql)).rows as Record<string, unknown>[]
    } finally {
      await admin.end()
    }
  }
  const refuses = (work: Promise<unknown>, said: RegExp) =>
    assert.rejects(work, (error: Error) => {
      assert.match(error.message, said)
      assert.doesNotMatch(error.message, /sesame/)
      return isAppError(error, 'store_unavailable')
    })
  const usesTls = async (database: PostgresDatabase) =>
    await database.read(
      async (c) =>
        (
          await c.rows({ sql: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()', parameters: [] })
        )[0],
    )

  before(async function () {
    this.timeout(120_000)
    process.on('warning', warned)
    folder = await mkdtemp(join(tmpdir(), 'loci-pg-tls-'))
    const user = await nobody()
    if (user) await chown(folder, user.uid, user.gid)
    const write = async (name: string, text: string) => {
      const file = join(folder, name)
      await writeFile(file, text, { mode: 0o600 })
      if (user) await chown(file, user.uid, user.gid)
      return file
    }
    const { cert, key }: Certificate = authority.issue()
    await write('ca.pem', authority.ca)
    await write('other.pem', createAuthority().ca)
    port = await freePort()
    server = await startServer(
      undefined,
      {
        listen_addresses: '127.0.0.1',
        port: String(port),
        ssl_cert_file: await write('cert.pem', cert),
        ssl_key_file: await write('key.pem', key),
      },
      'sesame',
    )
    await server.create('loci')
    await ask('ALTER SYSTEM SET ssl = on')
    await ask('SELECT pg_reload_conf()')
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()))
  })
  after(async () => {
    process.off('warning', warned)
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('has TLS as libpq means each sslmode, without a warning', async () => {
    const ca = (name: string) => `sslrootcert=${encodeURIComponent(join(folder, name))}`
    const untrusted = /signed by nobody that is trusted here .*sslrootcert=FILE/
    for (const options of [
      'sslmode=require',
      'sslmode=prefer',
      'sslmode=no-verify',
      `sslmode=require&${ca('ca.pem')}`,
      `sslmode=verify-ca&${ca('ca.pem')}`,
      `sslmode=verify-full&${ca('ca.pem')}`,
    ])
      assert.deepEqual(await usesTls(await open(tcp(options))), { ssl: true }, options)
    assert.deepEqual(await usesTls(await open(tcp('sslmode=disable'))), { ssl: false })
    // The certificate is of localhost and 127.0.0.1, and 127.1 is the same machine.
    const other = { host: '127.1' }
    for (const options of ['sslmode=require', `sslmode=verify-ca&${ca('ca.pem')}`])
      assert.deepEqual(await usesTls(await open(tcp(options, other))), { ssl: true }, options)
    await refuses(
      open(tcp(`sslmode=verify-full&${ca('ca.pem')}`, other)),
      /certificate is of another host .*sslmode/,
    )
    await refuses(open(tcp('sslmode=verify-full')), untrusted)
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      await refuses(open(tcp(`sslmode=${mode}&${ca('other.pem')}`)), untrusted)
    await refuses(open(tcp(`sslmode=verify-full&${ca('key.pem')}`)), /no TLS connection|signed by nobody/)
    assert.deepEqual(warnings, [])
  })

  it('that is refused is store_unavailable with its reason, also later', async () => {
    const database = await open(tcp('sslmode=require'))
    const probe = new WriteProbe(database)
    await probe.check()
    await server.create('closed')
    const closed = await open(tcp('sslmode=require', { name: 'closed' }))
    await ask('ALTER DATABASE closed ALLOW_CONNECTIONS false')
    await ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'closed'")
    const said = /closed.* cannot be used: .*not currently accepting connections.*ALLOW_CONNECTIONS true/
    await refuses(closed.check(), said)
    await refuses(new WriteProbe(closed).check(), said)
    await ask('ALTER SYSTEM SET ssl = off')
    await server.restart()
    const none = /it has no TLS, .*ssl = on.*sslmode=disable/
    try {
      await refuses(database.check(), none)
      await refuses(open(tcp('sslmode=require')), none)
      const [finding] = await examineDatabase(tcp('sslmode=require'), { directory: folder })
      assert.match(finding?.message ?? '', none)
      assert.equal(finding?.mend, undefined)
    } finally {
      await ask('ALTER SYSTEM SET ssl = on')
      await server.restart()
    }
    await database.check()
  })

  it('names the address that was not reached, and what to look at', async () => {
    await refuses(open(tcp('direct=127.0.0.1:1')), /database 127\.0\.0\.1:1\/loci .*nothing listens there/)
    await refuses(open(tcp('options=-csearch_path%3Dnowhere')), /schema.* Create that schema/)
    const nameless = `postgres://loci@localhost:${port}/loci`
    await refuses(open(nameless), /asks for a password|refuses the user or password/)
    const [row] = await ask('SHOW hba_file')
    const file = String(row?.['hba_file'])
    const usual = await readFile(file, 'utf8')
    try {
      await writeFile(file, `host all all all reject\n${usual}`)
      await ask('SELECT pg_reload_conf()')
      await refuses(open(tcp('')), /lets this user, machine or kind of connection not in .*pg_hba\.conf/)
    } finally {
      await writeFile(file, usual)
      await ask('SELECT pg_reload_conf()')
    }
  })

  it('says of what is no PostgreSQL that it is none', async () => {
    const web = createHttpServer((_request, response) => response.end('hello'))
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    const { port: other } = web.address() as AddressInfo
    try {
      await refuses(
        open(`postgres://loci:sesame@127.0.0.1:${other}/loci`),
        /closes the connection without a word of PostgreSQL. See whether host and port are right/,
      )
    } finally {
      await new Promise((resolve) => web.close(resolve))
    }
  })

  it('of a user that may only read, and one to a database without a table, is not ready', async () => {
    await (await open(server.address('loci'))).close()
    const inside = new Client({ connectionString: server.address('loci') })
    await inside.connect()
    try {
      await inside.query('CREATE ROLE onlooker LOGIN; GRANT USAGE ON SCHEMA public TO onlooker')
      await inside.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker')
      const address = server.address('loci').replace('loci@', 'onlooker@')
      const others = [await open(server.address('loci')), await open(server.address('loci'))]
      for (const other of others) await other.check()
      const onlooker = await open(address)
      await refuses(new WriteProbe(onlooker).check(), /may not read and change .* and \d+ others.*GRANT/)
      const examine = async (where: string) =>
        new Map((await examineDatabase(where, { directory: folder })).map((found) => [found.check, found]))
      const denied = await examine(address)
      assert.equal(denied.get('rights')?.status, 'error')
      // Whose connections they are is hidden from it.
      const { used, loci } = denied.get('connections')!.data as { used: number; loci: number }
      assert.ok(loci > 1 && used >= loci, `${used} of ${loci}`)
      assert.match(denied.get('tables')?.message ?? '', /may not read and change/)
      const owner = await open(server.address('loci'))
      await new WriteProbe(owner).check()
      assert.equal((await examine(server.address('loci'))).get('tables'), undefined)
      await inside.query('DROP TABLE agent_tags CASCADE')
      await refuses(new WriteProbe(owner).check(), /not there: agent_tags.*backup/)
      const found = (await examine(server.address('loci'))).get('tables')
      assert.deepEqual([found?.status, found?.message], ['error', 'tables of Loci are not there: agent_tags'])
    } finally {
      await inside.end()
    }
  })

  it('is not to blame for a mistake in a statement', async () => {
    const database = await open(server.address('loci'))
    await assert.rejects(
      database.read((c) => c.rows({ sql: 'SELECT lastval()', parameters: [] })),
      // 55000 too, as of a database that accepts no connections.
      (error: unknown) => !isAppError(error) && /lastval/.test(messageOf(error)),
    )
  })
})
