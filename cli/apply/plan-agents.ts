import { describeFailure } from '../../shared/client/http.ts'
import type { AgentRecord } from '../../shared/schema/fleet-state.ts'
import { complain } from '../failure.ts'
import { archiveSteps, links, toolNames, toolsOf, toolSteps } from './agent-links.ts'
import { settingsOf, settle } from './agent-settings.ts'
import {
  conversationSteps,
  newConversation,
  ownBlocks,
  secretsOf,
  secretSteps,
  tagSteps,
} from './agent-steps.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import { findAgent, type HaveAgent } from './have-agent.ts'
import { McpTools } from './mcp-tools.ts'
import { Models } from './models.ts'
import { given, idOf, namesAdded, type Plan, type Step, wasMade } from './plan.ts'
import { newBlock } from './plan-blocks.ts'
import { hashOf } from './state.ts'

/** The agents of the fleet. */
export async function planAgents(plan: Plan): Promise<void> {
  const models = new Models(plan)
  const servers = new McpTools(plan)
  for (const wanted of plan.desired.agents) {
    const model = await models.handleOf(wanted)
    await servers.check(wanted)
    const found = await findAgent(plan, wanted)
    if (found) await planUpdate(plan, wanted, found, model, servers)
    else planCreate(plan, wanted, model, servers)
  }
}

function planCreate(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  model: string | undefined,
  servers: McpTools,
): void {
  const { client, state } = plan
  const { name, at } = wanted
  const asked = settingsOf(wanted, model, {})
  const run = async () => {
    const blocks = Object.fromEntries(
      wanted.memory_blocks.map((block) => [block.label, { id: '', made: true, value: hashOf(block.value) }]),
    )
    const tools = await toolsOf(plan, wanted, servers)
    const body = {
      ...given({
        agent_type: wanted.agent_type,
        include_base_tools: wanted.include_base_tools,
        include_base_tool_rules:
          wanted.include_base_tool_rules ?? (wanted.tool_rules === undefined ? undefined : false),
        include_multi_agent_tools: wanted.include_multi_agent_tools,
        tags: wanted.tags,
        secrets: secretsOf(wanted, []),
      }),
      ...Object.assign({}, ...asked.map(({ body }) => body)),
      name,
      memory_blocks: wanted.memory_blocks.map(newBlock),
      block_ids: (wanted.shared_blocks ?? []).map((label) => idOf(plan, 'blocks', label)),
      folder_ids: wanted.folders.map((folder) => idOf(plan, 'folders', folder)),
      tool_ids: [...tools.values()],
    }
    // A second try would make a second agent.
    const made = (await client.letta.post('/v1/agents/', { body, maxRetries: 0 })) as HaveAgent
    const record: AgentRecord = {
      id: made.id,
      made: true,
      blocks,
      tools: [...tools.keys()],
      tags: wanted.tags ?? [],
      shared_blocks: wanted.shared_blocks ?? [],
      folders: wanted.folders,
      archives: [],
      secrets: Object.keys(wanted.secrets),
      settled: {},
    }
    state.agents[name] = record
    for (const archive of wanted.archives) {
      await client.letta.agents.archives.attach(idOf(plan, 'archives', archive), { agent_id: made.id })
      record.archives.push(archive)
    }
    for (const { summary, isolated_blocks } of wanted.conversations ?? [])
      await newConversation(plan, made.id, summary, isolated_blocks)
    await settle(plan, wanted, model)
    if (wanted.first_message !== undefined) await greet(plan, made.id, wanted.first_message, name)
  }
  const fields = [
    ...asked.flatMap(({ fields }) => fields),
    ...wanted.memory_blocks.map(({ label, value }) => ({
      field: `block ${label}`,
      before: null,
      after: value,
    })),
    ...namesAdded('shared block', wanted.shared_blocks),
    ...namesAdded('tool', wanted.tools && toolNames(plan, wanted)),
    ...(wanted.mcp_tools ?? []).map(({ server, tools }) => ({
      field: 'tools of MCP server',
      before: null,
      after: tools === 'all' ? `${server} (all)` : `${server}: ${tools.join(', ')}`,
    })),
    ...namesAdded('folder', wanted.folders),
    ...namesAdded('archive', wanted.archives),
    ...namesAdded('tag', wanted.tags),
    ...namesAdded('secret', Object.keys(wanted.secrets)),
    ...namesAdded(
      'conversation',
      wanted.conversations?.map(({ summary }) => summary),
    ),
  ]
  plan.changes.push({ action: 'create', kind: 'agent', name, at, fields, run })
}

