import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { AppError } from '../../schema/errors.ts'

/** A Python that can be started. */
export interface Interpreter {
  /** The program itself, not a script that looks for it. */
  path: string
  /** As `3.11.7`. */
  version: string
}

/** What our scripts are written for. */
const OLDEST = [3, 9] as const
const FIND_TIMEOUT_MS = 10_000

const found = new Map<string, Promise<Interpreter>>()

/**
 * The Python of this machine: what LOCI_PYTHON names, else `python3`, else `python`; looked for once. Throws
 * `invalid_argument` when there is none, or only one that is too old: the text says what to install.
 */
export function findPython(env: NodeJS.ProcessEnv = process.env): Promise<Interpreter> {
  const named = env['LOCI_PYTHON']
  const key = `${named ?? ''}\n${env['PATH'] ?? ''}`
  let finding = found.get(key)
  if (!finding) {
    finding = find(named ? [named] : ['python3', 'python'], env)
    found.set(key, finding)
    // It may be installed before the next one asks.
    finding.catch(() => found.delete(key))
  }
  return finding
}

async function find(candidates: readonly string[], env: NodeJS.ProcessEnv): Promise<Interpreter> {
  const failures: string[] = []
  for (const candidate of candidates) {
    const tried = await ask(candidate, env)
    if (typeof tried !== 'string') return tried
    failures.push(tried)
  }
  const wanted = `Install Python ${OLDEST.join('.')} or later, or let LOCI_PYTHON name one`
  throw new AppError('invalid_argument', `Python tools need Python: ${failures.join('; ')}. ${wanted}.`)
}

/** The interpreter, or why it is none. */
async function ask(command: string, env: NodeJS.ProcessEnv): Promise<Interpreter | string> {
  const script = 'import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3])'
  try {
    const { stdout } = await promisify(execFile)(command, ['-I', '-S', '-c', script], {
      env: pythonEnv(env),
      cwd: tmpdir(),
      timeout: FIND_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      windowsHide: true,
    })
    const [path = '', version = ''] = stdout.split(/\r?\n/)
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (!path || !version) return `${command} is no Python`
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) return `${path} is Python ${version}`
    return { path, version }
  } catch (error) {
    const { code } = error as { code?: unknown }
    return code === 'ENOENT' ? `there is no ${command}` : `${command} cannot be started (${String(code)})`
  }
}

/** What a Python of ours sees of an environment: what programs need to be found, and nothing else. */
export function pythonEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = [
    'PATH',
    'HOME',
    'USERPROFILE',
    'SystemRoot',
    'PATHEXT',
    'PYENV_ROOT',
    'PYENV_VERSION',
    'TMPDIR',
    'TEMP',
  ]
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
}
