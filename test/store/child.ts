import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('fixtures/turns.ts', import.meta.url))
const DEADLINE = 20_000

export interface Child {
  readonly pid: number
  /** The next line it says; fails with its stderr when it ends before, or after a generous time. */
  next(label: string): Promise<Record<string, unknown>>
  say(line: string): void
  /** Sends a signal; after SIGKILL, resolves when the process is gone. */
  signal(signal: NodeJS.Signals): Promise<void>
}

/** Starts fixtures/turns.ts; the caller ends it. */
export function startChild(...args: string[]): Child {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid ?? 0,
    async next(label) {
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(
        () => late.reject(new Error(`not in ${DEADLINE} ms: ${label}. ${stderr}`)),
        DEADLINE,
      )
      const line = await Promise.race([lines.next(), late.promise]).finally(() => clearTimeout(timer))
      if (line.done) throw new Error(`ended before: ${label}. ${stderr}`)
      return JSON.parse(line.value) as Record<string, unknown>
    },
    say(line) {
      child.stdin.write(`${line}\n`)
    },
    async signal(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      if (signal === 'SIGKILL') await exited
    },
  }
}
