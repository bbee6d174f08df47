// `npm run bench`: measures Loci beside a bare server and prints what it found. See docs/performance.md.
import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Scenario } from './lib/context.ts'
import { describeMachine, machineLine, type Row, tableOf } from './lib/report.ts'

/** Each loaded when it is asked for. */
const SCENARIOS: Record<string, () => Promise<Scenario>> = {
  start: async () => (await import('./scenarios/start.ts')).start,
  create: async () => (await import('./scenarios/create.ts')).create,
  turns: async () => (await import('./scenarios/turns.ts')).turns,
  transactions: async () => (await import('./scenarios/transactions.ts')).transactions,
  stream: async () => (await import('./scenarios/stream.ts')).stream,
  paced: async () => (await import('./scenarios/paced.ts')).paced,
  sockets: async () => (await import('./scenarios/sockets.ts')).sockets,
  conversations: async () => (await import('./scenarios/conversations.ts')).conversations,
  resume: async () => (await import('./scenarios/resume.ts')).resume,
  compaction: async () => (await import('./scenarios/compaction.ts')).compaction,
  stalls: async () => (await import('./scenarios/stalls.ts')).stalls,
  import: async () => (await import('./scenarios/import.ts')).imports,
  files: async () => (await import('./scenarios/files.ts')).files,
  mcp: async () => (await import('./scenarios/mcp.ts')).mcp,
  access: async () => (await import('./scenarios/access.ts')).access,
  prefix: async () => (await import('./scenarios/prefix.ts')).prefix,
  store: async () => (await import('./scenarios/store.ts')).store,
  scale: async () => (await import('./scenarios/scale.ts')).scale,
  search: async () => (await import('./scenarios/search.ts')).search,
  tools: async () => (await import('./scenarios/tools.ts')).tools,
}

const USAGE = `npm run bench [-- --quick] [--only NAME,NAME] [--json FILE]
  --quick   small sizes: half a minute, for a look; the full run takes about ten
  --only    some of: ${Object.keys(SCENARIOS).join(', ')}
  --json    also write the numbers to FILE`

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
const names = values.only?.split(',') ?? Object.keys(SCENARIOS)
const unknown = names.filter((name) => !Object.hasOwn(SCENARIOS, name))
if (unknown.length > 0) {
  console.error(`no scenario ${unknown.join(', ')}\n${USAGE}`)
  process.exit(2)
}

const machine = describeMachine()
console.log(`${machineLine(machine)}${values.quick ? ', --quick' : ''}\n`)
const rows: Row[] = []
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
let quietUntil = performance.now() + 30_000
for (const name of names) {
  try {
    const found = await measure(await SCENARIOS[name]!())
    rows.push(...found)
    progress('')
    console.log(`${tableOf(found)}\n`)
  } catch (error) {
    progress('')
    failed.push(name)
    console.error(`${name} failed:`, error)
  }
}
console.log(`load at the end ${describeMachine().load}`)
if (values.json !== undefined) {
  const result = { at: new Date().toISOString(), quick: values.quick, machine, rows, failed }
  await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`)
}
process.exitCode = failed.length > 0 ? 1 : 0

async function measure(scenario: Scenario): Promise<Row[]> {
  try {
    return await scenario({
      quick: values.quick,
      progress,
      async folder() {
        const path = await mkdtemp(join(tmpdir(), 'loci-bench-'))
        folders.add(path)
        return path
      },
    })
  } finally {
    for (const path of folders) await rm(path, { recursive: true, force: true, maxRetries: 5 })
    folders.clear()
  }
}

/** One line on stderr that the next replaces; on anything but a terminal, a line now and then. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && performance.now() > quietUntil) {
    quietUntil = performance.now() + 30_000
    console.error(text)
  }
}
