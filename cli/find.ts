import type { LociClient } from '../shared/client/http.ts'
import type { Block } from '../shared/schema/block.ts'
import { isId } from '../shared/schema/ids.ts'
import { didYouMean } from '../shared/schema/near-names.ts'
import { Failure } from './failure.ts'

/** How many blocks or tools are looked at for a near name. */
const CANDIDATES = 200
/** How many of several things of one name are listed. */
const LISTED = 10

/**
 * The block with this id or label; `AGENT/LABEL`, or `agent`, says of which agent. Throws a `Failure` that names near
 * labels, or every block that has this one.
 */
export async function findBlock(client: LociClient, named: string, agent?: string): Promise<Block> {
  if (isId('block', named)) return (await client.letta.get(`/v1/blocks/${named}`)) as Block
  if (agent !== undefined) return blockOfAgent(client, agent, named)
  const query = { label: named, limit: LISTED + 1, show_hidden_blocks: true }
  const found = (await client.letta.get('/v1/blocks/', { query })) as Block[]
  const [block] = found
  if (block && found.length === 1) return block
  if (block) throw new Failure(await severalBlocks(client, named, found))
  const slash = named.indexOf('/')
  if (slash > 0) return blockOfAgent(client, named.slice(0, slash), named.slice(slash + 1))
  const all = (await client.letta.get('/v1/blocks/', { query: { limit: CANDIDATES } })) as Block[]
  const hint = didYouMean(named, labelsOf(all), 'There are no blocks yet.')
  throw new Failure(`There is no block '${named}'. ${hint}`)
}

async function blockOfAgent(client: LociClient, agent: string, label: string): Promise<Block> {
  const { id, name } = await client.findAgent(agent)
  const path = `/v1/agents/${id}/core-memory/blocks`
  const blocks = (await client.letta.get(path, { query: { limit: CANDIDATES } })) as Block[]
  const block = blocks.find((one) => one.label === label)
  if (block) return block
  const hint = didYouMean(label, labelsOf(blocks), 'It has no blocks.')
  throw new Failure(`The agent '${name}' has no block '${label}'. ${hint}`)
}

function labelsOf(blocks: readonly Block[]): string[] {
  return [...new Set(blocks.flatMap(({ label }) => label ?? []))]
}

async function severalBlocks(client: LociClient, label: string, blocks: readonly Block[]): Promise<string> {
  const listed = await Promise.all(
    blocks.slice(0, LISTED).map(async ({ id }) => {
      const agents = await agentsOfBlock(client, id)
      const of = agents.length === 0 ? 'of no agent' : `of ${agents.map(({ name }) => name).join(', ')}`
      return `${id} (${of})`
    }),
  )
  const more = blocks.length > LISTED ? ', …' : ''
  return `Several blocks have the label '${label}'. Name one by AGENT/${label}, or by its id: ${listed.join(', ')}${more}.`
}

/** The agents that share a block. */
export async function agentsOfBlock(
  client: LociClient,
  block_id: string,
): Promise<{ id: string; name: string }[]> {
  const query = { limit: 100, order: 'asc' }
  return (await client.letta.get(`/v1/blocks/${block_id}/agents`, { query })) as {
    id: string
    name: string
  }[]
}

/** The tool with this id or name. Throws a `Failure` that names near names. */
export async function findTool(client: LociClient, named: string): Promise<{ id: string; name: string }> {
  if (isId('tool', named)) {
    const { id, name } = await client.letta.tools.retrieve(named)
    return { id, name: name ?? named }
  }
  const { items } = await client.letta.tools.list({ name: named, limit: 1 })
  const [tool] = items
  if (tool) return { id: tool.id, name: tool.name ?? named }
  const all = await client.letta.tools.list({ limit: CANDIDATES })
  const names = all.items.flatMap(({ name }) => name ?? [])
  throw new Failure(`There is no tool '${named}'. ${didYouMean(named, names, 'There are no tools.')}`)
}
