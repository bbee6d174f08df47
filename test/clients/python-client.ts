/** The official Python client, installed once outside the repository, from PyPI. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CACHE = process.env['LOCI_CLIENTS'] ?? join(tmpdir(), 'loci-clients')

/** Exact, so that a run can be repeated: the newest 1.x, and the last of those before, which many programs still pin. */
export const PYTHON_CLIENTS = ['1.12.1', '0.1.324'] as const
export type PythonClient = (typeof PYTHON_CLIENTS)[number]

/** Path of a Python that has this `letta-client`. Throws when it cannot be installed; never skips. */
export function pythonWith(version: PythonClient): string {
  return pythonOf(`python-letta-client-${version}`, `letta-client==${version}`)
}

/** Path of a Python that has these packages, in a folder of this name. Throws when they cannot be installed; never skips. */
export function pythonOf(name: string, ...packages: string[]): string {
  const folder = join(CACHE, name)
  const bin = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']
  const python = join(folder, 'venv', ...bin)
  const done = join(folder, 'installed')
  if (existsSync(done)) return python
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  run(process.platform === 'win32' ? 'python' : 'python3', '-m', 'venv', join(folder, 'venv'))
  run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages)
  // Only what is complete counts: an installation that was broken off is made anew.
  mkdirSync(`${done}.new`)
  renameSync(`${done}.new`, done)
  return python
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
