/** Several `loci server` processes over one PostgreSQL, behind an nginx: as they run on machines of their own. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import { ServerProcess } from '../reliability/server-process.ts'
import { type Running, start, temporaryFolder } from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { startServer, type TestServer } from './server.ts'

/** What a test of several instances speaks to. */
export interface Cluster {
  postgres: TestServer
  /** The address of the database that all of them share. */
  address: string
  instances: readonly ServerProcess[]
  /** Where nginx listens; answers carry `x-served-by` with the address of the instance. */
  url: string
  /** The official client of an instance, or of nginx; it asks once. */
  letta(instance?: ServerProcess): Letta
  /** Kills everything and removes what it has left. */
  close(): Promise<void>
}

export interface ClusterOptions {
  model_url: string
  /** The environment of each instance; as many as there are. */
  env?: readonly Record<string, string>[]
  /** Which instances are started; all by default. */
  started?: number
}

/** What none of these instances is asked to do, and what all need: how they find each other gone is as shipped. */
const SHIPPED = { LOCI_STALE_AFTER_MS: '' }

/** Starts it; the caller closes it. */
export async function startCluster({
  model_url,
  env = [{}, {}, {}],
  started = env.length,
}: ClusterOptions): Promise<Cluster> {
  await using closing = new AsyncDisposableStack()
  const folder = await temporaryFolder()
  closing.defer(() => folder.remove())
  const postgres = await startServer()
  closing.defer(() => postgres.stop())
  await postgres.create('loci')
  const address = postgres.address('loci')
  const ports = await freePorts(env.length + 1)
  const instances: ServerProcess[] = []
  for (const [i, own] of env.entries()) {
    const data = join(folder.path, `machine${i}`)
    await mkdir(data)
    // Machines of their own share no key file.
    const shared = { LOCI_STORE: address, LOCI_ENCRYPTION_KEY: 'of all of them' }
    const port = ports[i] ?? 0
    const instance = new ServerProcess(data, model_url, { port, env: { ...SHIPPED, ...shared, ...own } })
    instances.push(instance)
    closing.defer(async () => {
      instance.signal('SIGCONT')
      await instance.kill()
    })
  }
  await Promise.all(instances.slice(0, started).map((instance) => instance.start()))
  const port = ports.at(-1) ?? 0
  const nginx = await startNginx(folder.path, port, ports.slice(0, -1))
  closing.defer(async () => void (await nginx.stop()))
  const url = `http://127.0.0.1:${port}`
  const running = closing.move()
  return {
    postgres,
    address,
    instances,
    url,
    letta: (instance) =>
      new Letta({ baseURL: instance?.url ?? url, apiKey: null, maxRetries: 0, timeout: 60_000 }),
    close: () => running.disposeAsync(),
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    ports.push((server.address() as AddressInfo).port)
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function startNginx(folder: string, port: number, upstream: readonly number[]): Promise<Running> {
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(folder, port, upstream))
  const env = { PATH: `${process.env['PATH']}:/usr/sbin` }
  const nginx = start('nginx', ['-e', 'stderr', '-p', folder, '-c', file], env)
  await eventually('nginx answers', async () => {
    assert.equal(nginx.child.exitCode, null, nginx.stderr)
    return (await fetch(`http://127.0.0.1:${port}/`).catch(() => null)) === null ? null : true
  })
  return nginx
}

function configuration(folder: string, port: number, upstream: readonly number[]): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  // Its workers would be another user, who may not write here.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user} daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr crit; worker_processes 1;
    events {}
    http {
      access_log off; ${paths.join(' ')}
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream loci {
        ${upstream.map((one) => `server 127.0.0.1:${one} max_fails=0;`).join(' ')}
        keepalive 16;
      }
      server {
        listen 127.0.0.1:${port};
        client_max_body_size 0;
        location / {
          proxy_pass http://loci;
          proxy_http_version 1.1;
          proxy_set_header Host $host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_connect_timeout 2s;
          proxy_read_timeout 30m;
          proxy_send_timeout 30m;
          proxy_buffering off;
          # As deploy/nginx.conf: nothing that may have been heard is said twice, unless it is a question.
          proxy_next_upstream error timeout http_503;
          add_header x-served-by $upstream_addr always;
        }
      }
    }`
}
