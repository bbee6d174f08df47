import { merged, messagesOf } from './history.ts'
import { idOf, isRaw, itemsOf, listOf, textIn } from './lists.ts'
import type { Part, Pull } from './pull.ts'
import type { Raw } from './v1-server.ts'

/** Messages of all conversations of an agent that are held at once, about. */
const HELD = 2_000

interface Run {
  /** Whether the server has conversations. */
  modern: boolean
  /** Archives and folders that were brought in this run. */
  done: { archives: Set<string>; passages: Set<string>; folders: Set<string> }
  /** What else of an agent is brought with it, where not all of the server is; null: it has been. */
  parts: ((part: Part) => boolean) | null
  folder(folder: Raw): Promise<void>
}

/** Brings an agent: what it is made of, then its messages, then itself, then its runs. */
export async function pullAgent(
  given: Pull,
  { id, name }: { id: string; name: string },
  run: Run,
): Promise<void> {
  const { server, target, report } = given
  const refuse = (reason: string) => {
    report.count('agent', 'refused')
    report.tell({ kind: 'agent', id, name, outcome: 'refused', reason })
  }
  const agent = withBlocks(await server.get(`/v1/agents/${id}`, INCLUDE))
  if (agent === null) return refuse('It is listed, but the old server does not give it.')
  const { state, conversations: known } = await target.progress(id)
  if (state === 'taken')
    return refuse('Its id is that of another agent here, which stays. Delete that one, then run this again.')
  if (state === 'deleted') {
    report.count('agent', 'kept')
    return report.tell({
      kind: 'agent',
      id,
      name,
      outcome: 'kept',
      reason: 'It was brought before and deleted here since; it stays deleted.',
    })
  }
  for (const { messages } of known) report.messages.known += messages
  const conversations = run.modern ? await conversationsOf(given, id, name) : []
  await bringParts(given, agent, conversations, run)
  const archive_ids = await bringPassages(given, { id, name }, run)
  const listed = [null, ...conversations.map(idOf)]
  const page = Math.max(10, Math.min(100, Math.floor(HELD / listed.length)))
  const filter = await filterOf(given, agent, conversations, run.modern)
  const streams: ReturnType<typeof messagesOf>[] = []
  for (const conversation_id of listed) {
    const progress = known.find((one) => one.id === conversation_id)
    const after = progress?.last_message_id ?? null
    const wanted = { agent_id: id, conversation_id, after, page, modern: run.modern, filter }
    const stream = messagesOf(server, wanted, trouble(given, id, name))
    if (progress?.went_on && state === 'complete')
      await tellOfNew(given, { id, name }, conversation_id, stream)
    else streams.push(stream)
  }
  await target.bringMessages({ id, name }, merged(streams))
  // What is no more than named here was brought by itself.
  const slim = (key: string) =>
    listIn(agent, key).map((item) => ({ id: item['id'], name: item['name'] ?? item['label'] }))
  const { memory: _m, ...rest } = agent
  await target.bring('agent', [
    {
      ...rest,
      blocks: slim('blocks'),
      tools: slim('tools'),
      sources: slim('sources'),
      conversations,
      archive_ids,
      files: itemsOf(await server.get(`/v1/agents/${id}/files`, { limit: 1000 })) ?? [],
    },
  ])
  await bringRuns(given, id, name)
}

/** All that V1 leaves out of an agent unless it is asked for. */
const INCLUDE = {
  include: ['blocks', 'identities', 'secrets', 'sources', 'tags', 'tools'].map(
    (relation) => `agent.${relation}`,
  ),
}

/** Older servers tell an agent's blocks in its memory alone. */
function withBlocks(agent: unknown): Raw | null {
  if (!isRaw(agent)) return null
  const { blocks, memory } = agent
  return Array.isArray(blocks) || !isRaw(memory) ? agent : { ...agent, blocks: memory['blocks'] }
}

/**
 * How the messages of the default conversation are asked for: those of no conversation, where the server can tell them
 * apart. One that cannot is asked for all of them, which are the same as long as there is no other conversation.
 */
async function filterOf(given: Pull, agent: Raw, others: readonly Raw[], modern: boolean): Promise<boolean> {
  const id = idOf(agent)
  const context = agent['message_ids']
  if (!modern || !Array.isArray(context) || context.length === 0) return true
  const query = { conversation_id: 'default', limit: 1 }
  const some = itemsOf(await given.server.get(`/v1/agents/${id}/messages`, query))
  if (some !== null && some.length > 0) return true
  if (others.length > 0) {
    trouble(
      given,
      id,
      textIn(agent, 'name', 'id'),
    )(
      'The old server does not list the messages of its default conversation by themselves, so they could not come. Update that server (0.16.8 does), then run this again.',
    )
    return true
  }
  return false
}

