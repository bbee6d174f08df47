import type { Actor } from '../../core/ports/actor.ts'
import type { McpServerStore, McpSync, NewMcpServer, NewMcpTool } from '../../core/ports/mcp-server-store.ts'
import type { McpServer } from '../../core/ports/mcp-servers.ts'
import { AppError } from '../../schema/errors.ts'
import type { McpServerConfig } from '../../schema/mcp-server.ts'
import type { Tool } from '../../schema/tool.ts'
import type { SecretBox, SecretKeys } from '../secret-box.ts'
import type { Database, Transaction } from './database.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import type { McpServerRow } from './tables.ts'
import { changeTool, deleteTool, insertTool, toolOf } from './tools.ts'

const byId = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('mcp_servers').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const byName = query<{ name: string; org: string }>()((p) =>
  db
    .selectFrom('mcp_servers')
    .selectAll()
    .where('server_name', '=', p.name)
    .where('organization_id', '=', p.org),
)
const toolsOf = query<{ server: string; org: string }>()((p) =>
  db
    .selectFrom('mcp_tools')
    .innerJoin('tools', 'tools.id', 'mcp_tools.tool_id')
    .selectAll('tools')
    .select('mcp_tools.tool_name')
    .where('mcp_tools.server_id', '=', p.server)
    .where('tools.organization_id', '=', p.org)
    .orderBy('tools.name'),
)
const toolThere = query<{ server: string; name: string }>()((p) =>
  db
    .selectFrom('mcp_tools')
    .innerJoin('tools', 'tools.id', 'mcp_tools.tool_id')
    .selectAll('tools')
    .where('mcp_tools.server_id', '=', p.server)
    .where('mcp_tools.tool_name', '=', p.name),
)
const namedTool = query<{ name: string; org: string }>()((p) =>
  db
    .selectFrom('tools')
    .leftJoin('mcp_tools', 'mcp_tools.tool_id', 'tools.id')
    .selectAll('tools')
    .select('mcp_tools.server_id')
    .where('tools.name', '=', p.name)
    .where('tools.organization_id', '=', p.org),
)
const link = query<{ tool: string; server: string; name: string }>()((p) =>
  db.insertInto('mcp_tools').values({ tool_id: p.tool, server_id: p.server, tool_name: p.name }),
)

/** Tools that one transaction stores or deletes. */
const AT_ONCE = 40

/** Servers of MCP, their tools and the user's consent to them. */
export class SqlMcpServers implements McpServerStore {
  readonly #database: Database
  readonly #box: SecretBox

  constructor(database: Database, box: SecretBox) {
    this.#database = database
    this.#box = box
  }

