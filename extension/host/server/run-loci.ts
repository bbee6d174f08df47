import { spawn } from 'node:child_process'

/** What a command of `loci` said, and how it ended. */
export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

/** Longer than any of the commands we run takes, in milliseconds. */
const LIMIT = 120_000

/** Runs a command of our own `loci` to its end, on this very Node. Rejects when it cannot be started. */
export function runLoci(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      env: { ...env, ELECTRON_RUN_AS_NODE: '1', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      timeout: LIMIT,
    })
    const said = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...said }))
  })
}
