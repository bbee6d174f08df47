import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built command, as npm installs it. */
export const LOCI = fileURLToPath(new URL('../../dist/loci.js', import.meta.url))

/** Long enough for a busy machine; what is waited for normally takes milliseconds. */
const DEADLINE = 25_000

export function withDeadline<T>(promise: Promise<T>, label: string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not in ${DEADLINE} ms: ${label}`)), DEADLINE)
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}

/** A new folder, and how to remove it. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'loci-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/**
 * The environment a command of a test runs in: nothing of the developer's own (no provider keys, no proxy, no colour,
 * no Ollama that happens to run), and a home of its own.
 */
export function cleanEnvironment(home: string, extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    LOCI_HOME: join(home, 'loci'),
    OLLAMA_BASE_URL: 'http://127.0.0.1:1',
    LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
    ...extra,
  }
}

export interface Running {
  readonly child: ChildProcess
  readonly stdout: string
  readonly stderr: string
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Waits until stdout matches and gives the match; fails when the process ends before. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
  /** Asks it to end with SIGTERM, and by force at the deadline. */
  stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts a program; the caller stops it. */
export function start(
  command: string,
  args: string[],
  env: Record<string, string>,
  { cwd = process.cwd() } = {},
): Running {
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  const watchers = new Set<() => void>()
  const look = () => watchers.forEach((watcher) => watcher())
  child.stdin.on('error', () => undefined) // a program may end without reading
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    look()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  let ended = false
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      ended = true
      resolve({ code, signal })
      look()
    })
  })
  return {
    child,
    exited,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    waitFor(pattern) {
      const found = new Promise<RegExpExecArray>((resolve, reject) => {
        const watcher = () => {
          const match = pattern.exec(stdout)
          if (match) resolve(match)
          else if (ended) reject(new Error(`ended without ${pattern}; stdout: ${stdout} stderr: ${stderr}`))
          else return
          watchers.delete(watcher)
        }
        watchers.add(watcher)
        watcher()
      })
      return withDeadline(found, `${pattern} on stdout`)
    },
    async stop() {
      if (!ended) child.kill('SIGTERM')
      return withDeadline(exited, `end of ${command} ${args.join(' ')}`).catch((error: unknown) => {
        child.kill('SIGKILL')
        throw error
      })
    },
  }
}

/** Runs a program to its end with `input` on stdin. */
export async function run(
  command: string,
  args: string[],
  { env, input, ...place }: { env: Record<string, string>; input?: string; cwd?: string },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const program = start(command, args, env, place)
  program.child.stdin?.end(input ?? '')
  try {
    const { code } = await withDeadline(program.exited, `end of ${args.join(' ')}`)
    return { code, stdout: program.stdout, stderr: program.stderr }
  } finally {
    if (program.child.exitCode === null) program.child.kill('SIGKILL')
  }
}

/** `loci …` on the Node of this test. */
export function loci(args: string[], options: { env: Record<string, string>; input?: string; cwd?: string }) {
  return run(process.execPath, [LOCI, ...args], options)
}

/** What a user must never see in a failure: more than a line or two, stack frames, error classes. */
export function assertReadable(stderr: string): void {
  assert.match(stderr, /^loci: \S/)
  assert.doesNotMatch(stderr, /\n\s+at |node:internal|\w+Error:|undefined|\[object/)
  assert.ok(stderr.trimEnd().split('\n').length <= 3, stderr)
}
