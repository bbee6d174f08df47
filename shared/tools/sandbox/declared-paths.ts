import { realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, normalize } from 'node:path'
import type { ToolPermissions } from '../../core/ports/custom-tools.ts'
import { AppError } from '../../schema/errors.ts'
import { isBelow } from './linux-layout.ts'

/** Where other processes, devices and the sockets of services are. */
const CLOSED = ['/proc', '/sys', '/dev', '/run', '/private/var/run']

/**
 * The folders and files that a tool declares, absolute. Throws `invalid_argument` for one that is not there, is relative, or
 * lies in what no tool sees (`hide`, other processes, devices).
 */
export function declaredPaths(
  { read, write }: Pick<ToolPermissions, 'read' | 'write'>,
  hide: readonly string[],
): { read: string[]; write: string[] } {
  const hidden = hide.map((path) => real(path) ?? path)
  const check = (declared: string) => {
    const path = declared === '~' || declared.startsWith('~/') ? join(homedir(), declared.slice(2)) : declared
    if (!isAbsolute(path))
      throw new AppError(
        'invalid_argument',
        `'${declared}' is relative: a tool declares absolute paths, or ~/`,
      )
    const place = real(path)
    if (!place)
      throw new AppError(
        'invalid_argument',
        `the tool declares '${declared}', which is not there: make it first`,
      )
    const closed = CLOSED.find((folder) => isBelow(place, folder))
    if (closed)
      throw new AppError(
        'invalid_argument',
        `the tool declares '${declared}': no tool gets at ${closed}, where the system has more than files`,
      )
    if (place === '/')
      throw new AppError(
        'invalid_argument',
        `the tool declares '/': no tool gets the whole machine; name the folders that it needs`,
      )
    if (hidden.some((folder) => isBelow(place, folder)))
      throw new AppError('invalid_argument', `the tool declares '${declared}', where Loci keeps its data`)
    return normalize(path).replace(/(.)\/$/, '$1')
  }
  return { read: read.map(check), write: write.map(check) }
}

function real(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null
  }
}
