import type { LociClient } from '../../shared/client/http.ts'
import { confirm } from '../confirm.ts'
import { complain, Failure } from '../failure.ts'
import { findBlock, findTool } from '../find.ts'
import { firstModel } from '../models.ts'
import { ago, note, number, print, printFields, printJson, printTable } from '../print.ts'
import { count, quoted } from '../progress.ts'
import { bold, columns, dim, oneLine, plain } from '../terminal.ts'
import { textArgument } from '../text-argument.ts'
import { type Place, withClient } from '../with-client.ts'

/** Agents read in one request. */
const PAGE = 100
/** Characters of a block that `show` shows in a line. */
const GLIMPSE = 200

type AgentState = Awaited<ReturnType<LociClient['findAgent']>>

export interface ShowOptions extends Place {
  json?: boolean
}
export interface ListOptions extends ShowOptions {
  tag?: string[]
  limit?: string
}
interface Settings extends ShowOptions {
  model?: string
  embedding?: string
  description?: string
  system?: string
  contextWindow?: string
  tag?: string[]
}
export interface CreateOptions extends Settings {
  persona?: string
  human?: string
  tool?: string[]
  block?: string[]
  baseTools: boolean
}
export interface UpdateOptions extends Settings {
  name?: string
}
export interface DeleteOptions extends ShowOptions {
  yes?: boolean
}
export interface AttachOptions extends ShowOptions {
  tool?: string[]
  block?: string[]
}

/** `loci agents list`: newest first. */
export async function runListAgents(text: string | undefined, options: ListOptions): Promise<void> {
  const limit = wholeNumber('--limit', options.limit) ?? Infinity
  await withClient(options, async (client) => {
    const agents: AgentState[] = []
    const query = {
      limit: Math.min(PAGE, limit),
      order: 'desc' as const,
      include: [],
      ...(text === undefined ? {} : { query_text: text }),
      ...(options.tag === undefined ? {} : { tags: options.tag, match_all_tags: true }),
    }
    for await (const agent of client.letta.agents.list(query)) {
      if (agents.length >= limit) break
      agents.push(agent)
    }
    if (options.json) return printJson(agents)
    printTable(
      [
        { title: 'NAME', flexible: true },
        { title: 'MODEL', flexible: true },
        { title: 'LAST WORKED' },
        { title: 'ID' },
      ],
      agents.map((agent) => [agent.name, modelOf(agent), ago(agent.last_run_completion), agent.id]),
    )
    if (agents.length > 0) return
    const filtered = text !== undefined || options.tag !== undefined
    note(
      filtered
        ? 'No agent is like that. All of them: loci agents list'
        : 'There are no agents yet. Make one: loci agents create Ada, or talk to a new one: loci chat Ada --create',
    )
  })
}

/** `loci agents show`. */
export async function runShowAgent(named: string, options: ShowOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { id } = await client.findAgent(named)
    const agent = await client.letta.agents.retrieve(id, {
      include: ['agent.blocks', 'agent.tools', 'agent.tags'],
    })
    if (options.json) return printJson(agent)
    print(bold(plain(agent.name)))
    printFields([
      ['Id', agent.id],
      ['Description', agent.description],
      ['Model', modelOf(agent)],
      ['Context', contextOf(agent)],
      ['Embedding', agent.embedding],
      ['Tags', agent.tags.join(', ')],
      ['Last worked', ago(agent.last_run_completion)],
      ['Tools', agent.tools.map(({ name }) => name).join(', ') || 'none'],
    ])
    const { blocks } = agent.memory
    process.stdout.write(`${dim(blocks.length === 0 ? 'No memory blocks' : 'Memory')}\n`)
    for (const { label, value, read_only } of blocks) {
      const size = `${number(value.length)} characters${read_only ? ', read only' : ''}`
      process.stdout.write(`  ${bold(plain(label ?? ''))} ${dim(`(${size})`)}\n`)
      if (value.trim() !== '')
        process.stdout.write(`    ${oneLine(value, process.stdout.isTTY ? columns() - 4 : GLIMPSE)}\n`)
    }
  })
}

/** `loci agents create`: the id of the new agent on stdout. */
export async function runCreateAgent(name: string, options: CreateOptions): Promise<void> {
  const memory_blocks = [
    { label: 'human', value: await textArgument(options.human ?? '') },
    { label: 'persona', value: await textArgument(options.persona ?? 'I am a friendly assistant.') },
  ]
  const settings = await settingsOf(options)
  await withClient(options, async (client) => {
    const { agentName } = await import('../../shared/schema/agent.ts')
    const issue = agentName.safeParse(name).error?.issues[0]
    if (issue) throw new Failure(`'${name}' cannot be the name of an agent: ${issue.message}.`)
    const model = options.model ?? firstModel(await client.letta.models.list())
    const tools = await Promise.all((options.tool ?? []).map((tool) => findTool(client, tool)))
    const blocks = await Promise.all((options.block ?? []).map((block) => findBlock(client, block)))
    const labels = new Set(blocks.map(({ label }) => label))
    const agent = await client.letta.agents.create({
      ...settings,
      name,
      model,
      memory_blocks: memory_blocks.filter(({ label }) => !labels.has(label)),
      tool_ids: tools.map(({ id }) => id),
      block_ids: blocks.map(({ id }) => id),
      include_base_tools: options.baseTools,
    })
    await warnOfNamesakes(client, agent)
    if (options.json) return printJson(agent)
    print(agent.id)
    note(`Created ${agent.name} on ${modelOf(agent)}. Talk to it: loci chat ${quoted(agent.name)}`)
  })
}

