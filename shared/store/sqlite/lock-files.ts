import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pause } from '../pause.ts'
import { isBusy } from './errors.ts'

/** Ids of the instances of a directory that hold their lock file: processes that work, or did until just now. */
export async function lockedInstances(directory: string): Promise<string[]> {
  const folder = join(directory, 'instances')
  if (!existsSync(folder)) return []
  const ids = readdirSync(folder)
    .filter((name) => name.endsWith('.db'))
    .map((name) => name.slice(0, -'.db'.length))
  const held: string[] = []
  for (const id of ids) {
    if (isHeld(join(folder, `${id}.db`))) held.push(id)
    await pause(0)
  }
  return held
}

function isHeld(file: string): boolean {
  let probe: DatabaseSync | undefined
  try {
    probe = new DatabaseSync(file, { timeout: 0, readOnly: true })
    probe.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    // Not a database, or gone between the two looks: nobody holds it.
    return false
  } finally {
    probe?.close()
  }
}
