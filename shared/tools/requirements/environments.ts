import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import { isLocked, lockFile } from './folder-lock.ts'
import { install, type InstallStep } from './installer.ts'

export interface EnvironmentsOptions {
  /** Where the environments are, a folder for each set of packages. */
  directory: string
  /** Where proxies, indexes and programs are looked for. */
  env: NodeJS.ProcessEnv
  /** An installation that takes longer is given up; 10 minutes by default. */
  timeout_ms?: number
  /** An installation that takes more on disk is given up; 4 GB by default. */
  max_bytes?: number
}

export interface Waiting {
  signal: AbortSignal
  onProgress?: ((text: string) => void) | undefined
}

/** How one environment is made. */
export interface Recipe {
  /** What makes it another one: language, versions, packages. */
  key: readonly string[]
  /** For people: `requests==2.32.0, numpy`. */
  packages: string
  /** Of the program that installs. */
  program: string
  /** Prepares a folder and says what is run in it, in this order. `home` is empty, and gone afterwards. */
  steps(folder: string, home: string): Promise<InstallStep[]>
}

interface Making {
  folder: Promise<string>
  listeners: Set<(text: string) => void>
  waiting: number
  cancel: AbortController
}

/** Makes environments, each once: for all who wait in this process, and for all processes. */
export interface Environments {
  /**
   * The folder of a recipe, made if it is not there. Throws `tool_error` with the last lines of the program when that
   * fails. Ends with the last of those who wait for it.
   */
  folder(recipe: Recipe, waiting: Waiting): Promise<string>
}

const TIMEOUT_MS = 10 * 60_000
const MAX_BYTES = 4 * 1024 ** 3

export function createEnvironments(options: EnvironmentsOptions): Environments {
  const making = new Map<string, Making>()
  return {
    async folder(recipe, { signal, onProgress }) {
      signal.throwIfAborted()
      const name = createHash('sha256').update(JSON.stringify(recipe.key)).digest('hex').slice(0, 32)
      const folder = join(options.directory, name)
      // It has its name only when it is complete.
      if (existsSync(folder)) return folder
      const found = making.get(name) ?? begin(name, recipe, options)
      making.set(name, found)
      const forget = () => {
        if (making.get(name) === found) making.delete(name)
      }
      found.folder.then(forget, forget)
      found.waiting++
      if (onProgress) found.listeners.add(onProgress)
      const aborted = Promise.withResolvers<never>()
      const abort = () => aborted.reject(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      try {
        return await Promise.race([found.folder, aborted.promise])
      } finally {
        signal.removeEventListener('abort', abort)
        if (onProgress) found.listeners.delete(onProgress)
        found.waiting--
        if (found.waiting === 0) {
          forget()
          found.cancel.abort()
          // Nothing of it is left when its last caller hears of the end.
          await found.folder.catch(() => undefined)
        }
      }
    },
  }
}

/** Of an environment that is being made: `.<name>-<uuid>`, and that with `-home`. */
const DRAFT = /^\.([0-9a-f]{32})-[0-9a-f-]{36}(?:-home)?$/

/** Removes what installations left behind whose process died: what nobody makes now. `directory` need not be there. */
export async function removeDrafts(directory: string): Promise<void> {
  const entries = await readdir(directory).catch(() => [])
  for (const entry of entries) {
    const [, name] = DRAFT.exec(entry) ?? []
    if (name === undefined || (await isLocked(lockOf(directory, name)))) continue
    await rm(join(directory, entry), { recursive: true, force: true, maxRetries: 3 })
  }
}

function lockOf(directory: string, name: string): string {
  return join(directory, `${name}.lock`)
}

function begin(name: string, recipe: Recipe, options: EnvironmentsOptions): Making {
  const listeners = new Set<(text: string) => void>()
  const cancel = new AbortController()
  const tell = (text: string) => {
    for (const listener of listeners) listener(text)
  }
  return { folder: make(name, recipe, options, cancel.signal, tell), listeners, waiting: 0, cancel }
}

async function make(
  name: string,
  recipe: Recipe,
  { directory, timeout_ms = TIMEOUT_MS, max_bytes = MAX_BYTES }: EnvironmentsOptions,
  cancelled: AbortSignal,
  tell: (text: string) => void,
): Promise<string> {
  const { packages, program } = recipe
  const folder = join(directory, name)
  const draft = join(directory, `.${name}-${randomUUID()}`)
  const home = `${draft}-home`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const limit = AbortSignal.timeout(timeout_ms)
  const signal = AbortSignal.any([cancelled, limit])
  const begun = Date.now()
  try {
    tell(`Installing ${packages} with ${program}; this is done once.`)
    const unlock = await lockFile(lockOf(directory, name), signal)
    try {
      // While this one waited.
      if (existsSync(folder)) return folder
      await mkdir(draft)
      await mkdir(home)
      for (const step of await recipe.steps(draft, home))
        await install(step, {
          signal,
          folder: draft,
          max_bytes,
          onLine: (line) => tell(`${program}: ${line}`),
        })
      // Tools run as nobody where the server is root.
      await chmod(draft, 0o755)
      await rename(draft, folder).catch((error: unknown) => {
        // Another process, which took this one for dead, was faster.
        if (!existsSync(folder)) throw error
      })
      tell(`Installed ${packages} in ${((Date.now() - begun) / 1000).toFixed(1)} s.`)
      return folder
    } finally {
      await unlock()
    }
  } catch (error) {
    cancelled.throwIfAborted()
    const why = limit.aborted
      ? `it took longer than ${timeout_ms / 1000} s`
      : isAppError(error)
        ? error.message
        : messageOf(error)
    throw new AppError('tool_error', `${program} could not install ${packages}: ${why}`, { cause: error })
  } finally {
    await Promise.all([draft, home].map((path) => rm(path, { recursive: true, force: true, maxRetries: 3 })))
  }
}
