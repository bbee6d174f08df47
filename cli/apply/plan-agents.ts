import type { Block } from '../../shared/schema/block.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { complain } from '../failure.ts'
import { describeFailure, refusalOf } from '../../shared/client/http.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import { type Field, given, has, type Plan, textOf } from './plan.ts'
import { blockChanges, newBlock } from './plan-shared.ts'
import type { AgentRecord } from '../../shared/schema/fleet-state.ts'
import { hashOf } from './state.ts'

/** An agent of the server, as far as it is compared. */
export interface HaveAgent extends Record<string, unknown> {
  id: string
  name: string
  agent_type: string
  model: string | null
  metadata: Record<string, unknown> | null
  llm_config: Record<string, unknown>
  blocks: Block[]
  tools: { id: string; name: string }[]
  sources: { id: string; name: string }[]
  tags: string[]
  secrets?: { key: string; value: string }[]
}

const INCLUDE = ['agent.blocks', 'agent.tools', 'agent.tags', 'agent.sources', 'agent.secrets']

/** Reads one agent with what is compared. */
async function readAgent(plan: Plan, id: string): Promise<HaveAgent> {
  return (await plan.client.letta.get(`/v1/agents/${id}`, { query: { include: INCLUDE } })) as HaveAgent
}

/** The agent of a name, or the one that an earlier apply made or took for it; null when there is none. */
async function findAgent(plan: Plan, { name, at }: Wanted<WantedAgent>): Promise<HaveAgent | null> {
  const query = { name, include: INCLUDE, limit: 100 }
  const found = (await plan.client.letta.get('/v1/agents/', { query })) as HaveAgent[]
  const known = plan.before.agents[name]?.id
  const mine = found.find(({ id }) => id === known)
  if (mine) return mine
  if (found.length > 1)
    plan.mistakes.push(
      `${at}: several agents are called '${name}' (${found.map(({ id }) => id).join(', ')}); rename or delete those that are not meant`,
    )
  if (found[0] || known === undefined) return found[0] ?? null
  // Renamed since.
  return readAgent(plan, known).catch((error: unknown) => {
    if (refusalOf(error)?.status === 404) return null
    throw error
  })
}

/** One part of what becomes of an agent. */
interface Step {
  fields: Field[]
  /** Fields of a PATCH of the agent, which is sent before any `run`. */
  body?: Record<string, unknown>
  run?: (agent_id: string) => Promise<unknown>
}

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

const namesAdded = (field: string, names: readonly string[] = []): Field[] =>
  names.map((name) => ({ field, before: null, after: name }))

