import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { LociClient } from '../../shared/client/http.ts'
import {
  fileName,
  jsonText,
  readSource,
  settingsName,
  settingsOf,
  type ToolFile,
} from '../../shared/client/tool-files.ts'
import { PACKAGE_JSON, refusedName, scaffold } from '../../shared/client/tool-templates.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { note, print, printJson, printTable } from '../print.ts'
import { bytes, count, progressLine, quoted } from '../progress.ts'
import { dim, plain } from '../terminal.ts'
import { parseArguments } from '../tools/arguments.ts'
import { changes, check, place, type ServerTool, toolsOnServer } from '../tools/server-tools.ts'
import { findToolFiles, readToolFile, TOOLS_FOLDER } from '../tools/tool-file.ts'
import { type Place, withClient } from '../with-client.ts'

/** Where a project's tools are, unless `--dir` says otherwise. */
interface Folder {
  dir?: string
}

export interface NewOptions extends Folder {
  python?: boolean
  zod?: boolean
  json?: boolean
}
export interface CheckOptions extends Place {
  json?: boolean
}
export interface PushOptions extends Place {
  dryRun?: boolean
  json?: boolean
}
export interface PullOptions extends Place, Folder {
  force?: boolean
  json?: boolean
}
export interface ListToolsOptions extends Place {
  all?: boolean
  json?: boolean
}

/** `loci tools new`: a tool that works and its unit test; nothing that is there is replaced. */
export async function runNew(name: string, options: NewOptions): Promise<void> {
  const refusal = refusedName(name)
  if (refusal !== null) throw new Failure(refusal)
  const folder = options.dir ?? TOOLS_FOLDER
  const files = scaffold(name, options.python ? 'python' : options.zod ? 'zod' : 'function')
  const taken = files.map((file) => join(folder, file.name)).filter((path) => existsSync(path))
  if (taken.length > 0) throw new Failure(`Nothing was written: there is a ${taken.join(' and a ')} already.`)
  const needsPackage = !options.python && !existsSync(join(folder, PACKAGE_JSON.name))
  await mkdir(folder, { recursive: true })
  const written: string[] = []
  for (const file of [...files, ...(needsPackage ? [PACKAGE_JSON] : [])]) {
    await writeFile(join(folder, file.name), file.text, { flag: 'wx' })
    written.push(join(folder, file.name))
  }
  if (options.json) return printJson({ files: written })
  for (const path of written) print(path)
  const path = quoted(join(folder, files[0]?.name ?? ''))
  note(`Try it with: loci tools run ${path} --arg person=Ada`)
}

/** `loci tools check`: the schema of each tool on stdout, what is odd on stderr; fails when one cannot be read. */
export async function runCheck(paths: string[], options: CheckOptions): Promise<void> {
  const found = await findToolFiles(paths)
  const failed = await withClient(options, async (client) => {
    let failures = 0
    const checked: { file: string; schema: unknown; problems: string[] }[] = []
    for (const path of found) {
      try {
        const file = await readToolFile(path)
        const { json_schema, warnings } = await check(client, file)
        const problems = warnings.map(
          ({ message, line, column }) => `${place(file.path, line, column)}: ${message}`,
        )
        checked.push({ file: path, schema: json_schema, problems })
      } catch (error) {
        if (!(error instanceof Failure || isAppError(error))) throw error
        failures++
        checked.push({ file: path, schema: null, problems: error.message.split('\n') })
      }
    }
    if (options.json) {
      printJson(checked)
      return failures
    }
    for (const problem of checked.flatMap(({ problems }) => problems)) complain(problem)
    const schemas = checked.flatMap(({ schema }) => (schema === null ? [] : [schema]))
    const shown = found.length === 1 ? schemas[0] : schemas
    if (schemas.length > 0) process.stdout.write(`${plain(JSON.stringify(shown, null, 2))}\n`)
    return failures
  })
  if (failed > 0) process.exitCode = EXIT.failure
  else if (found.length > 1 && !options.json) note(`${count(found.length, 'tool')} checked.`)
}

export interface RunOptions extends Place {
  json?: boolean
  args?: string
  arg?: string[]
  env?: string[]
  agent?: string
}

