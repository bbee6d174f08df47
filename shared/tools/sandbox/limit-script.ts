import { NOBODY } from './linux-layout.ts'
import type { WalledCommand, WalledLimits } from './walled-command.ts'

/** How the last step before the program is made; each names an absolute program of the system. */
export interface LastStep {
  sh: string
  setpriv: string
  unshare: string
  setsid: string
}

/**
 * Sets the limits of a program and becomes it. The memory limit counts what a process maps to write (RLIMIT_DATA), which
 * works for V8, too: it maps its reservations without a right to write.
 */
const LIMITS = `
set -eu
ulimit -c 0
ulimit -n 512
ulimit -t "$1"
ulimit -f "$2"
ulimit -d "$3"
# The shells differ in its letter.
{ ulimit -u "$4" || ulimit -p "$4"; } 2>/dev/null || {
  echo "processes cannot be limited to $4 here" >&2
  exit 125
}
shift 4
exec "$@"
`

/** As LIMITS, in a user namespace of the program alone; from then on no other can be made in it. */
const CLOSED_LIMITS = `
set -eu
echo 0 > /proc/sys/user/max_user_namespaces
${LIMITS}
`

/** Where processes cannot be counted for one program alone: without their limit, and (macOS) that of memory. */
const LOOSE_LIMITS = `
set -eu
ulimit -c 0
ulimit -t "$1"
ulimit -f "$2"
[ "$3" = none ] || ulimit -d "$3"
shift 4
exec "$@"
`

/** A shell command that sets limits and becomes what follows in the list of arguments. */
export function limited(sh: string, limits: WalledLimits, closed = false): string[] {
  return [sh, '-c', closed ? CLOSED_LIMITS : LIMITS, ...values(limits)]
}

/** As `limited`, where there are no namespaces. */
export function looselyLimited(sh: string, limits: WalledLimits): string[] {
  const [name = '', cpu = '', file = '', memory = '', processes = ''] = values(limits)
  const known = process.platform === 'darwin' ? 'none' : memory
  return [sh, '-c', LOOSE_LIMITS, name, cpu, file, known, processes]
}

function values(limits: WalledLimits): string[] {
  return [
    'limits',
    String(limits.cpu_s),
    // Blocks of 512 bytes.
    String(limits.file_mb * 2048),
    String(limits.memory_mb * 1024),
    String(limits.processes),
  ]
}

/**
 * Becomes nobody in a user namespace of its own (in which the number of processes is counted), without any capability
 * and without a way to gain one. `asRoot`: the step starts as the real root.
 */
export function powerless(
  step: LastStep,
  { limits, namespaces = false }: Pick<WalledCommand, 'limits' | 'namespaces'>,
  asRoot: boolean,
): string[] {
  const nobody = String(NOBODY)
  return [
    ...(asRoot ? [step.setpriv, ...words(`--reuid ${nobody} --regid ${nobody} --clear-groups --`)] : []),
    step.unshare,
    ...words(`--user --map-user=${nobody} --map-group=${nobody} --keep-caps --`),
    ...limited(step.sh, limits, !namespaces),
    step.setsid,
    step.setpriv,
    ...words('--ambient-caps=-all --inh-caps=-all --bounding-set=-all --no-new-privs --pdeathsig KILL --'),
  ]
}

/** Arguments that have no blanks. */
export function words(text: string): string[] {
  return text.split(' ')
}
