import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, readFile, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { isToolName, languageOf } from '../../shared/client/tool-files.ts'
import { messageOf } from '../../shared/schema/errors.ts'
import type {
  FleetAgent,
  FleetArchive,
  FleetBlock,
  FleetFolder,
  FleetMcpServer,
} from '../../shared/schema/fleet.ts'
import { safeFileName } from '../../shared/schema/names.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { type FleetFile, Mistakes, readText, shown } from './fleet-file.ts'

/** Files of one folder. */
const MAX_FILES = 10_000
/** Bytes of a file that a prompt or a block is read from. */
const MAX_TEXT = 10_000_000

/** Something that should be there, and where a file says so (`agents.yml:12:5`). */
export type Wanted<T> = T & { at: string }

/** A block with its text. */
export interface WantedBlock extends Omit<FleetBlock, 'name' | 'label' | 'value' | 'from_file' | 'version'> {
  label: string
  value: string
}

/** A file to be uploaded. */
export interface WantedFile {
  /** As it will be called. */
  name: string
  path: string
  sha256: string
}

/** A folder with all files that its patterns mean. */
export interface WantedFolder extends Omit<FleetFolder, 'files'> {
  files: WantedFile[]
}

/** An agent with its texts, and the names of what it shares. */
export interface WantedAgent extends Omit<
  FleetAgent,
  | 'system'
  | 'system_prompt'
  | 'memory_blocks'
  | 'tools'
  | 'folders'
  | 'shared_folders'
  | 'archives'
  | 'secrets'
> {
  system: string | undefined
  memory_blocks: Wanted<WantedBlock>[]
  /** Names of tools that the server has, and paths of the files of tools; undefined: as the server gives them. */
  tools: ({ name: string } | { path: string })[] | undefined
  folders: string[]
  archives: string[]
  /** Null: the one that the agent has stays. */
  secrets: Record<string, string | null>
}

/** All that the files of a fleet ask for, with what they name read. */
export interface Desired {
  fleet: string
  mcp_servers: Wanted<FleetMcpServer>[]
  shared_blocks: Wanted<WantedBlock>[]
  folders: Wanted<WantedFolder>[]
  archives: Wanted<FleetArchive>[]
  agents: Wanted<WantedAgent>[]
  /** Whether a file has a list of agents, be it an empty one. */
  lists_agents: boolean
}

/**
 * Puts the files of a fleet together and reads the files that they name. `fleet` names it where the files do not. Throws
 * `Mistakes`.
 */
