import { Failure } from '../failure.ts'
import { pullAgent } from './pull-agent.ts'
import { idOf, isRaw, itemsOf, listOf, textIn } from './lists.ts'
import type { Report } from './report.ts'
import type { Target } from './target.ts'
import type { Raw, V1Server } from './v1-server.ts'

/** What `--only` takes. */
export const PARTS = [
  'tools',
  'mcp-servers',
  'blocks',
  'folders',
  'archives',
  'agents',
  'identities',
  'groups',
  'providers',
] as const
export type Part = (typeof PARTS)[number]

export interface Pull {
  server: V1Server
  target: Target
  report: Report
  /** Null: all parts. */
  only: ReadonlySet<Part> | null
  /** Names or ids of agents; null: all. */
  agents: readonly string[] | null
  /** Shows how far it is. */
  show: (text: string, share?: number) => void
  /** Stores a provider with its key. Throws what the server does. */
  addProvider: (provider: Raw) => Promise<void>
  knownProviders: () => Promise<ReadonlySet<string>>
}

/** Brings everything that is asked for, what others need first. */
export async function pull(given: Pull): Promise<void> {
  const { server, report, show } = given
  const wants = (part: Part) => given.only === null || given.only.has(part)
  show('Reading the agents …')
  // The agents are read once more when it is their turn: only who they are is kept.
  const agents = wants('agents') || given.agents !== null ? await agentsOf(given) : []
  const all = given.agents === null
  if (wants('mcp-servers') && all) await bringServers(given)
  if (all) {
    if (wants('tools')) await bringList(given, 'tool', '/v1/tools/')
    if (wants('blocks')) await bringList(given, 'block', '/v1/blocks/', { show_hidden_blocks: true })
    if (wants('folders')) await bringFolders(given)
  }
  const modern = (await server.get('/v1/conversations/', { limit: 1 })) !== null
  const done = { archives: new Set<string>(), passages: new Set<string>(), folders: new Set<string>() }
  if (all && wants('archives'))
    await bringList(given, 'archive', '/v1/archives/', {}, (raw) => Boolean(done.archives.add(idOf(raw))))
  if (wants('agents'))
    for (const [i, agent] of agents.entries()) {
      const share = i / agents.length
      const name = agent.name
      given.target.onStep = () =>
        show(
          `Agent ${i + 1} of ${agents.length}, ${name}: ${report.messages.added.toLocaleString('en')} messages`,
          share,
        )
      given.target.onStep()
      await pullAgent(given, agent, {
        modern,
        done,
        parts: all ? null : wants,
        folder: (folder) => bringFolder(given, folder),
      })
    }
  given.target.onStep = () => undefined
  show('Reading what belongs to them …')
  const ids = new Set(agents.map(({ id }) => id))
  const theirs = (raw: Raw) =>
    all ||
    [raw['manager_agent_id'], ...listIn(raw, 'agent_ids')].some((id) => typeof id === 'string' && ids.has(id))
  if (wants('identities')) await bringList(given, 'identity', '/v1/identities/', {}, theirs)
  if (wants('groups')) await bringList(given, 'group', '/v1/groups/', { show_hidden_groups: true }, theirs)
  if (wants('providers') && all) await bringProviders(given)
}

function listIn(raw: Raw, key: string): unknown[] {
  return Array.isArray(raw[key]) ? raw[key] : []
}

const trouble = (report: Report, kind: string) => (reason: string) => {
  report.count(kind, 'refused')
  report.tell({ kind, id: '', name: 'list', outcome: 'refused', reason })
}

