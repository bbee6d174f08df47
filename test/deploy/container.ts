/**
 * A process as a container runs it, without an engine: with a root of its own that cannot be written, a fixed user, no
 * capabilities, and as PID 1. bubblewrap makes the namespaces that Docker would make; the network stays the machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'

export interface ContainerOptions {
  /** A file that gets stdout and stderr. */
  log: string
  uid: number
  gid: number
  env: Record<string, string>
  command: string[]
  /** Folders and files of this machine by where they are in the container. */
  read_only?: Record<string, string>
  writable?: Record<string, string>
  cwd?: string
}

export interface Container {
  /** What has been said so far. */
  log(): Promise<string>
  /** A signal to PID 1, as an engine sends it. */
  signal(name: NodeJS.Signals): void
  /** What the kernel says of PID 1. */
  status(): Promise<Record<string, string>>
  exited: Promise<number | null>
  readonly isRunning: boolean
  /** Runs another command in a container like it, on the same data: its exit code. */
  exec(command: string[]): Promise<number | null>
  /** `SIGKILL`, if it runs. */
  kill(): Promise<void>
}

/** Starts it; the caller stops or kills it. */
export async function runContainer(options: ContainerOptions): Promise<Container> {
  const file = await open(options.log, 'a', 0o666)
  // As a container's, also for who is not the user that opened it.
  await file.chmod(0o666)
  const start = (command: string[]): ChildProcess =>
    spawn('/usr/bin/bwrap', [...argumentsOf(options), ...command], {
      stdio: ['ignore', file.fd, file.fd, 'pipe'],
    })
  const child = start(options.command)
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  // Who reads it later hears of it, too.
  exited.catch(() => undefined)
  const info = child.stdio[3] as Readable
  let said = ''
  for await (const piece of info.setEncoding('utf8')) said += String(piece)
  const pid = (JSON.parse(said === '' ? '{}' : said) as { 'child-pid'?: number })['child-pid']
  const log = () => readFile(options.log, 'utf8')
  if (pid === undefined) throw new Error(`no container: ${await log()}`)
  const isRunning = () => child.exitCode === null && child.signalCode === null
  return {
    log,
    exited,
    get isRunning() {
      return isRunning()
    },
    signal: (name) => void process.kill(pid, name),
    async status() {
      const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).trim().split('\n')
      return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]))
    },
    async exec(command) {
      const other = start(command)
      ;(other.stdio[3] as Readable).resume()
      const [code] = (await once(other, 'exit')) as [number | null]
      return code
    },
    async kill() {
      if (isRunning()) process.kill(pid, 'SIGKILL')
      await exited
      await file.close()
    },
  }
}

function argumentsOf(options: ContainerOptions): string[] {
  const { uid, gid } = options
  const isRoot = process.getuid?.() === 0
  const namespaces = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--as-pid-1', '--die-with-parent']
  const links = ['/bin', '/sbin', '/lib', '/lib64'].flatMap((path) =>
    existsSync(path) && lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : [],
  )
  // Those that bubblewrap makes by itself are its own user's alone.
  const parents = Object.keys({ ...options.writable, ...options.read_only })
    .filter((path) => !path.startsWith('/etc/'))
    .flatMap((path) =>
      path
        .split('/')
        .slice(1, -1)
        .map((_, i, all) => `/${all.slice(0, i + 1).join('/')}`),
    )
  const bind = (kind: string, places: Record<string, string> = {}) =>
    Object.entries(places).flatMap(([inside, outside]) => [kind, outside, inside])
  const system = ['--ro-bind', '/usr', '/usr', '--ro-bind', '/etc', '/etc', ...links]
  const own = ['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--tmpfs', '/tmp']
  const settled = ['--remount-ro', '/', '--chdir', options.cwd ?? '/', '--clearenv']
  return [
    '--info-fd',
    '3',
    ...namespaces,
    ...(isRoot ? [] : ['--unshare-user', '--uid', String(uid), '--gid', String(gid)]),
    ...system,
    ...own,
    ...parents.flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...bind('--bind', options.writable),
    ...bind('--ro-bind', options.read_only),
    ...settled,
    ...Object.entries(options.env).flatMap(([name, value]) => ['--setenv', name, value]),
    '--',
    ...(isRoot ? asUser(uid, gid) : []),
  ]
}

/** From root to this user for good, as an engine does it. */
function asUser(uid: number, gid: number): string[] {
  const user = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups']
  return ['/usr/bin/setpriv', ...user, '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--']
}
