import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { VERSION } from '../../shared/schema/version.ts'

/** One measured number. */
export interface Row {
  scenario: string
  what: string
  unit:
    | 'ms'
    | 'µs'
    | 'kB'
    | 'MB'
    | 'MB/s'
    | '%'
    | 'tokens/s'
    | 'transactions'
    | 'passages/s'
    | 'messages/s'
    | 'agents/s'
    | 'chunks/s'
    | 'calls/s'
    | 'requests/s'
    | 'searches/s'
    | 'rows/s'
    | 'turns/s'
    | 'events/s'
    | 'round trips'
    | 's'
    | 'cores'
    | '×'
    | 'bytes'
    | 'tokens'
  value: number
  /** The same of the bare server, or of whatever `what` says it stands next to. */
  floor?: number
  /** What docs/performance.md designs for; nothing is asserted. */
  target?: string
}

/** Where the numbers were made. Load is the average of the last minute. */
export interface Machine {
  cores: number
  cpu: string
  memory_gb: number
  platform: string
  node: string
  loci: string
  load: number
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memory_gb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    loci: VERSION,
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
  }
}

export function machineLine(machine: Machine): string {
  const { cores, cpu, memory_gb, platform, node, loci, load } = machine
  return `Loci ${loci}, Node ${node}, ${platform}, ${cores} cores (${cpu}), ${memory_gb} GB, load ${load}`
}

/** What one engine takes next to another: the rows that both have, with the first one's as what they stand next to. */
export function besideEachOther(one: readonly Row[], other: readonly Row[]): Row[] {
  const values = new Map(one.map((row) => [row.what, row.value]))
  return other.flatMap(({ scenario, what, unit, value }) => {
    const floor = values.get(what)
    return floor === undefined ? [] : [{ scenario, what, unit, value, floor }]
  })
}

/** The rows as a table in Markdown, columns aligned. */
export function tableOf(
  rows: readonly Row[],
  sides: readonly [string, string] = ['Loci', 'next to'],
): string {
  const cells = rows.map((row) => [
    row.scenario,
    row.what,
    `${number(row.value)} ${row.unit}`,
    row.floor === undefined ? '' : `${number(row.floor)} ${row.unit}`,
    row.floor === undefined ? '' : `${(row.value / row.floor).toFixed(2)}×`,
    row.target ?? '',
  ])
  const head = ['scenario', 'what', ...sides, 'ratio', 'target']
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)))
  const line = (texts: readonly string[]) =>
    `| ${texts.map((text, i) => text.padEnd(widths[i]!)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(head), rule, ...cells.map(line)].join('\n')
}

function number(value: number): string {
  if (Math.abs(value) >= 1000) return String(Math.round(value))
  return String(Number(value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)))
}