/** `loci agents update` and `rename`. */
export async function runUpdateAgent(named: string, options: UpdateOptions): Promise<void> {
  const settings = {
    ...(await settingsOf(options)),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.model === undefined ? {} : { model: options.model }),
  }
  const changed = Object.keys(settings)
  if (changed.length === 0)
    throw new Failure('Nothing was named to change; loci agents update --help lists what can be.')
  await withClient(options, async (client) => {
    const before = await client.findAgent(named)
    const agent = await client.letta.agents.update(before.id, settings)
    if (before.name !== agent.name) await warnOfNamesakes(client, agent)
    if (options.json) return printJson(agent)
    print(agent.id)
    if (before.name !== agent.name) note(`${before.name} is called ${agent.name} now.`)
    const others = changed.filter((field) => field !== 'name').map((field) => field.replaceAll('_', ' '))
    if (others.length > 0) note(`Changed of ${agent.name}: ${others.join(', ')}.`)
  })
}

/** `loci agents delete`: all of them or, when one cannot be found, none. */
export async function runDeleteAgents(named: string[], options: DeleteOptions): Promise<void> {
  await withClient(options, async (client) => {
    const found = new Map<string, AgentState>()
    for (const name of named) {
      const agent = await client.findAgent(name)
      found.set(agent.id, agent)
    }
    const agents = [...found.values()]
    const names = agents.map(({ name, id }) => `${name} (${id})`).join(', ')
    await confirm(
      `Delete ${names} with all messages? Blocks that nobody else has stay in loci blocks list.`,
      options,
    )
    for (const { id, name } of agents) {
      await client.letta.agents.delete(id)
      if (!options.json) note(`Deleted ${name}.`)
    }
    if (options.json) printJson({ deleted: agents.map(({ id }) => id) })
  })
}

/** `loci agents reset`. */
export async function runResetAgent(named: string, options: DeleteOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { id, name } = await client.findAgent(named)
    await confirm(`Delete the messages of ${name} (${id})? Its memory blocks stay.`, options)
    await client.letta.agents.messages.reset(id, {})
    if (options.json) printJson({ reset: id })
    else note(`${name} starts anew; its memory is as it was.`)
  })
}

/** `loci agents attach` and `detach`. */
export async function runAttach(
  change: 'attach' | 'detach',
  named: string,
  options: AttachOptions,
): Promise<void> {
  await withClient(options, async (client) => {
    const { id: agent_id, name: agent } = await client.findAgent(named)
    // All are found before any is attached: a mistake in one leaves the agent as it was.
    const tools = await Promise.all((options.tool ?? []).map((tool) => findTool(client, tool)))
    const whose = change === 'detach' ? agent_id : undefined
    const blocks = await Promise.all((options.block ?? []).map((block) => findBlock(client, block, whose)))
    const { letta } = client
    for (const { id } of tools) await letta.agents.tools[change](id, { agent_id })
    for (const { id } of blocks) await letta.agents.blocks[change](id, { agent_id })
    if (options.json) {
      return printJson(await letta.agents.retrieve(agent_id, { include: ['agent.blocks', 'agent.tools'] }))
    }
    const what = [...tools.map(({ name }) => name), ...blocks.map(({ label }) => label ?? '')].join(', ')
    note(change === 'attach' ? `${agent} has ${what} now.` : `${agent} has no ${what} any more.`)
  })
}

/** Names need not be unique, but commands find an agent by one that is. */
async function warnOfNamesakes(client: LociClient, { id, name }: AgentState): Promise<void> {
  const { items } = await client.letta.agents.list({ name, limit: 2, include: [] })
  const other = items.find((agent) => agent.id !== id)
  if (!other) return
  complain(
    `Another agent is named '${name}', too (${other.id}): commands take the id of one of them now, not the name. To give this one another name: loci agents rename ${id} NAME`,
  )
}

async function settingsOf(options: Settings) {
  const window = wholeNumber('--context-window', options.contextWindow)
  return {
    ...(options.embedding === undefined ? {} : { embedding: options.embedding }),
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.system === undefined ? {} : { system: await textArgument(options.system) }),
    ...(window === undefined ? {} : { context_window_limit: window }),
    ...(options.tag === undefined ? {} : { tags: options.tag }),
  }
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const n = Number(text)
  if (/^\d+$/.test(text) && n > 0 && Number.isSafeInteger(n)) return n
  throw new Failure(`${option} takes a whole number above 0, not '${text}'.`)
}

/** Also of agents that came with V1's older description of a model. */
function modelOf({ model, llm_config }: AgentState): string {
  return model ?? llm_config.handle ?? llm_config.model
}

function contextOf({ llm_config }: AgentState): string {
  return count(llm_config.context_window, 'token')
}
