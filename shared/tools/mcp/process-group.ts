import { type ChildProcess, spawnSync } from 'node:child_process'
import type { StdioConfig } from '../../schema/mcp-server.ts'

const WINDOWS = process.platform === 'win32'

/** Groups that run now: should this process end without closing them, they end with it. */
const running = new Set<ChildProcess>()
let watching = false

/** Ends a program with all that it has started, as far as that is still in its group. */
export function endGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): void {
  if (child.pid === undefined) return
  if (signal === 'SIGKILL') running.delete(child)
  if (WINDOWS) {
    spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F'], { windowsHide: true, stdio: 'ignore' })
    return
  }
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Sees to it that a program does not outlive this process. */
export function endWithUs(child: ChildProcess): void {
  running.add(child)
  child.once('exit', () => running.delete(child))
  if (watching) return
  watching = true
  process.once('exit', () => {
    for (const one of running) endGroup(one)
  })
}

/** What to start: on Windows `npx` and its like are scripts, which only the shell can start. */
export function programOf({ command, args }: StdioConfig): { command: string; args: string[] } {
  if (!WINDOWS || /\.(exe|com)$/i.test(command)) return { command, args }
  const line = [command, ...args].map(quoted).join(' ')
  return { command: process.env['COMSPEC'] ?? 'cmd.exe', args: ['/d', '/s', '/c', `"${line}"`] }
}

/** An argument as the C library of Windows takes it apart again, and then as cmd.exe leaves it alone. */
function quoted(argument: string): string {
  const whole = `"${argument.replaceAll(/(\\*)"/g, String.raw`$1$1\"`).replace(/(\\*)$/, '$1$1')}"`
  return whole.replaceAll(/[()\][%!^"`<>&|;, *?]/g, '^$&')
}
