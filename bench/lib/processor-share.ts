import { access, constants, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The kernel gives a share out in parts of this length: short, so that no request waits long for the next one. */
const PERIOD_US = 10_000

/** A group of processes that together get so much of one processor; whoever leaves it has none left in it. */
export interface ProcessorShare extends AsyncDisposable {
  /** Moves a process, with its threads, into it. Those that it has started before stay where they are. */
  take(pid: number): Promise<void>
}

/** Where control groups of processors can be made, and by which version of them; null where that is not so. */
async function place(): Promise<{ root: string; v2: boolean } | null> {
  const found = async (root: string) =>
    await access(root, constants.W_OK).then(
      () => true,
      () => false,
    )
  const v2 = '/sys/fs/cgroup'
  const delegated = await readFile(join(v2, 'cgroup.subtree_control'), 'utf8').catch(() => '')
  if (delegated.split(/\s/).includes('cpu') && (await found(v2))) return { root: v2, v2: true }
  const v1 = '/sys/fs/cgroup/cpu'
  return (await found(join(v1, 'cpu.cfs_quota_us'))) || (await found(join(v1, 'tasks')))
    ? { root: v1, v2: false }
    : null
}

/**
 * Makes a group that gets `share` of one processor and no more, as a machine of its own would. Null where the system does
 * not let this user do it (Linux with control groups, as root).
 */
export async function processorShare(share: number): Promise<ProcessorShare | null> {
  const where = await place()
  if (!where) return null
  const group = join(where.root, `loci-bench-${process.pid}-${crypto.randomUUID().slice(0, 8)}`)
  const quota = Math.round(share * PERIOD_US)
  try {
    await mkdir(group)
    if (where.v2) await writeFile(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`)
    else {
      await writeFile(join(group, 'cpu.cfs_period_us'), String(PERIOD_US))
      await writeFile(join(group, 'cpu.cfs_quota_us'), String(quota))
    }
  } catch {
    await rmdir(group).catch(() => undefined)
    return null
  }
  const procs = (root: string) => join(root, 'cgroup.procs')
  return {
    take: (pid) => writeFile(procs(group), String(pid)),
    async [Symbol.asyncDispose]() {
      const left = (await readFile(procs(group), 'utf8')).split('\n').filter(Boolean)
      for (const pid of left) await writeFile(procs(where.root), pid).catch(() => undefined)
      await rmdir(group)
    },
  }
}
