import { build } from 'esbuild'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { CustomToolCall, SourceLanguage } from '../../shared/core/ports/custom-tools.ts'
import type * as Built from '../../shared/tools/lazy-custom-tools.ts'
import type { Scenario } from '../lib/context.ts'
import { ACTOR } from '../lib/fill.ts'
import type { Row } from '../lib/report.ts'
import { percentile, sample } from '../lib/stats.ts'

/** Tools that do nothing. */
const SOURCES: Record<SourceLanguage, string> = {
  typescript: 'export function add(a: number, b: number) { return a + b }',
  python: 'def add(a: int, b: int) -> int:\n    return a + b\n',
}
/** As a tool would be called without any of this: a new process of the runtime, its answer on stdout. */
const BARE: Record<SourceLanguage, [string, string[]]> = {
  typescript: [process.execPath, ['-e', 'console.log(1 + 2)']],
  python: ['python3', ['-I', '-c', 'print(1 + 2)']],
}
/** Between warm calls, so that spares are there again: more calls than that a second wait for processes to start. */
const PAUSE_MS = 250

/** A call of a tool of one's own behind the wall, against a bare child process; many at once; what waits in memory. */
export const tools: Scenario = async (context) => {
  const { progress, sized } = context
  const at_once = sized(32, 32, 2)
  const lazyCustomTools = await builtTools()
  const rows: Row[] = []
  for (const language of ['typescript', 'python'] as const) {
    progress(`tools: ${language}`)
    const custom = lazyCustomTools({
      data: await context.folder(),
      env: process.env,
      api: () => Promise.resolve(Response.json({})),
    })
    try {
      const { kind } = await custom.wall()
      const row = (what: string, value: number, unit: Row['unit'], more: Partial<Row> = {}) =>
        rows.push({ scenario: 'tools', what: `${language}, ${kind}: ${what}`, unit, value, ...more })
      const run = async () => {
        const { status, func_response } = await custom.run(callOf(language), {
          signal: new AbortController().signal,
        })
        if (status !== 'success' || func_response !== '3') throw new Error(JSON.stringify(func_response))
      }
      const bare = await sample(sized(40, 10, 1), () => bareCall(language))
      const [cold = NaN] = await sample(1, run)
      row('the first call', cold, 'ms', { floor: percentile(bare, 0.5) })
      await setTimeout(sized(1500, 1500, 0))
      const warm: number[] = []
      for (let i = 0; i < sized(100, 20, 2); i++) {
        warm.push(...(await sample(1, run)))
        await setTimeout(PAUSE_MS)
      }
      const target = language === 'typescript' ? '≤ 3 ms' : '≤ 5 ms'
      row('a call, p50', percentile(warm, 0.5), 'ms', { floor: percentile(bare, 0.5), target })
      row('a call, p99', percentile(warm, 0.99), 'ms', { floor: percentile(bare, 0.99) })
      row('what waits for calls, resident', await residentMb(), 'MB')
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const together = await sample(sized(6, 2, 1), () => Promise.all(Array.from({ length: at_once }, run)))
      delay.disable()
      const bareDelay = monitorEventLoopDelay({ resolution: 1 })
      bareDelay.enable()
      const alone = await sample(1, () =>
        Promise.all(Array.from({ length: at_once }, () => bareCall(language))),
      )
      bareDelay.disable()
      row(`${at_once} calls at once, all of them, p50`, percentile(together, 0.5), 'ms', {
        floor: alone[0] ?? NaN,
      })
      row('longest stall of the event loop meanwhile', delay.max / 1e6, 'ms', {
        floor: bareDelay.max / 1e6,
        target: '≤ 20 ms',
      })
    } finally {
      await custom.close()
    }
  }
  return rows
}

/** What runs tools, in the form in which users have it: beside it in `dist` are the built programs that it starts. */
async function builtTools(): Promise<typeof Built.lazyCustomTools> {
  const outfile = resolve('dist/bench/lazy-custom-tools.js')
  const entryPoints = ['shared/tools/lazy-custom-tools.ts']
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'warning' })
  const { lazyCustomTools } = (await import(pathToFileURL(outfile).href)) as typeof Built
  return lazyCustomTools
}

function callOf(source_type: SourceLanguage): CustomToolCall {
  return {
    actor: ACTOR,
    name: 'add',
    source: { source_type, source_code: SOURCES[source_type], pip_requirements: [], npm_requirements: [] },
    permissions: {
      network: false,
      read: [],
      write: [],
      timeout_ms: null,
      memory_mb: null,
      keep_state: false,
    },
    arguments: { a: 1, b: 2 },
    env: {},
    agent: null,
    run_id: null,
  }
}

async function bareCall(language: SourceLanguage): Promise<void> {
  const [command, args] = BARE[language]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => (said += chunk))
  await once(child, 'close')
  if (said !== '3\n') throw new Error(`${command} said ${said}`)
}

/** Proportional set size of all processes below this one: pages that several share are counted once in all. Linux only. */
async function residentMb(): Promise<number> {
  if (process.platform !== 'linux') return NaN
  let kb = 0
  const below = [process.pid]
  for (let pid = below.pop(); pid !== undefined; pid = below.pop()) {
    // One that ended meanwhile has nothing.
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
    below.push(...children.split(' ').filter(Boolean).map(Number))
    if (pid === process.pid) continue
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
    kb += Number(/^Pss: +(\d+)/m.exec(rollup)?.[1] ?? 0)
  }
  return kb / 1024
}
