import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Ends a program that was started in a group of its own, with all that it started. On Linux the first process of its
 * namespace is ended, and the kernel ends all others before the outermost program can; so its `exit` says that nothing
 * is left.
 */
export function killAll(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  if (process.platform === 'win32') return killTree(child.pid)
  const first = process.platform === 'linux' ? childrenOf(child.pid) : []
  if (first.length > 0 && first.every(kill)) return
  if (!kill(-child.pid)) child.kill('SIGKILL')
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}

function killTree(pid: number): void {
  spawn('taskkill', ['/T', '/F', '/PID', String(pid)], { stdio: 'ignore', windowsHide: true }).on(
    'error',
    () => undefined,
  )
}