/** `loci tools run`: calls a tool once, behind the wall; its return on stdout, what it printed on stderr. */
export async function runTool(fileOrName: string, options: RunOptions): Promise<void> {
  const isFile = /\.(py|m?ts)$/.test(fileOrName) || existsSync(fileOrName)
  const env_vars = Object.fromEntries((options.env ?? []).map(parsePair))
  await withClient(options, async (client) => {
    const progress = progressLine()
    progress.show('Running …')
    const result = await (
      options.agent === undefined
        ? runSource(client, await sourceOf(client, fileOrName, isFile), options, env_vars)
        : runAttached(client, fileOrName, options.agent, options)
    ).finally(() => progress.end())
    if (options.json) {
      if (result.status === 'error') process.exitCode = EXIT.failure
      const { status, text, stdout, stderr } = result
      return printJson({ status, tool_return: text, stdout: stdout ?? [], stderr: stderr ?? [] })
    }
    for (const line of [...(result.stdout ?? []), ...(result.stderr ?? [])])
      process.stderr.write(`${dim(plain(line), process.stderr)}\n`)
    if (result.status === 'error') throw new Failure(result.text)
    process.stdout.write(`${plain(result.text)}\n`)
  })
}

interface CallResult {
  status: string
  text: string
  stdout?: string[] | null | undefined
  stderr?: string[] | null | undefined
}

async function runSource(
  client: LociClient,
  source: Omit<ToolFile, 'path'> & { schema: Record<string, unknown> | null },
  options: RunOptions,
  env_vars: Record<string, string>,
): Promise<CallResult> {
  const { source_code, source_type, settings, schema } = source
  const { json_schema, args_json_schema, pip_requirements, npm_requirements } = settings
  const body = {
    source_code,
    source_type,
    env_vars,
    json_schema,
    args_json_schema,
    pip_requirements,
    npm_requirements,
    args: parseArguments(options.args, options.arg ?? [], schema),
  }
  const answer = (await client.letta.post('/v1/tools/run', { body, maxRetries: 0 })) as {
    status: string
    tool_return: unknown
    stdout?: string[] | null
    stderr?: string[] | null
  }
  return { ...answer, text: textOf(answer.tool_return) }
}

async function runAttached(
  client: LociClient,
  name: string,
  agentName: string,
  options: RunOptions,
): Promise<CallResult> {
  const agent = await client.findAgent(agentName)
  const there = (await toolsOnServer(client, [name])).get(name)
  const args = parseArguments(options.args, options.arg ?? [], there?.json_schema ?? null)
  const { status, func_return, stdout, stderr } = await client.letta.agents.tools.run(
    name,
    { agent_id: agent.id, args },
    { maxRetries: 0 },
  )
  return { status, stdout, stderr, text: textOf(func_return ?? stderr?.at(-1) ?? '') }
}

async function sourceOf(client: LociClient, fileOrName: string, isFile: boolean) {
  if (isFile) {
    const file = await readToolFile(fileOrName)
    return { ...file, schema: (await check(client, file)).json_schema }
  }
  const tool = ownTool(fileOrName, (await toolsOnServer(client, [fileOrName])).get(fileOrName))
  return { ...tool, settings: tool, schema: tool.json_schema ?? null }
}

/** Throws a `Failure` for a tool that is not there or has no source. */
function ownTool(name: string, tool: ServerTool | undefined) {
  if (!tool)
    throw new Failure(
      `There is no tool '${name}', and no file of that name. Those there are: loci tools list`,
    )
  const { source_code, source_type } = tool
  if (source_code === null || (source_type !== 'python' && source_type !== 'typescript'))
    throw new Failure(`'${name}' (${tool.tool_type}) has no source that could be run or written to a file.`)
  return { ...tool, source_code, source_type } as const
}

/** `loci tools push`: makes the tools of the server what the files say; says what changes, and nothing twice. */
export async function runPush(paths: string[], options: PushOptions): Promise<void> {
  const files = await Promise.all((await findToolFiles(paths)).map(readToolFile))
  await withClient(options, async (client) => {
    const checked = []
    // All are read before any is pushed: a mistake in one leaves the server as it was.
    for (const file of files) checked.push({ file, name: (await check(client, file)).name })
    const names = checked.map(({ name }) => name)
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw new Failure(`Two files have the tool '${twice}': nothing was pushed.`)
    const there = await toolsOnServer(client, names)
    const done = []
    for (const { file, name } of checked) done.push(await push(client, file, name, there.get(name), options))
    if (options.json) printJson(done)
  })
}

