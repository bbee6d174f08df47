import { isAbsolute } from 'node:path'
import { AppError } from '../shared/schema/errors.ts'
import type { McpSettings } from './settings.ts'

/** A path that a call may use. Throws `forbidden` over HTTP, whose hosts may be anybody, and for one that is relative. */
export function localPath(settings: McpSettings, path: string): string {
  if (!settings.local_files)
    throw new AppError('forbidden', 'Files of this machine are out of reach over HTTP: give the text itself.')
  if (!isAbsolute(path)) throw new AppError('invalid_argument', `'${path}' is no absolute path.`)
  return path
}
