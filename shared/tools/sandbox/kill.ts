import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Until a program whose first process was ended is ended itself. */
const PATIENCE_MS = 1000

/** Ends a program that was started in a group of its own, with all that is in the group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || hasEnded(child)) return
  if (process.platform === 'win32') killTree(child.pid)
  else if (!kill(-child.pid)) child.kill('SIGKILL')
}

/**
 * Ends a program that makes namespaces of Linux, with all that is in them: its child, the first process there, is ended,
 * and the kernel ends all others before the program can. So its `exit` says that nothing is left.
 */
export function killNamespaces(child: ChildProcess): void {
  if (child.pid === undefined || hasEnded(child)) return
  const first = childrenOf(child.pid)
  // It has made none yet: what it would start is in its group.
  if (first.length === 0 || !first.every(kill)) return killGroup(child)
  setTimeout(() => killGroup(child), PATIENCE_MS).unref()
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** The processes that a process of Linux has started. */
export function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return list.trim().split(' ').filter(Boolean).map(Number)
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
