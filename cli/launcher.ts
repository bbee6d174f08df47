#!/usr/bin/env node
// The npm bin `loci`. This file alone must parse and run on old Nodes (14.14): it says what is missing, or runs the rest
// on a Node that came with the package. Keep its syntax at ES2020 and its imports to Node's own modules.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import nodeModule from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The oldest Node whose SQLite has full-text search. */
const NEEDED = [22, 16]
/** Set for the process that was started on a bundled Node, so that it never starts another. */
const LAUNCHED = 'LOCI_LAUNCHED'

const self = fileURLToPath(import.meta.url)

if (isNewEnough(process.versions.node)) {
  if (process.env[LAUNCHED] === '1' && process.channel) endWithLauncher()
  delete process.env[LAUNCHED]
  hideSqliteWarning()
  keepCompiledCode()
  if (isPlainMcp(process.argv.slice(2))) await import('./mcp-start.ts')
  else await import('./main.ts')
} else {
  const bundled = process.env[LAUNCHED] === '1' ? null : findBundledNode(dirname(self))
  if (bundled) runOn(bundled)
  else refuse(null)
}

function isNewEnough(version: string): boolean {
  const parts = version.split('.').map(Number)
  const major = parts[0] || 0
  return major > NEEDED[0]! || (major === NEEDED[0]! && (parts[1] || 0) >= NEEDED[1]!)
}

/** `loci mcp` as hosts start it: options in full, each at most once. Everything else is parsed properly. */
function isPlainMcp(args: string[]): boolean {
  if (args[0] !== 'mcp') return false
  const values = ['--data', '--url', '--agent', '--toolsets']
  const seen = new Set<string>()
  for (let i = 1; i < args.length; i++) {
    const flag = args[i]!
    if (seen.has(flag)) return false
    seen.add(flag)
    if (flag === '--read-only') continue
    if (values.indexOf(flag) < 0 || i + 1 >= args.length || args[++i]!.startsWith('-')) return false
  }
  return !(seen.has('--data') && seen.has('--url'))
}

/** The Node of a platform package in a `node_modules` beside or above this file. */
function findBundledNode(from: string): string | null {
  const windows = process.platform === 'win32'
  const platform = `${windows ? 'win' : process.platform}-${process.arch}`
  for (let directory = from; ; directory = dirname(directory)) {
    for (const name of [`node-${platform}`, `node-bin-${platform}`]) {
      const file = join(directory, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node')
      if (existsSync(file)) return file
    }
    if (dirname(directory) === directory) return null
  }
}

function runOn(node: string): void {
  const child = spawn(node, [self, ...process.argv.slice(2)], {
    // The channel closes when this process dies, however it dies: that is how the child learns of it.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [LAUNCHED]: '1' },
  })
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK']
  const forward = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of signals) {
    if (signal in constants.signals) process.on(signal, forward)
  }
  child.on('error', (error) => refuse(`${node} does not start: ${error.message}`))
  child.on('exit', (code, signal) => {
    for (const name of signals) process.off(name, forward)
    if (signal) process.kill(process.pid, signal)
    else process.exit(code === null ? 1 : code)
  })
}

/** On the child's side: without its launcher it ends as if it had been asked to. */
function endWithLauncher(): void {
  process.on('disconnect', () => {
    if (process.listenerCount('SIGTERM') > 0) process.emit('SIGTERM')
    else process.exit(1)
  })
  // Listening keeps the process alive; it should not.
  if (process.channel) process.channel.unref()
}

function refuse(problem: string | null): void {
  const lines = [
    `loci needs Node.js ${NEEDED.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).`,
    problem || 'No bundled Node.js was found next to it either.',
    'Install a newer one from https://nodejs.org, or reinstall loci with its optional dependencies (npm install --include=optional).',
  ]
  process.stderr.write(`${lines.join('\n')}\n`)
  process.exit(1)
}

/**
 * Starting costs a quarter less when the code need not be compiled again. The cache lies beside the code, so that who
 * could tamper with one could with the other (the system's temporary folder is everybody's); where that folder is
 * read-only there is none. Hosts often kill a server, so it is written while it runs, not at exit alone.
 */
function keepCompiledCode(): void {
  nodeModule.enableCompileCache(join(dirname(self), '.cache'))
  setTimeout(() => nodeModule.flushCompileCache(), 3000).unref()
}

/** Node announces its SQLite as experimental on every start: nothing the user can act on. Other warnings stay. */
function hideSqliteWarning(): void {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    const text = typeof warning === 'string' ? warning : warning.message
    if (!text.startsWith('SQLite is an experimental feature')) emit(warning, ...rest)
  }
}
