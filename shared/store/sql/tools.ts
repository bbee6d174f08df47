import type { Actor } from '../../core/ports/actor.ts'
import type { ToolFilter, ToolPatch, ToolStore } from '../../core/ports/tool-store.ts'
import type { BuiltinTool } from '../../core/ports/tools.ts'
import { AppError } from '../../schema/errors.ts'
import { newId } from '../../schema/ids.ts'
import type { Page } from '../../schema/page.ts'
import type { Tool, ToolType } from '../../schema/tool.ts'
import { DEFAULT_RETURN_CHAR_LIMIT, renamedInRules } from '../../schema/tool.ts'
import { agentOfRow, readAgentRow, rowOfAgent } from './agent-rows.ts'
import type { Database, Transaction } from './database.ts'
import { contains, windowOf } from './page.ts'
import type { Connection } from './query.ts'
import { query, db } from './query.ts'
import { withinQuota } from './quota.ts'
import type { ToolRow } from './tables.ts'
import { jsonTexts } from './json.ts'

type Data = Omit<Tool, 'id' | 'name' | 'tool_type' | 'project_id' | 'created_by_id' | 'last_updated_by_id'>

const byId = query<{ id: string; org: string }>()((p) =>
  db.selectFrom('tools').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const ofAgent = query<{ agent: string; org: string }>()((p) =>
  db
    .selectFrom('agents_tools')
    .innerJoin('tools', 'tools.id', 'agents_tools.tool_id')
    .selectAll('tools')
    .where('agents_tools.agent_id', '=', p.agent)
    .where('tools.organization_id', '=', p.org)
    .orderBy('agents_tools.position'),
)

const byNames = query<{ org: string; names: string; limit: number }>()((p) =>
  db
    .selectFrom('tools')
    .selectAll()
    .where('organization_id', '=', p.org)
    .where('name', 'in', jsonTexts(p.names))
    .orderBy('created_at')
    .orderBy('id')
    .limit(p.limit),
)

const byName = query<{ name: string; org: string }>()((p) =>
  db.selectFrom('tools').selectAll().where('name', '=', p.name).where('organization_id', '=', p.org),
)
const agentsOf = query<{ tool: string; org: string }>()((p) =>
  db
    .selectFrom('agents_tools')
    .select('agent_id')
    .where('tool_id', '=', p.tool)
    .where('organization_id', '=', p.org)
    .orderBy('agent_id'),
)

const ownCount = query<{ org: string }>()((p) =>
  db
    .selectFrom('tools')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('organization_id', '=', p.org)
    .where('tool_type', 'not like', 'letta_%'),
)

/** Tools of an organisation; the built-in ones are seeded. */
export class SqlTools implements ToolStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Ids of built-ins are kept and nothing is written when nothing changed. A built-in of another Loci version that is
   * not in the list goes, unless an agent has it: two versions may share the directory for a while.
   */
  async seed(actor: Actor, builtins: readonly BuiltinTool[]): Promise<void> {
    const pending = await this.#database.read(async (c) => await seedChanges(c, actor, builtins))
    if (pending.length === 0) return
    await this.#database.write(async (tx) => {
      for (const change of await seedChanges(tx, actor, builtins)) await applySeed(tx, actor, change)
    })
  }

  get(actor: Actor, tool_id: string): Promise<Tool | null> {
    return this.#database.read(async (c) => {
      const row = await byId.get(c, { id: tool_id, org: actor.organization_id })
      return row ? toolOf(row) : null
    })
  }

  list(actor: Actor, filter: ToolFilter, page: Page): Promise<Tool[]> {
    return this.#database.read(async (c) => {
      const { names, ...others } = filter
      const { limit, order, ...cursors } = page
      // Every new agent asks for its tools by name.
      if (names && order === 'asc' && isEmpty(others) && isEmpty(cursors)) {
        const rows = await byNames.all(c, { org: actor.organization_id, names: JSON.stringify(names), limit })
        return rows.map(toolOf)
      }
      const sorting = { table: 'tools', column: 'created_at' } as const
      const window = await windowOf(c, actor.organization_id, sorting, page)
      let rows = filtered(actor, filter).selectAll('tools')
      for (const condition of window.conditions) rows = rows.where(condition)
      const tools = (await c.all(rows.orderBy(window.direction).limit(page.limit))).map(toolOf)
      return window.turned ? tools.toReversed() : tools
    })
  }

  count(actor: Actor, filter: ToolFilter): Promise<number> {
    return this.#database.read(
      async (c) =>
        (await c.get(filtered(actor, filter).select((eb) => eb.fn.countAll<number>().as('n'))))?.n ?? 0,
    )
  }

  upsert(actor: Actor, tool: Tool, patch: ToolPatch): Promise<Tool> {
    return this.#database.write(async (tx) => {
      const row = await byName.get(tx, { name: tool.name, org: actor.organization_id })
      if (!row) return await insertTool(tx, actor, tool)
      if (row.tool_type !== tool.tool_type) throw nameTaken(row)
      return await changeTool(tx, actor, row, patch)
    })
  }

  update(actor: Actor, tool_id: string, patch: ToolPatch): Promise<Tool | null> {
    return this.#database.write(async (tx) => {
      const row = await byId.get(tx, { id: tool_id, org: actor.organization_id })
      return row ? await changeTool(tx, actor, row, patch) : null
    })
  }

  delete(actor: Actor, tool_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => await deleteTool(tx, actor, tool_id))
  }
}

