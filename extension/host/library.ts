import type { LociClient } from '../../shared/client/http.ts'
import type { Event as Change } from '../../shared/schema/event.ts'
import { createActivities, type Activity } from './activity.ts'
import { createDetailsCache, type AgentDetails } from './details.ts'
import { t } from './l10n.ts'

type Letta = LociClient['letta']
type AgentState = Awaited<ReturnType<Letta['agents']['retrieve']>>
type BlockState = Awaited<ReturnType<Letta['blocks']['retrieve']>>
type McpServerState = Awaited<ReturnType<Letta['mcpServers']['list']>>[number]
type ToolState = Awaited<ReturnType<Letta['tools']['retrieve']>>

export interface AgentInfo {
  id: string
  name: string
  model: string | null
  description: string | null
  block_ids: string[]
  tool_ids: string[]
}
export interface BlockInfo {
  id: string
  label: string
  value: string
  limit: number
  description: string | null
  read_only: boolean
  /** Grows with each change; null from a server that counts none. */
  version?: number | null
}
export interface ToolInfo {
  id: string
  name: string
  description: string | null
  tool_type: string
  /** The id of the MCP server that it comes from. */
  mcp_server_id?: string | null
}
export interface McpServerInfo {
  id: string
  name: string
  /** The program or address. */
  place: string
  state: 'idle' | 'connecting' | 'connected' | 'authorization_required' | 'failed'
  /** Why it failed. */
  error: string | null
}

/** What the views show: a copy of the server's agents, blocks and tools, kept up to date by `apply`. */
export interface Library {
  readonly agents: ReadonlyMap<string, AgentInfo>
  readonly blocks: ReadonlyMap<string, BlockInfo>
  readonly tools: ReadonlyMap<string, ToolInfo>
  readonly mcp_servers: ReadonlyMap<string, McpServerInfo>
  /** Agents that work, wait or have failed. */
  readonly activity: ReadonlyMap<string, Activity>
  /** Conversations and files of an agent; read when first asked for. Rejects with what the client throws. */
  details(agent_id: string): Promise<AgentDetails>
  /** True once everything was read. */
  readonly loaded: boolean
  /** Reads everything, once however many ask at a time. Throws what the client throws. */
  load(): Promise<void>
  /** Reads everything again, after any reading that is under way. Throws what the client throws. */
  reload(): Promise<void>
  /** Reads again what these changes concern. Throws what the client throws. */
  apply(changes: readonly Change[]): Promise<void>
  /**
   * Applies changes only when `work` has ended: what it makes in several steps is seen when it is whole. It must not wait
   * for a reading of this library. Rejects as `work` does.
   */
  during<T>(work: () => Promise<T>): Promise<T>
  /** Forgets everything, for another server. */
  clear(): void
}

/** Above this many objects in one burst, reading the whole list is cheaper than reading each. */
const ONE_BY_ONE = 25
const PAGE = 200

/** `changed` is called after each change of what the library holds. */
export function createLibrary(getClient: () => Promise<LociClient>, changed: () => void): Library {
  const agents = new Map<string, AgentInfo>()
  const blocks = new Map<string, BlockInfo>()
  const tools = new Map<string, ToolInfo>()
  const mcp_servers = new Map<string, McpServerInfo>()
  const activities = createActivities()
  const details = createDetailsCache()
  let loaded = false
  let loading: Promise<void> | null = null
  /** One reader at a time: an older answer never overwrites a newer one. */
  let queue: Promise<void> = Promise.resolve()
  const inTurn = (work: () => Promise<void>) => {
    const done = queue.then(work)
    queue = done.catch(() => undefined)
    return done
  }

  async function readAll(): Promise<void> {
    const { letta } = await getClient()
    details.clear()
    await Promise.all([
      readAgents(letta),
      readBlocks(letta),
      readTools(letta),
      readMcpServers(letta),
      activities.load(letta),
    ])
    loaded = true
    changed()
  }
  async function readAgents(letta: Letta): Promise<void> {
    const include: ('agent.blocks' | 'agent.tools')[] = ['agent.blocks', 'agent.tools']
    replace(agents, await all(letta.agents.list({ limit: PAGE, order: 'asc', include }), agentInfo))
  }
  async function readBlocks(letta: Letta): Promise<void> {
    replace(blocks, await all(letta.blocks.list({ limit: PAGE, order: 'asc' }), blockInfo))
  }
  async function readTools(letta: Letta): Promise<void> {
    replace(tools, await all(letta.tools.list({ limit: PAGE, order: 'asc' }), toolInfo))
  }
  async function readMcpServers(letta: Letta): Promise<void> {
    replace(mcp_servers, (await letta.mcpServers.list().catch(noneWithoutRoute)).map(mcpServerInfo))
  }

  async function readChanged(changes: readonly Change[]): Promise<void> {
    const { letta } = await getClient()
    const stale = staleObjects(changes)
    details.apply(changes)
    await Promise.all([
      activities.apply(changes, letta),
      ...(stale.tools.size > 0 || stale.mcp_servers ? [readMcpServers(letta)] : []),
      refresh(
        agents,
        stale.agents,
        () => readAgents(letta),
        async (id) =>
          agentInfo(await letta.agents.retrieve(id, { include: ['agent.blocks', 'agent.tools'] })),
      ),
      refresh(
        blocks,
        stale.blocks,
        () => readBlocks(letta),
        async (id) => {
          const block = await letta.blocks.retrieve(id)
          // Lists leave those out.
          return block.hidden ? null : blockInfo(block)
        },
      ),
      refresh(
        tools,
        stale.tools,
        () => readTools(letta),
        async (id) => toolInfo(await letta.tools.retrieve(id)),
      ),
    ])
    changed()
  }

  return {
    agents,
    blocks,
    tools,
    mcp_servers,
    activity: activities.map,
    details: (agent_id) => details.of(agent_id, getClient),
    get loaded() {
      return loaded
    },
    load() {
      loading ??= inTurn(readAll).finally(() => {
        loading = null
      })
      return loading
    },
    reload: () => inTurn(readAll),
    async during(work) {
      const done = Promise.withResolvers<void>()
      const doing = inTurn(() => done.promise)
      try {
        return await work()
      } finally {
        done.resolve()
        await doing
      }
    },
    apply(changes) {
      if (changes.length === 0 || (!loaded && !loading)) return Promise.resolve()
      return inTurn(() => readChanged(changes))
    },
    clear() {
      loaded = false
      for (const map of [agents, blocks, tools, mcp_servers]) map.clear()
      activities.clear()
      details.clear()
      changed()
    },
  }
}

