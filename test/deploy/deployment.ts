/**
 * What deploy/ describes, running on this machine: its processes with their users, settings and limits, each with a root of
 * its own that cannot be written. Other than there are only hosts and ports.
 */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startServer, type TestServer, withPgVector } from '../postgres/server.ts'
import { eventually } from '../support/loci.ts'
import { type ComposeFile, DEPLOY, readCompose } from './compose.ts'
import { type Container, runContainer } from './container.ts'
import { buildPackage, type Image, type Package, readDockerfile } from './dockerfile.ts'

export const SECRETS = {
  LOCI_API_KEY: 'the key of the owner',
  LOCI_ENCRYPTION_KEY: 'what secrets are encrypted with',
  // Of characters that an address could not hold as they are.
  POSTGRES_PASSWORD: 'p@ss/w:rd?%',
}
/** As compose.yaml and the manifests say it. */
const PORT = '8283'
const NODE = '/opt/node/bin'
const READY_MS = 40_000

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A container of Loci, and where it answers. */
export interface Instance extends Container {
  url: string
  /** Runs a command of the files (a health check, a hook) in it: its exit code. */
  check(command: string[]): Promise<number | null>
}

export interface InstanceOptions {
  args: string[]
  env: Record<string, string>
  /** Where its data directory is on this machine. */
  data: string
  /** Files that it may only read, by where they are in it. */
  files?: Record<string, string>
}

/** The image, a database and a folder for everything else. The caller closes it. */
export interface Machine {
  image: Image
  /** What is copied into the image. */
  built: Package
  compose: ComposeFile
  folder: string
  database: TestServer
  /** host:port of the database. */
  database_host: string
  run(name: string, options: InstanceOptions): Promise<Instance>
  /** A folder that the image's user may write. */
  dataDirectory(name: string): Promise<string>
  close(): Promise<void>
}

/** Builds the image and starts the database. */
export async function startMachine(): Promise<Machine> {
  const image = await readDockerfile()
  const compose = await readCompose(SECRETS)
  const folder = await mkdtemp(join(tmpdir(), 'loci-deploy-'))
  await chmod(folder, 0o755)
  const built = await buildPackage(image)
  /** One that is started again is where it was, as its name is. */
  const ports = new Map<string, string>()
  const port = await freePort()
  const place = { listen_addresses: '127.0.0.1', port: String(port) }
  const database = await startServer(withPgVector(), place, SECRETS.POSTGRES_PASSWORD)
  await database.create('loci')
  return {
    image,
    built,
    compose,
    folder,
    database,
    database_host: `127.0.0.1:${port}`,
    async dataDirectory(name) {
      const path = join(folder, name)
      await mkdir(path)
      if (process.getuid?.() === 0) await chown(path, image.uid, image.gid)
      return path
    },
    async run(name, { args, env, data, files = {} }) {
      const here = ports.get(name) ?? String(await freePort())
      ports.set(name, here)
      const atPort = (command: string[]) => command.map((word) => word.replaceAll(PORT, here))
      const container = await runContainer({
        log: join(folder, `${name}.log`),
        uid: image.uid,
        gid: image.gid,
        env: { PATH: `${NODE}:/usr/bin:/bin`, ...image.env, ...env },
        command: [...image.entrypoint, ...atPort(args)],
        read_only: { '/opt/loci': built.path, [NODE]: dirname(process.execPath), ...files },
        writable: { '/var/lib/loci': data },
        cwd: '/var/lib/loci',
      })
      return {
        ...container,
        get isRunning() {
          return container.isRunning
        },
        url: `http://127.0.0.1:${here}`,
        check: (command) => container.exec(atPort(command)),
      }
    },
    async close() {
      await database.stop()
      await built.remove()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Runs a service of compose.yaml that is Loci. */
export async function runLoci(
  machine: Machine,
  name: 'loci-1' | 'loci-2',
  { data, providers }: { data: string; providers: Record<string, string> },
): Promise<Instance> {
  const service = machine.compose.services[name]
  const { LOCI_STORE = '', ...env } = service.environment ?? {}
  const args = service.command ?? machine.image.command
  const store = LOCI_STORE.replace('postgres:5432', machine.database_host)
  return machine.run(name, { args, data, env: { ...providers, ...env, LOCI_STORE: store } })
}

/** Waits until its health check says yes. */
export async function untilHealthy(instance: Instance, command: string[]): Promise<void> {
  await eventually(
    `${command.slice(0, 2).join(' ')} says that ${instance.url} is healthy`,
    async () => {
      if (!instance.isRunning) throw new Error(`it has ended: ${await instance.log()}`)
      return (await instance.check(command)) === 0 ? true : null
    },
    READY_MS,
  )
}

/** Runs nginx with deploy/nginx.conf before these two. */
export async function runNginx(
  machine: Machine,
  hosts: Record<'loci-1' | 'loci-2', string>,
): Promise<{ container: Container; url: string }> {
  const port = await freePort()
  let text = await readFile(join(DEPLOY, 'nginx.conf'), 'utf8')
  const replace = (from: string, to: string) => {
    if (!text.includes(from)) throw new Error(`nginx.conf has no '${from}'`)
    text = text.replace(from, to)
  }
  // Names that are asked again, in Docker's own resolver: addresses need neither, and nginx before 1.27.3 knows no `resolve`.
  replace('resolver 127.0.0.11 valid=5s ipv6=off;', '')
  for (const [name, host] of Object.entries(hosts))
    replace(`server ${name}:${PORT} resolve `, `server ${host} `)
  replace('listen 8080;', `listen 127.0.0.1:${port};`)
  const file = join(machine.folder, 'nginx.conf')
  await writeFile(file, text)
  const { user = '' } = machine.compose.services.nginx
  const [uid, gid] = user.split(':').map(Number)
  const container = await runContainer({
    log: join(machine.folder, 'nginx.log'),
    uid: uid ?? NaN,
    gid: gid ?? NaN,
    env: { PATH: '/usr/sbin:/usr/bin' },
    command: ['nginx', '-e', '/dev/stderr', '-g', 'daemon off;'],
    read_only: { '/etc/nginx/nginx.conf': file },
  })
  const url = `http://127.0.0.1:${port}`
  await eventually('nginx answers', async () => {
    if (!container.isRunning) throw new Error(await container.log())
    return (await fetch(`${url}/v1/health/`).catch(() => null))?.ok ? true : null
  })
  return { container, url }
}
