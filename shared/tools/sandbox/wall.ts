import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { messageOf } from '../../schema/errors.ts'
import { bubblewrap, bubblewrapFeed } from './bubblewrap.ts'
import { childrenOf, killGroup, killNamespaces } from './kill.ts'
import { looselyLimited } from './limit-script.ts'
import { layout, SCRATCH } from './linux-layout.ts'
import { namespaces } from './namespaces.ts'
import { sandboxExec } from './sandbox-exec.ts'
import { makeScratch, removeWith } from './scratch-folder.ts'
import type { Wall, WalledCommand } from './walled-command.ts'

/** Where programs of the system are, for the wall and for what runs behind it. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin'

export interface WallOptions {
  /** Folders that no program sees, even below one that it may read: the data directory. */
  hide?: readonly string[]
  /** A PATH on which the programs that make the wall are looked for; by default the system's own folders. */
  search?: string
  /** Which walls are tried, of those that the platform has; by default all. */
  kinds?: readonly Exclude<Wall['kind'], 'none'>[]
}

/**
 * Finds the strongest wall that this machine can make, and tries it: some ten milliseconds. No setting switches it off.
 * Where there is none the wall is of kind `none`: what it starts has only the limits of its language.
 */
export async function openWall({ hide = [], search = SYSTEM_PATH, kinds }: WallOptions = {}): Promise<Wall> {
  const reasons: string[] = []
  for (const candidate of candidates(search, hide)) {
    if (kinds && !kinds.includes(candidate.kind)) continue
    if ('missing' in candidate) {
      reasons.push(`'${candidate.missing}' is not installed`)
      continue
    }
    const failure = await probe(candidate)
    if (!failure) return candidate
    reasons.push(failure)
  }
  return noWall(reasons)
}

type Kind = Exclude<Wall['kind'], 'none'>

const SHOWN = `the system's programs and libraries, an empty scratch folder and what it declares`

function candidates(
  search: string,
  hide: readonly string[],
): ((Wall & { kind: Kind }) | { kind: Kind; missing: string })[] {
  if (process.platform === 'darwin') return [macWall()]
  if (process.platform !== 'linux') return []
  const walls = [
    { kind: 'bubblewrap' as const, name: 'bubblewrap', lines: bubblewrap(search) },
    { kind: 'namespaces' as const, name: 'namespaces of Linux', lines: namespaces(search) },
  ]
  return walls.map(({ kind, name, lines }) => {
    if ('missing' in lines) return { kind, missing: lines.missing }
    return {
      kind,
      description:
        `Tools run behind ${name}: each sees ${SHOWN}, no network unless it declares it, no other process, and has ` +
        `limits of memory, processor time, processes, files and time.`,
      launch: (command) =>
        start(lines(command, layout(command, hide)), command, {
          home: SCRATCH,
          cwd: '/',
          feed: kind === 'bubblewrap' ? bubblewrapFeed(command) : [],
        }),
      killAll: killNamespaces,
      // Its own folders in memory take as many files as the machine has memory for.
      ...(kind === 'bubblewrap' ? { scratchFiles } : {}),
    }
  })
}

/** Files in the scratch folder of a program of Linux, seen from outside. */
async function scratchFiles(child: ChildProcess): Promise<number | null> {
  const [first] = child.pid === undefined ? [] : childrenOf(child.pid)
  if (first === undefined) return null
  try {
    const { files, ffree } = await statfs(`/proc/${first}/root${SCRATCH}`)
    return files - ffree
  } catch {
    // It has ended.
    return null
  }
}

function macWall(): Wall & { kind: Kind } {
  return {
    kind: 'sandbox-exec',
    description:
      `Tools run behind sandbox-exec: each sees ${SHOWN}, no network unless it declares it, starts no process, and ` +
      `has limits of processor time, files and time. macOS has no limit of memory.`,
    launch(command) {
      const scratch = makeScratch()
      const child = start(sandboxExec(command, scratch), command, { home: scratch, cwd: scratch })
      removeWith(child, scratch)
      return child
    },
    killAll: killGroup,
  }
}

