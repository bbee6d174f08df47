import { Command } from 'commander'
import { bold, columns, wrap } from './terminal.ts'

/** The option of every command that works on a data directory. */
export const dataOption = ['--data <dir>', 'data directory (default: LOCI_HOME or ~/.loci)'] as const

/** The option of those that look at PostgreSQL too. */
export const storeOption = [
  '--store <address>',
  'PostgreSQL instead: postgres://user@host/database (default: LOCI_STORE)',
] as const

/** Lines under a title, for the end of a command's help. */
export function section(title: string, lines: string[]): string {
  return `\n${bold(`${title}:`)}\n${lines.map(fitted).join('\n')}\n`
}

/** An example that is too long goes on in the next line, deeper. */
function fitted(line: string): string {
  return `  ${wrap(line, columns() - 6).replaceAll('\n', '\n      ')}`
}

/** Rows of a name and what it means, under a title. */
export function table(title: string, rows: [string, string][]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.flatMap(([name, text]) => item(name, width, text).split('\n'))
  return `\n${bold(`${title}:`)}\n${lines.map((line) => `  ${line}`).join('\n')}\n`
}

/** A term and what it means beside it; below it where there is no room. To be indented by two. */
export function item(term: string, termWidth: number, text: string): string {
  const room = columns() - 2 - termWidth - 2
  if (text === '') return term
  if (room < 20) return `${term}\n${wrap(text, columns() - 2, '    ')}`
  return term.padEnd(termWidth + 2) + wrap(text, room).replaceAll('\n', `\n${' '.repeat(termWidth + 2)}`)
}

/** `--url` of the commands that can work over a server. */
export const urlOption = [
  '--url <url>',
  'a running Loci or Letta V1 server instead of the data directory',
] as const

/** `--json` of every command that has a result. */
export const jsonOption = ['--json', 'print JSON'] as const

/** What the commands work on: a server or a data directory; which of them is checked before they run. */
export function withPlace(command: Command): Command {
  return command.option(...urlOption).option(...dataOption)
}

/** For options that may be given several times. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

/** What belongs together in `loci --help`, in its order. */
const GROUPS: Record<string, readonly string[]> = {
  Agents: ['chat', 'agents', 'blocks', 'tools', 'models'],
  Servers: ['server', 'mcp'],
  'Moving agents': ['import', 'export', 'apply', 'migrate'],
  Setup: ['connect', 'config', 'users', 'keys', 'completion'],
  Upkeep: ['doctor', 'backup', 'restore', 'store', 'uninstall', 'version', 'help'],
}

/** Shows the commands of the program in groups; one that is in none comes last. */
export function groupCommands(program: Command): void {
  const names = Object.values(GROUPS).flat()
  const place = (command: Command) => (names.indexOf(command.name()) + names.length + 1) % (names.length + 1)
  // The help lists them as they stand here.
  ;(program.commands as Command[]).sort((a, b) => place(a) - place(b))
  for (const command of program.commands) {
    command.helpGroup(groupOf(command.name()))
    if (command.commands.length > 0) command.helpCommand('help [command]', 'show help')
  }
  program.addHelpCommand(
    new Command('help').argument('[command]').description('show help').helpGroup(groupOf('help')),
  )
}

function groupOf(name: string): string {
  return `${Object.keys(GROUPS).find((group) => GROUPS[group]?.includes(name)) ?? 'More'}:`
}