/** The ids to read again. Attaching concerns the agent alone: what is attached did not change. */
export function staleObjects(changes: readonly Change[]) {
  const stale = {
    agents: new Set<string>(),
    blocks: new Set<string>(),
    tools: new Set<string>(),
    /** All of them. */
    mcp_servers: false,
  }
  for (const { type, object_id, agent_id } of changes) {
    const attached = type.endsWith('.attached') || type.endsWith('.detached')
    if (attached && agent_id !== null) stale.agents.add(agent_id)
    else if (type.startsWith('agent.')) stale.agents.add(object_id)
    if (type.startsWith('block.')) stale.blocks.add(object_id)
    if (type.startsWith('tool.')) stale.tools.add(object_id)
    if (type.startsWith('mcp_server.')) stale.mcp_servers = true
  }
  return stale
}

/** Older V1 servers have no such route. */
function noneWithoutRoute(error: unknown): never[] {
  if ((error as { status?: unknown }).status === 404) return []
  throw error
}

async function refresh<T>(
  map: Map<string, T>,
  ids: ReadonlySet<string>,
  readList: () => Promise<void>,
  readOne: (id: string) => Promise<T | null>,
): Promise<void> {
  if (ids.size > ONE_BY_ONE) return readList()
  await Promise.all(
    [...ids].map(async (id) => {
      try {
        const one = await readOne(id)
        if (one === null) map.delete(id)
        else map.set(id, one)
      } catch (error) {
        if ((error as { status?: unknown }).status !== 404) throw error
        map.delete(id)
      }
    }),
  )
}

async function all<From, To extends { id: string }>(
  pages: AsyncIterable<From>,
  convert: (item: From) => To,
): Promise<To[]> {
  const found: To[] = []
  for await (const item of pages) found.push(convert(item))
  return found
}

function replace<T extends { id: string }>(map: Map<string, T>, items: T[]): void {
  map.clear()
  for (const item of items) map.set(item.id, item)
}

function agentInfo(agent: AgentState): AgentInfo {
  return {
    id: agent.id,
    name: agent.name,
    model: agent.model ?? null,
    description: agent.description ?? null,
    block_ids: agent.blocks.flatMap((block) => block.id ?? []),
    tool_ids: agent.tools.map((tool) => tool.id),
  }
}

function blockInfo(block: BlockState): BlockInfo {
  return {
    id: block.id ?? '',
    label: block.label ?? t('(no label)'),
    value: block.value,
    limit: block.limit ?? 0,
    description: block.description ?? null,
    read_only: block.read_only ?? false,
    // Of ours, and so not in the client's types.
    version: (block as { version?: number }).version ?? null,
  }
}

function toolInfo(tool: ToolState): ToolInfo {
  return {
    id: tool.id,
    name: tool.name ?? t('(no name)'),
    description: tool.description ?? null,
    tool_type: tool.tool_type ?? 'custom',
    mcp_server_id: mcpServerOf(tool),
  }
}

function mcpServerOf(tool: ToolState): string | null {
  const mcp = tool.metadata_?.['mcp'] as { server_id?: unknown } | undefined
  return typeof mcp?.server_id === 'string' ? mcp.server_id : null
}

function mcpServerInfo(server: McpServerState): McpServerInfo {
  // Of ours, and so not in the client's types; another server has none.
  const { connection } = server as { connection?: { state: McpServerInfo['state']; error: string | null } }
  return {
    id: server.id ?? '',
    name: server.server_name,
    place: 'command' in server ? [server.command, ...server.args].join(' ') : server.server_url,
    state: connection?.state ?? 'idle',
    error: connection?.error ?? null,
  }
}