export async function desiredOf(
  files: readonly FleetFile[],
  fleet: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Desired> {
  const mistakes: string[] = []
  const named = [...new Set(files.flatMap((file) => file.fleet.fleet ?? []))]
  if (named.length > 1)
    mistakes.push(`The files are of several fleets: ${named.join(', ')}. Apply them one by one.`)
  const desired: Desired = {
    fleet: named[0] ?? fleet,
    mcp_servers: [],
    shared_blocks: [],
    folders: [],
    archives: [],
    agents: [],
    lists_agents: files.some((file) => file.fleet.agents !== undefined),
  }
  const shared = { blocks: new Set<string>(), folders: new Set<string>() }
  for (const file of files) {
    for (const block of file.fleet.shared_blocks ?? []) shared.blocks.add(block.name ?? block.label ?? '')
    for (const folder of file.fleet.shared_folders ?? []) shared.folders.add(folder.name)
  }
  for (const file of files) {
    const reader = new Reader(file, env, mistakes)
    for (const [i, server] of (file.fleet.mcp_servers ?? []).entries())
      desired.mcp_servers.push({ ...server, at: file.place(['mcp_servers', i]) })
    for (const [i, block] of (file.fleet.shared_blocks ?? []).entries())
      desired.shared_blocks.push(await reader.block(block, ['shared_blocks', i]))
    for (const [i, folder] of (file.fleet.shared_folders ?? []).entries())
      desired.folders.push(await reader.folder(folder, ['shared_folders', i]))
    for (const [i, agent] of (file.fleet.agents ?? []).entries()) {
      const path = ['agents', i]
      reader.references(agent.shared_blocks, shared.blocks, 'shared_blocks', path)
      reader.references(agent.shared_folders, shared.folders, 'shared_folders', path)
      for (const [j, folder] of (agent.folders ?? []).entries())
        desired.folders.push(await reader.folder(folder, [...path, 'folders', j]))
      for (const [j, { embedding_config: _, ...archive }] of (agent.archives ?? []).entries()) {
        const same = desired.archives.find(({ name }) => name === archive.name)
        if (!same) desired.archives.push({ ...archive, at: file.place([...path, 'archives', j]) })
        else for (const [key, value] of Object.entries(archive)) Object.assign(same, { [key]: value })
      }
      desired.agents.push(await reader.agent(agent, path))
    }
  }
  for (const [kind, list] of [
    ['MCP server', desired.mcp_servers],
    ['shared block', desired.shared_blocks.map((block) => ({ ...block, name: block.label }))],
    ['folder', desired.folders],
    ['agent', desired.agents],
  ] as const)
    mistakes.push(...twice(kind, list))
  if (mistakes.length > 0) throw new Mistakes(mistakes)
  return desired
}

function twice(kind: string, list: readonly Wanted<{ name: string }>[]): string[] {
  const first = new Map<string, string>()
  return list.flatMap(({ name, at }) => {
    const before = first.get(name)
    if (before === undefined) first.set(name, at)
    const hint = kind === 'folder' ? " Agents share a folder of 'shared_folders'." : ''
    const article = /^(a|MCP)/.test(kind) ? 'an' : 'a'
    return before === undefined
      ? []
      : [`${at}: there is ${article} ${kind} '${name}' already, at ${before}.${hint}`]
  })
}

type Path = readonly PropertyKey[]

/** Reads what one file of a fleet names; mistakes are collected. */
class Reader {
  readonly #file: FleetFile
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #mistakes: string[]

  constructor(file: FleetFile, env: Readonly<Record<string, string | undefined>>, mistakes: string[]) {
    this.#file = file
    this.#env = env
    this.#mistakes = mistakes
  }

  references(
    names: readonly string[] | undefined,
    there: ReadonlySet<string>,
    key: string,
    path: Path,
  ): void {
    for (const [i, name] of (names ?? []).entries())
      if (!there.has(name))
        this.#wrong(
          [...path, key, i],
          `'${name}' is none of '${key}'. ${didYouMean(name, [...there], 'There are none.')}`,
        )
  }

  async block(given: FleetBlock, path: Path): Promise<Wanted<WantedBlock>> {
    const { name, label = name ?? '', value, from_file, version: _, ...rest } = given
    const usual = join(this.#file.base, 'memory-blocks', `${label}.md`)
    // Where `lettactl` looks.
    const found = value === undefined && from_file === undefined && existsSync(usual) ? usual : from_file
    const text = value ?? (found === undefined ? '' : await this.#text(found, [...path, 'from_file']))
    return { ...rest, label, value: text, at: this.#file.place(path) }
  }

  async folder({ files, ...rest }: FleetFolder, path: Path): Promise<Wanted<WantedFolder>> {
    const found = new Map<string, WantedFile>()
    for (const [i, pattern] of (files ?? []).entries()) {
      const at = [...path, 'files', i]
      for (const file of await this.#files(pattern, at)) {
        const name = safeFileName(basename(file))
        const same = found.get(name)
        if (same && same.path !== file)
          this.#wrong(
            at,
            `two files would be called '${name}' in this folder: ${shown(same.path)} and ${shown(file)}`,
          )
        else if (!same) found.set(name, { name, path: file, sha256: await this.#hash(file, at) })
      }
    }
    return { ...rest, files: [...found.values()], at: this.#file.place(path) }
  }

  async agent(given: FleetAgent, path: Path): Promise<Wanted<WantedAgent>> {
    const {
      system,
      system_prompt,
      memory_blocks,
      tools,
      folders,
      shared_folders,
      archives,
      secrets,
      ...rest
    } = given
    const text = system ?? system_prompt
    const key = system ? 'system' : 'system_prompt'
    const blocks: Wanted<WantedBlock>[] = []
    for (const [i, block] of (memory_blocks ?? []).entries())
      blocks.push(await this.block(block, [...path, 'memory_blocks', i]))
    this.#mistakes.push(
      ...twice(
        'block',
        blocks.map((block) => ({ ...block, name: block.label })),
      ),
    )
    for (const { label, at } of blocks)
      if (given.shared_blocks?.includes(label))
        this.#mistakes.push(
          `${at}: '${label}' is a shared block of this agent, too; an agent has one of a label.`,
        )
    return {
      ...rest,
      system:
        text?.from_file === undefined
          ? text?.value
          : await this.#text(text.from_file, [...path, key, 'from_file']),
      memory_blocks: blocks,
      tools: tools && (await this.#tools(tools, [...path, 'tools'])),
      folders: [...(folders ?? []).map(({ name }) => name), ...(shared_folders ?? [])],
      archives: (archives ?? []).map(({ name }) => name),
      secrets: this.#secrets(secrets ?? {}, [...path, 'secrets']),
      at: this.#file.place(path),
    }
  }

  async #tools(
    given: NonNullable<FleetAgent['tools']>,
    path: Path,
  ): Promise<({ name: string } | { path: string })[]> {
    const found = new Map<string, { name: string } | { path: string }>()
    for (const [i, { name, from_file }] of given.entries()) {
      const at = [...path, i]
      const file = from_file ?? (name.includes('/') || languageOf(name) !== null ? name : undefined)
      const usual = ['.py', '.ts']
        .map((end) => join('tools', name + end))
        .find((p) => existsSync(this.#path(p)))
      if (file === undefined && usual === undefined) found.set(name, { name })
      else
        for (const one of await this.#files(file ?? usual ?? '', at)) {
          if (isToolName(basename(one))) found.set(one, { path: one })
          else if (!/[*?[{]/.test(file ?? ''))
            this.#wrong(at, `${shown(one)} is no tool: tools are .ts or .py files`)
        }
    }
    return [...found.values()]
  }

  #secrets(given: NonNullable<FleetAgent['secrets']>, path: Path): Record<string, string | null> {
    return Object.fromEntries(
      Object.entries(given).map(([name, { value, from_env, preserve_existing }]) => {
        const found = value ?? (from_env === undefined ? undefined : this.#env[from_env])
        if (found === undefined && !preserve_existing)
          this.#wrong([...path, name], `the environment has no variable '${from_env}', which this secret is`)
        return [name, found ?? null]
      }),
    )
  }

  async #text(path: string, at: Path): Promise<string> {
    try {
      return await readText(this.#path(path), MAX_TEXT)
    } catch (error) {
      this.#wrong(at, messageOf(error))
      return ''
    }
  }

  /** Whole paths of the files that a path or a pattern names, in order. */
  async #files(pattern: string, at: Path): Promise<string[]> {
    if (!/[*?[{]/.test(pattern)) {
      const path = this.#path(pattern)
      const found = await stat(path).catch(() => null)
      if (found?.isFile()) return [path]
      this.#wrong(at, found ? `${shown(path)} is no file` : `there is no file ${shown(path)}`)
      return []
    }
    const found: string[] = []
    for await (const entry of glob(pattern, { cwd: this.#file.base, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      const hidden = relative(this.#file.base, path)
        .split(/[/\\]/)
        .some((part) => /^\.[^.]/.test(part))
      if (hidden || !(await stat(path).catch(() => null))?.isFile()) continue
      found.push(path)
      if (found.length > MAX_FILES) {
        this.#wrong(at, `more than ${MAX_FILES.toLocaleString('en')} files are meant by '${pattern}'`)
        return []
      }
    }
    if (found.length === 0) this.#wrong(at, `no file is meant by '${pattern}' in ${shown(this.#file.base)}`)
    return found.toSorted()
  }

  async #hash(path: string, at: Path): Promise<string> {
    try {
      return createHash('sha256')
        .update(await readFile(path))
        .digest('hex')
    } catch (error) {
      this.#wrong(at, messageOf(error))
      return ''
    }
  }

  #path(path: string): string {
    return resolve(this.#file.base, path)
  }

  #wrong(path: Path, message: string): void {
    this.#mistakes.push(`${this.#file.place(path)}: ${message}`)
  }
}
