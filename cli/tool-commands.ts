import type { Command } from 'commander'
import type {
  CheckOptions,
  ListToolsOptions,
  NewOptions,
  PullOptions,
  PushOptions,
  RunOptions,
} from './commands/tools.ts'
import { dataOption, jsonOption, section } from './help.ts'
import type { Place } from './with-client.ts'

const url = ['--url <url>', 'a running Loci instead of the data directory'] as const
const dir = ['--dir <dir>', 'folder of the tools (default: .loci/tools)'] as const

/** `loci tools …`; `onlyOne` refuses `--url` together with `--data`. */
export function addToolCommands(program: Command, onlyOne: (command: Command, options: Place) => void): void {
  const tools = program
    .command('tools')
    .description('write tools for agents, try them, and bring them to a server and back')
    .addHelpText('after', () =>
      section('Examples', [
        'loci tools new get_weather',
        'loci tools run .loci/tools/get_weather.ts --arg person=Ada',
        'loci tools test && loci tools push',
      ]),
    )
  tools
    .command('new <name>')
    .description('write a tool that works, and its unit test, for you to change')
    .option('--python', 'in Python (default: TypeScript, one exported function)')
    .option('--zod', 'in TypeScript with a zod schema')
    .option(...jsonOption)
    .option(...dir)
    .action(async (name: string, options: NewOptions, command) => {
      if (options.python && options.zod) command.error("error: give either '--python' or '--zod', not both")
      const { runNew } = await import('./commands/tools.ts')
      await runNew(name, options)
    })
  tools
    .command('check [files...]')
    .description('print the schema that the model gets, or what is wrong and where; runs nothing')
    .option('--json', 'schemas and what is wrong, of each file, as JSON')
    .option(...url)
    .option(...dataOption)
    .action(async (files: string[], options: CheckOptions, command: Command) => {
      onlyOne(command, options)
      const { runCheck } = await import('./commands/tools.ts')
      await runCheck(files, options)
    })
  tools
    .command('run <file-or-name>')
    .description('call a tool once, behind the wall, as an agent would')
    .option('--args <json>', 'its arguments as one JSON object')
    .option('--arg <name=value>', 'one argument; may be given several times', collect)
    .option(
      '--env <NAME=value>',
      'a secret that it finds in its environment; may be given several times',
      collect,
    )
    .option('--agent <agent>', "as a tool of this agent, with the agent's secrets and memory")
    .option(...jsonOption)
    .option(...url)
    .option(...dataOption)
    .action(async (tool: string, options: RunOptions, command: Command) => {
      onlyOne(command, options)
      const { runTool } = await import('./commands/tools.ts')
      await runTool(tool, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        `loci tools run get_weather.py --args '{"city": "Paris"}'`,
        'loci tools run get_weather --arg city=Paris --agent Ada',
      ]),
    )
  tools
    .command('debug <file>')
    .description('let a debugger stop the next call that an agent makes of a tool, in this file')
    .option('--url <url>', 'the running Loci whose agents call it (default: http://127.0.0.1:8283)')
    .action(async (file: string, options: { url?: string }) => {
      const { runDebug } = await import('./commands/tools-debug.ts')
      await runDebug(file, options)
    })
    .addHelpText('after', () => section('Examples', ['loci tools debug .loci/tools/get_weather.ts']))
  tools
    .command('test [files...]')
    .description('run the unit tests beside the tools; as your own code, not behind the wall')
    .option('--json', 'a line of JSON for each test, as editors read it')
    .action(async (files: string[], options: { json?: boolean }) => {
      const { runTests } = await import('./commands/tools-test.ts')
      await runTests(files, options)
    })
  tools
    .command('push [files...]')
    .description('bring tools to the server, and say what changes')
    .option('--dry-run', 'say it only')
    .option(...jsonOption)
    .option(...url)
    .option(...dataOption)
    .action(async (files: string[], options: PushOptions, command: Command) => {
      onlyOne(command, options)
      const { runPush } = await import('./commands/tools.ts')
      await runPush(files, options)
    })
  tools
    .command('pull [names...]')
    .description('write tools of the server to files')
    .option('--force', 'replace files that differ')
    .option(...jsonOption)
    .option(...dir)
    .option(...url)
    .option(...dataOption)
    .action(async (names: string[], options: PullOptions, command: Command) => {
      onlyOne(command, options)
      const { runPull } = await import('./commands/tools.ts')
      await runPull(names, options)
    })
  tools
    .command('list')
    .description('list tools: name, kind and id')
    .option('--all', 'the built-in ones, too')
    .option(...jsonOption)
    .option(...url)
    .option(...dataOption)
    .action(async (options: ListToolsOptions, command: Command) => {
      onlyOne(command, options)
      const { runList } = await import('./commands/tools.ts')
      await runList(options)
    })
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}
