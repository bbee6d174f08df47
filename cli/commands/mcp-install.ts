import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { loadSettings, resolveDataDirectory } from '../../shared/server/main.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { Failure } from '../failure.ts'
import { mergeMember, setMember } from '../json-edit.ts'
import { type HostEntry, hostFiles, type McpHostFile } from '../mcp-host-files.ts'
import { writeLauncher } from '../mcp-launcher.ts'
import { printJson } from '../print.ts'
import { dim, plain } from '../terminal.ts'
import { setTable } from '../toml-edit.ts'
import { type McpCommand, settingsOf } from './mcp.ts'

/** Options of `loci mcp install`. */
export interface McpInstallCommand extends McpCommand {
  /** What the host calls the server; default `loci`. */
  name: string
  /** Only print the entry. */
  print?: boolean
  /** Only show what would change. */
  dryRun?: boolean
  /** Take the entry away. */
  remove?: boolean
  json?: boolean
}

/** `loci mcp install`: writes a host's configuration and shows what changed; without a host, lists those there are. */
export async function runMcpInstall(named: string | undefined, options: McpInstallCommand): Promise<void> {
  const hosts = hostFiles(process.env)
  const { json } = options
  if (named === undefined) return json ? listJson(hosts) : list(hosts)
  const host = Object.hasOwn(hosts, named) ? hosts[named] : undefined
  if (!host) throw new Failure(`There is no host '${named}'. ${didYouMean(named, Object.keys(hosts), '')}`)
  if (!/^[\w-]{1,40}$/.test(options.name) || options.name === '__proto__')
    throw new Failure(`'${options.name}' cannot name a server: use letters, digits, '-' and '_'.`)
  settingsOf(options)
  if (!options.remove && options.url === undefined) await storeIsKnown(options)
  const entry = options.remove ? null : entryOf(options)
  if (options.print) return say(printed(host, options.name, entry))
  const before = present(host.file)
  const after = changed(host, options.name, entry, before)
  const outcome = { host: named, file: host.file, changed: after !== before }
  if (after === before && json) return printJson({ ...outcome, backup: null })
  if (after === before) {
    const why = entry ? 'is right already' : `has no entry '${options.name}'`
    return say(`${host.file} ${why}: nothing was written.`)
  }
  if (!json) say(difference(before, after))
  if (options.dryRun && json) return printJson({ ...outcome, backup: null })
  if (options.dryRun) return say(dim(`Nothing was written to ${host.file}.`))
  const backup = write(host.file, before, after)
  if (json) return printJson({ ...outcome, backup })
  const kept = backup === null ? '' : ` What it was is in ${backup}.`
  say(
    `Wrote ${host.file}.${kept} ${entry ? host.next : `${host.title} no longer starts it from its next start on.`}`,
  )
}

/** The configuration as it is; empty when there is none. */
function present(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  } catch (cause) {
    const why = (cause as { code?: unknown }).code === 'EISDIR' ? 'it is a folder' : messageOf(cause)
    throw new Failure(`${file} cannot be read: ${why}.`, { cause })
  }
}

function listJson(hosts: Record<string, McpHostFile>): void {
  printJson(
    Object.entries(hosts).map(([host, { title, file }]) => ({ host, title, file, exists: existsSync(file) })),
  )
}

function list(hosts: Record<string, McpHostFile>): void {
  const width = Math.max(...Object.keys(hosts).map((name) => name.length))
  for (const [name, { file }] of Object.entries(hosts))
    say(`${name.padEnd(width)}  ${existsSync(file) ? file : dim(`${file} (not there)`)}`)
}

/** A host does not have the shell's LOCI_STORE either, and must not begin another store in silence. */
async function storeIsKnown({ data }: McpInstallCommand): Promise<void> {
  if (!process.env['LOCI_STORE']) return
  const { openConfig } = await loadSettings()
  const { path, stored } = await openConfig(
    data === undefined ? resolveDataDirectory(process.env) : resolve(data),
  )
  if (stored.store.address !== null) return
  throw new Failure(
    `A host does not see the LOCI_STORE of this shell, and would keep its agents elsewhere. Put the address into ${path} ` +
      'first: loci config set store.address "$LOCI_STORE". Or let the host use a server that runs: --url.',
  )
}

