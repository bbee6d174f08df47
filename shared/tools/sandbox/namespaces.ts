import { type LastStep, powerless, words } from './limit-script.ts'
import { ACCOUNTS, type CommandLine, NOBODY, SCRATCH } from './linux-layout.ts'
import { findProgram } from './programs.ts'
import { FILES_PER_MB } from './walled-command.ts'

/**
 * Makes the file system that the program sees, over /sys, which nothing inside needs; then it is all there is. Runs as
 * root of new namespaces. Any step that fails ends it: the program never starts.
 */
const SET_UP = `
set -eu
umask 022
N=/sys
mount -n -t tmpfs -o mode=755,size=1m,nosuid,nodev tmpfs $N
cd $N
mkdir proc dev etc .old
mkdir -p "$N$1"
mount -n -t tmpfs -o "mode=700,$2,nosuid,nodev$3" tmpfs "$N$1"
mount -n -t proc -o nosuid,nodev,noexec proc proc
printf %s '${ACCOUNTS['/etc/passwd']}' > etc/passwd
printf %s '${ACCOUNTS['/etc/group']}' > etc/group
scratch=$1
shift 3
place() {
  if [ -d "$1" ]; then mkdir -p "$N$2"
  else
    mkdir -p "$N\${2%/*}"
    [ -e "$N$2" ] || : > "$N$2"
  fi
}
show() {
  place "$3" "$2"
  mount -n --rbind -o "$1,nosuid,nodev" "$3" "$N$2" 2>/dev/null || lock "$1" "$2"
}
lock() {
  mount -n -o "remount,bind,$1,nosuid,nodev" "$N$2" 2>/dev/null ||
    mount -n -o "remount,bind,$1,nosuid,nodev,noexec" "$N$2"
}
while [ "$1" != -- ]; do
  case $1 in
    link) ln -s "$3" "$N$2" ;;
    device) place "$2" "$2"; mount -n --bind "$2" "$N$2" ;;
    read) show ro "$2" "$3" ;;
    write) show rw "$2" "$3" ;;
    lock|seal) lock ro "$2" ;;
    hide) mount -n -t tmpfs -o mode=555,size=4k,nosuid,nodev tmpfs "$N$2" ;;
    *) exit 125 ;;
  esac
  shift 3
done
shift
pivot_root $N $N/.old
cd /
umount -n -l /.old
rmdir /.old
mount -n -o remount,bind,ro,nosuid,nodev /
cd "$scratch"
unset OLDPWD
exec "$@"
`

const TOOLS = ['mount', 'umount', 'pivot_root', 'mkdir', 'rmdir', 'ln']

/** The wall out of plain namespaces: the command line that makes it, or which program of the system is missing. */
export function namespaces(search: string): { missing: string } | CommandLine {
  const find = (name: string) => findProgram(name, search)
  const missing = ['sh', 'unshare', 'setpriv', 'setsid', ...TOOLS].find((name) => !find(name))
  if (missing) return { missing }
  const step: LastStep = {
    sh: find('sh') ?? '',
    setpriv: find('setpriv') ?? '',
    unshare: find('unshare') ?? '',
    setsid: find('setsid') ?? '',
  }
  const root = process.getuid?.() === 0
  return (command, placed) => [
    // The wall dies with the server.
    step.setpriv,
    ...words('--pdeathsig KILL --'),
    step.unshare,
    ...(root ? [] : ['--user', '--map-root-user']),
    ...words('--mount --pid --ipc --uts --cgroup --fork --kill-child=KILL'),
    ...(command.network ? [] : ['--net']),
    '--',
    step.sh,
    '-c',
    SET_UP,
    'wall',
    SCRATCH,
    `size=${command.limits.scratch_mb}m,nr_inodes=${command.limits.scratch_mb * FILES_PER_MB}`,
    root ? `,uid=${NOBODY},gid=${NOBODY}` : '',
    ...placed.flatMap((one) => [
      one.kind,
      one.path,
      one.kind === 'link' ? one.target : 'source' in one ? one.source : '',
    ]),
    '--',
    ...powerless(step, command, root),
    command.command,
    ...command.args,
  ]
}