function noWall(reasons: readonly string[]): Wall {
  const why = reasons.length > 0 ? reasons.join('; ') : `Loci knows none for ${process.platform}`
  return {
    kind: 'none',
    description:
      `Nothing keeps tools away from this machine's files, network and processes but the limits of their language. ` +
      `Why there is no wall: ${why}.${advice()}`,
    launch(command) {
      const scratch = makeScratch()
      const limits = process.platform === 'win32' ? [] : looselyLimited('/bin/sh', command.limits)
      const child = start([...limits, command.command, ...command.args], command, {
        home: scratch,
        cwd: scratch,
      })
      removeWith(child, scratch)
      return child
    },
    killAll: killGroup,
  }
}

const NO_NAMESPACES = [
  [
    '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    '1',
    'AppArmor lets only programs with a profile make user namespaces',
  ],
  ['/proc/sys/kernel/unprivileged_userns_clone', '0', 'kernel.unprivileged_userns_clone is 0'],
  ['/proc/sys/user/max_user_namespaces', '0', 'user.max_user_namespaces is 0'],
] as const

/** What would make a wall here. */
function advice(): string {
  if (process.platform !== 'linux') return ''
  const found = NO_NAMESPACES.find(
    ([file, value]) => existsSync(file) && readFileSync(file, 'utf8').trim() === value,
  )
  return found
    ? ` ${found[2]}.`
    : ' Installing bubblewrap makes one where the kernel lets programs make user namespaces.'
}

function start(
  [program = '', ...args]: string[],
  command: WalledCommand,
  { home, cwd, feed = [] }: { home: string; cwd: string; feed?: readonly (string | Buffer)[] },
): ChildProcess {
  const own = 3 + command.pipes
  const child = spawn(
    program,
    args.map((arg) => arg.replaceAll('{scratch}', home)),
    {
      cwd,
      env: { ...systemEnv(), ...command.env, HOME: home, TMPDIR: home },
      stdio: Array.from({ length: own + feed.length }, () => 'pipe' as const),
      detached: process.platform !== 'win32',
      windowsHide: true,
    },
  )
  for (const [index, bytes] of feed.entries()) {
    const pipe = child.stdio[own + index] as Duplex
    // The wall that does not read it does not start the program.
    pipe.on('error', () => undefined).end(bytes)
  }
  return child
}

/** What a program of the system needs to find others, and nothing of this process's environment besides. */
function systemEnv(): Record<string, string> {
  if (process.platform !== 'win32') return { PATH: SYSTEM_PATH }
  const { SystemRoot = 'C:\\Windows' } = process.env
  return { SystemRoot, PATH: `${SystemRoot}\\System32` }
}

const PROBE = `
for place in /root /home /sys/kernel /Users /private/etc/passwd; do
  [ -r "$place" ] && exit 1
done
: > try
echo walled
`

/** Starts a shell behind the wall; null when it found one, else why not. */
async function probe(wall: Wall): Promise<string | null> {
  let stdout = ''
  let stderr = ''
  try {
    const child = wall.launch({
      command: '/bin/sh',
      args: ['-c', PROBE],
      env: {},
      read: [],
      write: [],
      network: false,
      limits: { memory_mb: 256, cpu_s: 5, processes: 16, file_mb: 1, scratch_mb: 1 },
      pipes: 0,
    })
    child.stdout?.on('data', (chunk) => (stdout += chunk))
    child.stderr?.on('data', (chunk) => (stderr += chunk))
    const timer = setTimeout(() => wall.killAll(child), 10_000)
    await once(child, 'close').finally(() => clearTimeout(timer))
  } catch (error) {
    stderr = messageOf(error)
  }
  if (stdout === 'walled\n') return null
  return `${wall.kind} does not work here (${stderr.trim().slice(0, 300) || 'it gave no reason'})`
}
