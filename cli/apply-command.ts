import type { Command } from 'commander'
import type { ApplyOptions } from './commands/apply.ts'
import { dataOption, section, table, urlOption } from './help.ts'
import type { Place } from './with-client.ts'

/** `loci apply`; `onlyOne` refuses `--url` together with `--data`. */
export function addApplyCommand(program: Command, onlyOne: (command: Command, options: Place) => void): void {
  program
    .command('apply')
    .description('make agents, and what they share, what files of YAML say')
    .option('-f, --file <paths...>', 'files of a fleet, or folders of them')
    .option('--dry-run', 'say what would change, and change nothing')
    .option('--diff', 'the same as --dry-run')
    .option('--prune', 'remove what an earlier apply made and the files have no more')
    .option('--yes', 'remove without asking')
    .option('--root <dir>', 'where paths in the files begin (default: the folder of each file)')
    .option('--json', 'print JSON')
    .option(
      '--export <file>',
      "write the agents that are there to such a file, '-' for stdout, and do nothing else",
    )
    .option(...urlOption)
    .option(...dataOption)
    .action(async (options: ApplyOptions, command: Command) => {
      onlyOne(command, options)
      if ((options.file === undefined) === (options.export === undefined))
        command.error("error: name the files with '--file', or one to write with '--export'")
      const { runApply } = await import('./commands/apply.ts')
      await runApply(options)
    })
    .addHelpText(
      'after',
      () =>
        section('Examples', [
          'loci apply -f agents.yml --dry-run',
          'loci apply -f fleet/ --prune',
          'loci apply --export agents.yml',
        ]) +
        table('Exit codes', [
          ['0', 'done; with --dry-run: nothing would change'],
          ['1', 'it failed; stderr says why'],
          ['2', 'with --dry-run: something would change'],
        ]),
    )
}