async function planUpdate(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  found: HaveAgent,
  model: string | undefined,
  servers: McpTools,
): Promise<void> {
  const { client, state } = plan
  const { name, at } = wanted
  const record = recordOf(plan, wanted, found)
  state.agents[name] = record
  if (wanted.agent_type !== undefined && wanted.agent_type !== found.agent_type)
    plan.mistakes.push(
      `${at}: agent '${name}' is a ${found.agent_type}; its type cannot become ${wanted.agent_type}: delete it, or give it another name.`,
    )
  const steps: Step[] = [
    ...settingsOf(wanted, model, found, record.settled).filter(({ fields }) => fields.length > 0),
    ...ownBlocks(plan, wanted, found, record),
    ...links(plan, record, 'shared_blocks', 'shared block', wanted.shared_blocks ?? [], {
      has: (label) => found.blocks.some(({ id }) => id === plan.ids.blocks.get(label)),
      attach: (label, agent_id) =>
        client.letta.agents.blocks.attach(idOf(plan, 'blocks', label), { agent_id }),
      detach: (label, agent_id) => {
        const id = plan.before.blocks[label]?.id
        return id !== undefined && found.blocks.some((block) => block.id === id)
          ? () => client.letta.agents.blocks.detach(id, { agent_id })
          : null
      },
    }),
    ...(await toolSteps(plan, wanted, found, record, servers)),
    ...links(plan, record, 'folders', 'folder', wanted.folders, {
      has: (folder) => found.sources.some(({ name: one }) => one === folder),
      attach: (folder, agent_id) =>
        client.letta.agents.folders.attach(idOf(plan, 'folders', folder), { agent_id }),
      detach: (folder, agent_id) => {
        const there = found.sources.find(({ name: one }) => one === folder)
        return there ? () => client.letta.agents.folders.detach(there.id, { agent_id }) : null
      },
    }),
    ...(await archiveSteps(plan, wanted, found, record)),
    ...tagSteps(plan, wanted, found, record),
    ...secretSteps(wanted, found, record),
    ...(await conversationSteps(plan, wanted, found)),
  ]
  const taken = found.blocks.filter(
    ({ id, label }) => wanted.shared_blocks?.includes(label ?? '') && id !== plan.ids.blocks.get(label ?? ''),
  )
  for (const { label, id } of taken)
    if (!(plan.prune && record.blocks[label ?? '']?.made))
      plan.mistakes.push(
        `${at}: agent '${name}' has a block '${label}' of its own (${id}); detach it before it shares one of that label.`,
      )
  const fields = steps.flatMap((step) => step.fields)
  if (fields.length === 0) return
  const run = async () => {
    const body: Record<string, unknown> = Object.assign({}, ...steps.map((step) => step.body))
    if (Object.keys(body).length > 0) await client.letta.patch(`/v1/agents/${found.id}`, { body })
    for (const step of steps) await step.run?.(found.id)
    await settle(plan, wanted, model)
  }
  plan.changes.push({ action: 'update', kind: 'agent', name, at, fields, run })
}

/** What an earlier apply has given to the agent. */
function recordOf(plan: Plan, wanted: Wanted<WantedAgent>, found: HaveAgent): AgentRecord {
  const last = plan.before.agents[wanted.name]
  if (last?.id === found.id) return structuredClone(last)
  const made = wasMade(plan, 'agent', wanted.name, undefined)
  // One that was broken off has made the agent with all that belongs to it, but for archives and conversations.
  const given = <T>(items: readonly T[] = [], there: (item: T) => boolean) =>
    made ? items.filter(there) : []
  const own = given(wanted.memory_blocks, ({ label }) => found.blocks.some((block) => block.label === label))
  return {
    id: found.id,
    made,
    blocks: Object.fromEntries(
      own.map(({ label, value }) => {
        const id = found.blocks.find((block) => block.label === label)?.id ?? ''
        return [label, { id, made, value: hashOf(value) }]
      }),
    ),
    tools: given(toolNames(plan, wanted), (name) => found.tools.some((tool) => tool.name === name)),
    tags: given(wanted.tags, (tag) => found.tags.includes(tag)),
    shared_blocks: given(wanted.shared_blocks, (label) =>
      found.blocks.some((block) => block.label === label),
    ),
    folders: given(wanted.folders, (name) => found.sources.some((source) => source.name === name)),
    archives: [],
    secrets: given(Object.keys(wanted.secrets), () => true),
    settled: {},
  }
}

/** The agent is there by now: a model that does not answer is no reason to make it again. */
async function greet(plan: Plan, agent_id: string, content: string, name: string): Promise<void> {
  const { letta, url } = plan.client
  try {
    const body = { messages: [{ role: 'user', content }] }
    await letta.post(`/v1/agents/${agent_id}/messages`, { body, maxRetries: 0 })
  } catch (error) {
    complain(`agent '${name}' was made, and did not answer its first message: ${describeFailure(error, url)}`)
  }
}
