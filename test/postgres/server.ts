import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'

/** Where Debian's packages put the programs of each version. */
const DEBIAN = '/usr/lib/postgresql'
const READY_WITHIN_MS = 60_000

/** A PostgreSQL of its own for some tests, in a temporary folder and on a Unix socket. */
export interface TestServer {
  /** Its main process. */
  pid(): number | undefined
  /** Where its socket is, and may be those of others. */
  folder: string
  /** The address of one of its databases. */
  address(database: string): string
  /** Makes a database, a copy of another when one is named. */
  create(database: string, template?: string): Promise<void>
  drop(database: string): Promise<void>
  /** Ends it as a crash does, and starts it again. */
  crash(): Promise<void>
  /** Ends it as a crash does; what is answered starts it again. */
  down(): Promise<() => Promise<void>>
  /** Whether it has ended by itself. */
  hasEnded(): boolean
  /** Ends it in good order, cutting whoever is connected off, and starts it again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** The programs of a PostgreSQL that has pgvector, which Debian 12 does not: `.ci/install-pgvector.sh` brings one. */
export function withPgVector(): string {
  const given = process.env['LOCI_TEST_PGVECTOR_BIN']
  if (given) return given
  throw new Error(
    'These tests need a PostgreSQL with pgvector: set LOCI_TEST_PGVECTOR_BIN="$(.ci/install-pgvector.sh)".',
  )
}

/** The folder of its programs: LOCI_TEST_POSTGRES_BIN, or the newest that Debian's packages have installed. */
function binaries(): string {
  const given = process.env['LOCI_TEST_POSTGRES_BIN']
  if (given) return given
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name)) : []
  const [newest] = versions.toSorted((a, b) => Number(b) - Number(a))
  if (newest === undefined)
    throw new Error('These tests need PostgreSQL: apt-get install postgresql, or set LOCI_TEST_POSTGRES_BIN.')
  return join(DEBIAN, newest, 'bin')
}

/** Whom the server runs as: it refuses to be root. */
export async function nobody(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, 'nobody'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}

/**
 * Starts a server of these programs, with `more` settings; the caller stops it. Where it listens on TCP it asks for the
 * `password` of `loci`. Its folder is in `parent`; one that is `replicaOf` another streams from it, and is called `replica`.
 */
export async function startServer(
  bin = binaries(),
  more: Readonly<Record<string, string>> = {},
  password: string | null = null,
  { parent = tmpdir(), replicaOf = null }: { parent?: string; replicaOf?: TestServer | null } = {},
): Promise<TestServer> {
  const user = await nobody()
  const folder = await mkdtemp(join(parent, 'loci-pg-'))
  if (user) await chown(folder, user.uid, user.gid)
  const as = { ...user, cwd: folder, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } }
  const data = join(folder, 'data')
  const made = ['-D', data, '-U', 'loci', '-A', 'trust', '-E', 'UTF8', '--locale', 'C', '--no-sync']
  if (password !== null) {
    const file = join(folder, 'password')
    await writeFile(file, password)
    made.push('--auth-host', 'scram-sha-256', '--pwfile', file)
  }
  if (replicaOf) {
    const source = `host=${replicaOf.folder} user=loci application_name=replica`
    const copied = ['-d', source, '-D', data, '-R', '-X', 'stream', '--checkpoint=fast', '--no-sync']
    await promisify(execFile)(join(bin, 'pg_basebackup'), copied, as)
  } else await promisify(execFile)(join(bin, 'initdb'), made, as)
  const settings = {
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: folder,
    // What these tests hold against it is not the loss of power.
    fsync: 'off',
    max_connections: '60',
    ...more,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let said = ''
  const address = (database: string) =>
    `postgres://loci@localhost:${settings.port}/${database}?host=${encodeURIComponent(folder)}`
  const ask = async (sql: string) => {
    const client = new Client({ connectionString: address('postgres') })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const start = async () => {
    const started = spawn(join(bin, 'postgres'), ['-D', data, ...flags], {
      ...as,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    started.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)))
    await untilReady(
      started,
      () => ask('SELECT 1'),
      () => said,
    )
    return started
  }
  let server = await start()
  const end = async (signal: NodeJS.Signals) => {
    const ended = new Promise((resolve) => server.once('exit', resolve))
    if (server.exitCode === null && server.kill(signal)) await ended
  }
  return {
    pid: () => server.pid,
    folder,
    address,
    create: (database, template = 'template0') => ask(`CREATE DATABASE ${database} TEMPLATE ${template}`),
    drop: (database) => ask(`DROP DATABASE ${database} WITH (FORCE)`),
    async crash() {
      // PostgreSQL's "immediate shutdown": nobody is waited for, and the log is played again at the start.
      await end('SIGQUIT')
      server = await start()
    },
    async down() {
      await end('SIGQUIT')
      return async () => {
        server = await start()
      }
    },
    hasEnded: () => server.exitCode !== null,
    async restart() {
      await end('SIGINT')
      server = await start()
    },
    async stop() {
      await end('SIGINT')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function untilReady(server: ChildProcess, ask: () => Promise<void>, said: () => string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said()}`)
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error(`PostgreSQL is not ready: ${said()}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
