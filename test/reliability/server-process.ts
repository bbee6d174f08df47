/** A `loci server` of its own process that a test kills, stops and starts again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { eventually, otherStore } from '../support/loci.ts'

const LOCI = fileURLToPath(new URL('../../dist/loci.js', import.meta.url))

/** How long a process of these tests may stand still before others take its turns over. */
export const STALE_AFTER_MS = 1500

export class ServerProcess {
  /** The built command that the next start runs. */
  program = LOCI
  readonly #data: string
  readonly #model_url: string
  readonly #heap_mb: number | undefined
  readonly #port: number
  readonly #env: Record<string, string>
  #child: ChildProcess | null = null
  #output = ''
  url = ''
  starts = 0

  /**
   * `heap_mb` bounds the heap of JavaScript: a server that keeps what it should not dies of it. `port` is the same after
   * each start, and any one without it; `env` comes after everything else.
   */
  constructor(
    data: string,
    model_url: string,
    { heap_mb, port = 0, env = {} }: { heap_mb?: number; port?: number; env?: Record<string, string> } = {},
  ) {
    this.#data = data
    this.#model_url = model_url
    this.#heap_mb = heap_mb
    this.#port = port
    this.#env = env
  }

  /** Resolves once the URL is printed; measures how long that took, in milliseconds. */
  async start(): Promise<number> {
    const from = performance.now()
    this.#output = ''
    const store = await otherStore.of?.(this.#data)
    const port = String(this.#port)
    const child = spawn(process.execPath, [this.program, 'server', '--port', port, '--data', this.#data], {
      env: {
        PATH: process.env['PATH'],
        HOME: this.#data,
        OPENAI_API_KEY: 'test',
        OPENAI_BASE_URL: this.#model_url,
        OLLAMA_BASE_URL: 'http://127.0.0.1:1',
        LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
        LOCI_STALE_AFTER_MS: String(STALE_AFTER_MS),
        ...(store === undefined ? {} : { LOCI_STORE: store }),
        ...(this.#heap_mb === undefined ? {} : { NODE_OPTIONS: `--max-old-space-size=${this.#heap_mb}` }),
        ...this.#env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const collect = (text: Buffer) => (this.#output += text.toString())
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    this.url = await eventually(
      'a server prints its URL',
      () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}: ${this.#output}`)
        return /http:\/\/127\.0\.0\.1:\d+/.exec(this.#output)?.[0] ?? null
      },
      30_000,
    )
    this.starts++
    return performance.now() - from
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** Sends a signal that ends the process, and waits until it is gone; resolves with its exit code. */
  async end(name: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const gone = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    child.kill(name)
    return await gone
  }

  /** What the process has printed since its start: failures of ours would stand here. */
  get output(): string {
    return this.#output
  }
}
