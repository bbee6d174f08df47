import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { describeFailure, type LociClient } from '../../shared/client/http.ts'
import { desiredOf } from '../apply/desired.ts'
import { writeFleet } from '../apply/export.ts'
import { findFleetFiles, Mistakes, readFleetFile } from '../apply/fleet-file.ts'
import { planAgents } from '../apply/plan-agents.ts'
import { planPrune } from '../apply/plan-prune.ts'
import { planSharedBlocks } from '../apply/plan-blocks.ts'
import { planArchives, planFolders } from '../apply/plan-folders.ts'
import { planMcpServers, planTools } from '../apply/plan-tools.ts'
import { type Change, newPlan, type Plan } from '../apply/plan.ts'
import { showChange, showStale, summary } from '../apply/show.ts'
import { StateBlock } from '../apply/state.ts'
import { ask, isInteractive } from '../ask.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { count, progressLine } from '../progress.ts'
import { plain } from '../terminal.ts'
import { type Place, withClient } from '../with-client.ts'

/** Either `file` or `export` is given. */
export interface ApplyOptions extends Place {
  file?: string[]
  export?: string
  dryRun?: boolean
  diff?: boolean
  prune?: boolean
  yes?: boolean
  json?: boolean
  root?: string
}

/** `loci apply`: makes the agents of a server what files say. */
export async function runApply(options: ApplyOptions): Promise<void> {
  if (options.export !== undefined) return runExport(options.export, options)
  const given = options.file ?? []
  const paths = await findFleetFiles(given)
  try {
    const files = []
    for (const path of paths) files.push(await readFleetFile(path, process.env, options.root))
    const desired = await desiredOf(files, fleetName(given[0] ?? ''), process.env)
    for (const note of files.flatMap(({ notes }) => notes)) complain(note)
    await withClient(options, async (client) => {
      const block = new StateBlock(client, desired.fleet)
      const plan = newPlan(client, desired, await block.read(), options.prune === true)
      await makePlan(plan)
      await carryOut(plan, block, options)
    })
  } catch (error) {
    if (!(error instanceof Mistakes)) throw error
    for (const line of error.lines) complain(line)
    throw new Failure(error.message, { cause: error })
  }
}

/** The order is that of what needs what; what goes, goes last. */
async function makePlan(plan: Plan): Promise<void> {
  const progress = progressLine()
  progress.show('Comparing …')
  try {
    await planMcpServers(plan)
    await planTools(plan)
    await planSharedBlocks(plan)
    await planFolders(plan)
    await planArchives(plan)
    await planAgents(plan)
    await planPrune(plan)
  } finally {
    progress.end()
  }
  if (plan.mistakes.length > 0) throw new Mistakes([...new Set(plan.mistakes)])
}

async function carryOut(plan: Plan, block: StateBlock, options: ApplyOptions): Promise<void> {
  const dry = options.dryRun === true || options.diff === true
  const { changes, stale } = plan
  if (!options.json) for (const change of changes) process.stdout.write(`${showChange(change)}\n`)
  if (!dry) {
    if (changes.some(removes) && !options.yes) await confirm(changes)
    await run(plan, block, options.json === true)
  }
  for (const note of plan.notes) complain(note)
  if (options.json) print(plan, !dry)
  else {
    if (stale.length > 0) process.stderr.write(`${plain(showStale(stale))}\n`)
    const text = changes.length === 0 ? 'nothing to change' : summary(changes, !dry)
    process.stderr.write(`${plan.desired.fleet}: ${text}\n`)
  }
  if (dry && changes.length > 0) process.exitCode = EXIT.drift
}

/** Whether something is lost by a change. */
function removes({ action, fields }: Change): boolean {
  return (
    action === 'delete' || fields.some(({ after, field }) => after === null && /^(block|file)/.test(field))
  )
}

async function confirm(changes: readonly Change[]): Promise<void> {
  const names = changes.filter(removes).map(({ kind, name }) => `${kind} ${name}`)
  if (!isInteractive())
    throw new Failure(
      `Nothing was changed: this removes something of ${names.join(', ')}, and there is no terminal to confirm it on. Go ahead with --yes, or without --prune.`,
    )
  const answer = await ask(`This removes for good: ${names.join(', ')}. Type yes to go on: `)
  if (answer !== 'yes') throw new Failure('Nothing was changed.')
}

/** Makes the changes one after another; what has been made is kept in the state, also when one fails. */
async function run(plan: Plan, block: StateBlock, quiet: boolean): Promise<void> {
  const made = plan.changes.filter(({ action }) => action === 'create')
  plan.state.creating = made.map(({ kind, name }) => `${kind} ${name}`)
  if (plan.changes.length > 0) await block.begin(plan.state)
  const progress = progressLine()
  let done = 0
  try {
    for (const change of plan.changes) {
      if (!quiet) progress.show(`${change.kind} ${change.name} …`, done / plan.changes.length)
      await change.run().catch((error: unknown) => {
        throw failed(change, error, plan.client, done)
      })
      done++
      if (change.action === 'create') await block.save(plan.state)
    }
  } catch (error) {
    // Only what failed may be there without a word of it.
    const at = plan.changes[done]
    plan.state.creating = at?.action === 'create' ? [`${at.kind} ${at.name}`] : []
    await block.save(plan.state).catch((lost: unknown) => complain(describeFailure(lost, plan.client.url)))
    throw error
  } finally {
    progress.end()
  }
  plan.state.creating = []
  await block.save(plan.state)
}

function failed({ at, kind, name }: Change, error: unknown, client: LociClient, done: number): Failure {
  const where = at === null ? '' : `${at}: `
  const so_far = done === 0 ? 'Nothing before it was changed.' : `What was changed before it (${done}) stays.`
  const why = describeFailure(error, client.url).replace(/\.?$/, '.')
  return new Failure(`${where}${kind} '${name}': ${why} ${so_far}`, { cause: error })
}

function print({ desired, changes, stale, notes }: Plan, applied: boolean): void {
  const shown = changes.map(({ action, kind, name, at, fields }) => ({ action, kind, name, at, fields }))
  process.stdout.write(`${JSON.stringify({ fleet: desired.fleet, applied, changes: shown, stale, notes })}\n`)
}

/** What a fleet is called whose files do not say it: by its folder and file. */
function fleetName(path: string): string {
  const whole = resolve(path)
  const name = basename(whole, extname(whole))
  return extname(whole) === '' ? name : `${basename(dirname(whole))}/${name}`
}

/** `loci apply --export`: a file that is there is kept. */
async function runExport(file: string, options: ApplyOptions): Promise<void> {
  if (file !== '-' && existsSync(file)) throw new Failure(`${file} is there already: nothing was written.`)
  await withClient(options, async (client) => {
    const { text, agents, notes } = await writeFleet(client, file === '-' ? 'agents' : fleetName(file))
    if (file === '-') process.stdout.write(text)
    else await writeFile(file, text, { flag: 'wx' })
    for (const note of notes) complain(note)
    if (file !== '-') process.stderr.write(`${plain(`Wrote ${count(agents, 'agent')} to ${file}.`)}\n`)
  })
}
