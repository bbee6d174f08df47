import { loadMaintenance } from '../../shared/server/main.ts'
import { EXIT, Failure } from '../failure.ts'
import { note, printJson } from '../print.ts'
import { bytes, count, progressLine, quoted } from '../progress.ts'
import { ownDirectory, type StorePlace } from '../store-place.ts'
import { plain } from '../terminal.ts'

interface Copy {
  path: string
  bytes: number
  rows: Record<string, number>
}

/** `loci backup`: the path of the copy on stdout, the rest on stderr. Ctrl-C leaves nothing behind. */
export async function runBackup(
  file: string | undefined,
  options: StorePlace & { json?: boolean },
): Promise<void> {
  const { backUp, storeOf } = await loadMaintenance()
  const directory = ownDirectory(
    await storeOf(options, process.env),
    'save them',
    (address) => `pg_dump --format=custom --file=${quoted(file ?? 'loci.dump')} ${address}`,
  )
  const copy = await stoppable((work) => backUp({ directory, file, ...work }), 'No backup was made.')
  if (options.json) return printJson({ path: copy.path, bytes: copy.bytes, rows: copy.rows })
  process.stdout.write(`${plain(copy.path)}\n`)
  note(`Backed up and verified: ${summary(copy)}. Settings and keys (config.json) are not in it.`)
  note(`To go back to it: loci restore ${quoted(copy.path)}${dataFlag(options)}`)
}

/** `loci restore`: puts a backup in the place of the present data, which are kept. */
export async function runRestore(file: string, options: StorePlace & { json?: boolean }): Promise<void> {
  const { restore, storeOf } = await loadMaintenance()
  const directory = ownDirectory(
    await storeOf(options, process.env),
    'stop every server, and restore a dump into an empty database',
    (address) => `pg_restore --no-owner --exit-on-error --dbname=${address} ${quoted(file)}`,
  )
  const { restored, previous } = await stoppable(
    (work) => restore({ directory, file, ...work }),
    'Nothing was restored.',
  )
  if (options.json) return printJson({ restored: restored.path, previous, rows: restored.rows })
  note(`Restored ${restored.path} into ${directory}: ${summary(restored)}.`)
  if (previous !== null) {
    process.stdout.write(`${plain(previous)}\n`)
    note(`What was there before is kept. To undo: loci restore ${quoted(previous)}${dataFlag(options)}`)
  }
}

interface Work {
  signal: AbortSignal
  onProgress: (phase: 'copying' | 'verifying', share: number) => void
}

async function stoppable<T>(run: (work: Work) => Promise<T>, outcome: string): Promise<T> {
  const stop = new AbortController()
  const interrupt = () => {
    process.exitCode = EXIT.interrupted
    stop.abort(new Failure(`Stopped. ${outcome}`))
  }
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  const line = progressLine()
  try {
    return await run({
      signal: stop.signal,
      onProgress: (phase, share) => line.show(phase === 'copying' ? 'Copying' : 'Verifying', share),
    })
  } finally {
    line.end()
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

function dataFlag(options: { data?: string }): string {
  return options.data === undefined ? '' : ` --data ${quoted(options.data)}`
}

function summary(copy: Copy): string {
  const rows = (table: string, noun: string) => count(copy.rows[table] ?? 0, noun)
  return `${bytes(copy.bytes)}, ${rows('agents', 'agent')}, ${rows('blocks', 'block')}, ${rows('messages', 'message')}`
}
