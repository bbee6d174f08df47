import type { ImportedAgents, ImportOptions } from '../../schema/agent-file.ts'
import { newId } from '../../schema/ids.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { draftBlock } from '../memory.ts'
import { systemMessage } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ImportedAgent, NewImport, StagedMessage } from '../ports/import-store.ts'
import { compilePrompt, renderPrompt } from '../prompt.ts'
import { type MessageContext, storedMessage } from './message-fields.ts'
import { addServers } from './mcp-servers.ts'
import { partsOf } from './plan-folders.ts'
import { type Plan, planImport, type PlannedAgent } from './plan.ts'
import { readFile } from './read-file.ts'

/** Messages that are prepared in one go, before others have their turn. */
const AT_ONCE = 100

/**
 * Imports an agent file, all of it or nothing: what it makes is seen only once it is complete (reference 9.6). `breathe`
 * is awaited now and then, so that a long history stops nobody. Throws `invalid_argument` that names what in the file
 * is wrong, with its path; nothing is stored then.
 */
export async function importAgentFile(
  deps: CoreDeps,
  actor: Actor,
  file: unknown,
  options: ImportOptions,
  breathe: () => Promise<void>,
): Promise<ImportedAgents> {
  const plan = await planImport(deps, actor, await readFile(file, breathe), options)
  const agent_ids = plan.agents.map(({ agent }) => agent.id)
  const folders = [...plan.folders.folders.values()].map(({ folder }) => folder)
  const ids = [...agent_ids, ...folders.map(({ id }) => id)]
  const { imports } = deps.store
  let complete = false
  try {
    await imports.begin(actor, ids)
    for (const file of plan.folders.files.values()) await imports.addFile(actor, file.staged, partsOf(file))
    const agents: ImportedAgent[] = []
    for (const planned of plan.agents) agents.push(await stage(deps, actor, plan, planned, options, breathe))
    const { blocks, new_tools, changed_tools, groups } = plan
    const made: NewImport = { agents, blocks, new_tools, changed_tools, groups, folders }
    await imports.complete(actor, made)
    complete = true
    await addServers(deps, actor, plan.mcp_servers, [...new_tools, ...changed_tools])
  } finally {
    if (!complete) await imports.abandon(actor, ids)
  }
  return { agent_ids, warnings: plan.warnings }
}

/** Stores the messages of an agent, which nobody sees yet. */
async function stage(
  deps: CoreDeps,
  actor: Actor,
  plan: Plan,
  planned: PlannedAgent,
  options: ImportOptions,
  breathe: () => Promise<void>,
): Promise<ImportedAgent> {
  const { agent, tags, block_ids, tool_ids, secrets, folder_ids, links, kept, part } = planned
  const messages = options.strip_messages ? [] : part.messages
  const named = part.value.in_context_message_ids ?? messages.map(({ value }) => value.id)
  const places = new Map((options.strip_messages ? [] : named).map((id, place) => [id, place]))
  const first = messages.find(({ value }) => places.get(value.id) === 0)
  const begins = first?.value.role === 'system'
  const staged: StagedMessage[] = []
  // A context begins with the prompt.
  if (!begins) staged.push({ message: compiled(deps, plan, planned), position: 0 })
  const ids = new Map(plan.ids)
  const context: MessageContext = { agent_id: agent.id, ids, called: new Map(), request: null }
  const now = deps.clock.now().toISOString()
  for (const [i, { raw, value }] of messages.entries()) {
    const id = newId('message')
    const place = places.get(value.id)
    const message = storedMessage(id, raw, value, context, now)
    ids.set(value.id, id)
    staged.push({ message, position: place === undefined ? null : place + Number(!begins) })
    if (i % AT_ONCE === AT_ONCE - 1) await breathe()
  }
  await deps.store.imports.addMessages(actor, staged)
  return {
    agent,
    tags,
    block_ids,
    tool_ids,
    secrets,
    folder_ids,
    links,
    kept,
    message_count: staged.length,
    context_length: places.size + Number(!begins),
  }
}

/** The system message of an agent whose file brings none. */
function compiled(deps: CoreDeps, plan: Plan, { agent, block_ids }: PlannedAgent): StoredMessage {
  const now = deps.clock.now()
  const own = new Map(plan.blocks.map(({ id, block }) => [id, block]))
  const blocks = block_ids.flatMap((id) => {
    const block = own.get(id)
    return block ? draftBlock(id, block) : []
  })
  const text = renderPrompt(compilePrompt({ ...agent, blocks }), {
    agent_id: agent.id,
    conversation_id: 'default',
    compiled_at: now,
    timezone: agent.timezone,
    recall_count: 0,
  })
  return systemMessage(
    text,
    { agent_id: agent.id, conversation_id: agent.id, run_id: null, step_id: null },
    now,
  )
}