/** What hosts start: the launcher, and what this command was told. */
function entryOf({ agent, toolsets, readOnly, url, data }: McpInstallCommand): HostEntry {
  const home = resolveDataDirectory(process.env)
  // A host that is started from a menu does not have the shell's LOCI_HOME.
  const directory = data ?? (process.env['LOCI_HOME'] && url === undefined ? home : undefined)
  const given = { data: directory === undefined ? undefined : resolve(directory), url, agent, toolsets }
  return {
    command: writeLauncher(home),
    args: [
      ...Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value])),
      ...(readOnly ? ['--read-only'] : []),
    ],
  }
}

/** Fields of servers that are reached over HTTP: an entry that becomes a program has none of them. */
const REMOTE = ['url', 'serverUrl', 'httpUrl', 'headers', 'type']

function changed(host: McpHostFile, name: string, entry: HostEntry | null, before: string): string {
  try {
    if (host.format === 'toml') return setTable(before, [...host.path, name], entry && { ...entry })
    if (!entry) return setMember(before, host.path, name, undefined)
    const value = host.entry(entry)
    return mergeMember(before, host.path, name, {
      value,
      dropped: REMOTE.filter((field) => !(field in value)),
    })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (entry) say(printed(host, name, entry))
    const next = entry ? 'Correct it, or put the entry above into it by hand' : 'Take the entry out by hand'
    throw new Failure(`${host.file} was left as it is: ${error.message}. ${next}.`, { cause: error })
  }
}

function printed(host: McpHostFile, name: string, entry: HostEntry | null): string {
  if (!entry) return ''
  const text = changed(host, name, entry, '')
  return `${dim(`In ${host.file}:`, process.stderr)}\n${text.trimEnd()}`
}

/** The lines that differ, with two around them. */
function difference(before: string, after: string): string {
  const [old, now] = [before.split('\n'), after.split('\n')]
  let same = 0
  while (same < old.length && same < now.length && old[same] === now[same]) same++
  let end = 0
  while (end < old.length - same && end < now.length - same && old.at(-1 - end) === now.at(-1 - end)) end++
  const context = (lines: string[]) => lines.map((line) => `  ${line}`)
  return [
    ...context(old.slice(Math.max(0, same - 2), same)),
    ...old.slice(same, old.length - end).map((line) => `- ${line}`),
    ...now.slice(same, now.length - end).map((line) => `+ ${line}`),
    ...context(old.slice(old.length - end, old.length - end + 2)),
  ]
    .filter((line) => line.trim() !== '')
    .join('\n')
}

/** Writes beside the file first, so that it is never half there. Answers where its old text is. */
function write(path: string, before: string, after: string): string | null {
  try {
    // A configuration is often a link into a repository of dotfiles.
    const file = existsSync(path) ? realpathSync(path) : path
    mkdirSync(dirname(file), { recursive: true })
    let backup: string | null = null
    if (before !== '') {
      backup = `${path}.bak`
      for (let n = 2; existsSync(backup); n++) backup = `${path}.bak${n}`
      writeFileSync(backup, before, { flag: 'wx', mode: 0o600 })
    }
    const temporary = `${file}.${process.pid}.tmp`
    writeFileSync(temporary, after, { flag: 'wx', mode: 0o600 })
    if (before !== '') chmodSync(temporary, statSync(file).mode & 0o777)
    renameSync(temporary, file)
    return backup
  } catch (cause) {
    throw new Failure(`${path} cannot be written: ${messageOf(cause)}`, { cause })
  }
}

function say(text: string): void {
  if (text !== '') process.stdout.write(`${plain(text)}\n`)
}
