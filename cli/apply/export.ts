import { stringify } from 'yaml'
import type { LociClient } from '../../shared/client/http.ts'
import type { Block } from '../../shared/schema/block.ts'
import { DEFAULT_BLOCK_LIMIT } from '../../shared/schema/block.ts'
import type { HaveAgent } from './have-agent.ts'
import { given } from './plan.ts'

const INCLUDE = ['agent.blocks', 'agent.tools', 'agent.tags', 'agent.sources', 'agent.secrets']
/** What an agent is given with its folders; it comes by itself. */
const FILE_TOOLS = 'letta_files_core'

/** A fleet that is written down, and what of it could not be. */
export interface WrittenFleet {
  text: string
  agents: number
  notes: string[]
}

/**
 * The agents of a server as a file of a fleet: applied to the same server it changes nothing. Files of folders, sources of
 * tools and values of secrets are not in it.
 */
export async function writeFleet(client: LociClient, fleet: string): Promise<WrittenFleet> {
  const { letta } = client
  const agents: HaveAgent[] = []
  const notes: string[] = []
  const all = letta.agents.list({ include: INCLUDE as [], limit: 100, order: 'asc' })
  for await (const agent of all as unknown as AsyncIterable<HaveAgent>) {
    if (agents.some(({ name }) => name === agent.name))
      notes.push(
        `Another agent is called '${agent.name}', too: ${agent.id} is left out. Rename it to have it.`,
      )
    else agents.push(agent)
  }
  const shared = sharedBlocks(agents, notes)
  const folders = new Map(
    agents.flatMap(({ sources }) => sources.map((source) => [source.name, source] as const)),
  )
  const archives = new Map<string, Record<string, unknown>[]>()
  for (const { id } of agents) {
    const found = (await letta.archives.list({ agent_id: id, limit: 100 })).items
    archives.set(
      id,
      found.map(({ name, description }) => given({ name, description: description ?? undefined })),
    )
  }
  const own = new Set(
    agents.flatMap(({ tools }) => tools.flatMap((tool) => (isOwn(tool) ? [tool.name] : []))),
  )
  if (own.size > 0)
    notes.push(
      `Tools of your own are named, not written: bring them to files with loci tools pull ${[...own].join(' ')}`,
    )
  const value = given({
    fleet,
    shared_blocks: shared.size === 0 ? undefined : [...shared.values()].map(blockOf),
    shared_folders: folders.size === 0 ? undefined : [...folders.values()].map(folderOf),
    agents: agents.map((agent) => agentOf(agent, shared, archives.get(agent.id) ?? [])),
  })
  // What looks like a variable is meant as it is.
  const text = stringify(value, { lineWidth: 0 }).replaceAll('${env:', () => '$${env:')
  return { text, agents: agents.length, notes }
}

/** Blocks of several agents, by id. */
function sharedBlocks(agents: readonly HaveAgent[], notes: string[]): Map<string, Block> {
  const users = new Map<string, { block: Block; count: number }>()
  for (const block of agents.flatMap(({ blocks }) => blocks)) {
    const known = users.get(block.id)
    users.set(block.id, { block, count: (known?.count ?? 0) + 1 })
  }
  const shared = new Map<string, Block>()
  for (const [id, { block, count }] of users) {
    if (count < 2) continue
    if ([...shared.values()].some(({ label }) => label === block.label))
      notes.push(
        `Several shared blocks are called '${block.label}': ${id} is written as a block of each agent.`,
      )
    else shared.set(id, block)
  }
  return shared
}

function blockOf({ label, description, limit, value, read_only, tags, metadata }: Block) {
  return given({
    name: label,
    description: description ?? undefined,
    limit: limit === DEFAULT_BLOCK_LIMIT ? undefined : limit,
    read_only: read_only || undefined,
    tags: tags?.length ? tags : undefined,
    metadata: metadata && Object.keys(metadata).length > 0 ? metadata : undefined,
    value,
  })
}

function folderOf(folder: Record<string, unknown>) {
  const { name, description, instructions } = folder
  return given({ name, description: description ?? undefined, instructions: instructions ?? undefined })
}

function agentOf(
  agent: HaveAgent,
  shared: ReadonlyMap<string, Block>,
  archives: readonly Record<string, unknown>[],
): Record<string, unknown> {
  const { name, agent_type, model, llm_config, metadata, blocks, tools, sources, tags, secrets = [] } = agent
  const { context_window, max_tokens } = llm_config
  const list = <T>(items: readonly T[]) => (items.length === 0 ? undefined : items)
  return given({
    name,
    agent_type: agent_type === 'letta_v1_agent' ? undefined : agent_type,
    description: agent['description'] ?? undefined,
    llm_config: given({ model: model ?? undefined, context_window, max_tokens: max_tokens ?? undefined }),
    embedding: agent['embedding'] ?? undefined,
    timezone: agent['timezone'] === 'UTC' ? undefined : agent['timezone'],
    system_prompt: { value: agent['system'] },
    memory_blocks: list(blocks.filter(({ id }) => !shared.has(id)).map(blockOf)),
    shared_blocks: list(blocks.filter(({ id }) => shared.has(id)).map(({ label }) => label)),
    include_base_tools: false,
    tools: tools
      .filter((tool) => (tool as { tool_type?: string }).tool_type !== FILE_TOOLS)
      .map((tool) => tool.name)
      .toSorted(),
    tool_rules: list((agent['tool_rules'] ?? []) as object[]),
    shared_folders: list(sources.map((source) => source.name)),
    archives: list(archives),
    tags: list(tags),
    metadata: metadata && Object.keys(metadata).length > 0 ? metadata : undefined,
    secrets:
      secrets.length === 0
        ? undefined
        : Object.fromEntries(secrets.map(({ key }) => [key, { from_env: key, preserve_existing: true }])),
  })
}

function isOwn(tool: object): boolean {
  return (tool as { tool_type?: string }).tool_type === 'custom'
}
