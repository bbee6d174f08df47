/** Commands on a terminal of their own (a pty, made by Python, which needs nothing to be built): for what only shows there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { LOCI, withDeadline } from './cli-process.ts'

/** Runs its arguments on a pty of COLUMNS × ROWS and passes everything on; ends with the code of the program. */
const RELAY = `
import fcntl, os, pty, select, struct, sys, termios
rows, columns = int(sys.argv[1]), int(sys.argv[2])
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
open_input = True
while True:
    ready, _, _ = select.select([terminal] + ([0] if open_input else []), [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if data: os.write(terminal, data)
        else: open_input = False
    if terminal in ready:
        try: data = os.read(terminal, 65536)
        except OSError: data = b''
        if not data: break
        os.write(1, data)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`

export const UP = '\x1b[A'
export const CTRL_C = '\x03'
export const CTRL_D = '\x04'
export const ALT_ENTER = '\x1b\r'

export interface OnTerminal {
  readonly child: ChildProcess
  /** Everything that was written, escape sequences and all. */
  readonly raw: string
  /** The same without escape sequences, by lines as they were left. */
  readonly text: string
  type(text: string): void
  /** Waits until what was written after the last match has the pattern. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>
  readonly exited: Promise<number | null>
  stop(): Promise<void>
}

/** Whether this machine can run these tests. */
export const HAS_TERMINALS = process.platform !== 'win32'

/** `loci …` on a terminal; the caller stops it. */
export function lociOnTerminal(
  args: string[],
  options: { env: Record<string, string>; columns?: number; rows?: number; cwd?: string },
): OnTerminal {
  return programOnTerminal([process.execPath, LOCI, ...args], options)
}

/** A program on a terminal; the caller stops it. */
export function programOnTerminal(
  command: string[],
  {
    env,
    columns = 80,
    rows = 24,
    cwd = process.cwd(),
  }: { env: Record<string, string>; columns?: number; rows?: number; cwd?: string },
): OnTerminal {
  const args = ['-c', RELAY, String(rows), String(columns), ...command]
  const child = spawn('python3', args, { cwd, env: { TERM: 'xterm-256color', ...env } })
  let raw = ''
  let seen = 0
  let ended = false
  const watchers = new Set<() => void>()
  const look = () => watchers.forEach((watcher) => watcher())
  child.stdin.on('error', () => undefined) // it may have ended
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    raw += text
    look()
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      ended = true
      resolve(code)
      look()
    })
  })
  return {
    child,
    exited,
    get raw() {
      return raw
    },
    get text() {
      return left(raw)
    },
    type: (text) => void child.stdin.write(text),
    waitFor(pattern) {
      const found = new Promise<RegExpExecArray>((resolve, reject) => {
        const watcher = () => {
          const match = pattern.exec(left(raw.slice(seen)))
          if (match) {
            seen = raw.length
            resolve(match)
          } else if (ended) reject(new Error(`ended without ${pattern}: ${raw}${complaint}`))
          else return
          watchers.delete(watcher)
        }
        watchers.add(watcher)
        watcher()
      })
      return withDeadline(found, `${pattern} on the terminal`).catch((error: unknown) => {
        throw new Error(`${String(error)}; it shows: ${left(raw)}`, { cause: error })
      })
    },
    async stop() {
      // The relay's end closes the terminal, which ends the program.
      if (!ended) child.kill('SIGKILL')
      await exited
    },
  }
}

/** What a terminal shows in the end of what was written line by line: what was erased or written over is gone. */
function left(raw: string): string {
  return raw
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => {
      const parts = line.split('\r')
      let shown = ''
      for (const part of parts) {
        const erased = part.startsWith('\x1b[K')
        const text = stripVTControlCharacters(part)
        shown = erased ? text : text + shown.slice(text.length)
      }
      return shown
    })
    .join('\n')
}
