import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../schema/errors.ts'

/** A program that installs packages. */
export interface InstallStep {
  command: string
  args: readonly string[]
  cwd: string
  env: Record<string, string>
}

export interface InstallOptions {
  signal: AbortSignal
  /** Hears each line that it prints. */
  onLine: (line: string) => void
  /** Whose growth ends it. */
  folder: string
  max_bytes: number
}

/**
 * Runs a program until it ends or its input does, which is when the process that started it has died; then the whole group
 * ends, whatever it has started.
 */
const TIED = `
exec 3<&0
"$@" </dev/null 3<&- &
work=$!
{ read -r _ <&3; kill -9 0; } >/dev/null 2>&1 &
watch=$!
wait $work
code=$?
kill $watch
exit $code
`

/** What a shell ends with when there is no such program. */
const NOT_FOUND = 127

/** The command, tied to the life of this process; Windows knows no such group. */
function tied(command: readonly string[]): readonly string[] {
  return process.platform === 'win32' ? command : ['/bin/sh', '-c', TIED, 'install', ...command]
}

/** Lines of its output that an error tells. */
const TOLD_LINES = 6
const KEPT_LINES = 50
const MAX_LINE = 400
const LOOK_EVERY_MS = 2000

/**
 * Runs one step of an installation to its end. Throws `tool_error` with the last lines that it printed when it fails or
 * grows beyond `max_bytes`; when `signal` aborts, its reason. Nothing of it is left running.
 */
export async function install(step: InstallStep, options: InstallOptions): Promise<void> {
  const { signal, onLine, folder, max_bytes } = options
  signal.throwIfAborted()
  const [command = '', ...args] = tied([step.command, ...step.args])
  const child = spawn(command, args, {
    cwd: step.cwd,
    env: step.env,
    // Nothing is written to its input: it ends with this process.
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, which is ended as a whole.
    detached: process.platform !== 'win32',
    windowsHide: true,
  })
  child.stdin.on('error', () => undefined)
  const lines: string[] = []
  const hear = (line: string) => {
    const shown = withoutCredentials(line.slice(0, MAX_LINE).trimEnd())
    if (shown === '') return
    lines.push(shown)
    if (lines.length > KEPT_LINES) lines.shift()
    onLine(shown)
  }
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split(/[\r\n]+/)
      // A line without an end is not kept beyond what is shown of it.
      rest = (parts.pop() ?? '').slice(0, MAX_LINE)
      for (const part of parts) hear(part)
    })
    stream.once('end', () => hear(rest))
  }
  let tooLarge = false
  const kill = () => {
    if (child.pid === undefined) return
    try {
      if (process.platform === 'win32') child.kill('SIGKILL')
      else process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended.
      child.kill('SIGKILL')
    }
  }
  const look = async () => {
    tooLarge ||= (await sizeOf(folder)) > max_bytes
    if (tooLarge) kill()
  }
  const timer = setInterval(() => void look(), LOOK_EVERY_MS)
  signal.addEventListener('abort', kill, { once: true })
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    signal.throwIfAborted()
    if (code === 0) await look()
    if (tooLarge)
      throw new AppError('tool_error', `it takes more than ${Math.round(max_bytes / 1024 / 1024)} MB on disk`)
    if (code === NOT_FOUND && command !== step.command)
      throw new AppError('tool_error', `'${step.command}' is not installed`)
    if (code !== 0) throw new AppError('tool_error', lastWords(lines))
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as { code?: unknown }
    if (code === 'ENOENT')
      throw new AppError('tool_error', `'${step.command}' is not installed`, { cause: error })
    throw error
  } finally {
    clearInterval(timer)
    signal.removeEventListener('abort', kill)
  }
}

/** The end of what it said: its errors, when it marks them. */
function lastWords(lines: readonly string[]): string {
  const said = lines.filter((line) => !/^(WARNING|npm warn|\[notice\]|npm error A complete log)/i.test(line))
  const errors = said.filter((line) => /^(ERROR|npm error|error)\b/i.test(line))
  return (errors.length > 0 ? errors : said).slice(-TOLD_LINES).join('\n') || 'it failed and printed nothing'
}

/** A text without the user and the password of addresses. */
function withoutCredentials(text: string): string {
  return text.replace(/(\w:\/\/)[^/@\s]+@/g, '$1')
}

/** Bytes of all files in a folder; what goes while it looks is not counted. */
async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const found = await lstat(join(entry.parentPath, entry.name)).catch(() => null)
    bytes += found?.size ?? 0
  }
  return bytes
}