  async create(actor: Actor, server: NewMcpServer): Promise<McpServer> {
    const keys = await this.#box.keysToWrite()
    return this.#database.write(async (tx) => {
      await refuseTaken(tx, actor, server.server_name, null)
      const { id, server_name, config, created_at } = server
      const row: McpServerRow = {
        id,
        organization_id: actor.organization_id,
        server_name,
        ...sealed(keys, id, config),
        credentials_key: null,
        credentials: null,
        created_at,
        updated_at: created_at,
        created_by_id: actor.user_id,
        last_updated_by_id: actor.user_id,
      }
      await tx.run(db.insertInto('mcp_servers').values(row))
      await tx.event(actor, 'mcp_server.created', id, null)
      return serverOf(keys, row)
    })
  }

  get(actor: Actor, server_id: string): Promise<McpServer | null> {
    return this.#read(async (c) => await byId.get(c, { id: server_id, org: actor.organization_id }))
  }

  named(actor: Actor, server_name: string): Promise<McpServer | null> {
    return this.#read(async (c) => await byName.get(c, { name: server_name, org: actor.organization_id }))
  }

  async list(actor: Actor): Promise<McpServer[]> {
    const keys = await this.#box.keys()
    return this.#database.read(async (c) =>
      (
        await c.all(
          db
            .selectFrom('mcp_servers')
            .selectAll()
            .where('organization_id', '=', actor.organization_id)
            .orderBy('created_at', 'desc')
            .orderBy('id', 'desc'),
        )
      ).map((row) => serverOf(keys, row)),
    )
  }

  async update(
    actor: Actor,
    server_id: string,
    { server_name, config }: { server_name?: string; config?: McpServerConfig },
  ): Promise<McpServer | null> {
    const keys = await this.#box.keysToWrite()
    return this.#database.write(async (tx) => {
      const row = await byId.get(tx, { id: server_id, org: actor.organization_id })
      if (!row) return null
      const changed: McpServerRow = {
        ...row,
        ...(config ? sealed(keys, server_id, config) : {}),
        server_name: server_name ?? row.server_name,
        updated_at: new Date().toISOString(),
        last_updated_by_id: actor.user_id,
      }
      // Consent was given to what stood at another address.
      if (config && addressOf(changed) !== addressOf(row))
        Object.assign(changed, { credentials: null, credentials_key: null })
      if (changed.server_name !== row.server_name) {
        await refuseTaken(tx, actor, changed.server_name, server_id)
        for (const tool of await toolsOf.all(tx, { server: server_id, org: actor.organization_id }))
          await changeTool(tx, actor, tool, renamed(toolOf(tool), row.server_name, changed.server_name))
      }
      const { id: _, ...columns } = changed
      await tx.run(db.updateTable('mcp_servers').set(columns).where('id', '=', server_id))
      await tx.event(actor, 'mcp_server.updated', server_id, null)
      return serverOf(keys, changed)
    })
  }

  delete(actor: Actor, server_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      const org = actor.organization_id
      if (!(await byId.get(tx, { id: server_id, org }))) return false
      for (const { id } of await toolsOf.all(tx, { server: server_id, org })) await deleteTool(tx, actor, id)
      await tx.run(db.deleteFrom('mcp_servers').where('id', '=', server_id))
      await tx.event(actor, 'mcp_server.deleted', server_id, null)
      return true
    })
  }

  tools(actor: Actor, server_id: string): Promise<Tool[]> {
    return this.#database.read(async (c) =>
      (await toolsOf.all(c, { server: server_id, org: actor.organization_id })).map(toolOf),
    )
  }

  async serverOf(actor: Actor, tool_id: string): Promise<{ server: McpServer; tool_name: string } | null> {
    const found = await this.#database.read(
      async (c) =>
        await c.get(
          db
            .selectFrom('mcp_tools')
            .innerJoin('mcp_servers', 'mcp_servers.id', 'mcp_tools.server_id')
            .selectAll('mcp_servers')
            .select('mcp_tools.tool_name')
            .where('mcp_tools.tool_id', '=', tool_id)
            .where('mcp_servers.organization_id', '=', actor.organization_id),
        ),
    )
    if (!found) return null
    const { tool_name, ...row } = found
    return { server: serverOf(await this.#box.keys(), row), tool_name }
  }

  async sync(
    actor: Actor,
    server_id: string,
    tools: readonly NewMcpTool[],
    { delete_others }: { delete_others: boolean },
  ): Promise<McpSync> {
    const result: McpSync = { added: [], updated: [], deleted: [], refused: [] }
    const org = actor.organization_id
    for (let i = 0; i < tools.length; i += AT_ONCE)
      await this.#database.write(async (tx) => {
        // It may have been deleted while it was asked for its tools.
        const server = await byId.get(tx, { id: server_id, org })
        if (server)
          for (const wanted of tools.slice(i, i + AT_ONCE))
            await this.#store(tx, actor, server, wanted, result)
      })
    if (!delete_others) return result
    const kept = new Set(tools.map(({ tool_name }) => tool_name))
    const present = await this.#database.read(async (c) => await toolsOf.all(c, { server: server_id, org }))
    const others = present.filter(({ tool_name }) => !kept.has(tool_name))
    for (let i = 0; i < others.length; i += AT_ONCE)
      await this.#database.write(async (tx) => {
        for (const { id, name } of others.slice(i, i + AT_ONCE))
          if (await deleteTool(tx, actor, id)) result.deleted.push(name)
      })
    return result
  }

  async credentials(actor: Actor, server_id: string): Promise<string | null> {
    const row = await this.#database.read(
      async (c) => await byId.get(c, { id: server_id, org: actor.organization_id }),
    )
    if (!row?.credentials || row.credentials_key === null) return null
    const keys = await this.#box.keys()
    return keys.open({ key_id: row.credentials_key, data: row.credentials }, consentOf(server_id))
  }

  async setCredentials(actor: Actor, server_id: string, text: string | null): Promise<void> {
    const keys = text === null ? null : await this.#box.keysToWrite()
    const value = text === null ? null : (keys?.seal(text, consentOf(server_id)) ?? null)
    await this.#database.write(
      async (tx) =>
        await tx.run(
          db
            .updateTable('mcp_servers')
            .set({ credentials: value?.data ?? null, credentials_key: value?.key_id ?? null })
            .where('id', '=', server_id)
            .where('organization_id', '=', actor.organization_id),
        ),
    )
  }

  async #store(
    tx: Transaction,
    actor: Actor,
    server: McpServerRow,
    wanted: NewMcpTool,
    result: McpSync,
  ): Promise<void> {
    const row = await toolThere.get(tx, { server: server.id, name: wanted.tool_name })
    if (!row) {
      const name = await this.#add(tx, actor, server, wanted)
      if (name === null) result.refused.push(wanted.tool_name)
      else result.added.push(name)
      return
    }
    const before = toolOf(row)
    const after = await changeTool(tx, actor, row, offered(before, wanted.tool))
    if (JSON.stringify(after) !== JSON.stringify(before)) result.updated.push(row.name)
  }

  /** The name under which a new tool is stored; null when there is none for it. */
  async #add(
    tx: Transaction,
    actor: Actor,
    server: McpServerRow,
    { tool, tool_name, names }: NewMcpTool,
  ): Promise<string | null> {
    for (const name of names) {
      const taken = await namedTool.get(tx, { name, org: actor.organization_id })
      const named = withName(tool, name)
      if (!taken) await insertTool(tx, actor, named)
      else if (isOrphan(taken, server)) await changeTool(tx, actor, taken, offered(toolOf(taken), named))
      else continue
      await link.run(tx, { tool: taken?.id ?? named.id, server: server.id, name: tool_name })
      return name
    }
    return null
  }

  async #read(find: (c: Connection) => Promise<McpServerRow | undefined>): Promise<McpServer | null> {
    const row = await this.#database.read(find)
    return row ? serverOf(await this.#box.keys(), row) : null
  }
}

