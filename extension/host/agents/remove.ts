import type { LociClient } from '../../../shared/client/http.ts'
import type { Library } from '../library.ts'
import { listNames, type Entry } from '../views/entry.ts'
import { t } from '../l10n.ts'

/** What has been deleted, and how to bring it back. */
export interface Removal {
  /** `agent Scout` */
  what: string
  /** Null: it cannot be brought back. Answers the ids of an agent, before and now. */
  undo: (() => Promise<Restored | void>) | null
}

/** An agent that was brought back has another id. */
export interface Restored {
  agent_id: string
  now: string
}

/** What to ask before these rows are deleted; null when nothing is lost that Undo does not bring back. */
export function warningFor(
  rows: readonly Entry[],
  library: Library,
): { message: string; detail: string } | null {
  const agents = rows.filter((row) => row.kind === 'agent')
  if (agents.length > 0) {
    return {
      message: t(
        'Delete {0}?',
        agents.length === 1 ? t('agent {0}', agents[0]?.label) : t('{0} agents', agents.length),
      ),
      detail: t(
        'Undo brings back memory, tools, files and the main conversation, under a new id. Other conversations, archival memory, values of secrets and runs are lost: “loci backup” keeps everything.',
      ),
    }
  }
  const servers = rows.filter((row) => row.kind === 'mcp-server')
  if (servers.length > 0) {
    return {
      message: t(
        'Delete {0}?',
        servers.length === 1 ? t('MCP server {0}', servers[0]?.label) : t('{0} MCP servers', servers.length),
      ),
      detail: t('Its tools go with it, also from the agents that have them. There is no undo.'),
    }
  }
  const shared = rows.flatMap((row) => {
    const names = [...library.agents.values()]
      .filter(
        (agent) =>
          agent.block_ids.includes(row.object_id ?? '') || agent.tool_ids.includes(row.object_id ?? ''),
      )
      .map((agent) => agent.name)
    return names.length === 0 ? [] : [t('{0} is used by {1}.', row.label, listNames(names))]
  })
  if (shared.length === 0) return null
  return { message: t('Delete {0}?', listNames(rows.map((row) => row.label))), detail: shared.join('\n') }
}

/** Deletes what the row stands for. Throws what the client throws; then nothing is deleted. */
export async function remove(client: LociClient, library: Library, row: Entry): Promise<Removal> {
  const { letta } = client
  const id = row.object_id ?? ''
  switch (row.kind) {
    case 'agent':
      return removeAgent(letta, id, row.label)
    case 'block':
      return removeBlock(letta, library, id, row.label)
    case 'tool':
      return removeTool(letta, library, id, row.label)
    case 'mcp-server':
      await letta.mcpServers.delete(id)
      // Its secrets are told to nobody, so that it cannot be made again.
      return { what: t('MCP server {0}', row.label), undo: null }
    case 'conversation':
    case 'file':
    case 'group':
      throw new Error(t('{0} cannot be deleted here.', row.label))
  }
}

type Letta = LociClient['letta']

async function removeAgent(letta: Letta, id: string, name: string): Promise<Removal> {
  const file = await exportAgent(letta, id)
  const { blocks } = await letta.agents.retrieve(id, { include: ['agent.blocks'] })
  await letta.agents.delete(id)
  return {
    what: t('agent {0}', name),
    async undo() {
      const restored = await importAgent(letta, file, { name })
      await shareAgain(letta, restored, blocks)
      return { agent_id: id, now: restored }
    },
  }
}

/** An agent file makes copies of blocks: those that are still there are attached in their place. */
async function shareAgain(
  letta: Letta,
  agent_id: string,
  blocks: readonly { id?: string | undefined; label?: string | null }[],
): Promise<void> {
  const copies = await letta.agents.retrieve(agent_id, { include: ['agent.blocks'] })
  for (const { id, label } of blocks) {
    const copy = copies.blocks.find((block) => block.label === label)?.id
    if (id === undefined || copy === undefined || !(await exists(letta, id))) continue
    await letta.agents.blocks.detach(copy, { agent_id })
    await letta.agents.blocks.attach(id, { agent_id })
    await letta.blocks.delete(copy)
  }
}

async function exists(letta: Letta, block_id: string): Promise<boolean> {
  try {
    await letta.blocks.retrieve(block_id)
    return true
  } catch (error) {
    if ((error as { status?: unknown }).status === 404) return false
    throw error
  }
}

async function removeBlock(letta: Letta, library: Library, id: string, label: string): Promise<Removal> {
  const block = await letta.blocks.retrieve(id)
  const sharers = [...library.agents.values()].filter((agent) => agent.block_ids.includes(id))
  await letta.blocks.delete(id)
  return {
    what: t('block {0}', label),
    async undo() {
      const again = await letta.blocks.create({
        label,
        value: block.value,
        description: block.description ?? null,
        ...(block.limit === undefined ? {} : { limit: block.limit }),
        read_only: block.read_only ?? false,
      })
      for (const agent of sharers) await letta.agents.blocks.attach(again.id, { agent_id: agent.id })
    },
  }
}

async function removeTool(letta: Letta, library: Library, id: string, name: string): Promise<Removal> {
  const tool = await letta.tools.retrieve(id)
  const users = [...library.agents.values()].filter((agent) => agent.tool_ids.includes(id))
  await letta.tools.delete(id)
  return {
    what: t('tool {0}', name),
    async undo() {
      const { source_code, source_type, description, tags, json_schema, default_requires_approval } = tool
      const again = await letta.tools.create({
        source_code: source_code ?? '',
        ...(source_type ? { source_type } : {}),
        ...(description ? { description } : {}),
        ...(tags ? { tags } : {}),
        ...(json_schema ? { json_schema } : {}),
        ...(default_requires_approval ? { default_requires_approval } : {}),
      })
      for (const agent of users) await letta.agents.tools.attach(again.id, { agent_id: agent.id })
    },
  }
}

/** The agent as the text of an agent file. */
export async function exportAgent(letta: Letta, id: string): Promise<string> {
  return (await letta.agents.exportFile(id).asResponse()).text()
}

/** Makes an agent of the text of an agent file; answers its id. */
export async function importAgent(
  letta: Letta,
  text: string,
  { name, model }: { name?: string; model?: string } = {},
): Promise<string> {
  const { agent_ids } = await letta.agents.importFile(
    {
      file: new File([text], 'agent.af'),
      append_copy_suffix: false,
      ...(name === undefined ? {} : { name }),
      ...(model === undefined ? {} : { model }),
    },
    // A second try would make a second agent.
    { maxRetries: 0 },
  )
  const id = agent_ids[0]
  if (id === undefined) throw new Error(t('The file has no agent.'))
  return id
}
