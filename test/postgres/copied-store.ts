/** A store with one of everything in it, and what its server says of it. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { everyRoute, filled, populate } from '../support/every-route.ts'
import { eventually, startLoci } from '../support/loci.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'
import { embeddingsAnswer } from '../support/test-embeddings.ts'

export const KEY = 'the-servers-own-key'
export const MARK = 'Zebra77'
const EMBEDDING = 'openai/embed-small'

/** What makes the vectors of these stores. The caller closes it. */
export function startEmbedder(): Promise<ModelServer> {
  return startModelServer({
    'GET /v1/models': { json: { data: [{ id: 'chat' }, { id: 'embed-small' }] } },
    'POST /v1/embeddings': (body) => ({ json: embeddingsAnswer(body) }),
  })
}

/** A server on a store: in the directory, or in a database with a directory beside it. */
export interface Place {
  data: string
  address?: string
}

export async function startOn(place: Place, embedder: ModelServer, env: Record<string, string> = {}) {
  const loci = await startLoci({
    model_url: `${embedder.url}/v1`,
    data: place.data,
    env: { ...(place.address === undefined ? {} : { LOCI_STORE: place.address }), ...env },
    serve: { key: KEY },
  })
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(loci.url + path, {
      method,
      signal: AbortSignal.timeout(20_000),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, text: await response.text() }
  }
  const good = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await ask(method, path, body)
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`)
    return JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> & { id: string }
  }
  return { loci, ask, good }
}

type Started = Awaited<ReturnType<typeof startOn>>

/** Makes one of everything through the API. Answers ids by the names of parameters. */
export async function fill({ loci, good }: Started): Promise<Record<string, string>> {
  const ids = await populate(loci, KEY, MARK)
  const agent = await good('POST', '/v1/agents/', {
    name: `${MARK} the second`,
    model: 'loci/demo',
    embedding: EMBEDDING,
    memory_blocks: [
      {
        label: 'persona',
        value: 'NUL \u0000, its escape \\u0000, \u{F0000}, \u{F0001}1, \u{F0002}0, ☕ and 猫',
      },
    ],
    secrets: { TOKEN: `${MARK} is secret` },
    tags: ['ä', 'z', 'A'],
  })
  await good('PATCH', `/v1/agents/${ids['agent_id']}/core-memory/blocks/human`, { value: `${MARK} moved` })
  await good('PATCH', `/v1/agents/${ids['agent_id']}/core-memory/blocks/human`, {
    value: `${MARK} moved again`,
  })
  await good('POST', `/v1/agents/${agent.id}/messages`, { input: 'Remember the walrus.' })
  const archive = await good('POST', '/v1/archives/', { name: 'Animals', embedding: EMBEDDING })
  const texts = ['Elephants never forget.', 'Bicycles have two wheels.', '東京は雨です。']
  for (const text of texts) await good('POST', `/v1/archives/${archive.id}/passages`, { text, tags: ['x'] })
  await eventually('the passages are embedded', async () => {
    const { metadata } = await good('GET', `/v1/archives/${archive.id}`)
    return (metadata as { embedding?: { status?: string } }).embedding?.status === 'completed' ? true : null
  })
  await good('POST', '/v1/mcp-servers/', {
    server_name: 'sealed-mcp',
    config: {
      mcp_server_type: 'streamable_http',
      server_url: 'http://127.0.0.1:9/mcp',
      auth_token: 'Bearer walrus',
    },
  })
  await good('PATCH', `/v1/agents/${agent.id}/archives/attach/${archive.id}`)
  await good('PATCH', `/v1/agents/${agent.id}/folders/attach/${ids['folder_id']}`)
  const shared = await good('POST', '/v1/blocks/', { label: 'shared', value: MARK, tags: ['team', 'b'] })
  await good('POST', '/v1/groups/', {
    description: 'with a block',
    agent_ids: [agent.id],
    shared_block_ids: [shared.id],
  })
  await good('POST', '/v1/identities/', {
    identifier_key: 'linked',
    name: 'Linked',
    identity_type: 'user',
    agent_ids: [agent.id],
    block_ids: [shared.id],
  })
  await good('POST', `/v1/conversations/?agent_id=${agent.id}`, {
    summary: 'apart',
    isolated_block_labels: ['persona'],
  })
  const unread = await good('POST', '/v1/folders/', { name: 'to be read' })
  return { ...ids, animals: archive.id, second: agent.id, unread: unread.id }
}

/** What changes from server to server, or with time alone. */
const PASSING = new Set([
  '/v1/metrics',
  '/metrics',
  '/v1/health',
  '/health',
  '/v1/events',
  '/v1/models/overview',
])
const PASSING_FIELDS = new Set(['last_used_at', 'connection'])

/** What a server answers to every route that only asks, and to searches. */
export async function answersOf(
  { ask, good }: Started,
  ids: Record<string, string>,
): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {}
  const tell = (name: string, { status, text }: { status: number; text: string }) => {
    const seen = text.startsWith('{') || text.startsWith('[') ? (JSON.parse(text, passing) as unknown) : text
    answers[name] = { status, seen }
  }
  for (const route of await everyRoute()) {
    if (route.method !== 'GET' || PASSING.has(route.path) || /stream|events|ws|editors/.test(route.path))
      continue
    // Both are made when they are asked for, and say when.
    if (/(?:export|context)$/.test(route.path)) continue
    const { path } = filled(route, ids)
    tell(path, await ask('GET', `${path}?query=${MARK}&limit=200`))
  }
  tell(
    'second agent',
    await ask('GET', `/v1/agents/${ids['second']}?include=agent.secrets&include=agent.blocks`),
  )
  tell('its messages', await ask('GET', `/v1/agents/${ids['second']}/messages?limit=200`))
  tell('animals', await ask('GET', `/v1/archives/${ids['animals']}`))
  const found = async (name: string, path: string, body: unknown) => {
    answers[name] = JSON.parse(JSON.stringify(await good('POST', path, body)), passing)
  }
  const archive_id = ids['animals']
  await found('by words', '/v1/passages/search', { archive_id, query: 'bicycles' })
  await found('by meaning', '/v1/passages/search', { archive_id, query: 'elefants' })
  await found('unspaced', '/v1/passages/search', { archive_id, query: '東京' })
  await found('messages', '/v1/messages/search', { query: 'walrus' })
  await found('marked', '/v1/messages/search', { query: MARK })
  return answers
}

function passing(name: string, value: unknown): unknown {
  return PASSING_FIELDS.has(name) ? undefined : value
}

/** Adds many messages, passages and blocks to the store of a directory that nobody has open. */
export function enlarge(directory: string, rows: number): void {
  const database = new DatabaseSync(join(directory, 'loci.db'))
  database.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO messages (id, organization_id, agent_id, conversation_id, role, run_id, step_id, is_err, searchable, created_at, data)
      SELECT printf('message-%08x-0000-4000-8000-000000000000', i), m.organization_id, m.agent_id, m.conversation_id, m.role,
        m.run_id, m.step_id, 0, 1, m.created_at, replace(m.data, '${MARK}', 'Gnu' || i) FROM n,
        (SELECT * FROM messages WHERE role = 'user' AND searchable = 1 ORDER BY seq LIMIT 1) AS m;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO passages (id, organization_id, archive_id, text, created_at, updated_at, data)
      SELECT printf('passage-%08x-0000-4000-8000-000000000000', i), p.organization_id, p.archive_id, 'Okapi number ' || i,
        p.created_at, p.updated_at, p.data FROM n, (SELECT * FROM passages ORDER BY seq LIMIT 1) AS p;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO steps (id, organization_id, run_id, agent_id, created_at, data)
      SELECT printf('step-%08x-0000-4000-8000-000000000000', i), s.organization_id, s.run_id, s.agent_id, s.created_at, s.data
        FROM n, (SELECT * FROM steps LIMIT 1) AS s;`)
  database.close()
}
