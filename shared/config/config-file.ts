import { randomUUID } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { dirname } from 'node:path'
import type { Adapter } from 'lowdb'
import type { z } from 'zod'
import { AppError, messageOf } from '../schema/errors.ts'
import { type JsonText, JsonTextError, parseJsonText, type Position } from './json-text.ts'
import { type ConfigData, configSchema } from './schema.ts'

/**
 * config.json as an adapter of lowdb: read and checked, written whole or not at all (temporary file, fsync, rename,
 * mode 0600). Errors name path, line and column, and never repeat a value.
 */
export class ConfigFile implements Adapter<ConfigData> {
  readonly path: string
  readonly #beforeRename: () => Promise<void>
  #raw: Record<string, unknown> = {}

  constructor(path: string, beforeRename: () => Promise<void> = async () => {}) {
    this.path = path
    this.#beforeRename = beforeRename
  }

  /** Null when there is no file. Throws `config_invalid`; the file stays as it is. */
  async read(): Promise<ConfigData | null> {
    this.#raw = {}
    let text: string
    try {
      text = await fs.readFile(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw new AppError('config_invalid', `${this.path} cannot be read: ${messageOf(error)}.`, {
        data: { path: this.path },
        cause: error,
      })
    }
    let json: JsonText
    try {
      json = parseJsonText(text)
    } catch (error) {
      if (error instanceof JsonTextError) throw this.#invalid(error.message, error.position)
      throw error
    }
    const result = configSchema.safeParse(json.value)
    if (!result.success) {
      const issue = result.error.issues[0]
      throw this.#invalid(describe(issue), json.positionOf(issue?.path ?? []))
    }
    this.#raw = json.value as Record<string, unknown>
    return result.data
  }

  /** Throws `invalid_argument` for values that could not be read again. What nobody set is not written. */
  async write(data: ConfigData): Promise<void> {
    const result = configSchema.safeParse(data)
    if (!result.success) {
      const said = describe(result.error.issues[0])
      throw new AppError('invalid_argument', `This cannot be written to ${this.path}: ${said}.`)
    }
    const sparse = withoutDefaults(result.data, configSchema.parse({}), this.#raw)
    await writeDurably(this.path, `${JSON.stringify(sparse, null, 2)}\n`, this.#beforeRename)
  }

  #invalid(what: string, { line, column }: Position): AppError {
    return new AppError(
      'config_invalid',
      `${this.path}, line ${line}, column ${column}: ${what}. Correct the file, or move it away to start with defaults.`,
      { data: { path: this.path, line, column } },
    )
  }
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  if (!issue) return 'not as expected'
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')
  const field = path.replace(/^\./, '')
  return field === '' ? issue.message : `${field}: ${issue.message}`
}

/** Leaves out what equals its default and was not in the file, so that a later default still counts. */
function withoutDefaults(data: unknown, fallback: unknown, raw: unknown): unknown {
  if (!isObject(data)) return data
  const old = isObject(raw) ? raw : {}
  const base = isObject(fallback) ? fallback : {}
  const entries = Object.entries(data).flatMap(([key, value]): [string, unknown][] => {
    const kept = withoutDefaults(value, base[key], old[key])
    if (key in old) return [[key, kept]]
    const dull = key in base && (JSON.stringify(kept) === JSON.stringify(base[key]) || isEmpty(kept))
    return dull ? [] : [[key, kept]]
  })
  return Object.fromEntries(entries)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isEmpty(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0
}

async function writeDurably(path: string, text: string, beforeRename: () => Promise<void>): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`
  try {
    await fs.mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await fs.open(draft, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await beforeRename()
    await fs.rename(draft, path)
  } finally {
    await fs.rm(draft, { force: true })
  }
  // The rename itself is durable only with its directory; Windows cannot sync one.
  if (process.platform === 'win32') return
  const directory = await fs.open(dirname(path))
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
