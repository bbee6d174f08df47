import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { messageOf } from '../shared/schema/errors.ts'
import { Failure } from './failure.ts'

/** Text of an option: as it stands, `@FILE` from a file, `-` from stdin. Throws a `Failure` for a file that cannot be read. */
export async function textArgument(given: string): Promise<string> {
  if (given === '-') return text(process.stdin)
  if (!given.startsWith('@')) return given
  const file = given.slice(1)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new Failure(`${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