/** Deletes a tool, also from its agents. False when there is none. */
export async function deleteTool(tx: Transaction, actor: Actor, tool_id: string): Promise<boolean> {
  const org = actor.organization_id
  const agents = await agentsOf.all(tx, { tool: tool_id, org })
  const tools = db.deleteFrom('tools').where('id', '=', tool_id)
  if ((await tx.run(tools.where('organization_id', '=', org))) === 0) return false
  for (const { agent_id } of agents) await tx.event(actor, 'tool.detached', tool_id, agent_id)
  await tx.event(actor, 'tool.deleted', tool_id, null)
  return true
}

/** Stores a tool whose name is free. Throws `quota_exceeded`. */
export async function insertTool(tx: Transaction, actor: Actor, tool: Tool): Promise<Tool> {
  const most = actor.quota?.tools ?? null
  if (most !== null)
    withinQuota(most, 'tools', (await ownCount.get(tx, { org: actor.organization_id }))?.n ?? 0)
  const now = new Date().toISOString()
  const row = { ...rowOfTool(actor, tool), created_at: now, updated_at: now }
  await tx.run(db.insertInto('tools').values(row))
  await tx.event(actor, 'tool.created', tool.id, null)
  return toolOf(row)
}

/** Changes a tool, unless that changes nothing; its agents' rules follow a new name. */
export async function changeTool(
  tx: Transaction,
  actor: Actor,
  row: ToolRow,
  patch: ToolPatch,
): Promise<Tool> {
  const before = toolOf(row)
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  const after: Tool = { ...before, ...given }
  const { id: _, ...columns } = rowOfTool(actor, after)
  if (columns.data === row.data && columns.name === row.name) return before
  if (after.name !== before.name) {
    const taken = await byName.get(tx, { name: after.name, org: actor.organization_id })
    if (taken) throw nameTaken(taken)
    for (const { agent_id } of await agentsOf.all(tx, { tool: row.id, org: actor.organization_id }))
      await renameInRules(tx, actor, agent_id, before.name, after.name)
  }
  const changed = { ...columns, updated_at: new Date().toISOString(), last_updated_by_id: actor.user_id }
  await tx.run(db.updateTable('tools').set(changed).where('id', '=', row.id))
  await tx.event(actor, 'tool.updated', row.id, null)
  return toolOf({ ...row, ...changed })
}

async function renameInRules(
  tx: Transaction,
  actor: Actor,
  agent_id: string,
  from: string,
  to: string,
): Promise<void> {
  const row = await readAgentRow(tx, actor, agent_id)
  if (!row) return
  const agent = agentOfRow(row)
  const tool_rules = renamedInRules(agent.tool_rules, from, to)
  const { data } = rowOfAgent(actor, { ...agent, tool_rules })
  if (data === row.data) return
  const changed = { data, updated_at: new Date().toISOString(), last_updated_by_id: actor.user_id }
  await tx.run(db.updateTable('agents').set(changed).where('id', '=', agent_id))
  await tx.event(actor, 'agent.updated', agent_id, agent_id)
}

function nameTaken({ name, tool_type }: ToolRow): AppError {
  const whose =
    tool_type === 'custom'
      ? 'another tool has that name'
      : tool_type === 'external_mcp'
        ? 'a tool of an MCP server has that name'
        : 'it is the name of a built-in tool'
  return new AppError(
    'invalid_argument',
    `There cannot be a tool named '${name}': ${whose}. Names of tools are unique; choose another.`,
  )
}

function isEmpty(fields: object): boolean {
  return Object.values(fields).every((value) => value === undefined)
}

/** The tools attached to an agent, in the order they were attached. */
export async function toolsOfAgent(connection: Connection, actor: Actor, agent_id: string): Promise<Tool[]> {
  return (await ofAgent.all(connection, { agent: agent_id, org: actor.organization_id })).map(toolOf)
}

type SeedChange =
  | { kind: 'create'; builtin: BuiltinTool }
  | { kind: 'update'; id: string; builtin: BuiltinTool }
  | { kind: 'delete'; id: string }

