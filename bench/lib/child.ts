import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROBE_FILE = new URL('./probe.mjs', import.meta.url).href

/** Long enough for a busy machine, in milliseconds. */
const DEADLINE = 60_000

/** Characters kept of what a process says: a server logs every request. */
const KEPT = 2_000

/** Those that still run; none outlives the benchmark. */
const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** What a process used since its start; the stall is the longest since it was last asked. */
export interface Probed {
  cpu_ms: number
  rss_mb: number
  /** What JavaScript and its buffers hold after a collection; null when it was not asked for. */
  held_mb: number | null
  longest_stall_ms: number
  /** Processor time of the longest stretch without a turn of the event loop: a stall on a machine of its own. */
  longest_work_ms: number
}

/** A Node process that a benchmark started; disposing of it ends it. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess
  /** First match on stdout. Rejects when the process ends without, or at the deadline. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
  /** Its numbers so far; of a process started with `probe` only. `held` collects its garbage first. */
  probe(held?: 'held'): Promise<Probed>
  /** Asks it to end, by force when it does not. */
  stop(): Promise<void>
}

export interface ChildOptions {
  env?: Record<string, string>
  /** Let it tell what it uses; `stalls` also watches its event loop, which costs a little. */
  probe?: boolean | 'stalls'
}

/** Runs `node FILE ARGS` on this Node, with nothing of the environment but PATH and what `env` names. */
export function startNode(file: URL, args: readonly string[], options: ChildOptions = {}): Child {
  const probe = options.probe ?? false
  const preload = probe === false ? [] : ['--import', PROBE_FILE]
  const child = spawn(process.execPath, [...preload, fileURLToPath(file), ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...(probe === 'stalls' ? { BENCH_STALLS: '1' } : {}),
      ...options.env,
    },
    stdio: probe === false ? ['pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe', 'ipc'],
  })
  running.add(child)
  let stdout = ''
  let stderr = ''
  let ended = false
  const listeners = new Set<() => void>()
  const look = () => listeners.forEach((listener) => listener())
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-KEPT)
    look()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT)
  })
  child.stdin?.on('error', () => undefined) // it may end without reading
  const exited = new Promise<void>((resolve) =>
    child.once('close', () => {
      ended = true
      running.delete(child)
      look()
      resolve()
    }),
  )
  const name = `node ${file.pathname.split('/').at(-1)} ${args.join(' ')}`

  async function stop(): Promise<void> {
    if (ended) return
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(force)
  }
  return {
    process: child,
    waitFor(pattern) {
      const found = Promise.withResolvers<RegExpExecArray>()
      const listener = () => {
        const match = pattern.exec(stdout)
        if (match) found.resolve(match)
        else if (ended) found.reject(new Error(`${name} ended without ${pattern}: ${stdout}${stderr}`))
      }
      const late = () =>
        found.reject(new Error(`${name}: no ${pattern} in ${DEADLINE} ms: ${stdout}${stderr}`))
      const timer = setTimeout(late, DEADLINE)
      listeners.add(listener)
      listener()
      return found.promise.finally(() => {
        clearTimeout(timer)
        listeners.delete(listener)
      })
    },
    async probe(held) {
      const answer = Promise.withResolvers<Probed>()
      const gone = () => answer.reject(new Error(`${name} ended while it was measured: …${stderr}`))
      child.once('message', (message) => answer.resolve(message as Probed)).once('close', gone)
      child.send(held ? 'loci-bench-held' : 'loci-bench-probe')
      return answer.promise.finally(() => child.off('close', gone))
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
