import { existsSync } from 'node:fs'
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What the user has typed is kept beside the data it is about, this many lines of it. */
const FILE = 'chat-history'
const KEPT = 500

/** What was typed into chats, for the arrow keys; kept in the data directory, readable by its owner alone. */
export interface TypedLines {
  /** The newest first. */
  readonly lines: readonly string[]
  add(line: string): Promise<void>
}

/** Of a data directory; of a chat with a server, of the usual one, and nowhere when that is not there. */
export async function openTypedLines(data: string | undefined): Promise<TypedLines> {
  const folder = data ?? (process.env['LOCI_HOME'] || join(homedir(), '.loci'))
  if (!existsSync(folder)) return { lines: [], add: () => Promise.resolve() }
  const file = join(folder, FILE)
  const lines = await read(file)
  if (lines.length > 2 * KEPT) {
    const kept = lines.slice(-KEPT).map((line) => `${JSON.stringify(line)}\n`)
    await writeFile(`${file}.tmp`, kept.join(''), { mode: 0o600 })
    await rename(`${file}.tmp`, file)
  }
  return {
    lines: lines.slice(-KEPT).toReversed(),
    add: (line) => appendFile(file, `${JSON.stringify(line)}\n`, { mode: 0o600 }),
  }
}

async function read(file: string): Promise<string[]> {
  if (!existsSync(file)) return []
  return (await readFile(file, 'utf8')).split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line)
      return typeof value === 'string' ? [value] : []
    } catch {
      // A line that was cut when the disk was full, or the last, which is empty.
      return []
    }
  })
}
