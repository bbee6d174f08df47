import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Argument, Command, Option } from 'commander'
import { setTimeout as after } from 'node:timers/promises'
import type { LociClient } from '../shared/client/http.ts'
import { SHELLS } from './completion-command.ts'
import { plain } from './terminal.ts'
import { openClient, type Place } from './with-client.ts'

/** Who waits at a prompt does not wait longer, in milliseconds. */
const TIME_LIMIT = 3_000
/** Candidates that are asked for at most. */
const MOST = 200

type Candidate = readonly [value: string, what: string]
type Source = (client: LociClient) => Promise<Candidate[]>

/** Stands for the names of files, which the shell knows itself. */
const FILES = 'files'

/** Where the values of arguments and options come from, by their names. */
const SOURCES: Record<string, Source | typeof FILES | readonly string[]> = {
  agent: agents,
  agents,
  block: blocks,
  blocks,
  tool: tools,
  'file-or-name': tools,
  model: models,
  handle: models,
  shell: SHELLS,
  host: ['vscode', 'cursor', 'claude-desktop', 'claude-code'],
  file: FILES,
  files: FILES,
  dir: FILES,
}
const OPTION_SOURCES: Record<string, Source | typeof FILES | readonly string[]> = {
  '--agent': agents,
  '--block': blocks,
  '--tool': tools,
  '--model': models,
  '--data': FILES,
  '--dir': FILES,
  '--output': FILES,
  '--file': FILES,
  '--root': FILES,
  '--conversation': ['new', 'default'],
  '--log-level': ['silent', 'error', 'warn', 'info', 'debug'],
  '--role': ['admin', 'member', 'reader'],
  '--toolsets': ['default', 'authoring', 'admin', 'all'],
}

/**
 * `loci __complete SHELL +CURRENT WORDS…`: what may stand where the user types, one candidate a line. Says nothing
 * where it cannot know, and nothing of what fails: a prompt is no place for errors.
 */
export async function complete(program: Command, args: readonly string[]): Promise<void> {
  const [shell = '', typed = '+', ...before] = args
  // Bash and PowerShell hand over what was typed, quotes and all.
  const bare = shell === 'bash' || shell === 'powershell' ? unquoted : (word: string) => word
  const current = bare(typed.slice(1))
  const found = await candidates(program, before.map(bare), current).catch(() => [])
  if (found === FILES) process.stdout.write(':files\n')
  else
    for (const [value, what] of found)
      if (value.startsWith(current)) process.stdout.write(`${plain(value)}\t${plain(what)}\n`)
}

function unquoted(word: string): string {
  return word.replace(/^["']|["']$/g, '').replace(/\\(.)/g, '$1')
}

async function candidates(
  program: Command,
  before: readonly string[],
  current: string,
): Promise<readonly Candidate[] | typeof FILES> {
  let command = program
  let given = 0
  let open: Option | undefined
  let literal = false
  const place: Place = {}
  for (const word of before) {
    if (open) {
      if (open.long === '--url') place.url = word
      if (open.long === '--data') place.data = word
      open = undefined
    } else if (literal || !word.startsWith('-') || word === '-') {
      const next = given === 0 && !literal ? named(command, word) : undefined
      if (next) command = next
      else given++
    } else if (word === '--') literal = true
    else if (!word.includes('=')) {
      const option = command.options.find((one) => one.long === word || one.short === word)
      if (option?.required) open = option
    }
  }
  if (open) return values(open.argChoices ?? OPTION_SOURCES[open.long ?? ''], place)
  if (current.startsWith('-') && !literal) return optionsOf(command)
  const argument = argumentAt(command, given)
  const own = argument ? await values(SOURCES[argument.name()], place) : []
  if (given > 0 || own === FILES) return own
  return [...subcommands(command), ...own]
}

function named(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word))
}

function argumentAt(command: Command, index: number): Argument | undefined {
  const all = command.registeredArguments
  const last = all.at(-1)
  return all[index] ?? (last?.variadic ? last : undefined)
}

function subcommands(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((one) => [one.name(), one.description()])
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap((one) => (one.long ? [[one.long, one.description] as const] : []))
}

async function values(
  source: Source | typeof FILES | readonly string[] | undefined,
  place: Place,
): Promise<readonly Candidate[] | typeof FILES> {
  if (source === undefined) return []
  if (source === FILES) return FILES
  if (typeof source !== 'function') return source.map((value) => [value, ''])
  if (!isThere(place)) return []
  const client = await openClient(place)
  const late = new AbortController()
  try {
    return await Promise.race([source(client), after(TIME_LIMIT, [], { signal: late.signal, ref: false })])
  } finally {
    late.abort()
    await client.close()
  }
}

/** To look at names makes no data directory. */
function isThere({ url, data }: Place): boolean {
  if (url !== undefined || process.env['LOCI_STORE']) return true
  return existsSync(join(data ?? (process.env['LOCI_HOME'] || join(homedir(), '.loci')), 'loci.db'))
}

async function agents({ letta }: LociClient): Promise<Candidate[]> {
  const { items } = await letta.agents.list({ limit: MOST, order: 'desc', include: [] })
  return items.map(({ name, model }) => [name, model ?? ''])
}

async function blocks({ letta }: LociClient): Promise<Candidate[]> {
  const { items } = await letta.agents.list({ limit: MOST, order: 'desc', include: ['agent.blocks'] })
  return items.flatMap(({ name, memory }) =>
    memory.blocks.map(({ label, description }) => [`${name}/${label ?? ''}`, description ?? ''] as const),
  )
}

async function tools({ letta }: LociClient): Promise<Candidate[]> {
  const { items } = await letta.tools.list({ limit: MOST })
  return items.flatMap(({ name, description }) =>
    name ? [[name, (description ?? '').split('\n')[0] ?? ''] as const] : [],
  )
}

async function models({ letta }: LociClient): Promise<Candidate[]> {
  const found = await letta.models.list()
  return found.map(({ handle, name }) => [handle ?? name, ''])
}
