/** A Letta V1 server of a test, over real HTTP: its answers are checked against V1's contract where that lies beside. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { loadContract } from './openapi.ts'
import { type Json, numbersOf, type World } from './v1-world.ts'

/** What a request gets in place of its answer; `cut` breaks the JSON off, `hang` stops in the middle of it. */
export type Fault = 'cut' | 'hang' | { status: number; text?: string; headers?: Record<string, string> }

export interface V1Options {
  token?: string
  version?: string
  /**
   * As servers of 0.6: no conversations, archives, folders (but sources), runs or steps, and messages newest first
   * whatever is asked for.
   */
  old?: boolean
  /** Asked before each answer, with the number of the request and its path. */
  fault?: (n: number, path: string) => Fault | null
  /** Answers in place of the usual one; undefined: the usual one. */
  answer?: (path: string, query: URLSearchParams) => unknown
}

export interface FakeV1 {
  url: string
  /** Requests so far. */
  requests: string[]
  /** Answers that are not as V1's contract has them. */
  wrong: string[]
  close(): Promise<void>
}

/** The caller closes it. */
export async function startV1(world: World, options: V1Options = {}): Promise<FakeV1> {
  const contract = loadContract()
  const requests: string[] = []
  const wrong: string[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    requests.push(`${request.method} ${url.pathname}${url.search}`)
    const fault = options.fault?.(requests.length, url.pathname) ?? null
    if (typeof fault === 'object' && fault)
      return send(response, fault.status, fault.text ?? '{"detail":"no"}', fault.headers)
    if (
      options.token !== undefined &&
      !url.pathname.startsWith('/v1/health') &&
      tokenOf(request) !== options.token
    )
      return send(response, 401, '{"detail":"Unauthorized"}')
    const own = options.answer?.(url.pathname, url.searchParams)
    const answer = own === undefined ? answerOf(world, options, url) : own
    if (answer === NOTHING) return send(response, 404, '{"detail":"Not Found"}')
    // The contract is that of 0.16.8.
    const operation = own === undefined && !options.old ? contract?.find('GET', url.pathname) : null
    const problems = operation ? (contract?.check(operation, 200, answer) ?? []) : []
    if (problems.length > 0 && wrong.length < 20)
      wrong.push(`${url.pathname}: ${problems.slice(0, 3).join('; ')}`)
    const text = JSON.stringify(answer)
    if (fault === null) return send(response, 200, text)
    response.writeHead(200, {
      'content-type': 'application/json',
      ...(fault === 'hang' ? { 'content-length': Buffer.byteLength(text) } : {}),
    })
    const half = text.slice(0, Math.floor(text.length / 2))
    if (fault === 'cut') response.end(half)
    else response.write(half)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    wrong,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(text)
}

function tokenOf(request: IncomingMessage): string | undefined {
  return request.headers.authorization?.replace(/^Bearer /, '')
}

const NOTHING = Symbol('no route')

function answerOf(world: World, { old = false, version = '0.16.8' }: V1Options, url: URL): unknown {
  const path = url.pathname.replace(/\/$/, '').replace(/^\/v1\//, '')
  const query = url.searchParams
  const page = (items: readonly Json[]) => paged(items, query)
  const [noun = '', id = '', sub = '', item = ''] = path.split('/')
  const number = numbersOf(id)?.owner ?? -1
  if (noun === 'health') return { version, status: 'ok' }
  if (
    old &&
    ['conversations', 'archives', 'folders', 'runs', 'steps', 'mcp-servers', 'identities', 'groups'].includes(
      noun,
    )
  )
    return NOTHING
  const lists: Record<string, () => readonly Json[]> = {
    tools: () => world.tools,
    blocks: () => world.blocks,
    'mcp-servers': () => world.servers,
    archives: () => {
      const agent = numbersOf(query.get('agent_id') ?? '')
      return agent ? world.archivesOf(agent.owner) : world.archives
    },
    folders: () => world.folders,
    identities: () => world.identities,
    groups: () => world.groups,
    providers: () => world.providers,
    runs: () => world.runsOf(numbersOf(query.get('agent_id') ?? '')?.owner ?? -1),
    steps: () => world.stepsOf(numbersOf(query.get('agent_id') ?? '')?.owner ?? -1),
    conversations: () => world.conversationsOf(numbersOf(query.get('agent_id') ?? '')?.owner ?? 1),
  }
  if (noun === 'agents' && id === '') {
    // From client 1.0 on a list has no relations.
    return page(
      world.agents.map((agent) => ({ ...agent, blocks: [], tools: [], sources: [], secrets: [], tags: [] })),
    )
  }
  if (noun === 'mcp-servers' && id === '') return world.servers
  if (id === '' && lists[noun]) return page(lists[noun]())
  if (noun === 'agents' && number >= 0 && number < world.size.agents) {
    if (sub === '') {
      const { blocks, ...agent } = withIncluded(world.agent(number), query.getAll('include'))
      return old ? agent : { ...agent, blocks }
    }
    if (sub === 'messages') return messages(world, number, query, old)
    if (sub === 'archival-memory') {
      const passages = world.passagesOf(number)
      return page(old ? passages.map((passage) => ({ ...passage, archive_id: null })) : passages)
    }
    if (sub === 'files') return { files: world.agentFiles(number), next_cursor: null, has_more: false }
  }
  if (noun === 'sources' && id === '')
    return world.folders.map((folder) => ({ ...folder, vector_db_provider: 'native' }))
  if (noun === 'folders' || (noun === 'sources' && old)) {
    const files = world.filesOf(number, query.get('include_content') === 'true')
    if (sub === '') return world.folders[number] ?? NOTHING
    if (item !== '') return files.find((file) => file['id'] === item) ?? NOTHING
    return page(files)
  }
  return NOTHING
}

function withIncluded(agent: Json, include: readonly string[]): Json {
  const loaded = (key: string) => include.length === 0 || include.includes(`agent.${key}`)
  const lists = ['blocks', 'tools', 'sources', 'secrets', 'tags']
  return { ...agent, ...Object.fromEntries(lists.filter((key) => !loaded(key)).map((key) => [key, []])) }
}

function paged(items: readonly Json[], query: URLSearchParams): Json[] {
  const limit = Number(query.get('limit') ?? 50)
  const list = query.get('order') === 'desc' ? items.toReversed() : items
  const after = query.get('after')
  const from = after === null ? 0 : list.findIndex(({ id }) => id === after) + 1
  return list.slice(from, from + limit)
}

/** V1's cursors of messages: `after` is newer, `before` is older, `order` turns what is shown (reference 1.8). */
function messages(world: World, a: number, query: URLSearchParams, old: boolean): unknown {
  const wanted = query.get('conversation_id')
  const part = old || wanted === null || wanted === 'default' ? 0 : (numbersOf(wanted)?.part ?? 0)
  const count = world.countIn(a, part)
  const limit = Number(query.get('limit') ?? 100)
  const [after, before] = ['after', 'before'].map((name) => query.get(name))
  const upward = old
    ? false
    : after === null && before === null
      ? query.get('order') === 'asc'
      : after !== null
  const cursor = (text: string | null | undefined, none: number) =>
    text == null ? none : (numbersOf(text)?.index ?? -2)
  const low = cursor(after, -1)
  const high = cursor(before, count)
  if (low === -2 || high === -2 || low >= count) return NOTHING
  const numbers: number[] = []
  if (upward) for (let i = low + 1; i < high && numbers.length < limit; i++) numbers.push(i)
  else for (let i = high - 1; i > low && numbers.length < limit; i--) numbers.unshift(i)
  const shown = numbers.flatMap((i) => world.message(a, part, i))
  return old || query.get('order') !== 'asc' ? shown.toReversed() : shown
}
