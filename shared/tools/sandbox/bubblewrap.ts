import { limited, powerless, words } from './limit-script.ts'
import { ACCOUNTS, type CommandLine, isBelow, NOBODY, SCRATCH } from './linux-layout.ts'
import { findProgram } from './programs.ts'
import { systemCallFilter } from './system-calls.ts'
import type { WalledCommand } from './walled-command.ts'

/** What bubblewrap reads from pipes of its own, behind those of the program. */
export function bubblewrapFeed({ network, namespaces = false }: WalledCommand): (string | Buffer)[] {
  const filter = systemCallFilter({ network, walls: namespaces })
  return [...Object.values(ACCOUNTS), ...(filter ? [filter] : [])]
}

/**
 * The wall out of bubblewrap: the command line that makes it, or which program of the system is missing. It reads
 * `bubblewrapFeed`.
 */
export function bubblewrap(search: string): { missing: string } | CommandLine {
  const find = (name: string) => findProgram(name, search)
  const root = process.getuid?.() === 0
  const missing = ['bwrap', 'sh', ...(root ? ['setpriv', 'unshare', 'setsid'] : [])].find(
    (name) => !find(name),
  )
  if (missing) return { missing }
  const bwrap = find('bwrap') ?? ''
  const sh = find('sh') ?? ''
  const step = {
    sh,
    setpriv: find('setpriv') ?? '',
    unshare: find('unshare') ?? '',
    setsid: find('setsid') ?? '',
  }
  return (command, placed) => {
    const { limits } = command
    /** What it takes to put something into a folder. */
    const foldersIn = (folder: string) =>
      placed
        .flatMap(({ path }) => parents(path))
        .filter((path) => path !== folder && isBelow(path, folder))
        .flatMap((path) => [...words('--perms 0755 --dir'), path])
    return [
      bwrap,
      ...words('--unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try'),
      ...(command.network ? [] : ['--unshare-net']),
      ...words('--die-with-parent --new-session --cap-drop ALL'),
      // As root it keeps just what it takes to become nobody, and does that as its last step.
      ...(root
        ? words('--cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP')
        : words(`--unshare-user --uid ${NOBODY} --gid ${NOBODY}`)),
      ...(root || command.namespaces ? [] : ['--disable-userns']),
      ...words(`--perms 1777 --size ${limits.scratch_mb * 1024 * 1024} --tmpfs ${SCRATCH}`),
      ...words('--proc /proc --dir /dev --dir /etc'),
      ...foldersIn('/'),
      ...placed.flatMap((placed) => {
        switch (placed.kind) {
          case 'link':
            return ['--symlink', placed.target, placed.path]
          case 'device':
            return ['--dev-bind', placed.path, placed.path]
          case 'read':
            return ['--ro-bind', placed.source, placed.path]
          case 'write':
            return ['--bind', placed.source, placed.path]
          case 'lock':
            // It makes what lies below read-only by itself.
            return []
          case 'hide':
            return [...words('--perms 0555 --size 4096 --tmpfs'), placed.path, ...foldersIn(placed.path)]
          case 'seal':
            return ['--remount-ro', placed.path]
        }
      }),
      ...Object.keys(ACCOUNTS).flatMap((path, index) =>
        words(`--perms 0644 --file ${3 + command.pipes + index} ${path}`),
      ),
      ...bubblewrapFeed(command)
        .slice(Object.keys(ACCOUNTS).length)
        .flatMap((_, index) =>
          words(`--seccomp ${3 + command.pipes + Object.keys(ACCOUNTS).length + index}`),
        ),
      ...words(`--remount-ro / --chdir ${SCRATCH} --`),
      ...(root ? powerless(step, command, true) : limited(sh, limits)),
      command.command,
      ...command.args,
    ]
  }
}

/** The folders around a path, outermost first, without the topmost. */
function parents(path: string): string[] {
  const parts = path.split('/').slice(1, -1)
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
}
