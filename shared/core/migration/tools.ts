import { AppError } from '../../schema/errors.ts'
import { isId, newId } from '../../schema/ids.ts'
import { oldTool } from '../../schema/old-server.ts'
import type { Tool } from '../../schema/tool.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { Kind } from './bring.ts'
import { type Raw, readLeniently } from './read.ts'
import { timesOf } from './times.ts'

/** Tools with their source and schema; the built-in ones are those that are here. */
export const tools: Kind = {
  async plan(deps, actor, raw) {
    const notes: string[] = []
    // Made here by name: their ids are the server's own.
    const given = isId('tool', String(raw['id'])) ? raw : { ...raw, id: newId('tool') }
    const read = readLeniently(oldTool, given, notes)
    const name = read.name ?? read.json_schema?.['name']
    if (typeof name !== 'string' || name === '')
      throw new AppError('invalid_argument', 'It has no name, so that no agent can call it.')
    const tool: Tool = {
      id: read.id,
      tool_type: read.tool_type,
      name,
      description: read.description ?? null,
      source_type: read.source_type ?? null,
      source_code: read.source_code ?? null,
      json_schema: read.json_schema ?? null,
      args_json_schema: read.args_json_schema ?? null,
      tags: read.tags ?? [],
      return_char_limit: read.return_char_limit,
      pip_requirements: read.pip_requirements ?? null,
      npm_requirements: read.npm_requirements ?? null,
      default_requires_approval: read.default_requires_approval ?? null,
      enable_parallel_execution: read.enable_parallel_execution ?? null,
      metadata_: read.metadata_ ?? null,
      project_id: read.project_id ?? null,
      created_by_id: actor.user_id,
      last_updated_by_id: actor.user_id,
    }
    if (tool.tool_type === 'external_langchain' || tool.tool_type === 'external_composio')
      notes.push(
        `It is a tool of the kind ${tool.tool_type}, which cannot be run here; write it as a custom tool.`,
      )
    return {
      id: String(raw['id']),
      name,
      here: tool.id,
      view: viewOf(tool),
      notes,
      async add() {
        if (isBuiltin(tool))
          throw new AppError(
            'not_found',
            `It is a built-in tool of the old server that Loci does not have; docs/compatibility.md names what to use.`,
          )
        await deps.store.migration.addTool(actor, tool, timesOf(deps, raw))
        await linkToServer(deps, actor, tool)
      },
      async change(here) {
        if (isBuiltin(tool)) return
        const { id: _i, tool_type: _t, created_by_id: _c, last_updated_by_id: _l, ...patch } = tool
        await deps.store.tools.update(actor, here, patch)
      },
    }
  },
  async view(deps, actor, here) {
    const tool = await deps.store.tools.get(actor, here)
    return tool && viewOf(tool)
  },
  async find(deps, actor, { name, view }) {
    const [present] = await deps.store.tools.list(actor, { names: [name] }, { limit: 1, order: 'asc' })
    if (!present) return null
    const wanted = view as ReturnType<typeof viewOf>
    if (wanted.builtin && viewOf(present).builtin) return present.id
    if (JSON.stringify(viewOf(present)) === JSON.stringify(wanted)) return present.id
    throw new AppError(
      'conflict',
      `There is another tool named '${name}' here, which stays. Rename one of the two, then run this again.`,
    )
  },
}

function isBuiltin({ tool_type }: Pick<Tool, 'tool_type'>): boolean {
  return tool_type.startsWith('letta_')
}

/** Of a built-in tool its name only: what is behind it is the server's. */
function viewOf(tool: Tool) {
  if (isBuiltin(tool)) return { builtin: true, name: tool.name }
  const { id: _i, created_by_id: _c, last_updated_by_id: _l, metadata_: _m, ...rest } = tool
  return { builtin: false, ...rest }
}

/** Makes a tool that is tagged as one of an MCP server its own. */
async function linkToServer(deps: CoreDeps, actor: Actor, tool: Tool): Promise<void> {
  if (tool.tool_type !== 'external_mcp') return
  const { mcp_servers } = deps.store
  for (const tag of tool.tags) {
    const server = tag.startsWith('mcp:') ? await mcp_servers.named(actor, tag.slice('mcp:'.length)) : null
    if (!server) continue
    const own = (tool.metadata_?.['mcp'] ?? {}) as Raw
    const tool_name = typeof own['tool_name'] === 'string' ? own['tool_name'] : tool.name
    const offered = [{ tool_name, names: [tool.name], tool }]
    await mcp_servers.sync(actor, server.id, offered, { delete_others: false })
  }
}