async function agentsOf({ server, report, agents }: Pull): Promise<{ id: string; name: string }[]> {
  const found: { id: string; name: string }[] = []
  const query = { include_relationships: '', show_hidden_agents: true }
  for await (const agent of listOf(server, '/v1/agents/', query, trouble(report, 'agent'), { page: 50 }))
    if (idOf(agent) !== '' && !found.some(({ id }) => id === idOf(agent)))
      found.push({ id: idOf(agent), name: textIn(agent, 'name', 'id') })
  if (agents === null) return found
  const missing = agents.filter((wanted) => !found.some(({ id, name }) => id === wanted || name === wanted))
  if (missing.length > 0)
    throw new Failure(
      `${server.url} has no agent ${missing.map((name) => `'${name}'`).join(', ')}. It has: ${found
        .slice(0, 20)
        .map(({ name }) => name)
        .join(', ')}`,
    )
  return found.filter(({ id, name }) => agents.includes(id) || agents.includes(name))
}

async function bringList(
  { server, target, report, show }: Pull,
  kind: 'tool' | 'block' | 'archive' | 'identity' | 'group',
  path: string,
  query: Record<string, string | boolean> = {},
  keep: (raw: Raw) => boolean = () => true,
): Promise<void> {
  let some: Raw[] = []
  let n = 0
  for await (const raw of listOf(server, path, query, trouble(report, kind))) {
    if (keep(raw)) some.push(raw)
    if (some.length < 50) continue
    await target.bring(kind, some)
    n += some.length
    some = []
    show(`${n.toLocaleString('en')} × ${kind} …`)
  }
  await target.bring(kind, some)
}

async function bringServers({ server, target }: Pull): Promise<void> {
  const servers = itemsOf(await server.get('/v1/mcp-servers/'))
  const older = servers === null ? await server.get('/v1/tools/mcp/servers') : null
  const all = servers ?? (isRaw(older) ? Object.values(older).filter(isRaw) : [])
  await target.bring('mcp_server', all)
}

async function bringFolders(given: Pull): Promise<void> {
  const { server, report } = given
  let any = false
  for await (const folder of listOf(server, '/v1/folders/', {}, trouble(report, 'folder'))) {
    any = true
    await bringFolder(given, folder)
  }
  if (any) return
  // Their older name.
  for await (const folder of listOf(server, '/v1/sources/', {}, trouble(report, 'folder')))
    await bringFolder(given, folder)
}

/** A folder and its files, one after the other: each is read when it is its turn. */
async function bringFolder({ server, target, report, show }: Pull, folder: Raw): Promise<void> {
  const id = idOf(folder)
  const [made] = await target.bring('folder', [folder])
  if (!made || made.here === null) return
  const noun = (await server.get(`/v1/folders/${id}`)) === null ? 'sources' : 'folders'
  const path = `/v1/${noun}/${id}/files`
  for await (const file of listOf(server, path, {}, trouble(report, 'file'))) {
    const file_id = idOf(file)
    show(`Folder ${made.name}: ${textIn(file, 'file_name', 'id')}`)
    // The text of one that is here already is not asked for.
    if ((await target.known('file', [file_id])).has(file_id)) {
      report.count('file', 'same')
      continue
    }
    const whole = await server.get(`${path}/${file_id}`, { include_content: true })
    await target.bring('file', [{ ...file, ...(isRaw(whole) ? whole : {}), source_id: id }])
  }
}

async function bringProviders({ server, report, addProvider, knownProviders }: Pull): Promise<void> {
  const known = await knownProviders()
  for await (const provider of listOf(server, '/v1/providers/', {}, trouble(report, 'provider'))) {
    const name = textIn(provider, 'name', 'id')
    const told = { kind: 'provider', id: idOf(provider), name }
    const key = provider['api_key']
    if (known.has(name)) report.count('provider', 'same')
    else if (typeof key !== 'string' || key === '' || /^\W*$/.test(key) || key.includes('***')) {
      report.add({
        ...told,
        outcome: 'refused',
        notes: [`The old server does not tell its key. Connect it here: loci connect ${name}`],
      })
    } else
      try {
        await addProvider(provider)
        report.count('provider', 'new')
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        report.add({
          ...told,
          outcome: 'refused',
          notes: [`${why.replaceAll(key, '…')} Connect it here: loci connect ${name}`],
        })
      }
  }
}
