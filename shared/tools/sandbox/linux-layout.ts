import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { AppError } from '../../schema/errors.ts'
import { SYSTEM_FOLDERS } from './programs.ts'
import type { WalledCommand } from './walled-command.ts'

/** One thing that the file system inside the wall shows, in the order in which it is made. */
export type Placed =
  | { kind: 'link'; path: string; target: string }
  | { kind: 'device'; path: string }
  | { kind: 'read' | 'write'; path: string; source: string }
  /** A mount below one that is read, which has to be made read-only by itself. */
  | { kind: 'lock'; path: string }
  /** A folder that must not be seen though a folder around it is. */
  | { kind: 'hide'; path: string }
  /** The end of what is shown in a hidden folder after all: nothing can be made in it any more. */
  | { kind: 'seal'; path: string }

/** How a program is started behind a wall that shows it these things. */
export type CommandLine = (command: WalledCommand, placed: readonly Placed[]) => string[]

/** The scratch folder as the program sees it. */
export const SCRATCH = '/tmp'

/** Whose the program is, inside, and outside when the server is root. The number that Linux shows for nobody. */
export const NOBODY = 65_534

/** All accounts that there are inside: some programs fail when theirs has no name. */
export const ACCOUNTS = {
  '/etc/passwd': `nobody:x:${NOBODY}:${NOBODY}:nobody:${SCRATCH}:/bin/false\n`,
  '/etc/group': `nogroup:x:${NOBODY}:\n`,
}

const DEVICES = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom']

/** What programs read of the system's configuration: libraries, certificates, the time zone. No accounts. */
const CONFIGURATION = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust',
  '/etc/ca-certificates',
  '/etc/localtime',
  '/etc/alternatives',
]
const NETWORK_CONFIGURATION = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf']

/**
 * The file system that a program sees. `hide` are folders that no tool sees, even below one that it may read. Throws
 * `invalid_argument` for a folder that is not there, or that the program could not read as it runs.
 */
export function layout(command: WalledCommand, hide: readonly string[]): Placed[] {
  const mounts = mountPoints()
  const system = SYSTEM_FOLDERS.filter((path) => existsSync(path)).map((path) => systemFolder(path))
  const configuration = [...CONFIGURATION, ...(command.network ? NETWORK_CONFIGURATION : [])]
    .filter((path) => existsSync(path))
    .map((path) => ({ kind: 'read' as const, path, source: realpathSync(path) }))
  const declared = [
    ...command.read.map((path) => declaredPath('read', path)),
    ...command.write.map((path) => declaredPath('write', path)),
  ]
    .filter(({ kind, path }) => kind === 'write' || !SYSTEM_FOLDERS.some((top) => isBelow(path, top)))
    .sort((a, b) => a.path.length - b.path.length)
  const read = [...system, ...configuration, ...declared].filter((placed) => placed.kind === 'read')
  const writable = declared.filter(({ kind }) => kind === 'write')
  const locks = read.flatMap(({ path, source }) =>
    mounts
      .filter((mount) => mount !== source && isBelow(mount, source))
      .map((mount) => path + mount.slice(source.length))
      .filter((place) => !writable.some((folder) => isBelow(place, folder.path))),
  )
  const hides = hide.filter((path) => existsSync(path)).map((path) => realpathSync(path))
  const hidden = hides.flatMap((path) =>
    declared
      .filter(({ source }) => isBelow(path, source))
      .map((placed) => placed.path + path.slice(placed.source.length)),
  )
  // No tool may declare what is there; installed packages are.
  const isOurs = ({ source }: { source: string }) => hides.some((path) => isBelow(source, path))
  return [
    ...system,
    ...DEVICES.map((path) => ({ kind: 'device' as const, path })),
    { kind: 'link', path: '/dev/fd', target: '/proc/self/fd' },
    { kind: 'link', path: '/dev/stdin', target: '/proc/self/fd/0' },
    { kind: 'link', path: '/dev/stdout', target: '/proc/self/fd/1' },
    { kind: 'link', path: '/dev/stderr', target: '/proc/self/fd/2' },
    // Shared memory counts as scratch.
    { kind: 'link', path: '/dev/shm', target: SCRATCH },
    ...configuration,
    ...declared.filter((placed) => !isOurs(placed)),
    ...locks.map((path) => ({ kind: 'lock' as const, path })),
    ...hidden.map((path) => ({ kind: 'hide' as const, path })),
    ...declared.filter(isOurs),
    ...hidden.map((path) => ({ kind: 'seal' as const, path })),
  ]
}

function systemFolder(path: string): Placed & { kind: 'link' | 'read' } {
  return lstatSync(path).isSymbolicLink()
    ? { kind: 'link', path, target: readlinkSync(path) }
    : { kind: 'read', path, source: path }
}

function declaredPath<Kind extends 'read' | 'write'>(kind: Kind, path: string) {
  let source
  try {
    source = realpathSync(path)
  } catch (error) {
    throw new AppError(
      'invalid_argument',
      `The tool declares '${path}', which cannot be found: make it first`,
      {
        cause: error,
      },
    )
  }
  if (process.getuid?.() === 0 && !isOpenToAll(source, kind === 'write'))
    throw new AppError(
      'invalid_argument',
      `The tool may ${kind} '${path}', but the server runs as root and tools then run as nobody: ` +
        `let others ${kind} it (chmod), or run the server as a user`,
    )
  return { kind, path, source }
}

/** Whether anybody may read (or write) a file or folder. */
function isOpenToAll(path: string, write: boolean): boolean {
  const { mode, uid } = statSync(path)
  return uid === NOBODY || (mode & (write ? 0o6 : 0o4)) === (write ? 0o6 : 0o4)
}

/** Whether a path is a folder or in it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
}

function mountPoints(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter(Boolean)
    .map((path) => path.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8))))
}
