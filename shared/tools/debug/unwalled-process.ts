import { spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import { killGroup } from '../sandbox/kill.ts'
import { makeScratch, removeWith } from '../sandbox/scratch-folder.ts'
import { runCalls, type WalledProcess } from '../sandbox/walled-process.ts'

/**
 * Starts a program that runs one call for a debugger: in a group of its own and with a scratch folder as its home, and
 * not behind the wall, which no debugger could reach through. `hear` is given what it writes to stderr.
 */
export function openUnwalled(
  program: { command: string; args: readonly string[]; env: Record<string, string> },
  hear: (text: string) => void,
): WalledProcess {
  const scratch = makeScratch()
  const child = spawn(
    program.command,
    program.args.map((arg) => arg.replaceAll('{scratch}', scratch)),
    {
      cwd: scratch,
      env: { ...program.env, PATH: process.env['PATH'] ?? '', HOME: scratch, TMPDIR: scratch },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    },
  )
  removeWith(child, scratch)
  const exited = Promise.withResolvers<string>()
  const closed = Promise.withResolvers<void>()
  child.once('error', (error) => {
    exited.resolve(`it could not be started: ${error.message}`)
    closed.resolve()
  })
  child.once('exit', (code, signal) =>
    exited.resolve(`its process ended before it returned (${signal ?? `exit code ${code}`})`),
  )
  child.once('close', () => closed.resolve())
  child.stderr?.on('data', (chunk: Buffer) => hear(chunk.toString()))
  return runCalls({
    pipe: child.stdio[3] as Duplex,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    pid: child.pid,
    kill: () => killGroup(child),
    exited: exited.promise,
    closed: closed.promise,
  })
}
