import type { Command } from 'commander'
import { bold, columns, wrap } from './terminal.ts'

/** The option of every command that works on a data directory. */
export const dataOption = ['--data <dir>', 'data directory (default: LOCI_HOME or ~/.loci)'] as const

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