/** A tool that came with an agent file, before its server was here. */
function isOrphan(
  row: Parameters<typeof toolOf>[0] & { server_id: string | null },
  server: McpServerRow,
): boolean {
  if (row.tool_type !== 'external_mcp' || row.server_id !== null) return false
  return toolOf(row).tags.includes(`mcp:${server.server_name}`)
}

/** What a server says of a tool; what a user says of it stays. */
function offered(before: Tool, { description, json_schema, tags, metadata_ }: Tool) {
  const others = before.tags.filter((tag) => !tag.startsWith('mcp:'))
  return {
    description,
    json_schema: json_schema && { ...json_schema, name: before.name },
    tags: [...tags, ...others],
    metadata_: { ...before.metadata_, ...metadata_ },
  }
}

function withName(tool: Tool, name: string): Tool {
  return { ...tool, name, json_schema: tool.json_schema && { ...tool.json_schema, name } }
}

function renamed(tool: Tool, from: string, to: string): Partial<Tool> {
  const { mcp } = (tool.metadata_ ?? {}) as { mcp?: object }
  return {
    tags: tool.tags.map((tag) => (tag === `mcp:${from}` ? `mcp:${to}` : tag)),
    metadata_: { ...tool.metadata_, mcp: { ...mcp, server_name: to } },
  }
}

/** Columns of a configuration: where the server is in the clear, the rest encrypted. */
function sealed(
  keys: SecretKeys,
  id: string,
  config: McpServerConfig,
): Pick<McpServerRow, 'config' | 'secret_key' | 'secret'> {
  const secret =
    config.mcp_server_type === 'stdio'
      ? { env: config.env }
      : { auth_token: config.auth_token, custom_headers: config.custom_headers }
  const { key_id, data } = keys.seal(JSON.stringify(secret), id)
  const open = Object.fromEntries(Object.entries(config).filter(([key]) => !(key in secret)))
  return { config: JSON.stringify(open), secret_key: key_id, secret: data }
}

function serverOf(keys: SecretKeys, row: McpServerRow): McpServer {
  const secret = JSON.parse(keys.open({ key_id: row.secret_key, data: row.secret }, row.id)) as object
  return {
    id: row.id,
    organization_id: row.organization_id,
    server_name: row.server_name,
    config: { ...JSON.parse(row.config), ...secret } as McpServerConfig,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}

function addressOf(row: McpServerRow): unknown {
  return (JSON.parse(row.config) as { server_url?: string }).server_url
}

/** What the consent to a server is encrypted for. */
export function consentOf(server_id: string): string {
  return `${server_id} consent`
}

async function refuseTaken(tx: Transaction, actor: Actor, name: string, but: string | null): Promise<void> {
  const taken = await byName.get(tx, { name, org: actor.organization_id })
  if (taken && taken.id !== but)
    throw new AppError(
      'conflict',
      `There is an MCP server '${name}' already. Change that one, or choose another name.`,
    )
}
