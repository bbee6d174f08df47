import type { AgentRecord } from '../../shared/schema/fleet-state.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import type { HaveAgent } from './have-agent.ts'
import type { McpTools } from './mcp-tools.ts'
import { idOf, type Plan, type Step } from './plan.ts'

interface Link {
  has(name: string): boolean
  attach(name: string, agent_id: string): Promise<unknown>
  /** Null when the agent has it no more. */
  detach(name: string, agent_id: string): (() => Promise<unknown>) | null
}

/** What is attached to an agent by its name: what is missing comes, what an earlier apply attached may go. */
export function links(
  plan: Plan,
  record: AgentRecord,
  key: 'shared_blocks' | 'folders' | 'archives' | 'tools',
  word: string,
  wanted: readonly string[],
  link: Link,
): Step[] {
  const gone = record[key].filter((name) => !wanted.includes(name))
  const removed = gone.flatMap((name): Step[] => {
    const detach = link.detach(name, record.id)
    const forget = () => void (record[key] = record[key].filter((one) => one !== name))
    if (!detach) {
      forget()
      return []
    }
    if (!plan.prune) {
      plan.stale.push(`${word} '${name}' of ${nameOf(plan, record)}`)
      return []
    }
    return [{ fields: [{ field: word, before: name, after: null }], run: () => detach().then(forget) }]
  })
  const added = wanted
    .filter((name) => !link.has(name))
    .map((name) => ({
      fields: [{ field: word, before: null, after: name }],
      async run(agent_id: string) {
        await link.attach(name, agent_id)
        if (!record[key].includes(name)) record[key].push(name)
      },
    }))
  return [...removed, ...added]
}

function nameOf(plan: Plan, record: AgentRecord): string {
  return Object.entries(plan.state.agents).find(([, one]) => one === record)?.[0] ?? record.id
}

/** Its tools, those of MCP servers too. */
export async function toolSteps(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  found: HaveAgent,
  record: AgentRecord,
  servers: McpTools,
): Promise<Step[]> {
  const { client } = plan
  const names = [...toolNames(plan, wanted), ...(await servers.namesNow(wanted))]
  const steps = links(plan, record, 'tools', 'tool', names, {
    has: (name) => found.tools.some((tool) => tool.name === name),
    attach: async (name, agent_id) => {
      const tools = await toolsOf(plan, wanted, servers)
      return client.letta.agents.tools.attach(tools.get(name) ?? idOf(plan, 'tools', name), { agent_id })
    },
    detach: (name, agent_id) => {
      const there = found.tools.find((tool) => tool.name === name)
      return there ? () => client.letta.agents.tools.detach(there.id, { agent_id }) : null
    },
  })
  // What a server has that is not there yet is not known yet.
  const unknown = (wanted.mcp_tools ?? []).filter(({ server }) => !plan.ids.mcp_servers.has(server))
  return [
    ...steps,
    ...unknown.map(({ server }) => ({
      fields: [{ field: 'tools of MCP server', before: null, after: server }],
      async run(agent_id: string) {
        for (const [name, id] of await toolsOf(plan, wanted, servers)) {
          if (record.tools.includes(name) || found.tools.some((tool) => tool.id === id)) continue
          await client.letta.agents.tools.attach(id, { agent_id })
          record.tools.push(name)
        }
      },
    })),
  ]
}

/** Names of the tools that it should have, without those of MCP servers. */
export function toolNames(plan: Plan, { tools = [] }: WantedAgent): string[] {
  const names = tools.map((tool) => ('name' in tool ? tool.name : (plan.tool_names.get(tool.path) ?? '')))
  return [...new Set(names.filter((name) => name !== ''))]
}

/** Names and ids of all tools that an agent should have, those of MCP servers too. */
export async function toolsOf(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  servers: McpTools,
): Promise<Map<string, string>> {
  const own = toolNames(plan, wanted).map((name) => [name, idOf(plan, 'tools', name)] as const)
  return new Map([...own, ...(await servers.toolsOf(wanted))])
}

/** Its archives. */
export async function archiveSteps(
  plan: Plan,
  wanted: WantedAgent,
  found: HaveAgent,
  record: AgentRecord,
): Promise<Step[]> {
  if (wanted.archives.length === 0 && record.archives.length === 0) return []
  const { client } = plan
  const there = (await client.letta.archives.list({ agent_id: found.id, limit: 100 })).items
  return links(plan, record, 'archives', 'archive', wanted.archives, {
    has: (name) => there.some((archive) => archive.id === plan.ids.archives.get(name)),
    attach: (name, agent_id) =>
      client.letta.agents.archives.attach(idOf(plan, 'archives', name), { agent_id }),
    detach: (name, agent_id) => {
      const one = there.find((archive) => archive.name === name)
      return one ? () => client.letta.agents.archives.detach(one.id, { agent_id }) : null
    },
  })
}