/** What a push does to one tool of the server. */
interface Pushed {
  name: string
  id: string | null
  change: 'unchanged' | 'changed' | 'new'
}

async function push(
  client: LociClient,
  file: ToolFile,
  name: string,
  there: ServerTool | undefined,
  { dryRun, json }: PushOptions,
): Promise<Pushed> {
  const diff = changes(file, there)
  if (there && diff === '') {
    if (!json) note(`${name}: unchanged`)
    return { name, id: there.id, change: 'unchanged' }
  }
  if (there && !json) process.stderr.write(`${dim(plain(diff), process.stderr)}\n`)
  const { source_code, source_type, settings } = file
  let id = there?.id ?? null
  if (!dryRun) {
    // As an update where there is one: what the file does not say stays as it is.
    const tool = there
      ? await client.letta.tools.update(there.id, { source_code, source_type, ...settings })
      : await client.letta.tools.create({ source_code, source_type, ...settings })
    id = tool.id
    if (!json) print(id)
  }
  const done = there ? 'changed' : `new (${bytes(Buffer.byteLength(source_code))})`
  if (!json) note(`${name}: ${dryRun ? 'would be ' : ''}${done}`)
  return { name, id, change: there ? 'changed' : 'new' }
}

/** `loci tools pull`: writes the server's tools to files; one that differs is kept unless `--force`. */
export async function runPull(names: string[], options: PullOptions): Promise<void> {
  const folder = options.dir ?? TOOLS_FOLDER
  await withClient(options, async (client) => {
    const there = await toolsOnServer(client, names.length === 0 ? undefined : names)
    const tools =
      names.length === 0
        ? [...there.values()].filter((tool) => tool.source_code !== null && tool.source_type !== 'json')
        : names.map((name) => there.get(name) ?? name)
    if (tools.length === 0 && !options.json) note('There are no tools of your own on the server.')
    const done = []
    await mkdir(folder, { recursive: true })
    for (const found of tools) {
      const [name, tool] = typeof found === 'string' ? [found, undefined] : [found.name, found]
      done.push(await pull(client, folder, ownTool(name, tool), options))
    }
    if (options.json) printJson(done)
  })
}

async function pull(
  client: LociClient,
  folder: string,
  tool: ReturnType<typeof ownTool>,
  { force, json }: PullOptions,
): Promise<{ name: string; file: string; change: 'unchanged' | 'written' }> {
  const path = join(folder, basename(fileName(tool)))
  const here = existsSync(path) ? await readToolFile(path) : null
  const settings = settingsOf(tool, await readSource(client, tool))
  const text = Object.keys(settings).length === 0 ? null : `${JSON.stringify(settings, null, 2)}\n`
  const same = here?.source_code === tool.source_code && jsonText(here.settings) === jsonText(settings)
  if (same) {
    if (!json) note(`${path}: unchanged`)
    return { name: tool.name, file: path, change: 'unchanged' }
  }
  if (here && !force)
    throw new Failure(`${path} differs from the server's and was kept. Replace it with --force.`)
  await writeFile(path, tool.source_code)
  if (text !== null) await writeFile(settingsName(path), text)
  else await rm(settingsName(path), { force: true })
  if (!json) print(path)
  return { name: tool.name, file: path, change: 'written' }
}

/** `loci tools list`: one line a tool that is not built in. */
export async function runList(options: ListToolsOptions): Promise<void> {
  await withClient(options, async (client) => {
    const filter = options.all ? {} : { exclude_letta_tools: true }
    const tools = []
    for await (const tool of client.letta.tools.list({ ...filter, limit: 100, order: 'asc' }))
      tools.push(tool)
    if (options.json) return printJson(tools)
    printTable(
      [{ title: 'NAME', flexible: true }, { title: 'KIND' }, { title: 'ID' }],
      tools.map(({ id, name, tool_type, source_type }) => [
        name ?? '',
        tool_type === 'custom' ? (source_type ?? 'custom') : (tool_type ?? ''),
        id,
      ]),
    )
    if (tools.length === 0)
      note('There are no tools of your own yet. Make one with: loci tools new get_weather')
  })
}

function parsePair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Failure(`--env takes NAME=value, not '${text}'.`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
