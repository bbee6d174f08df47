import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseReport, type TestReport } from '../../../shared/client/tool-tests.ts'

export interface TestCommand {
  /** `dist/loci.js`. */
  script: string
  env: NodeJS.ProcessEnv
  /** The folder that the paths are in. */
  cwd: string
}

/**
 * Runs the unit tests of these tools (`loci tools test`), on this very Node, and tells of each test when it has ended. An
 * abort ends them. Throws with what the command said when it could not run them.
 */
export async function* runToolTests(
  { script, env, cwd }: TestCommand,
  tools: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<TestReport> {
  const child = spawn(process.execPath, [script, 'tools', 'test', '--json', ...tools], {
    cwd,
    env: { ...env, ELECTRON_RUN_AS_NODE: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
    // With what it has started: a test may hang in a child.
    detached: process.platform !== 'win32',
  })
  const end = () => {
    if (child.pid === undefined || child.exitCode !== null) return
    try {
      if (process.platform === 'win32') child.kill()
      else process.kill(-child.pid, 'SIGTERM')
    } catch {
      // It has ended by itself just now.
    }
  }
  const ended = new Promise<{ code: number | null; error?: Error }>((resolve) => {
    child.once('error', (error) => resolve({ code: null, error }))
    child.once('close', (code) => resolve({ code }))
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  signal.addEventListener('abort', end, { once: true })
  let told = 0
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const report = parseReport(line)
      if ('state' in report) told++
      yield report
    }
    const { code, error } = await ended
    if (signal.aborted) return
    if (error) throw error
    if (told === 0 && code !== 0)
      throw new Error(complaint.trim().replace(/^loci: /, '') || `loci tools test ended with ${code}.`)
    if (complaint !== '') yield { output: complaint }
  } finally {
    signal.removeEventListener('abort', end)
    end()
  }
}
