import type { Command } from 'commander'
import { jsonOption, section } from './help.ts'

/** What `loci store copy` is given. */
export interface StoreCopyOptions {
  from?: string
  to: string
  verify?: boolean
  restart?: boolean
  discard?: boolean
  keepSealed?: boolean
  json?: boolean
  data?: string
}

/** `loci store …`: a whole store, in a data directory or in PostgreSQL. */
export function addStoreCommands(program: Command): void {
  const store = program
    .command('store')
    .description('move everything between a data directory and PostgreSQL')
    .addHelpText('after', () =>
      section('Examples', ['loci store copy --from ~/.loci --to postgres://loci@db.example/loci']),
    )
  store
    .command('copy')
    .description(
      'copy a whole store to an empty one, verify every row, and go on where it was stopped; servers of both are stopped first',
    )
    .option('--from <store>', 'a data directory, or postgres://…')
    .requiredOption('--to <store>', 'a new directory, or an empty database')
    .option('--verify', 'copy nothing: compare every row of the two')
    .option('--restart', 'give up what an unfinished copy has brought, and begin anew')
    .option('--discard', 'give up an unfinished copy: empty --to')
    .option('--keep-sealed', 'copy secrets whose key is not here as they are; with --verify: pass them over')
    .option(...jsonOption)
    .option('--data <dir>', "where a database's key and uploads are (default: LOCI_HOME or ~/.loci)")
    .action(async (options: StoreCopyOptions, command: Command) => {
      if (options.from === undefined && !options.discard)
        command.error("error: required option '--from <store>' not specified")
      const modes = [options.verify, options.restart, options.discard].filter(Boolean)
      if (modes.length > 1) command.error("error: give one of '--verify', '--restart' and '--discard'")
      const { runStoreCopy } = await import('./commands/store.ts')
      await runStoreCopy(options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci store copy --from ~/.loci --to postgres://loci@db.example/loci',
        'loci store copy --from postgres://loci@db.example/loci --to ~/loci-again',
        'loci store copy --from ~/.loci --to postgres://loci@db.example/loci --verify',
      ]),
    )
}
