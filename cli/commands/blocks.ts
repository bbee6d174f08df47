import { text as textOf } from 'node:stream/consumers'
import type { LociClient } from '../../shared/client/http.ts'
import type { Block, BlockVersion } from '../../shared/schema/block.ts'
import { confirm } from '../confirm.ts'
import { Failure } from '../failure.ts'
import { agentsOfBlock, findBlock } from '../find.ts'
import { ago, note, number, print, printJson, printTable } from '../print.ts'
import { count } from '../progress.ts'
import { plain } from '../terminal.ts'
import { textArgument } from '../text-argument.ts'
import { type Place, withClient } from '../with-client.ts'

const PAGE = 100

export interface BlockOptions extends Place {
  agent?: string
  json?: boolean
}
export interface ListBlocksOptions extends Place {
  label?: string
  json?: boolean
}
export interface CreateBlockOptions extends BlockOptions {
  value?: string
  description?: string
  limit?: string
  readOnly?: boolean
}
export interface SetBlockOptions extends BlockOptions {
  append?: boolean
  ifVersion?: string
}
export interface HistoryOptions extends BlockOptions {
  limit?: string
}
export interface DeleteBlocksOptions extends BlockOptions {
  yes?: boolean
}

/** `loci blocks list`: those of an agent, or all with the agents that have them. */
export async function runListBlocks(agent: string | undefined, options: ListBlocksOptions): Promise<void> {
  await withClient(options, async (client) => {
    const whose = agent === undefined ? null : await client.findAgent(agent)
    const path = whose ? `/v1/agents/${whose.id}/core-memory/blocks` : '/v1/blocks/'
    const blocks: Block[] = []
    for (let after: string | undefined; ;) {
      const query = { limit: PAGE, order: 'asc', ...(after === undefined ? {} : { after }) }
      const page = (await client.letta.get(path, { query })) as Block[]
      blocks.push(...page)
      after = page.at(-1)?.id
      if (page.length < PAGE) break
    }
    const found = blocks.filter(({ label }) => options.label === undefined || label === options.label)
    if (options.json) return printJson(found)
    const owners = whose || found.length === 0 ? null : await agentsByBlock(client)
    const rows = found.map(({ id, label, value, read_only }) => {
      const names = whose ? [whose.name] : (owners?.get(id) ?? [])
      return [label ?? '', names.join(', '), `${number(value.length)}${read_only ? ' (read only)' : ''}`, id]
    })
    printTable(
      [
        { title: 'LABEL', flexible: true },
        { title: 'AGENTS', flexible: true },
        { title: 'CHARACTERS', align: 'right' },
        { title: 'ID' },
      ],
      rows,
    )
    if (found.length > 0) return
    if (options.label !== undefined) note(`There is no block '${options.label}' here.`)
    else if (whose)
      note(`${whose.name} has no blocks. Make one: loci blocks create LABEL --agent ${whose.name}`)
    else note('There are no blocks yet. Agents come with two: loci agents create Ada')
  })
}

/** The names of the agents that have each block, by its id. */
async function agentsByBlock({ letta }: LociClient): Promise<Map<string, string[]>> {
  const names = new Map<string, string[]>()
  for await (const agent of letta.agents.list({ limit: PAGE, order: 'asc', include: ['agent.blocks'] }))
    for (const { id } of agent.memory.blocks) if (id) names.set(id, [...(names.get(id) ?? []), agent.name])
  return names
}

/** `loci blocks show`: the value alone, so that it can be written to a file and set again. */
export async function runShowBlock(named: string, options: BlockOptions): Promise<void> {
  await withClient(options, async (client) => {
    const block = await findBlock(client, named, options.agent)
    if (options.json) return printJson(block)
    if (!process.stdout.isTTY) {
      process.stdout.write(block.value)
      return
    }
    process.stdout.write(plain(block.value))
    if (!block.value.endsWith('\n')) process.stdout.write('\n')
    note(
      `${block.label}, ${count(block.value.length, 'character')} of ${number(block.limit)}, version ${block.version}`,
    )
  })
}

/** `loci blocks create`. */
export async function runCreateBlock(label: string, options: CreateBlockOptions): Promise<void> {
  const value = await textArgument(options.value ?? '')
  const limit = wholeNumber('--limit', options.limit)
  await withClient(options, async (client) => {
    const agent = options.agent === undefined ? null : await client.findAgent(options.agent)
    const body = {
      label,
      value,
      ...(options.description === undefined ? {} : { description: options.description }),
      ...(limit === undefined ? {} : { limit }),
      ...(options.readOnly ? { read_only: true } : {}),
    }
    const block = (await client.letta.post('/v1/blocks/', { body })) as Block
    if (agent) await client.letta.agents.blocks.attach(block.id, { agent_id: agent.id })
    if (options.json) return printJson(block)
    print(block.id)
    if (agent) note(`${agent.name} has the block '${label}' now.`)
    else note(`Give it to an agent: loci blocks attach ${block.id} AGENT`)
  })
}

/** `loci blocks set`. */
export async function runSetBlock(
  named: string,
  given: string | undefined,
  options: SetBlockOptions,
): Promise<void> {
  const version = wholeNumber('--if-version', options.ifVersion)
  if (given === undefined && process.stdin.isTTY)
    note('What you type is the new value; Ctrl-D ends it, Ctrl-C leaves the block as it is.')
  const value =
    given === undefined ? withoutLastNewline(await textOf(process.stdin)) : await textArgument(given)
  await withClient(options, async (client) => {
    const block = await findBlock(client, named, options.agent)
    const start = block.value === '' || block.value.endsWith('\n') ? block.value : `${block.value}\n`
    const next = options.append ? start + value : value
    // What is appended is appended to what was read: another change in between is refused, not lost.
    const expected = version ?? (options.append ? block.version : undefined)
    const changed = await writeBlock(client, block.id, next, expected)
    if (options.json) return printJson(changed)
    if (next === block.value) return note(`${block.label} is as it was.`)
    note(
      `${block.label}: ${count(changed.value.length, 'character')}, version ${changed.version}. To go back: loci blocks restore ${block.id} ${block.version}`,
    )
  })
}

