/** The official conformance suite and Inspector, installed once outside the repository, from npm. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CACHE = process.env['LOCI_CLIENTS'] ?? join(tmpdir(), 'loci-clients')

/** Exact, so that a run can be repeated. */
const CONFORMANCE = '@modelcontextprotocol/conformance@0.2.0-alpha.12'
const INSPECTOR = '@modelcontextprotocol/inspector@2.12.0'

/** Path of the conformance suite's program. Throws when it cannot be installed; never skips. */
export const conformance = () =>
  join(installed(CONFORMANCE), '@modelcontextprotocol', 'conformance', 'dist', 'index.js')

/** Path of the Inspector's launcher. */
export const inspector = () =>
  join(installed(INSPECTOR), '@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js')

function installed(name: string): string {
  const folder = join(CACHE, name.replaceAll(/[@/]/g, '-'))
  const done = join(folder, 'installed')
  if (!existsSync(done)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', name]
    execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    writeFileSync(done, name)
  }
  return join(folder, 'node_modules')
}
