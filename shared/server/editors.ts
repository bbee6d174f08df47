import { Agent, get } from 'node:http'
import { readdirSync, promises as fs, statSync } from 'node:fs'
import { join } from 'node:path'
import { isAppError, AppError } from '../schema/errors.ts'
import {
  EDITOR_PROVIDER,
  type EditorBody,
  editorId,
  type EditorRecord,
  editorRecord,
  type EditorState,
  WINDOW_HEADER,
} from '../schema/editor.ts'
import type { ProviderConfig } from '../schema/provider.ts'

/**
 * Windows of editors that offer their models (design decision 5), each a file in the data directory: every instance serves
 * them at once, and a window that ended without a word is found out by asking it.
 */
export interface Editors {
  /**
   * The window that is used as a provider: the newest one that lives, and for as long as it does. Null: there is none.
   * Asks the windows at most every two seconds; in between it answers the same object.
   */
  provider(): ProviderConfig | null | Promise<ProviderConfig | null>
  /** Those that live, the newest first. */
  list(): Promise<EditorState[]>
  put(id: string, body: EditorBody): Promise<EditorState>
  /** False when there was none. */
  delete(id: string): Promise<boolean>
  /** What is believed about the windows is over: the next use asks them. */
  doubt(): void
}

/** How long a window that answered is believed to live, in milliseconds. */
const BELIEVED = 2_000
/** How long a window may take to say that it lives: its process does other things, too. */
const PATIENCE = 1_500

/** `data` is the data directory; nothing is made in it before the first window. Nothing has to be closed. */
export function createEditors(data: string): Editors {
  const directory = join(data, 'editors')
  let chosen: { provider: ProviderConfig; record: EditorRecord } | null = null
  let stamp = ''
  let until = 0
  let looking: Promise<ProviderConfig | null> | null = null

  const fileOf = (id: string) => join(directory, `${id}.json`)

  async function read(): Promise<EditorRecord[]> {
    const names = namesIn(directory)
    const records = await Promise.all(names.map((name) => readRecord(join(directory, name))))
    return records.filter((record) => record !== null).toSorted((a, b) => b.since.localeCompare(a.since))
  }

  async function living(): Promise<EditorRecord[]> {
    const records = await read()
    const lives = await Promise.all(records.map(stateOf))
    const gone = records.filter((_, index) => lives[index] === 'gone')
    await Promise.all(gone.map(({ id }) => fs.rm(fileOf(id), { force: true })))
    return records.filter((_, index) => lives[index] === 'alive')
  }

  async function look(): Promise<ProviderConfig | null> {
    const all = await living()
    // Who is used stays in use: another window may not offer the same models.
    const record = all.find(({ id }) => id === chosen?.record.id) ?? all[0]
    if (!record) chosen = null
    else if (JSON.stringify(record) !== JSON.stringify(chosen?.record))
      chosen = { provider: providerOf(record), record }
    // After what was removed here.
    stamp = stampOf(directory)
    until = performance.now() + BELIEVED
    return chosen?.provider ?? null
  }

  return {
    provider() {
      const now = stampOf(directory)
      if (now === '') return null
      if (now === stamp && performance.now() < until) return chosen?.provider ?? null
      return (looking ??= look().finally(() => {
        looking = null
      }))
    },
    list: async () => (await living()).map(shown),
    async put(id, body) {
      const before = await readRecord(fileOf(id))
      const record: EditorRecord = { ...body, id, since: before?.since ?? new Date().toISOString() }
      const draft = `${fileOf(id)}.${process.pid}.tmp`
      try {
        await fs.mkdir(directory, { recursive: true, mode: 0o700 })
        await fs.writeFile(draft, JSON.stringify(record), { mode: 0o600 })
        await fs.rename(draft, fileOf(id))
      } catch (cause) {
        throw new AppError('store_unavailable', `${directory} cannot be written.`, { cause })
      }
      until = 0
      return shown(record)
    },
    async delete(id) {
      try {
        await fs.unlink(fileOf(id))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
        throw error
      }
      until = 0
      return true
    },
    doubt() {
      until = 0
    },
  }
}

/** Whether a failure says that a window may be gone. */
export function isWindowLost(error: unknown): boolean {
  return isAppError(error, 'llm_connection') || (isAppError(error) && error.data['status'] === 410)
}

function providerOf({ id, base_url, api_key, revision }: EditorRecord): ProviderConfig {
  return {
    name: EDITOR_PROVIDER,
    provider_type: 'openai',
    base_url,
    api_key,
    api: 'chat',
    category: 'byok',
    headers: { [WINDOW_HEADER]: id },
    // Another one after each change of its models: their list is read again.
    updated_at: revision,
  }
}

function shown({ id, base_url, since }: EditorRecord): EditorState {
  return { id, base_url, since }
}

/** Asks a window whether it is the one that it was. `silent`: it may be busy. */
function stateOf({ id, base_url, api_key }: EditorRecord): Promise<'alive' | 'gone' | 'silent'> {
  return new Promise((resolve) => {
    const asking = get(`${base_url}/window`, {
      headers: { authorization: `Bearer ${api_key}`, [WINDOW_HEADER]: id },
      timeout: PATIENCE,
      // Its own: the global one may go through a proxy.
      agent: new Agent(),
    })
    asking.once('response', (response) => {
      response.resume()
      // Anything else answers for another program, which has the port now.
      resolve(response.statusCode === 204 ? 'alive' : 'gone')
    })
    asking.once('timeout', () => {
      resolve('silent')
      asking.destroy()
    })
    asking.once('error', () => resolve('gone'))
  })
}

async function readRecord(file: string): Promise<EditorRecord | null> {
  try {
    return editorRecord.parse(JSON.parse(await fs.readFile(file, 'utf8')))
  } catch {
    // Gone meanwhile, or none of ours: no window that could be asked.
    return null
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter(
      (name) => name.endsWith('.json') && editorId.safeParse(name.slice(0, -'.json'.length)).success,
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function stampOf(directory: string): string {
  const found = statSync(directory, { throwIfNoEntry: false })
  return found ? String(found.mtimeMs) : ''
}
