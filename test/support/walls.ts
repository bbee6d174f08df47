import { realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { openWall } from '../../shared/tools/sandbox/wall.ts'
import type { Wall } from '../../shared/tools/sandbox/walled-command.ts'

/**
 * The walls that a file of tests runs with: those that LOCI_TEST_WALLS names (`bubblewrap,namespaces`), each of which has
 * to be there (`none`: as on a machine without one); otherwise the one that Loci finds on this machine. Each suite says
 * which it was.
 */
export async function testWalls(hide: readonly string[] = []): Promise<Wall[]> {
  const named = process.env['LOCI_TEST_WALLS']?.split(',')
  if (!named) return [await openWall({ hide })]
  return Promise.all(
    named.map(async (kind) => {
      if (kind === 'none') return openWall({ search: '/nowhere', hide })
      if (kind !== 'bubblewrap' && kind !== 'namespaces')
        throw new Error(`there is no wall '${kind}' on Linux`)
      const wall = await openWall({ kinds: [kind], hide })
      if (wall.kind !== kind) throw new Error(`the tests of ${kind} cannot run: ${wall.description}`)
      return wall
    }),
  )
}

/** Where temporary folders are that another user can reach, too: TMPDIR may lie in somebody's own. Linux. */
export function sharedTemporary(): string {
  const wanted = tmpdir()
  for (let folder = realpathSync(wanted); folder !== '/'; folder = dirname(folder))
    if ((statSync(folder).mode & 0o001) === 0) return '/tmp'
  return wanted
}
