import { readFile } from 'node:fs/promises'

/** Linux counts processor time in these, whatever its kernel's clock (`getconf CLK_TCK`). */
const TICK_MS = 10

/**
 * Processor time of a process and all below it so far, in milliseconds, with that of those which have ended. Linux only,
 * NaN elsewhere.
 */
export async function cpuOfTree(pid: number): Promise<number> {
  if (process.platform !== 'linux') return NaN
  let ticks = 0
  const left = [pid]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    // One that ends meanwhile is counted with its parent.
    const stat = await readFile(`/proc/${next}/stat`, 'utf8').catch(() => '')
    const children = await readFile(`/proc/${next}/task/${next}/children`, 'utf8').catch(() => '')
    left.push(...children.split(' ').filter(Boolean).map(Number))
    // After the name in brackets: user, system, and both of its children that have ended.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    for (const field of fields.slice(11, 15)) ticks += Number(field)
  }
  return ticks * TICK_MS
}
