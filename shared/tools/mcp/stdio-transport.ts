import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { deserializeMessage, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/client'
import { AppError } from '../../schema/errors.ts'
import type { StdioConfig } from '../../schema/mcp-server.ts'
import { cleanText } from './clean-text.ts'
import { Flow } from './flow.ts'
import type { McpLimits } from './limits.ts'
import { messageProblem } from './message-guard.ts'
import { endGroup, endWithUs, programOf } from './process-group.ts'

/** Bytes that the program has not read yet; a call beyond it fails. */
const MAX_UNREAD = 16 * 1024 * 1024
/** Bytes of stderr that are kept, for the words of an error. */
const KEPT_STDERR = 2000
/** Lines of stdout that are no messages, before the program counts as none of MCP. */
const MAX_GARBAGE = 1000
/** Bytes of a line without an end that is no message, before the program counts as none of MCP. */
const MAX_TEXT = 64 * 1024

/** Variables of our environment that a program gets: what it needs to start, and nothing that is secret. */
const PASSED =
  process.platform === 'win32'
    ? [
        'APPDATA',
        'COMSPEC',
        'HOMEDRIVE',
        'HOMEPATH',
        'LOCALAPPDATA',
        'PATH',
        'PATHEXT',
        'PROCESSOR_ARCHITECTURE',
        'PROGRAMDATA',
        'PROGRAMFILES',
        'PROGRAMFILES(X86)',
        'PROGRAMW6432',
        'SYSTEMDRIVE',
        'SYSTEMROOT',
        'TEMP',
        'TMP',
        'USERNAME',
        'USERPROFILE',
        'WINDIR',
      ]
    : ['HOME', 'LANG', 'LC_ALL', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'USER']

/**
 * A program that speaks MCP on stdin and stdout, in a process group of its own, which ends with the connection. It is
 * the user's own program: nothing keeps it from the machine. The SDK's transport neither ends the group nor bounds how
 * fast a program may write.
 */
export class StdioTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** With `pid` it tells the SDK that this is a program: silence then means an older protocol, not an outage. */
  readonly stderr = null
  /** Why the program ended or was ended; null while it runs. */
  failure: string | null = null
  readonly #config: StdioConfig
  readonly #limits: McpLimits
  readonly #flow: Flow
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  #pieces: Buffer[] = []
  #length = 0
  #garbage = 0
  #said = ''
  #closing = false
  #refused = false

  constructor(config: StdioConfig, limits: McpLimits) {
    this.#config = config
    this.#limits = limits
    this.#flow = new Flow(limits)
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Throws `mcp_error` when the program cannot be started. */
  async start(): Promise<void> {
    const { command, args } = programOf(this.#config)
    const child = spawn(command, args, {
      cwd: existsSync(homedir()) ? homedir() : tmpdir(),
      env: { ...passedOn(), ...this.#config.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: it is ended with all that it has started.
      detached: process.platform !== 'win32',
      windowsHide: true,
      windowsVerbatimArguments: process.platform === 'win32' && command !== this.#config.command,
    })
    this.#child = child
    endWithUs(child)
    const ended = Promise.withResolvers<void>()
    this.#ended = ended.promise
    const started = Promise.withResolvers<void>()
    child.once('spawn', started.resolve)
    child.once('error', (error: NodeJS.ErrnoException) => {
      this.failure ??= this.#startProblem(error)
      started.reject(new AppError('mcp_error', this.failure, { cause: error }))
      ended.resolve()
    })
    child.once('exit', (code, signal) => {
      this.failure ??= `it ended with ${signal ?? `code ${code}`}${this.#lastWords()}`
      endGroup(child)
      // What it wrote last may still be on its way; a process that has left the group may hold the pipe for ever.
      const late = setTimeout(finish, 200)
      child.once('close', finish)
      function finish() {
        clearTimeout(late)
        child.stdout?.destroy()
        child.stderr?.destroy()
        ended.resolve()
      }
    })
    void ended.promise.then(() => this.#closed())
    child.stdin?.on('error', (error) => this.onerror?.(error))
    child.stdout?.on('error', (error) => this.onerror?.(error))
    child.stdout?.on('data', (piece: Buffer) => this.#read(piece))
    child.stderr?.on('data', (piece: Buffer) => this.#hear(piece))
    await started.promise
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin
    if (!stdin || this.failure !== null) throw new Error(this.failure ?? 'the program is not running')
    if (stdin.writableLength > MAX_UNREAD) throw new Error('the program does not read what is sent to it')
    stdin.write(`${JSON.stringify(message)}\n`)
  }

  /** Ends the program: first by the end of its input, then by signals to its whole group. */
  async close(): Promise<void> {
    const child = this.#child
    if (!child || this.#closing) return this.#ended
    this.#closing = true
    this.failure ??= 'it was ended by Loci'
    child.stdin?.end()
    for (const [wait, signal] of [
      [400, 'SIGTERM'],
      [1000, 'SIGKILL'],
    ] as const) {
      if (await within(wait, this.#ended)) return
      endGroup(child, signal)
    }
    await this.#ended
  }

  #closed(): void {
    this.#pieces = []
    this.onclose?.()
  }

  /** Ends a program that does not keep to the protocol. */
  #refuse(why: string): void {
    this.#refused = true
    this.failure ??= why
    this.onerror?.(new Error(why))
    if (this.#child) endGroup(this.#child, 'SIGKILL')
  }

  #read(piece: Buffer): void {
    if (this.#refused || this.#closing) return
    let messages = 0
    let start = 0
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, start)) {
      this.#line(piece.subarray(start, end))
      if (this.#refused) return
      messages++
      start = end + 1
    }
    const rest = piece.subarray(start)
    if (this.#length + rest.length > this.#limits.message_bytes) return this.#tooLong()
    if (rest.length > 0) this.#pieces.push(rest)
    this.#length += rest.length
    if (this.#length > MAX_TEXT && !this.#beginsAsMessage())
      return this.#refuseText(Buffer.concat(this.#pieces))
    this.#pauseFor(this.#flow.take({ messages, bytes: piece.length }), this.#child?.stdout)
  }

  #line(last: Buffer): void {
    const line = this.#pieces.length === 0 ? last : Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#length = 0
    if (line.length > this.#limits.message_bytes) return this.#tooLong()
    if (line.length === 0 || (line.length === 1 && line[0] === 13)) return
    const problem = messageProblem(line)
    if (problem !== null) return this.#refuse(`it sent a message with ${problem}`)
    let message: JSONRPCMessage
    try {
      message = deserializeMessage(line.toString('utf8'))
    } catch {
      // Many programs print a word or two beside the protocol; they do not mean us.
      if (++this.#garbage > MAX_GARBAGE) this.#refuseText(line)
      return
    }
    this.onmessage?.(message)
  }

  /** Whether the line that has no end yet may be a message: an object or a list of them. */
  #beginsAsMessage(): boolean {
    const [first] = this.#pieces
    return first !== undefined && /^\s*[{[]/.test(first.toString('utf8', 0, 200))
  }

  #refuseText(line: Buffer): void {
    this.#refuse(
      `it prints text instead of messages, such as: ${cleanText(line.toString('utf8', 0, 200), 200)}`,
    )
  }

  #tooLong(): void {
    this.#pieces = []
    this.#length = 0
    this.#refuse(`it sent a message of more than ${Math.round(this.#limits.message_bytes / 1024 / 1024)} MB`)
  }

  #hear(piece: Buffer): void {
    this.#said = (this.#said + piece.toString('utf8', Math.max(0, piece.length - KEPT_STDERR))).slice(
      -KEPT_STDERR,
    )
    this.#pauseFor(this.#flow.take({ messages: 0, bytes: piece.length }), this.#child?.stderr)
  }

  #pauseFor(ms: number, stream: NodeJS.ReadableStream | null | undefined): void {
    if (ms === 0 || !stream) return
    stream.pause()
    setTimeout(() => stream.resume(), ms).unref()
  }

  #lastWords(): string {
    const words = cleanText(this.#said, KEPT_STDERR).trim()
    return words === '' ? '' : `; the last it wrote: ${words.slice(-400)}`
  }

  #startProblem(error: NodeJS.ErrnoException): string {
    const { command } = this.#config
    if (error.code === 'ENOENT')
      return `the program '${command}' was not found; is it installed, and on the PATH of Loci? An absolute path always works`
    if (error.code === 'EACCES') return `the program '${command}' may not be run by this user`
    return `the program '${command}' cannot be started: ${error.message}`
  }
}

function passedOn(): Record<string, string> {
  return Object.fromEntries(
    PASSED.flatMap((name) => {
      const value = process.env[name]
      // A function of a shell is code that the program's shell would run.
      return value === undefined || value.startsWith('()') ? [] : [[name, value]]
    }),
  )
}

async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(late.resolve, ms, false)
  try {
    return await Promise.race([promise.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
