import { didYouMean } from '../../shared/schema/near-names.ts'
import { MASKED } from '../../shared/schema/mcp-server.ts'
import { Failure } from '../failure.ts'
import { changes as toolChanges, check, toolsOnServer } from '../tools/server-tools.ts'
import { readToolFile } from '../tools/tool-file.ts'
import { differences, type Field, given, has, type Plan, textOf, wasMade } from './plan.ts'
import { hashOf } from './state.ts'

/** MCP servers that agents take tools from. */
export async function planMcpServers(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  if (desired.mcp_servers.length === 0) return
  const found = (await client.letta.mcpServers.list()) as unknown as Record<string, unknown>[]
  for (const { name, at, type, ...rest } of desired.mcp_servers) {
    const config = given({
      mcp_server_type: type ?? (rest.command === undefined ? 'streamable_http' : 'stdio'),
      ...rest,
      ...(rest.command === undefined ? {} : { args: rest.args ?? [] }),
    })
    const hash = hashOf(config)
    const there = found.find((server) => server['server_name'] === name)
    const record = state.mcp_servers[name]
    const keep = (id: string, made: boolean) => {
      plan.ids.mcp_servers.set(name, id)
      state.mcp_servers[name] = { id, made, config: hash }
    }
    if (!there) {
      const fields = Object.keys(config).map((field) => shownSetting(field, null, config[field]))
      const run = async () => {
        const body = { server_name: name, config }
        const { id } = (await client.letta.post('/v1/mcp-servers/', { body })) as { id: string }
        keep(id, true)
      }
      plan.changes.push({ action: 'create', kind: 'MCP server', name, at, fields, run })
      continue
    }
    const id = String(there['id'])
    plan.ids.mcp_servers.set(name, id)
    // What is secret is answered masked: whether it is the same is known by what was applied last.
    const same = record?.config === hash
    const fields = Object.entries(config).flatMap(([field, value]) => {
      const masked = JSON.stringify(there[field] ?? null).includes(MASKED)
      return has(there[field], value) || (masked && same) ? [] : [shownSetting(field, there[field], value)]
    })
    if (fields.length === 0) {
      keep(id, wasMade(plan, 'MCP server', name, record))
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/mcp-servers/${id}`, { body: { config } })
      keep(id, wasMade(plan, 'MCP server', name, record))
    }
    plan.changes.push({ action: 'update', kind: 'MCP server', name, at, fields, run })
  }
}

function shownSetting(field: string, before: unknown, after: unknown): Field {
  const secret = field === 'auth_token' || field === 'custom_headers' || field === 'env'
  if (secret) return { field, before: before == null ? null : '(not shown)', after: '(not shown)' }
  return { field, before: textOf(before), after: textOf(after) }
}

/** Tools of files, and that those named are there. */
export async function planTools(plan: Plan): Promise<void> {
  const { client, desired, state } = plan
  const wanted = desired.agents.flatMap(({ tools = [], at }) => tools.map((tool) => ({ ...tool, at })))
  const files = new Map<
    string,
    { at: string; file: Awaited<ReturnType<typeof readToolFile>>; path: string }
  >()
  for (const tool of wanted) {
    if (!('path' in tool) || plan.tool_names.has(tool.path)) continue
    const { path, at } = tool
    try {
      const file = await readToolFile(path)
      const { name } = await check(client, file)
      const other = files.get(name)
      if (other)
        plan.mistakes.push(`${at}: two files have the tool '${name}': ${other.file.path} and ${file.path}`)
      files.set(name, { at, file, path })
      plan.tool_names.set(path, name)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      plan.mistakes.push(...error.message.split('\n').map((line) => `${at}: ${line}`))
    }
  }
  const names = [
    ...new Set([...files.keys(), ...wanted.flatMap((tool) => ('name' in tool ? [tool.name] : []))]),
  ]
  const there = names.length === 0 ? new Map<string, never>() : await toolsOnServer(client, names)
  for (const [name, tool] of there) plan.ids.tools.set(name, tool.id)
  for (const [name, { at, file }] of files) {
    const found = there.get(name)
    const record = state.tools[name]
    const { source_code, source_type, settings } = file
    const body = { source_code, source_type, ...settings }
    if (!found) {
      const run = async () => {
        const made = await client.letta.tools.create(body)
        plan.ids.tools.set(name, made.id)
        state.tools[name] = { id: made.id, made: true }
      }
      const fields = [{ field: 'source', before: null, after: source_code }]
      plan.changes.push({ action: 'create', kind: 'tool', name, at, fields, run })
      continue
    }
    state.tools[name] = { id: found.id, made: wasMade(plan, 'tool', name, record) }
    if (toolChanges(file, found) === '') continue
    const fields = differences({ source: found.source_code, ...found }, { source: source_code, ...settings })
    const run = async () => void (await client.letta.tools.update(found.id, body))
    plan.changes.push({ action: 'update', kind: 'tool', name, at, fields, run })
  }
  const missing = wanted.filter((tool) => 'name' in tool && !there.has(tool.name) && !files.has(tool.name))
  if (missing.length === 0) return
  const all: string[] = []
  for await (const { name } of client.letta.tools.list({ limit: 500 })) if (name != null) all.push(name)
  for (const tool of missing)
    if ('name' in tool)
      plan.mistakes.push(
        `${tool.at}: there is no tool '${tool.name}' on the server, and no file of it. ${didYouMean(tool.name, all, '')}`,
      )
}
