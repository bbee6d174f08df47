import { didYouMean } from '../../shared/schema/near-names.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import { idOf, type Plan } from './plan.ts'

/** The tools of MCP servers, as the server knows them. */
export class McpTools {
  readonly #plan: Plan
  readonly #known = new Map<string, Map<string, string>>()

  constructor(plan: Plan) {
    this.#plan = plan
  }

  /** That the servers are there which an agent names. */
  async check({ mcp_tools = [], at }: Wanted<WantedAgent>): Promise<void> {
    const { desired, ids, mistakes, client } = this.#plan
    for (const { server } of mcp_tools) {
      if (ids.mcp_servers.has(server) || desired.mcp_servers.some(({ name }) => name === server)) continue
      const there = (await client.letta.mcpServers.list()) as unknown as { id: string; server_name: string }[]
      for (const { id, server_name } of there) ids.mcp_servers.set(server_name, id)
      if (!ids.mcp_servers.has(server))
        mistakes.push(
          `${at}: there is no MCP server '${server}'. ${didYouMean(server, [...ids.mcp_servers.keys()], "Name it in 'mcp_servers'.")}`,
        )
    }
  }

  /** Names of the tools that an agent should have of servers that are there already. */
  async namesNow(wanted: Wanted<WantedAgent>): Promise<string[]> {
    const names: string[] = []
    for (const one of wanted.mcp_tools ?? []) {
      if (!this.#plan.ids.mcp_servers.has(one.server)) continue
      const tools = await this.#of(one.server)
      names.push(...(one.tools === 'all' ? tools.keys() : one.tools))
      if (one.tools === 'all') continue
      for (const name of one.tools.filter((name) => !tools.has(name)))
        this.#plan.mistakes.push(
          `${wanted.at}: MCP server '${one.server}' has no tool '${name}'. ${didYouMean(name, [...tools.keys()], 'It has none.')}`,
        )
    }
    return names
  }

  /** The same with their ids, of all servers; throws for one that is not there. */
  async toolsOf({ mcp_tools = [] }: WantedAgent): Promise<[string, string][]> {
    const found: [string, string][] = []
    for (const { server, tools } of mcp_tools) {
      const there = await this.#of(server)
      for (const name of tools === 'all' ? there.keys() : tools) {
        const id = there.get(name)
        if (id === undefined) throw new Error(`MCP server '${server}' has no tool '${name}'`)
        found.push([name, id])
      }
    }
    return found
  }

  async #of(server: string): Promise<Map<string, string>> {
    const known = this.#known.get(server)
    if (known) return known
    const id = idOf(this.#plan, 'mcp_servers', server)
    const { letta } = this.#plan.client
    let tools = await letta.mcpServers.tools.list(id)
    if (tools.length === 0) {
      await letta.mcpServers.refresh(id)
      tools = await letta.mcpServers.tools.list(id)
    }
    const found = new Map(tools.flatMap((tool) => (tool.name == null ? [] : [[tool.name, tool.id] as const])))
    this.#known.set(server, found)
    return found
  }
}