function listIn(raw: Raw, key: string): Raw[] {
  return Array.isArray(raw[key]) ? (raw[key] as unknown[]).filter(isRaw) : []
}

function trouble({ report }: Pull, id: string, name: string) {
  return (reason: string) => {
    report.messages.refused++
    report.tell({ kind: 'agent', id, name, outcome: 'note', reason })
  }
}

/** Of a conversation that somebody went on with here nothing more is brought; that there is more is told. */
async function tellOfNew(
  { report }: Pull,
  agent: { id: string; name: string },
  conversation_id: string | null,
  stream: ReturnType<typeof messagesOf>,
): Promise<void> {
  const { done } = await stream.next()
  await stream.return()
  if (done) return
  report.tell({
    kind: conversation_id === null ? 'agent' : 'conversation',
    id: conversation_id ?? agent.id,
    name: agent.name,
    outcome: 'kept',
    reason:
      'It went on both here and at the old server: the messages that are new there are not brought between those that are new here.',
  })
}

async function conversationsOf({ server, report }: Pull, agent_id: string, name: string): Promise<Raw[]> {
  const found: Raw[] = []
  const lost = (reason: string) => report.tell({ kind: 'agent', id: agent_id, name, outcome: 'note', reason })
  for await (const one of listOf(server, '/v1/conversations/', { agent_id }, lost))
    if (
      one['agent_id'] === agent_id &&
      idOf(one) !== agent_id &&
      !found.some((other) => idOf(other) === idOf(one))
    )
      found.push(one)
  return found
}

/** The blocks of an agent, also hidden ones, and with `--agent` all else that it needs. */
async function bringParts(given: Pull, agent: Raw, conversations: readonly Raw[], run: Run): Promise<void> {
  const { server, target } = given
  const blocks = listIn(agent, 'blocks')
  if (run.parts !== null || blocks.some((block) => block['hidden'] === true))
    await target.bring('block', blocks)
  for (const conversation of conversations)
    for (const id of (conversation['isolated_block_ids'] as unknown[] | undefined) ?? []) {
      const block = typeof id === 'string' ? await server.get(`/v1/blocks/${id}`) : null
      if (isRaw(block)) await target.bring('block', [block])
    }
  if (run.parts === null) return
  await target.bring('tool', listIn(agent, 'tools'))
  for (const folder of listIn(agent, 'sources')) {
    if (run.done.folders.has(idOf(folder))) continue
    run.done.folders.add(idOf(folder))
    await run.folder(folder)
  }
}

/** Passages are listed by agent only; an older server has no archives, and the agent gets one of its own. */
async function bringPassages(given: Pull, agent: { id: string; name: string }, run: Run): Promise<string[]> {
  const { server, target } = given
  const lost = trouble(given, agent.id, agent.name)
  const archives: Raw[] = []
  for await (const archive of listOf(server, '/v1/archives/', { agent_id: agent.id }, lost))
    archives.push(archive)
  const own = `archive-${agent.id.slice('agent-'.length)}`
  const ids = archives.map(idOf)
  const fresh = archives.filter((archive) => !run.done.archives.has(idOf(archive)))
  await target.bring('archive', fresh)
  for (const archive of fresh) run.done.archives.add(idOf(archive))
  if (ids.length > 0 && ids.every((id) => run.done.passages.has(id))) return ids
  let made = ids.length > 0
  let some: Raw[] = []
  const path = `/v1/agents/${agent.id}/archival-memory`
  for await (const { embedding: _e, embedding_config, ...passage } of listOf(
    server,
    path,
    { ascending: true },
    lost,
  )) {
    const archive_id = typeof passage['archive_id'] === 'string' ? passage['archive_id'] : own
    if (!made && archive_id === own) {
      made = true
      ids.push(own)
      await target.bring('archive', [
        { id: own, name: agent.name, embedding_config, created_at: passage['created_at'] },
      ])
    }
    if (!run.done.passages.has(archive_id)) some.push({ ...passage, archive_id })
    if (some.length < 100) continue
    await target.bring('passage', some)
    some = []
  }
  await target.bring('passage', some)
  for (const id of ids) run.done.passages.add(id)
  return ids
}

async function bringRuns({ server, target, report }: Pull, agent_id: string, name: string): Promise<void> {
  const lost = (reason: string) => report.tell({ kind: 'agent', id: agent_id, name, outcome: 'note', reason })
  for (const [kind, path] of [
    ['run', '/v1/runs/'],
    ['step', '/v1/steps/'],
  ] as const) {
    let some: Raw[] = []
    for await (const raw of listOf(server, path, { agent_id }, lost)) {
      // An older server may leave the filter aside.
      if (raw['agent_id'] === agent_id) some.push(raw)
      if (some.length < 100) continue
      await target.bring(kind, some)
      some = []
    }
    await target.bring(kind, some)
  }
}
