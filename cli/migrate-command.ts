import type { Command } from 'commander'
import type { MigrateOptions } from './commands/migrate.ts'
import { dataOption, section } from './help.ts'

/** `loci migrate`. */
export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('bring agents and all they have from a running Letta V1 server')
    .requiredOption('--from <url>', 'the old server, as http://old-host:8283')
    .option(
      '--token <token>',
      'its password (others may see it in the list of processes: better LETTA_API_KEY)',
    )
    .option('--token-stdin', 'read its password from stdin')
    .option('--ask-token', 'ask for its password')
    .option(
      '--only <parts>',
      'tools, mcp-servers, blocks, folders, archives, agents, identities, groups, providers',
    )
    .option('--agent <name...>', 'these agents alone, by name or id, with what they need')
    .option('--dry-run', 'count what there is, and bring nothing')
    .option('--json', 'the report as JSON')
    .option('--report <file>', 'write the report as JSON into a file, too')
    .option('--to <url>', 'a running Loci instead of the data directory')
    .option(...dataOption)
    .action(async (options: MigrateOptions, command: Command) => {
      if (options.to !== undefined && options.data !== undefined)
        command.error("error: give either '--to' or '--data', not both")
      if (
        [options.token, options.tokenStdin, options.askToken].filter((given) => given !== undefined).length >
        1
      )
        command.error("error: give the token once: '--token', '--token-stdin' or '--ask-token'")
      const { runMigrate } = await import('./commands/migrate.ts')
      await runMigrate(options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci migrate --from http://old-host:8283 --dry-run',
        'LETTA_API_KEY=… loci migrate --from http://old-host:8283',
        'loci migrate --from http://old-host:8283 --agent Ada --json',
      ]),
    )
}
