import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { t } from './l10n.ts'

export interface ServerProcessOptions {
  /** The bundled command, `dist/loci.js`. */
  script: string
  /** Null leaves the server's own default. */
  dataDirectory: string | null
  /** 0 (the default) picks a free one. */
  port?: number
  /** Ask every request for the key that `env` has in LOCI_API_KEY. */
  auth?: boolean
  /** One line of the server's output, without its newline. */
  log: (line: string) => void
  /** Called once, when a server that had answered is gone without having been asked to stop. */
  died: (reason: string) => void
  /** Gives up a start that is under way. */
  signal: AbortSignal
  env?: NodeJS.ProcessEnv
  /** Milliseconds until a server that says nothing is given up. */
  startLimit?: number
  /** Milliseconds until a server that was asked to stop is killed. */
  stopLimit?: number
}

/** A `loci server` that this window started. */
export interface ServerProcess {
  readonly url: string
  readonly pid: number
  /** Asks it to stop, insists after `stopLimit` (five seconds), and resolves when it is gone. */
  stop(): Promise<void>
}

const START_LIMIT = 30_000
const STOP_LIMIT = 5_000

/** The address in a line of the server's output, which it prints once it answers; null for any other line. */
export function parseServerUrl(line: string): string | null {
  return /http:\/\/127\.0\.0\.1:\d{1,5}(?!\d)/.exec(line)?.[0] ?? null
}

/**
 * Starts the server with this very Node (in VS Code: Electron run as Node) and resolves once it
 * answers. Rejects with the server's own last words when it ends before. The caller stops it.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const {
    script,
    dataDirectory,
    port = 0,
    auth = false,
    log,
    died,
    signal,
    startLimit = START_LIMIT,
    stopLimit = STOP_LIMIT,
  } = options
  const where = dataDirectory === null ? [] : ['--data', dataDirectory]
  const guarded = auth ? ['--auth'] : []
  const args = [script, 'server', '--port', String(port), ...where, ...guarded, '--no-tls', '--docs']
  const child = spawn(process.execPath, args, {
    // With LOCI_LAUNCHED the command ends when its channel to us closes: however this process ends, it ends, too.
    env: { ...(options.env ?? process.env), ELECTRON_RUN_AS_NODE: '1', LOCI_LAUNCHED: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    windowsHide: true,
  })
  let asked = false
  const stop = () => {
    asked = true
    return stopChild(child, stopLimit)
  }
  try {
    const url = await firstUrl(child, log, signal, startLimit)
    child.once('exit', (code, signal) => {
      if (!asked)
        died(t('The Loci server (process {0}) ended by itself: {1}.', child.pid, ending(code, signal)))
    })
    return { url, pid: child.pid ?? 0, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function firstUrl(
  child: ChildProcess,
  log: (line: string) => void,
  signal: AbortSignal,
  limit: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const said: string[] = []
    const fail = (reason: string) => {
      clearTimeout(timer)
      reject(new Error(t('The Loci server did not start: {0}', reason)))
    }
    const timer = setTimeout(() => fail(t('it said no address within {0} seconds.', limit / 1000)), limit)
    const read = (line: string) => {
      log(line)
      if (line.trim() !== '') said.push(line.trim())
      const url = parseServerUrl(line)
      if (url === null) return
      clearTimeout(timer)
      resolve(url)
    }
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', read)
    }
    signal.addEventListener('abort', () => fail(t('it was asked to stop.')))
    child.once('error', (error) => fail(error.message))
    // `close`, not `exit`: what it said last has been read by then.
    child.once('close', (code, signal) =>
      fail(said.at(-1)?.replace(/^loci: /, '') ?? `${ending(code, signal)}.`),
    )
  })
}

async function stopChild(child: ChildProcess, limit: number): Promise<void> {
  // Without a pid it never ran; a process that has ended has one of the two others.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const insist = setTimeout(() => child.kill('SIGKILL'), limit)
  await gone
  clearTimeout(insist)
}

function ending(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? t('exit code {0}', code) : t('signal {0}', signal)
}