async function seedChanges(
  c: Connection,
  actor: Actor,
  builtins: readonly BuiltinTool[],
): Promise<SeedChange[]> {
  const rows = await c.all(
    db.selectFrom('tools').selectAll().where('organization_id', '=', actor.organization_id),
  )
  const named = new Map(rows.map((row) => [row.name, row]))
  const changes: SeedChange[] = []
  for (const builtin of builtins) {
    const row = named.get(builtin.name)
    // Somebody's own tool is not lost to a newer Loci that brings one of its name.
    if (row && !row.tool_type.startsWith('letta_')) continue
    if (!row) changes.push({ kind: 'create', builtin })
    else if (row.data !== dataOf(builtin) || row.tool_type !== builtin.tool_type) {
      changes.push({ kind: 'update', id: row.id, builtin })
    }
  }
  const names = new Set(builtins.map((builtin) => builtin.name))
  const attached = db.selectFrom('agents_tools').select('tool_id').limit(1)
  for (const row of rows) {
    if (!row.tool_type.startsWith('letta_') || names.has(row.name)) continue
    if (!(await c.get(attached.where('tool_id', '=', row.id)))) changes.push({ kind: 'delete', id: row.id })
  }
  return changes
}

async function applySeed(tx: Transaction, actor: Actor, change: SeedChange): Promise<void> {
  if (change.kind === 'delete') {
    await tx.run(db.deleteFrom('tools').where('id', '=', change.id))
    await tx.event(actor, 'tool.deleted', change.id, null)
    return
  }
  const now = new Date().toISOString()
  const { name, tool_type } = change.builtin
  const values = { tool_type, data: dataOf(change.builtin), updated_at: now }
  if (change.kind === 'update') {
    await tx.run(db.updateTable('tools').set(values).where('id', '=', change.id))
    await tx.event(actor, 'tool.updated', change.id, null)
    return
  }
  const id = newId('tool')
  await tx.run(
    db.insertInto('tools').values({
      ...values,
      id,
      name,
      organization_id: actor.organization_id,
      project_id: null,
      created_at: now,
      created_by_id: actor.user_id,
      last_updated_by_id: actor.user_id,
    }),
  )
  await tx.event(actor, 'tool.created', id, null)
}

function dataOf(builtin: BuiltinTool): string {
  const data: Data = {
    description: builtin.schema.description,
    source_type: 'python',
    source_code: null,
    json_schema: { ...builtin.schema },
    args_json_schema: null,
    tags: builtin.tags,
    return_char_limit: DEFAULT_RETURN_CHAR_LIMIT,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: builtin.enable_parallel_execution,
    metadata_: {},
  }
  return JSON.stringify(data)
}

function filtered(actor: Actor, filter: ToolFilter) {
  let rows = db.selectFrom('tools').where('tools.organization_id', '=', actor.organization_id)
  if (filter.name !== undefined) rows = rows.where('name', '=', filter.name)
  if (filter.names) rows = rows.where('name', 'in', filter.names)
  if (filter.tool_ids) rows = rows.where('id', 'in', filter.tool_ids)
  if (filter.search !== undefined) rows = rows.where(contains('tools.name', filter.search))
  if (filter.tool_types) rows = rows.where('tool_type', 'in', filter.tool_types)
  if (filter.exclude_tool_types && filter.exclude_tool_types.length > 0) {
    rows = rows.where('tool_type', 'not in', filter.exclude_tool_types)
  }
  if (filter.agent_id !== undefined) {
    rows = rows.where('id', 'in', (eb) =>
      eb
        .selectFrom('agents_tools')
        .select('tool_id')
        .where('agent_id', '=', filter.agent_id ?? ''),
    )
  }
  return rows
}

/** The row of a tool, but for its times. */
export function rowOfTool(actor: Actor, tool: Tool): Omit<ToolRow, 'created_at' | 'updated_at'> {
  const { id, name, tool_type, project_id, created_by_id, last_updated_by_id, ...rest } = tool
  const data: Data = rest
  return {
    id,
    organization_id: actor.organization_id,
    name,
    tool_type,
    project_id,
    created_by_id,
    last_updated_by_id,
    data: JSON.stringify(data),
  }
}

/** The tool of a row. */
export function toolOf(row: ToolRow): Tool {
  const data = parsed(row)
  return {
    id: row.id,
    tool_type: row.tool_type as ToolType,
    name: row.name,
    ...data,
    project_id: row.project_id,
    created_by_id: row.created_by_id,
    last_updated_by_id: row.last_updated_by_id,
  }
}

/** Tools whose data is kept parsed; beyond this the first is dropped. */
const MAX_PARSED = 500
const parsedTools = new Map<string, { text: string; data: Data }>()

/** The data of a row, parsed when it has changed: every turn reads all tools of its agent. Shared, and so frozen. */
function parsed({ id, data: text }: ToolRow): Data {
  const known = parsedTools.get(id)
  if (known?.text === text) return known.data
  const data = frozen(JSON.parse(text) as Data)
  if (parsedTools.size >= MAX_PARSED) {
    const [first] = parsedTools.keys()
    if (first !== undefined) parsedTools.delete(first)
  }
  parsedTools.set(id, { text, data })
  return data
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}
