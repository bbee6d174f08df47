import { readFileSync } from 'node:fs'
import { messageOf } from '../shared/schema/errors.ts'
import { Failure } from './failure.ts'

/**
 * The token that is sent to `--url`: LOCI_TOKEN, or the first line of the file that LOCI_TOKEN_FILE names, as systems
 * that keep secrets in files have it. Throws a `Failure` for a file that cannot be read or is empty.
 */
export function tokenOf(env: NodeJS.ProcessEnv): string | undefined {
  if (env['LOCI_TOKEN']) return env['LOCI_TOKEN']
  const file = env['LOCI_TOKEN_FILE']
  if (!file) return undefined
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Failure(`LOCI_TOKEN_FILE is ${file}, which cannot be read: ${messageOf(cause)}`, { cause })
  }
  const token = text.split('\n')[0]?.trim()
  if (!token) throw new Failure(`LOCI_TOKEN_FILE is ${file}, whose first line is empty; put the token there.`)
  return token
}