/** As shells do with what a command prints: `echo tea | loci blocks set …` means tea. */
function withoutLastNewline(text: string): string {
  return text.replace(/\r?\n$/, '')
}

/** Gives a block another value. Rejects with what the client throws: status 409 when it is not at `version` any more. */
export async function writeBlock(
  client: { letta: { patch(path: string, options: object): PromiseLike<unknown> } },
  id: string,
  value: string,
  version: number | undefined,
): Promise<Block> {
  const headers = version === undefined ? {} : { 'if-match': `"${version}"` }
  return (await client.letta.patch(`/v1/blocks/${id}`, { body: { value }, headers, maxRetries: 0 })) as Block
}

/** `loci blocks history`: newest first. */
export async function runBlockHistory(named: string, options: HistoryOptions): Promise<void> {
  const limit = wholeNumber('--limit', options.limit) ?? 20
  await withClient(options, async (client) => {
    const block = await findBlock(client, named, options.agent)
    const query = { limit, order: 'desc' }
    const versions = (await client.letta.get(`/v1/blocks/${block.id}/history`, { query })) as BlockVersion[]
    if (options.json) return printJson(versions)
    const names = new Map((await agentsOfBlock(client, block.id)).map(({ id, name }) => [id, name]))
    printTable(
      [
        { title: 'VERSION', align: 'right' },
        { title: 'WHEN' },
        { title: 'BY', flexible: true },
        { title: 'CHANGE', flexible: true },
      ],
      versions.map((one) => [
        String(one.version),
        process.stdout.isTTY ? ago(one.created_at) : one.created_at,
        one.agent_id === null ? 'you' : (names.get(one.agent_id) ?? one.agent_id),
        changeOf(one),
      ]),
    )
    note(`To go back: loci blocks restore ${named} VERSION`)
  })
}

/** What a version made of the value, in one line. */
function changeOf({ before, after, changes }: BlockVersion): string {
  const fields = Object.keys(changes)
  if (before === null) return `made: ${after}`
  if (before === after) return fields.length > 0 ? `${fields.join(', ')} changed` : 'nothing'
  let start = 0
  while (start < before.length && before[start] === after[start]) start++
  let end = 0
  const most = Math.min(before.length, after.length) - start
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end++
  const gone = before.slice(start, before.length - end)
  const come = after.slice(start, after.length - end)
  return [gone === '' ? '' : `- ${gone}`, come === '' ? '' : `+ ${come}`].filter(Boolean).join('  ')
}

/** `loci blocks restore`. */
export async function runRestoreBlock(named: string, version: string, options: BlockOptions): Promise<void> {
  const wanted = wholeNumber('VERSION', version)
  await withClient(options, async (client) => {
    const block = await findBlock(client, named, options.agent)
    const path = `/v1/blocks/${block.id}/history/${wanted}/restore`
    const restored = (await client.letta.post(path, { maxRetries: 0 })) as Block
    if (options.json) return printJson(restored)
    note(
      `${block.label} is as it was at version ${version}. To undo: loci blocks restore ${block.id} ${block.version}`,
    )
  })
}

/** `loci blocks delete`: all of them or, when one cannot be found, none. */
export async function runDeleteBlocks(named: string[], options: DeleteBlocksOptions): Promise<void> {
  await withClient(options, async (client) => {
    const found = new Map<string, Block>()
    for (const one of named) {
      const block = await findBlock(client, one, options.agent)
      found.set(block.id, block)
    }
    const lost: string[] = []
    for (const { id, label } of found.values()) {
      const agents = (await agentsOfBlock(client, id)).map(({ name }) => name)
      lost.push(`${label} (${agents.length === 0 ? id : `of ${agents.join(', ')}`})`)
    }
    await confirm(
      `Delete ${lost.join(', ')} with ${found.size === 1 ? 'its history' : 'their histories'}?`,
      options,
    )
    for (const id of found.keys()) await client.letta.delete(`/v1/blocks/${id}`)
    if (options.json) printJson({ deleted: [...found.keys()] })
    else note(`Deleted ${lost.join(', ')}.`)
  })
}

/** `loci blocks attach` and `detach`. */
export async function runAttachBlock(
  change: 'attach' | 'detach',
  named: string,
  agentName: string,
  options: BlockOptions,
): Promise<void> {
  await withClient(options, async (client) => {
    const agent = await client.findAgent(agentName)
    const own = change === 'detach' && !named.includes('/') ? agent.id : undefined
    const block = await findBlock(client, named, own)
    await client.letta.agents.blocks[change](block.id, { agent_id: agent.id })
    if (options.json) return printJson(block)
    if (change === 'attach') note(`${agent.name} has the block '${block.label}' now.`)
    else note(`${agent.name} has no block '${block.label}' any more; it is still there: ${block.id}`)
  })
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const n = Number(text)
  if (/^\d+$/.test(text) && n > 0 && Number.isSafeInteger(n)) return n
  throw new Failure(`${name} takes a whole number above 0, not '${text}'.`)
}
