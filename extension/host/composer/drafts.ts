import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDraft, sizeOf, type Attachment, type Draft } from '../../composer-protocol.ts'

/** What was begun to write, by conversation. It survives closed tabs and reloads, but for many large images. */
export interface Drafts {
  /** An empty one where nothing was begun. */
  read(key: string): Promise<Draft>
  /** It is known at once and on disk a moment later; attachments that are null stay as they were. */
  keep(key: string, text: string, attachments: Attachment[] | null): Promise<void>
  /** Resolves when all that was kept is on disk. Rejects with what the disk says. */
  settled(): Promise<void>
}

/** Keystrokes within this time are written together, in milliseconds. */
const PAUSE = 100
/** More than this is not written to disk after each pause, in bytes: then the images stay in memory. */
const LARGE = 4 * 1024 * 1024

/** Drafts in a folder, a file each. `failed` is told when one cannot be written; it is kept in memory then. */
export function createDrafts(folder: string, failed: (error: unknown) => void): Drafts {
  const known = new Map<string, Draft>()
  const timers = new Map<string, NodeJS.Timeout>()
  let writing: Promise<void> = Promise.resolve()
  // Names of conversations are the server's: nothing of them becomes a path.
  const fileOf = (key: string) =>
    join(folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`)

  const write = async (key: string) => {
    const draft = known.get(key)
    const file = fileOf(key)
    if (!draft || isEmpty(draft)) return rm(file, { force: true })
    await mkdir(folder, { recursive: true })
    await writeFile(`${file}.new`, JSON.stringify(writable(draft)), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  const save = (key: string) => {
    clearTimeout(timers.get(key))
    timers.delete(key)
    const done = writing.then(() => write(key))
    writing = done.catch(() => undefined)
    return done
  }
  const read = async (key: string): Promise<Draft> => {
    const kept = known.get(key)
    if (kept) return kept
    try {
      const draft = parseDraft(JSON.parse(await readFile(fileOf(key), 'utf8')))
      if (draft) return known.get(key) ?? draft
    } catch (error) {
      // Not there, or cut short by a crash: the webview has its text, too.
      if ((error as { code?: unknown }).code !== 'ENOENT' && !(error instanceof SyntaxError)) throw error
    }
    return known.get(key) ?? { text: '', attachments: [] }
  }
  return {
    read,
    async keep(key, text, attachments) {
      known.set(key, { text, attachments: attachments ?? (await read(key)).attachments })
      clearTimeout(timers.get(key))
      timers.set(
        key,
        setTimeout(() => void save(key).catch(failed), PAUSE),
      )
    },
    async settled() {
      await Promise.all([...timers.keys()].map(save))
      await writing
    },
  }
}

function isEmpty({ text, attachments }: Draft): boolean {
  return text === '' && attachments.length === 0
}

function writable(draft: Draft): Draft {
  const size = draft.attachments.reduce((sum, one) => sum + sizeOf(one), 0)
  if (size <= LARGE) return draft
  return { ...draft, attachments: draft.attachments.filter(({ kind }) => kind !== 'image') }
}
