import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { AppError } from '../../schema/errors.ts'
import { bubblewrap } from './bubblewrap.ts'
import { SCRATCH } from './linux-layout.ts'
import { namespaces } from './namespaces.ts'
import type { Wall, WalledCommand } from './walled-command.ts'

/** Where programs of the system are, in a shell and for a tool. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface WallOptions {
  /** Folders that no tool sees, even below one that it may read: the data directory. */
  hide?: readonly string[]
  /** A PATH on which the programs that make the wall are looked for; by default the system's own folders. */
  search?: string
  /** Which walls are tried, of those that the platform has; by default all. */
  kinds?: readonly Exclude<Wall['kind'], 'none'>[]
}

type CommandLine = (command: WalledCommand, hide: readonly string[]) => string[]

/**
 * Finds the strongest wall that this machine can make, and tries it. It cannot be switched off: without one the wall is
 * of kind `none` and starts nothing.
 */
export async function openWall({ hide = [], search = SYSTEM_PATH, kinds }: WallOptions = {}): Promise<Wall> {
  const reasons: string[] = []
  for (const { kind, lines, description } of platformWalls(search)) {
    if (kinds && !kinds.includes(kind)) continue
    if ('missing' in lines) {
      reasons.push(`'${lines.missing}' is not installed`)
      continue
    }
    const wall = wallOf(kind, description, lines, hide)
    const failure = await probe(wall)
    if (!failure) return wall
    reasons.push(failure)
  }
  return noWall(reasons)
}

const LINUX_DESCRIPTION =
  "a tool sees the system's programs, an empty scratch folder and what it declares; no network unless declared; " +
  'no other process; limits of memory, processor time, processes and files'

function platformWalls(
  search: string,
): { kind: 'bubblewrap' | 'namespaces'; lines: { missing: string } | CommandLine; description: string }[] {
  if (process.platform !== 'linux') return []
  return [
    { kind: 'bubblewrap', lines: bubblewrap(search), description: `bubblewrap: ${LINUX_DESCRIPTION}` },
    { kind: 'namespaces', lines: namespaces(search), description: `Linux namespaces: ${LINUX_DESCRIPTION}` },
  ]
}

function wallOf(
  kind: Exclude<Wall['kind'], 'none'>,
  description: string,
  commandLine: CommandLine,
  hide: readonly string[],
): Wall {
  return {
    kind,
    description,
    launch(command) {
      const [program = '', ...args] = commandLine(command, hide)
      return spawn(program, args, {
        cwd: '/',
        env: { ...command.env, HOME: SCRATCH, TMPDIR: SCRATCH, PATH: SYSTEM_PATH },
        stdio: Array.from({ length: 3 + command.pipes }, () => 'pipe' as const),
        detached: true,
      })
    },
    killAll,
  }
}

function noWall(reasons: readonly string[]): Wall {
  const description = `No wall: ${reasons.join('; ') || `none is known for ${process.platform}`}`
  return {
    kind: 'none',
    description,
    launch: () => {
      throw new AppError('tool_error', `The tool was not started. ${description}`)
    },
    killAll,
  }
}

/** The group of the outermost program; what is inside dies with it. */
function killAll(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** Starts a shell behind the wall; null when all went well, else why not. */
async function probe(wall: Wall): Promise<string | null> {
  const child = wall.launch({
    command: '/bin/sh',
    args: ['-c', '[ "$PWD" = /tmp ] && : > try && [ ! -e /sys/kernel ] && [ ! -e /root ] && echo walled'],
    env: {},
    read: [],
    write: [],
    network: false,
    limits: { memory_mb: 256, cpu_s: 5, processes: 16, file_mb: 1, scratch_mb: 1 },
    pipes: 0,
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  const timer = setTimeout(() => killAll(child), 10_000)
  try {
    await once(child, 'close')
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
  return stdout === 'walled\n'
    ? null
    : `${wall.kind} failed here (${stderr.trim().slice(0, 300) || 'no reason given'})`
}
