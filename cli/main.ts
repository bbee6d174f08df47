import { Command, CommanderError } from 'commander'
import { VERSION } from '../shared/schema/version.ts'
import type { ImportOptions } from './commands/agent-files.ts'
import type { ServerOptions } from './commands/server.ts'
import { addAgentCommands, addExportCommand } from './agent-commands.ts'
import { addBlockCommands } from './block-commands.ts'
import { addChatCommand } from './chat-command.ts'
import { addCompletionCommand } from './completion-command.ts'
import { addApplyCommand } from './apply-command.ts'
import { complain, EXIT, reportFailure } from './failure.ts'
import {
  dataOption as data,
  groupCommands,
  item,
  jsonOption,
  section,
  table,
  urlOption as url,
} from './help.ts'
import { addLocalCommands } from './local-commands.ts'
import { addMcpCommand } from './mcp-command.ts'
import { addMigrateCommand } from './migrate-command.ts'
import { addModelCommand } from './model-command.ts'
import { parsePort } from './port.ts'
import { endSoon, guardProcess } from './process-end.ts'
import { bold, columns, hasColor, wrap } from './terminal.ts'
import { addStoreCommands } from './store-commands.ts'
import { addToolCommands } from './tool-commands.ts'
import { addUserCommands } from './user-commands.ts'

/** Each command loads its own code when it runs, so that `loci --version` loads none of it. */
function createProgram(): Command {
  const program = new Command('loci')
    .description('Stateful agents on your own machine: REST server, MCP server and chat.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .showSuggestionAfterError()
    .exitOverride()
    .hook('preAction', (_, command) => onlyOne(command, command.opts()))
    .configureHelp({
      styleTitle: (title) => bold(title),
      styleUsage: (usage) => wrap(usage, columns() - 7).replaceAll('\n', '\n  '),
      formatItem: (term, width, text) => item(term, width, text).replace(/^/gm, '  '),
    })
    .configureOutput({
      getOutHelpWidth: () => columns(process.stdout),
      getErrHelpWidth: () => columns(process.stderr),
      getOutHasColors: () => hasColor(process.stdout),
      getErrHasColors: () => hasColor(process.stderr),
      outputError: (text) => complain(sentence(text)),
    })
  program
    .command('server')
    .description('serve the REST API')
    .option('--port <port>', 'port to listen on, 0 for a free one (default: 8283)', parsePort)
    .option('--host <host>', 'address to listen on (default: 127.0.0.1)')
    .option(...data)
    .option('--store <address>', 'keep agents in PostgreSQL: postgres://user@host/database; also LOCI_STORE')
    .option('--auth', 'ask every request for a key: LOCI_API_KEY, or a random one that is printed')
    .option('--cors [origins...]', 'let web pages of these origins (none named: of any) use the API')
    .option('--tls-cert <file>', 'speak HTTPS with this certificate (PEM); a renewed file is noticed')
    .option('--tls-key <file>', 'the key of --tls-cert (PEM)')
    .option('--no-tls', 'speak HTTP, also when config.json names a certificate')
    .option('--docs', 'serve the API documentation on /docs and /openapi.json')
    .option('--log-level <level>', 'silent, error, warn, info (default), debug; also LOCI_LOG_LEVEL')
    .option('--json', 'print one line of JSON once it answers: url, data, key')
    .action(async (options: ServerOptions) => {
      const { runServer } = await import('./commands/server.ts')
      await runServer(options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci server',
        'loci server --port 0 --data ./team',
        'loci server --auth --host 0.0.0.0 --tls-cert fullchain.pem --tls-key privkey.pem',
        'loci server --docs --cors https://app.example.com',
      ]),
    )
  addChatCommand(program)
  addExportCommand(program)
  program
    .command('import <files...>')
    .description('make the agents of agent files (.af), and print their ids')
    .option('--name <name>', 'another name for the agent, of a single file')
    .option('--model <handle>', 'another model for the agents')
    .option('--no-messages', 'leave out all messages')
    .option('--keep-tools', 'leave tools that are there already as they are')
    .option(...jsonOption)
    .option(...url)
    .option(...data)
    .action(async (files: string[], options: ImportOptions, command: Command) => {
      onlyOne(command, options)
      const { runImport } = await import('./commands/agent-files.ts')
      await runImport(files, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci import Ada.af',
        'loci import Ada.af --name Eve --model loci/demo',
        'loci import fleet/ more/*.af',
      ]),
    )
  addMigrateCommand(program)
  addAgentCommands(program)
  addBlockCommands(program)
  addModelCommand(program)
  addApplyCommand(program, onlyOne)
  addMcpCommand(program, onlyOne)
  addToolCommands(program, onlyOne)
  addUserCommands(program, onlyOne)
  addLocalCommands(program)
  addStoreCommands(program)
  addCompletionCommand(program)
  program
    .command('version')
    .description('print the version')
    .option('--json', 'print JSON: versions of Loci, Node and SQLite, platform')
    .action(async (options: { json?: boolean }) => {
      if (!options.json) return void process.stdout.write(`${VERSION}\n`)
      const { runVersion } = await import('./commands/version.ts')
      runVersion()
    })
  groupCommands(program)
  program.addHelpText(
    'after',
    () =>
      section('Examples', [
        'loci server',
        'loci chat Ada --create',
        'loci tools new get_weather',
        'claude mcp add loci -- loci mcp',
      ]) +
      table('Environment', [
        ['LOCI_HOME', 'data directory instead of ~/.loci'],
        ['LOCI_STORE', 'postgres://…: agents are in PostgreSQL, not in that directory'],
        ['LOCI_TOKEN', 'bearer token sent to --url'],
        ['LOCI_TOKEN_FILE', 'a file with that token in its first line'],
        ['OPENAI_API_KEY', 'connects OpenAI, or what OPENAI_BASE_URL names'],
        ['LOCI_API_KEY', 'key that loci server --auth asks for'],
        ['EDITOR', 'opens memory blocks in loci blocks edit; VISUAL comes first'],
        ['NO_COLOR', 'no colours; FORCE_COLOR: colours in a pipe, too'],
        ['LOCI_DEBUG=1', 'errors say where they happened'],
      ]) +
      table('Exit codes', [
        ['0', 'done'],
        ['1', 'it failed; stderr says why'],
        ['2', 'the command was not understood'],
        ['130', 'Ctrl-C stopped it'],
      ]),
  )
  return program
}

/** `--url` and `--data` name two different places. */
function onlyOne(command: Command, options: { url?: string; data?: string }): void {
  if (options.url !== undefined && options.data !== undefined) {
    command.error("error: give either '--url' or '--data', not both")
  }
}

/** Commander's "error: … (Did you mean …?)" as one sentence. */
function sentence(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replace(/\n?\(Did you mean (.*)\?\)/, '. Did you mean $1?')
}

/** `help` of a command that is not there is an unknown command, with its suggestion. */
function knownHelp(program: Command, args: string[]): string[] {
  const [help, name] = args
  if (help !== 'help' || name === undefined) return args
  return program.commands.some((command) => command.name() === name) ? args : [name]
}

async function run(args: string[]): Promise<void> {
  const program = createProgram()
  try {
    if (args.length === 0) program.outputHelp()
    else if (args[0] === '__complete') {
      const { complete } = await import('./complete.ts')
      await complete(program, args.slice(1))
    } else await program.parseAsync(knownHelp(program, args), { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage
    else {
      reportFailure(error)
      if (process.exitCode !== EXIT.interrupted) process.exitCode = EXIT.failure
    }
  }
  endSoon()
}

guardProcess()
await run(process.argv.slice(2))
