import { VERSION } from '../../shared/schema/version.ts'
import { printJson } from '../print.ts'

/** `loci version --json`: what a report of a problem should say. */
export function runVersion(): void {
  printJson({
    version: VERSION,
    node: process.versions.node,
    sqlite: process.versions['sqlite'] ?? null,
    platform: process.platform,
    arch: process.arch,
  })
}
