import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { eventually } from '../support/loci.ts'
import { nobody, type TestServer } from './server.ts'

const PROGRAM = '/usr/sbin/pgbouncer'
const PORT = 6432

/** A PgBouncer in transaction mode before a test's PostgreSQL. */
export interface Bouncer {
  /** The address of a database through it. */
  address(database: string): string
  /** Ends it at once, and starts it again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts one with so many connections to each database; the caller stops it, before the server. */
export async function startBouncer(
  server: TestServer,
  { pool_size = 5, settings = {} }: { pool_size?: number; settings?: Record<string, string> } = {},
): Promise<Bouncer> {
  if (!existsSync(PROGRAM)) throw new Error('These tests need PgBouncer: apt-get install pgbouncer.')
  const user = await nobody()
  const file = join(server.folder, 'pgbouncer.ini')
  const all = {
    pool_mode: 'transaction',
    unix_socket_dir: server.folder,
    listen_port: String(PORT),
    auth_type: 'any',
    default_pool_size: String(pool_size),
    max_client_conn: '500',
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
  await writeFile(
    file,
    ['[databases]', `* = host=${server.folder} port=5432 user=loci`, '[pgbouncer]', ...lines, ''].join('\n'),
  )
  if (user) await chown(file, user.uid, user.gid)
  const address = (database: string) =>
    `postgres://loci@localhost:${PORT}/${database}?host=${encodeURIComponent(server.folder)}`
  let said = ''
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(PROGRAM, [file], { ...user, stdio: ['ignore', 'ignore', 'pipe'] })
    started.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)))
    await eventually('PgBouncer answers', async () => {
      if (started.exitCode !== null) throw new Error(`PgBouncer did not start: ${said}`)
      const client = new Client({ connectionString: address('postgres') })
      try {
        await client.connect()
        return await client.query('SELECT 1')
      } catch {
        return null
      } finally {
        await client.end().catch(() => undefined)
      }
    })
    return started
  }
  let process = await start()
  const end = async () => {
    const ended = new Promise((resolve) => process.once('exit', resolve))
    if (process.exitCode === null && process.kill('SIGTERM')) await ended
  }
  return {
    address,
    async restart() {
      await end()
      process = await start()
    },
    stop: end,
  }
}
