import { loadMaintenance } from '../../shared/server/main.ts'
import { ask, isInteractive } from '../ask.ts'
import { Failure } from '../failure.ts'
import { printJson } from '../print.ts'
import { bytes, count, quoted } from '../progress.ts'
import { columns, plain, wrap } from '../terminal.ts'

const WORD = 'delete'
const PROGRAM =
  'The program itself: npm uninstall --global loci, and in VS Code the command "Extensions: Uninstall Extension".'

/** `loci uninstall`: says how; with `--purge` removes the data directory, after a word that has to be typed. */
export async function runUninstall(options: {
  purge?: boolean
  yes?: boolean
  json?: boolean
  data?: string
}): Promise<void> {
  const { planPurge, purge, storeOf } = await loadMaintenance()
  const { directory, database } = await storeOf(options, process.env)
  if (database !== null && !options.json) {
    const { place, tools } = database
    say(
      `Agents are in PostgreSQL (${place}) and stay there, also with --purge. To remove them, drop that database.`,
    )
    say(`With PostgreSQL's own programs: psql '${tools}'`)
  }
  if (!options.purge) {
    if (options.json) return printJson({ directory, removed: [] })
    say(
      `${database === null ? 'Your agents and their memory' : 'Settings'} are in ${directory} and stay there.`,
    )
    say(`To remove them too: loci uninstall --purge${flag(options)}`)
    return say(PROGRAM)
  }
  const plan = planPurge(directory)
  const total = plan.items.reduce((sum, item) => sum + item.bytes, 0)
  if (options.json) {
    if (!options.yes) await confirm(options)
    await purge(plan)
    return printJson({ directory: plan.directory, removed: plan.items, stays: plan.stays })
  }
  say(`This removes for good from ${plan.directory}:`)
  const width = Math.max(...plan.items.map((item) => bytes(item.bytes).length))
  for (const item of plan.items) {
    process.stdout.write(`  ${bytes(item.bytes).padStart(width)}  ${plain(item.name)}\n`)
  }
  say(`${count(plan.items.length, 'file')}, ${bytes(total)}, backups in that folder included.`)
  if (plan.stays.length > 0) say(`Not Loci's, and left alone: ${plan.stays.join(', ')}.`)
  if (!options.yes) await confirm(options)
  await purge(plan)
  say(`Removed. ${PROGRAM}`)
}

async function confirm(options: { data?: string }): Promise<void> {
  if (!isInteractive()) {
    throw new Failure(
      `Nothing was removed: there is no terminal to confirm on. To go ahead: loci uninstall --purge --yes${flag(options)}`,
    )
  }
  const answer = await ask(
    `To keep a copy, stop here and run loci backup FILE first. Type ${WORD} to go on: `,
  )
  if (answer !== WORD) throw new Failure('Nothing was removed.')
}

function flag(options: { data?: string }): string {
  return options.data === undefined ? '' : ` --data ${quoted(options.data)}`
}

function say(text: string): void {
  process.stdout.write(`${wrap(plain(text), columns())}\n`)
}
