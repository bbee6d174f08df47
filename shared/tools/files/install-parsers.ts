import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

const TIME_LIMIT_MS = 180_000
/** What a process that died left of an installation is removed after this. */
const LEFT_AFTER_MS = 60 * 60_000
/** Another file does not wait for npm again that soon after it failed. */
const AGAIN_AFTER_MS = 60_000

export interface ParserInstallerOptions {
  /** Each installation has a folder of its own in it. */
  folder: string
  /** A lockfile of npm: which packages, in which versions, with their hashes. */
  lock: string
  env?: Record<string, string | undefined>
  time_limit_ms?: number
}

/** Installs the parsers of PDF, DOCX and XLSX where they did not come with Loci. */
export interface ParserInstaller {
  /** Where they are, or will be. */
  readonly target: string
  /**
   * Installs them, unless they are there: with npm, exactly what the lockfile says, hashes checked, without running code
   * of any package. Throws an error whose text says why it could not, and what a user can do.
   */
  install(options: { signal: AbortSignal }): Promise<void>
}

/** The packages of a lockfile that are asked for, with their versions. */
function askedFor(lock: string): Record<string, string> {
  const { packages } = JSON.parse(lock) as { packages: { '': { dependencies: Record<string, string> } } }
  return packages[''].dependencies
}

export function createParserInstaller(options: ParserInstallerOptions): ParserInstaller {
  const { folder, lock, env = process.env, time_limit_ms = TIME_LIMIT_MS } = options
  const target = join(folder, createHash('sha256').update(lock).digest('hex').slice(0, 16))
  let failed: { at: number; error: unknown } | null = null
  let installing: Promise<void> | null = null
  const once = async (signal: AbortSignal) => {
    if (failed && performance.now() - failed.at < AGAIN_AFTER_MS) throw failed.error
    try {
      await install(target, { folder, lock, env, time_limit_ms, signal })
      failed = null
    } catch (error) {
      if (!signal.aborted) failed = { at: performance.now(), error }
      throw error
    }
  }
  return {
    target,
    async install({ signal }) {
      if (existsSync(target)) return
      installing ??= once(signal).finally(() => {
        installing = null
      })
      await installing
    },
  }
}

/**
 * The installer of what the build left out, into this folder; null where nothing may be installed
 * (`LOCI_INSTALL_PARSERS=0`), or needs to be: run from its sources, Loci has the packages themselves.
 */
export function openParserInstaller(folder: string): ParserInstaller | null {
  const list = new URL('../parsers-lock.json', import.meta.url)
  if (process.env['LOCI_INSTALL_PARSERS'] === '0' || !existsSync(list)) return null
  return createParserInstaller({ folder, lock: readFileSync(list, 'utf8') })
}

async function install(
  target: string,
  given: Required<ParserInstallerOptions> & { signal: AbortSignal },
): Promise<void> {
  const { folder, lock, env, time_limit_ms, signal } = given
  const dependencies = askedFor(lock)
  const packages = Object.entries(dependencies).map(([name, version]) => `${name}@${version}`)
  const byHand = `Install them with: npm install --prefix "${folder}" ${packages.join(' ')} and upload the file again`
  const npm = programIn(env['PATH'] ?? env['Path'] ?? '')
  if (npm === null)
    throw new Error(
      `the parsers for PDF, DOCX and XLSX do not come with the extension, and npm was not found to install them. ${byHand}`,
    )
  await removeLeftovers(folder)
  const made = `${target}.${randomUUID()}.tmp`
  try {
    await mkdir(made, { recursive: true, mode: 0o700 })
    await writeFile(join(made, 'package.json'), JSON.stringify({ private: true, dependencies }))
    await writeFile(join(made, 'package-lock.json'), lock)
    const problem = await run(npm, { cwd: made, env, time_limit_ms, signal })
    if (problem !== null)
      throw new Error(
        `the parsers for PDF, DOCX and XLSX do not come with the extension, and npm could not install them (${problem}). ` +
          `Upload the file again when npm can reach its registry. ${byHand}`,
      )
    // Another process may have been faster: then its installation stays.
    await rename(made, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error
    })
  } finally {
    await rm(made, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** npm on the path, null when it is not there. */
function programIn(path: string): string | null {
  const name = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  for (const directory of path.split(delimiter)) {
    const file = join(directory, name)
    if (directory !== '' && existsSync(file)) return file
  }
  return null
}

/** Runs npm to its end; answers what went wrong, null when nothing did. Throws the reason of an abort. */
function run(
  npm: string,
  options: {
    cwd: string
    env: Record<string, string | undefined>
    time_limit_ms: number
    signal: AbortSignal
  },
): Promise<string | null> {
  const { cwd, env, time_limit_ms, signal } = options
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier']
  const quiet = [
    '--loglevel=error',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=1000',
    '--fetch-timeout=30000',
  ]
  // A batch file needs a shell; nothing in the arguments is a user's.
  const shell = process.platform === 'win32'
  return new Promise((resolve, reject) => {
    execFile(
      shell ? `"${npm}"` : npm,
      [...args, ...quiet],
      { cwd, env, shell, signal, timeout: time_limit_ms, windowsHide: true },
      (error, _stdout, stderr) => {
        if (signal.aborted) reject(signal.reason as Error)
        else if (!error) resolve(null)
        else if (error.killed) resolve(`it took longer than ${time_limit_ms / 1000} s`)
        else resolve(reasonOf(stderr) || error.message)
      },
    )
  })
}

/** The lines of npm's errors that say something, on one. */
function reasonOf(stderr: string): string {
  return stderr
    .split('\n')
    .map((line) => line.replace(/^npm (?:error|ERR!) ?/, '').trim())
    .filter((line) => line !== '' && !/complete log|debug-\d|^A complete/.test(line))
    .join(' ')
    .slice(0, 500)
}

async function removeLeftovers(folder: string): Promise<void> {
  if (!existsSync(folder)) return
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.tmp')) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found && Date.now() - found.mtimeMs > LEFT_AFTER_MS) await rm(path, { recursive: true, force: true })
  }
}
