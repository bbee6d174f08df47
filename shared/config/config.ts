import { promises as fs, statSync } from 'node:fs'
import { join } from 'node:path'
import { Low } from 'lowdb'
import { AppError, messageOf } from '../schema/errors.ts'
import { ConfigFile } from './config-file.ts'
import { lockFile } from './file-lock.ts'
import { type ConfigData, configSchema } from './schema.ts'

/** The settings of one data directory. */
export interface Config {
  /** Absolute path of config.json. */
  readonly path: string
  /** As last read: defaults filled in, `${env:NAME}` in keys replaced. */
  readonly value: ConfigData
  /** The same as it stands in the file: references to the environment unresolved. */
  readonly stored: ConfigData
  /** Reads the file again. Throws `config_invalid`; `value` stays as it was then. */
  read(): Promise<ConfigData>
  /**
   * As the file is now: read again when it has changed, by whomever. The same object while it has not. What is broken
   * now leaves the value as it was; `onBroken` hears of it, once for each state of the file.
   */
  current(): ConfigData | Promise<ConfigData>
  /**
   * Changes the file as it is now, under a lock that all processes share, so that no change is lost. `change` gets the
   * data as it stands in the file (references to the environment unresolved). Nothing is written when it throws, when
   * the file is broken (`config_invalid`) or when the new values are not valid (`invalid_argument`). Throws
   * `store_unavailable` when the directory cannot be written or the lock cannot be had.
   */
  update(change: (data: ConfigData) => void): Promise<ConfigData>
}

export interface ConfigOptions {
  /** Where `${env:NAME}` is looked up. Default `process.env`. */
  env?: Readonly<Record<string, string | undefined>>
  /** Hears that the file cannot be read any more, from `current`. Must not throw. */
  onBroken?: (error: unknown) => void
}

/**
 * Reads config.json in this data directory; without one these are the defaults, and nothing is written. Throws
 * `config_invalid` naming path, line and column; the broken file is kept. Nothing has to be closed.
 */
export async function openConfig(directory: string, options: ConfigOptions = {}): Promise<Config> {
  const path = join(directory, 'config.json')
  const env = options.env ?? process.env
  let stamp = stampOf(path)
  let reading: Promise<ConfigData> | null = null
  let stored = await load(new ConfigFile(path))
  let value = resolveKeys(stored, env)
  let queue: Promise<unknown> = Promise.resolve()

  async function update(change: (data: ConfigData) => void): Promise<ConfigData> {
    try {
      await fs.mkdir(directory, { recursive: true, mode: 0o700 })
      const lock = await lockFile(`${path}.lock`)
      try {
        const db = new Low(new ConfigFile(path, () => lock.confirm()), configSchema.parse({}))
        await db.read()
        await db.update(change)
        stored = db.data
        return (value = resolveKeys(stored, env))
      } finally {
        await lock.release()
      }
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (
        error instanceof AppError ||
        // EBUSY: it is mounted by itself, as in a container.
        !/^(EACCES|EPERM|EROFS|EBUSY|ENOSPC|ENOTDIR|EEXIST|EDQUOT)$/.test(code ?? '')
      )
        throw error
      throw new AppError('store_unavailable', `${path} cannot be written: ${messageOf(error)}.`, {
        cause: error,
      })
    }
  }

  async function reread(): Promise<ConfigData> {
    try {
      stored = await load(new ConfigFile(path))
      value = resolveKeys(stored, env)
    } catch (error) {
      options.onBroken?.(error)
    }
    reading = null
    return value
  }

  return {
    path,
    get value() {
      return value
    },
    get stored() {
      return stored
    },
    current() {
      const now = stampOf(path)
      if (now === stamp) return reading ?? value
      stamp = now
      return (reading = reread())
    },
    async read() {
      stored = await load(new ConfigFile(path))
      return (value = resolveKeys(stored, env))
    },
    update(change) {
      // One after another in this process; the lock is for the others.
      const mine = queue.then(() => update(change))
      queue = mine.catch(() => {})
      return mine
    },
  }
}

/** Tells the states of a file apart; a file that is replaced is another one. */
function stampOf(path: string): string {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    return found ? `${found.ino}:${found.size}:${found.mtimeMs}` : ''
  } catch (error) {
    // Reading it will say why.
    return `not there: ${messageOf(error)}`
  }
}

async function load(file: ConfigFile): Promise<ConfigData> {
  const db = new Low(file, configSchema.parse({}))
  await db.read()
  return db.data
}

/** Name of the variable that `${env:NAME}` refers to; null for anything else. */
export function referenceIn(text: string): string | null {
  return /^\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(text)?.[1] ?? null
}

/** A reference to a variable that is not set leaves the provider without a key, which its first use reports. */
function resolveKeys(data: ConfigData, env: Readonly<Record<string, string | undefined>>): ConfigData {
  const providers = data.providers.map((provider) => {
    const name = referenceIn(provider.api_key ?? '')
    return name === null ? provider : { ...provider, api_key: env[name] ?? null }
  })
  const { s3 } = data.storage
  const resolved = (text: string | null) => {
    const name = referenceIn(text ?? '')
    return name === null ? text : (env[name] ?? null)
  }
  const storage = {
    ...data.storage,
    s3: {
      ...s3,
      access_key_id: resolved(s3.access_key_id),
      secret_access_key: resolved(s3.secret_access_key),
      session_token: resolved(s3.session_token),
    },
  }
  return { ...data, providers, storage }
}
