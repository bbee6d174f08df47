import { refusalOf } from '../../shared/client/http.ts'
import type { HaveAgent } from './have-agent.ts'
import type { Change, Plan } from './plan.ts'

type Kind = 'blocks' | 'folders' | 'archives' | 'tools' | 'mcp_servers'

const WORDS = {
  blocks: 'block',
  folders: 'folder',
  archives: 'archive',
  tools: 'tool',
  mcp_servers: 'MCP server',
} as const

/** What an earlier apply has made and the fleet has no more. What agents of others use stays, with a note. */
export async function planPrune(plan: Plan): Promise<void> {
  const { desired, before, state, client, prune } = plan
  const names = new Set(desired.agents.map(({ name }) => name))
  const gone = Object.entries(before.agents).filter(([name]) => !names.has(name))
  const going = new Set(gone.flatMap(([, { id, made }]) => (made ? [id] : [])))
  if (prune && going.size > 0 && !desired.lists_agents) {
    const made = gone.flatMap(([name, record]) => (record.made ? [name] : []))
    plan.mistakes.push(
      `No file of the fleet has 'agents', and --prune would remove ${made.join(', ')}. If none is to stay, write \`agents: []\`.`,
    )
    return
  }
  for (const [name, record] of gone) {
    if (!record.made || !(await isThere(plan, `/v1/agents/${record.id}`))) delete state.agents[name]
    else if (!prune) plan.stale.push(`agent ${name}`)
    else
      push(plan, 'agent', name, async () => {
        await client.letta.agents.delete(record.id)
        for (const { id, made } of Object.values(record.blocks)) if (made) await deleteUnused(plan, id)
        delete state.agents[name]
      })
  }
  for (const kind of ['blocks', 'folders', 'archives', 'tools', 'mcp_servers'] as const) {
    const wanted = wantedNames(plan, kind)
    for (const [name, { id, made }] of Object.entries(before[kind])) {
      if (wanted.has(name)) continue
      if (!made || !(await isThere(plan, pathOf(kind, id)))) {
        delete state[kind][name]
        continue
      }
      if (!prune) {
        plan.stale.push(`${WORDS[kind]} ${name}`)
        continue
      }
      const users = (await usersOf(plan, kind, id)).filter(
        (agent) => !going.has(agent.id) && !Object.values(state.agents).some((mine) => mine.id === agent.id),
      )
      if (users.length > 0) {
        const who = users.map((agent) => agent.name).slice(0, 3)
        plan.notes.push(`${WORDS[kind]} '${name}' stays: ${who.join(', ')} of no fleet of this name use it.`)
        continue
      }
      push(plan, WORDS[kind], name, async () => {
        await client.letta.delete(pathOf(kind, id))
        delete state[kind][name]
      })
    }
  }
}

function push(plan: Plan, kind: Change['kind'], name: string, run: () => Promise<void>): void {
  plan.changes.push({ action: 'delete', kind, name, at: null, fields: [], run })
}

function wantedNames({ desired, tool_names }: Plan, kind: Kind): Set<string> {
  switch (kind) {
    case 'blocks':
      return new Set(desired.shared_blocks.map(({ label }) => label))
    case 'tools':
      return new Set([
        ...tool_names.values(),
        ...desired.agents.flatMap(({ tools = [] }) =>
          tools.flatMap((tool) => ('name' in tool ? tool.name : [])),
        ),
      ])
    default:
      return new Set(desired[kind].map(({ name }) => name))
  }
}

function pathOf(kind: Kind, id: string): string {
  return kind === 'mcp_servers' ? `/v1/mcp-servers/${id}` : `/v1/${kind}/${id}`
}

async function isThere(plan: Plan, path: string): Promise<boolean> {
  try {
    await plan.client.letta.get(path)
    return true
  } catch (error) {
    if (refusalOf(error)?.status === 404) return false
    throw error
  }
}

/** The agents that have something. */
async function usersOf(plan: Plan, kind: Kind, id: string): Promise<{ id: string; name: string }[]> {
  const { letta } = plan.client
  if (kind === 'blocks') return (await letta.blocks.agents.list(id, { limit: 1000 })).items
  if (kind === 'archives')
    return (await letta.get(`/v1/archives/${id}/agents`, { query: { limit: 1000 } })) as HaveAgent[]
  if (kind === 'folders') {
    const ids = await letta.folders.agents.list(id, { limit: 1000 })
    return ids.map((agent) => ({ id: agent, name: agent }))
  }
  const of = new Set([id])
  if (kind === 'mcp_servers') for (const tool of await letta.mcpServers.tools.list(id)) of.add(tool.id)
  const found: HaveAgent[] = []
  const agents = letta.agents.list({ include: ['agent.tools'], limit: 100 })
  for await (const agent of agents as unknown as AsyncIterable<HaveAgent>)
    if (agent.tools.some((tool) => of.has(tool.id))) found.push(agent)
  return found
}

/** A block of an agent that is gone, unless another one has it. */
async function deleteUnused(plan: Plan, id: string): Promise<void> {
  const { letta } = plan.client
  if (!(await isThere(plan, `/v1/blocks/${id}`))) return
  const users = (await letta.blocks.agents.list(id, { limit: 1 })).items
  if (users.length === 0) await letta.blocks.delete(id)
}
