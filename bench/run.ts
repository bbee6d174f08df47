// `npm run bench`: measures Loci beside a bare server and prints what it found. See docs/performance.md.
import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Engine, Scenario } from './lib/context.ts'
import type { BenchPostgres } from './lib/postgres.ts'
import { besideEachOther, describeMachine, machineLine, type Row, tableOf } from './lib/report.ts'
import { ANY_ENGINE, IN_POSTGRES, SCENARIOS } from './scenarios.ts'

const USAGE = `npm run bench [-- --quick | --smoke] [--only NAME,NAME] [--store ENGINES] [--rows N] [--json FILE]
  --quick   small sizes: half a minute, for a look; the full run takes about ten
  --smoke   the smallest sizes: whether every scenario works; the numbers say nothing
  --only    some of: ${Object.keys(SCENARIOS).join(', ')}
  --store   sqlite (the default), postgres, or sqlite,postgres: both in one run, side by side
            (${ANY_ENGINE.join(', ')}; in PostgreSQL alone: ${IN_POSTGRES.join(', ')})
  --rows    messages or passages of million-messages and million-passages
  --json    also write the numbers to FILE`

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    only: { type: 'string' },
    store: { type: 'string', default: 'sqlite' },
    rows: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
const engines = values.store.split(',').filter((name) => name === 'sqlite' || name === 'postgres')
const inPostgres = engines.includes('postgres')
const all = Object.keys(SCENARIOS).filter((name) =>
  inPostgres ? ANY_ENGINE.includes(name) || IN_POSTGRES.includes(name) : !IN_POSTGRES.includes(name),
)
const names = values.only?.split(',') ?? all
const unknown = names.filter((name) => !Object.hasOwn(SCENARIOS, name))
if (unknown.length > 0 || engines.length === 0) {
  const what = engines.length === 0 ? `no engine ${values.store}` : `no scenario ${unknown.join(', ')}`
  console.error(`${what}\n${USAGE}`)
  process.exit(2)
}

const size = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'
const machine = describeMachine()
console.log(`${machineLine(machine)}${size === 'full' ? '' : `, --${size}`}\n`)
const rows: (Row & { store: Engine })[] = []
const failed: string[] = []
/** What the present scenario has on disk. */
const folders = new Set<string>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.once('exit', () =>
      folders.forEach((path) => rmSync(path, { recursive: true, force: true, maxRetries: 5 })),
    )
    process.exit(signal === 'SIGINT' ? 130 : 143)
  })
}
/** Started when a scenario first asks for it. */
let server: BenchPostgres | undefined
let quietUntil = performance.now() + 30_000
try {
  for (const name of names) {
    try {
      const scenario = await SCENARIOS[name]!()
      const wanted: Engine[] = ANY_ENGINE.includes(name) ? engines : engines.slice(0, 1)
      const found: Row[][] = []
      for (const engine of wanted) found.push(await measure(scenario, engine))
      rows.push(...found.flatMap((some, i) => some.map((row) => ({ ...row, store: wanted[i]! }))))
      progress('')
      const [first = [], second] = found
      console.log(
        second ? tableOf(besideEachOther(first, second), [wanted[1]!, wanted[0]!]) : tableOf(first),
        '\n',
      )
    } catch (error) {
      progress('')
      failed.push(name)
      console.error(`${name} failed:`, error)
    }
  }
} finally {
  await server?.[Symbol.asyncDispose]()
}
console.log(`load at the end ${describeMachine().load}`)
if (values.json !== undefined) {
  const result = { at: new Date().toISOString(), size, machine, names, rows, failed }
  await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`)
}
process.exitCode = failed.length > 0 ? 1 : 0

async function measure(scenario: Scenario, engine: Engine): Promise<Row[]> {
  try {
    return await scenario({
      sized: (full, quick, smoke) => ({ full, quick, smoke })[size],
      rows: values.rows === undefined ? null : Number(values.rows),
      engine,
      progress,
      folder,
      postgres,
      async place() {
        const directory = await folder()
        return { directory, address: engine === 'postgres' ? await (await postgres()).database() : null }
      },
    })
  } finally {
    for (const path of folders) await rm(path, { recursive: true, force: true, maxRetries: 5 })
    folders.clear()
  }
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'loci-bench-'))
  folders.add(path)
  return path
}

async function postgres(): Promise<BenchPostgres> {
  if (!server) {
    // What matters to the smallest sizes is that everything is done, not how long the disk takes.
    const settings = size === 'smoke' ? { fsync: 'off' } : {}
    server = await (await import('./lib/postgres.ts')).startPostgres(settings)
    console.log(`${server.description}\n`)
  }
  return server
}

/** One line on stderr that the next replaces; on anything but a terminal, a line now and then. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && performance.now() > quietUntil) {
    quietUntil = performance.now() + 30_000
    console.error(text)
  }
}
