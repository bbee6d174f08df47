import { resolve } from 'node:path'
import { resolveDataDirectory } from '../../shared/server/main.ts'
import { VERSION } from '../../shared/schema/version.ts'
import { printJson } from '../print.ts'

/** `loci version --json`: what a report of a problem should say. */
export function runVersion(options: { data?: string }): void {
  printJson({
    version: VERSION,
    node: process.versions.node,
    sqlite: process.versions['sqlite'] ?? null,
    platform: process.platform,
    arch: process.arch,
    data: options.data === undefined ? resolveDataDirectory(process.env) : resolve(options.data),
  })
}