async function planUpdate(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  found: HaveAgent,
  model: string | undefined,
  servers: McpTools,
): Promise<void> {
  const { client, state, before } = plan
  const { name, at } = wanted
  const last = before.agents[name]
  const record: AgentRecord =
    last?.id === found.id
      ? structuredClone(last)
      : {
          id: found.id,
          made: false,
          blocks: {},
          tools: [],
          tags: [],
          shared_blocks: [],
          folders: [],
          archives: [],
          secrets: [],
          settled: {},
        }
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

/** The settings of an agent, each with what changes in it. Those that the server has settled otherwise are no changes. */
function settingsOf(
  wanted: WantedAgent,
  model: string | undefined,
  found: Partial<HaveAgent>,
  settled: AgentRecord['settled'] = {},
): (Step & { key: string; asked: unknown; there: unknown })[] {
  const { llm_config, metadata } = wanted
  const config = found.llm_config ?? {}
  const rows: [string, unknown, unknown, Record<string, unknown>?][] = [
    ['name', found.name === undefined ? undefined : wanted.name, found.name],
    ['description', wanted.description, found['description']],
    ['system', wanted.system?.trim(), found['system']],
    ['model', model, found.model],
    [
      'context_window_limit',
      llm_config?.context_window ?? wanted.context_window_limit,
      config['context_window'],
    ],
    ['max_tokens', llm_config?.max_tokens ?? wanted.max_tokens, config['max_tokens']],
    ['reasoning', wanted.reasoning, config['enable_reasoner']],
    ['parallel_tool_calls', wanted.parallel_tool_calls, config['parallel_tool_calls']],
    ['model_settings', wanted.model_settings, found['model_settings']],
    ['compaction_settings', wanted.compaction_settings, found['compaction_settings']],
    ['response_format', wanted.response_format, found['response_format']],
    ['embedding', wanted.embedding, found['embedding']],
    ['timezone', wanted.timezone, found['timezone']],
    ['hidden', wanted.hidden, found['hidden']],
    ['enable_sleeptime', wanted.enable_sleeptime, found['enable_sleeptime']],
    ['metadata', metadata, found.metadata, { metadata: { ...found.metadata, ...metadata } }],
    [
      'tool_rules',
      wanted.tool_rules && rules(wanted.tool_rules),
      found['tool_rules'] && rules(found['tool_rules']),
    ],
  ]
  return rows.flatMap(([key, asked, there, body = { [key]: asked }]) => {
    if (asked === undefined) return []
    const [hash, made] = settled[key] ?? []
    const same = has(there, asked) || (hash === hashOf(asked) && made === hashOf(there ?? null))
    const fields = same ? [] : [{ field: key, before: textOf(there), after: textOf(asked) }]
    return [{ key, asked, there, fields, body }]
  })
}

/** Tool rules in one order, without what they leave out. */
function rules(list: unknown): unknown[] {
  return (list as Record<string, unknown>[])
    .map((rule) =>
      Object.fromEntries(
        Object.entries(rule)
          .filter(([, value]) => value != null)
          .toSorted(),
      ),
    )
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** Notes what the server has made of the settings and blocks, so that the next apply finds no change in it. */
async function settle(plan: Plan, wanted: Wanted<WantedAgent>, model: string | undefined): Promise<void> {
  const record = plan.state.agents[wanted.name]
  if (!record) return
  const now = await readAgent(plan, record.id)
  record.settled = Object.fromEntries(
    settingsOf(wanted, model, now)
      .filter(({ fields }) => fields.length > 0)
      .map(({ key, asked, there }) => [key, [hashOf(asked), hashOf(there ?? null)]]),
  )
  for (const { label, id } of now.blocks) {
    const own = record.blocks[label ?? '']
    if (own && own.id === '') own.id = id
  }
}

function ownBlocks(plan: Plan, wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const { client } = plan
  const steps: Step[] = []
  for (const block of wanted.memory_blocks) {
    const { label } = block
    const there = found.blocks.find((one) => one.label === label)
    if (!there) {
      const run = async (agent_id: string) => {
        const { id } = await client.letta.blocks.create(newBlock(block) as { label: string; value: string })
        record.blocks[label] = { id, made: true, value: hashOf(block.value) }
        await client.letta.agents.blocks.attach(id, { agent_id })
      }
      steps.push({ fields: [{ field: `block ${label}`, before: null, after: block.value }], run })
      continue
    }
    const known = record.blocks[label]
    const last = known?.id === there.id ? known : undefined
    const { fields, body, value } = blockChanges(
      plan,
      block,
      there,
      last?.value ?? null,
      `${wanted.name}/${label}`,
    )
    const next = { id: there.id, made: last?.made ?? false, value }
    if (fields.length === 0) {
      record.blocks[label] = next
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/blocks/${there.id}`, { body })
      record.blocks[label] = next
    }
    const named = fields.map((field) => ({
      ...field,
      field: field.field === 'value' ? `block ${label}` : `block ${label} (${field.field})`,
    }))
    steps.push({ fields: named, run })
  }
  for (const [label, { id, made }] of Object.entries(record.blocks)) {
    if (wanted.memory_blocks.some((block) => block.label === label)) continue
    const there = found.blocks.find((block) => block.id === id)
    if (!there || !made) delete record.blocks[label]
    else if (!plan.prune) plan.stale.push(`block ${wanted.name}/${label}`)
    else
      steps.unshift({
        fields: [{ field: `block ${label}`, before: there.value, after: null }],
        async run(agent_id) {
          await client.letta.agents.blocks.detach(id, { agent_id })
          const others = (await client.letta.blocks.agents.list(id, { limit: 1 })).items
          if (others.length === 0) await client.letta.blocks.delete(id)
          delete record.blocks[label]
        },
      })
  }
  return steps
}

interface Link {
  has(name: string): boolean
  attach(name: string, agent_id: string): Promise<unknown>
  /** Null when the agent has it no more. */
  detach(name: string, agent_id: string): (() => Promise<unknown>) | null
}

/** What is attached to an agent by its name: what is missing comes, what an earlier apply attached may go. */
function links(
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

async function toolSteps(
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

function toolNames(plan: Plan, { tools = [] }: WantedAgent): string[] {
  const names = tools.map((tool) => ('name' in tool ? tool.name : (plan.tool_names.get(tool.path) ?? '')))
  return [...new Set(names.filter((name) => name !== ''))]
}

/** Names and ids of all tools that an agent should have, those of MCP servers too. */
async function toolsOf(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  servers: McpTools,
): Promise<Map<string, string>> {
  const own = toolNames(plan, wanted).map((name) => [name, idOf(plan, 'tools', name)] as const)
  return new Map([...own, ...(await servers.toolsOf(wanted))])
}

async function archiveSteps(
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

function tagSteps(plan: Plan, wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const tags = wanted.tags ?? []
  const added = tags.filter((tag) => !found.tags.includes(tag))
  const gone = record.tags.filter((tag) => !tags.includes(tag) && found.tags.includes(tag))
  if (!plan.prune) plan.stale.push(...gone.map((tag) => `tag '${tag}' of ${wanted.name}`))
  const removed = plan.prune ? gone : []
  if (added.length === 0 && removed.length === 0) return []
  const next = [...found.tags.filter((tag) => !removed.includes(tag)), ...added]
  const run = () => {
    record.tags = [...record.tags.filter((tag) => !removed.includes(tag)), ...added]
    return Promise.resolve()
  }
  const fields = [
    ...removed.map((tag) => ({ field: 'tag', before: tag, after: null })),
    ...namesAdded('tag', added),
  ]
  return [{ fields, body: { tags: next }, run }]
}

function secretSteps(wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const there = new Map((found.secrets ?? []).map(({ key, value }) => [key, value]))
  const changed = Object.entries(wanted.secrets).filter(
    ([name, value]) => value !== null && there.get(name) !== value,
  )
  if (changed.length === 0) return []
  const fields = changed.map(([name]) => ({
    field: `secret ${name}`,
    before: there.has(name) ? '(not shown)' : null,
    after: '(not shown)',
  }))
  const run = () => {
    record.secrets = [...new Set([...record.secrets, ...changed.map(([name]) => name)])]
    return Promise.resolve()
  }
  return [{ fields, body: { secrets: secretsOf(wanted, found.secrets ?? []) }, run }]
}

/** The whole set of an agent's secrets: what it has, and what is wanted in its place. */
function secretsOf(
  wanted: WantedAgent,
  found: readonly { key: string; value: string }[],
): Record<string, string> | undefined {
  const asked = Object.entries(wanted.secrets).flatMap(([name, value]) =>
    value === null ? [] : [[name, value]],
  )
  const all = [...found.map(({ key, value }) => [key, value]), ...asked]
  return all.length === 0 ? undefined : (Object.fromEntries(all) as Record<string, string>)
}

async function conversationSteps(plan: Plan, wanted: WantedAgent, found: HaveAgent): Promise<Step[]> {
  if (!wanted.conversations?.length) return []
  const query = { agent_id: found.id, limit: 1000 }
  const there = await plan.client.letta.conversations.list(query)
  return wanted.conversations
    .filter(({ summary }) => !there.some((one) => one.summary === summary))
    .map(({ summary, isolated_blocks }) => ({
      fields: [{ field: 'conversation', before: null, after: summary }],
      run: (agent_id: string) => newConversation(plan, agent_id, summary, isolated_blocks),
    }))
}

async function newConversation(
  plan: Plan,
  agent_id: string,
  summary: string,
  isolated: string[] = [],
): Promise<void> {
  const body = { summary, ...(isolated.length === 0 ? {} : { isolated_block_labels: isolated }) }
  await plan.client.letta.post('/v1/conversations/', { query: { agent_id }, body, maxRetries: 0 })
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

function idOf(plan: Plan, kind: keyof Plan['ids'], name: string): string {
  const id = plan.ids[kind].get(name)
  if (id === undefined) throw new Error(`no id of ${name} (${kind})`)
  return id
}

/** Handles of models, for those that are named without their provider. */
class Models {
  readonly #plan: Plan
  #handles: string[] | null = null

  constructor(plan: Plan) {
    this.#plan = plan
  }

  async handleOf({ model: named, llm_config, at, name }: Wanted<WantedAgent>): Promise<string | undefined> {
    const model = named ?? llm_config?.model
    if (model === undefined || model.includes('/')) return model
    this.#handles ??= (await this.#plan.client.letta.models.list()).flatMap(({ handle }) => handle ?? [])
    const found = this.#handles.find((handle) => handle.slice(handle.indexOf('/') + 1) === model)
    if (found === undefined)
      this.#plan.mistakes.push(
        `${at}: there is no model '${model}' of any provider, which agent '${name}' is to use. ${didYouMean(model, this.#handles, 'Connect a provider with `loci connect`.')}`,
      )
    return found
  }
}

/** The tools of MCP servers, as the server knows them. */
class McpTools {
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
