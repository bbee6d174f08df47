import { type Command, InvalidArgumentError } from 'commander'
import { dataOption, jsonOption, section, storeOption } from './help.ts'

interface Data {
  data?: string
  store?: string
  json?: boolean
}

/** The commands that work on a data directory themselves: settings, providers, copies, health, removal. */
export function addLocalCommands(program: Command): void {
  addConfig(program)
  addConnect(program)
  program
    .command('backup')
    .description('copy all agents and their memory into one file, while Loci runs')
    .argument('[file]', 'a new file (default: one in backups/ of the data directory)')
    .option(...jsonOption)
    .option(...storeOption)
    .option(...dataOption)
    .action(async (file: string | undefined, options: Data) => {
      const { runBackup } = await import('./commands/backup.ts')
      await runBackup(file, options)
    })
    .addHelpText('after', () => section('Examples', ['loci backup', 'loci backup ~/loci-friday.db']))
  program
    .command('restore')
    .description('go back to a backup; what is there now is kept as one, too')
    .argument('<file>', 'a file made by loci backup, or one in backups/')
    .option(...jsonOption)
    .option(...storeOption)
    .option(...dataOption)
    .action(async (file: string, options: Data) => {
      const { runRestore } = await import('./commands/backup.ts')
      await runRestore(file, options)
    })
    .addHelpText('after', () => section('Examples', ['loci restore ~/loci-friday.db']))
  program
    .command('doctor')
    .description('look for what is wrong with the store, the settings and the providers')
    .option('--json', 'the report as JSON')
    .option('--timeout <seconds>', 'how long a provider may take to answer', parseSeconds, 10)
    .option(...storeOption)
    .option(...dataOption)
    .action(async (options: Data & { timeout: number }) => {
      const { runDoctor } = await import('./commands/doctor.ts')
      await runDoctor(options)
    })
    .addHelpText('after', () => section('Examples', ['loci doctor', 'loci doctor --json']))
  program
    .command('uninstall')
    .description('say how to remove Loci; with --purge, remove its data')
    .option('--purge', 'remove all agents, memory, settings and backups in the data directory')
    .option('--yes', 'with --purge: do not ask')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Data & { purge?: boolean; yes?: boolean }) => {
      const { runUninstall } = await import('./commands/uninstall.ts')
      await runUninstall(options)
    })
    .addHelpText('after', () => section('Examples', ['loci uninstall', 'loci uninstall --purge']))
}

function addConfig(program: Command): void {
  const config = program
    .command('config')
    .description('look at the settings in config.json and change them')
    .addHelpText('after', () => section('Examples', ['loci config show', 'loci config set server.port 9000']))
  config
    .command('path')
    .description('print where config.json is')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Data) => {
      const { runConfigPath } = await import('./commands/config.ts')
      runConfigPath(options)
    })
  config
    .command('show')
    .description('print every setting as JSON, keys masked')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Data) => {
      const { runConfigShow } = await import('./commands/config.ts')
      await runConfigShow(options)
    })
  config
    .command('check')
    .description('say whether the file is right, and the line where it is not')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (options: Data) => {
      const { runConfigCheck } = await import('./commands/config.ts')
      await runConfigCheck(options)
    })
  config
    .command('set')
    .description('change one setting')
    .argument('<key>', 'its dotted name, for example server.port')
    .argument('<value>', 'text, a number, true, false, null, or a list with commas')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (key: string, value: string, options: Data) => {
      const { runConfigSet } = await import('./commands/config.ts')
      await runConfigSet(key, value, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci config set server.port 9000',
        'loci config set defaults.model openai/gpt-4.1',
      ]),
    )
}

interface Connect extends Data {
  url?: string
  preset?: string
  key?: string
  keyEnv?: string
  keyStdin?: boolean
  apiVersion?: string
  check: boolean
}

function addConnect(program: Command): void {
  program
    .command('connect')
    .description('connect a model provider; asks for what is not given')
    .argument('[name]', 'openai, anthropic, groq, …, or a name of your own with --url')
    .option('--url <url>', 'address of its API')
    .option('--key <key>', 'its key (other users may see it in the list of processes)')
    .option('--key-env <name>', 'read the key from this variable whenever Loci starts')
    .option('--key-stdin', 'read the key from stdin')
    .option('--preset <name>', 'with a name of your own: the provider it speaks like')
    .option('--api-version <version>', "Azure's api-version")
    .option('--no-check', 'save without asking the provider for its models')
    .option(...jsonOption)
    .option(...dataOption)
    .action(async (name: string | undefined, options: Connect, command: Command) => {
      const keys = [options.key, options.keyEnv, options.keyStdin].filter((given) => given !== undefined)
      if (keys.length > 1) {
        command.error("error: give the key once: '--key', '--key-env' or '--key-stdin'")
      }
      const { runConnect } = await import('./commands/connect.ts')
      await runConnect(name, options)
    })
    .addHelpText('after', () =>
      section('Examples', [
        'loci connect',
        'loci connect openai --key-env OPENAI_API_KEY',
        'loci connect work --url http://127.0.0.1:8000/v1',
      ]),
    )
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 600) return seconds
  throw new InvalidArgumentError('It is a number of seconds up to 600.')
}
