/** The Letta Code CLI, installed once outside the repository, from npm. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CACHE = process.env['LOCI_CLIENTS'] ?? join(tmpdir(), 'loci-clients')

/** Exact, so that a run can be repeated. */
const CLI = '@letta-ai/letta-code@0.32.18'
/** What its bundle loads at run time; their build scripts are not needed for a turn without a terminal. */
const PARTS = ['ws@8.19.0', 'node-pty@1.1.0', 'sharp@0.34.5']

/** Path of its `letta.js`. Throws when it cannot be installed; never skips. */
export function lettaCode(): string {
  const folder = join(CACHE, CLI.replaceAll(/[@/]/g, '-'))
  const main = join(folder, 'package', 'letta.js')
  if (existsSync(main)) return main
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', ...PARTS)
  // Only its bundle: the packages it names are 400 MB that a turn without a terminal does not load.
  const archive = npm(folder, 'pack', CLI, '--silent').trim().split('\n').at(-1) ?? ''
  const unpacked = join(folder, 'unpacked')
  mkdirSync(unpacked, { recursive: true })
  execFileSync('tar', ['xzf', join(folder, archive), '-C', unpacked])
  renameSync(join(unpacked, 'package'), join(folder, 'package'))
  return main
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
