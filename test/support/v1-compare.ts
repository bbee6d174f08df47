/** Whether what a V1 server of a test has is in a Loci, field by field, once. */
import assert from 'node:assert/strict'
import { idOf, type Json, type World } from './v1-world.ts'

/** Fields of messages that V1 and Loci number on their own, and the second that V1 leaves of a date. */
const OWN = new Set(['otid', 'seq_id', 'otids'])

/** Reads Loci's REST API; throws for what is not 2xx. */
export async function readFrom(url: string, path: string): Promise<unknown> {
  const response = await fetch(url + path)
  const text = await response.text()
  assert.ok(response.ok, `GET ${path}: ${response.status} ${text.slice(0, 300)}`)
  return JSON.parse(text) as unknown
}

/** All items of a list of Loci, oldest first. */
async function allOf(url: string, path: string, query = ''): Promise<Json[]> {
  const items: Json[] = []
  for (let after = ''; ;) {
    const page = (await readFrom(url, `${path}?limit=500&order=asc${query}${after}`)) as Json[]
    if (page.length === 0) return items
    items.push(...page)
    after = `&after=${String(page.at(-1)?.['id'])}`
  }
}

/** Compares the fields of `wanted` that are among `keys`. */
function same(label: string, got: Json | undefined, wanted: Json, keys: readonly string[]): void {
  assert.ok(got, `${label} is not here`)
  const only = (object: Json) => Object.fromEntries(keys.map((key) => [key, object[key] ?? null]))
  assert.deepEqual(only(got), only(wanted), label)
}

function byId(label: string, items: readonly Json[]): Map<string, Json> {
  const map = new Map(items.map((item) => [String(item['id']), item]))
  assert.equal(map.size, items.length, `${label}: an id is there twice`)
  return map
}

/** Asserts that a Loci at `url` has all of `world`; answers how much that is. */
export async function assertMigrated(
  url: string,
  world: World,
): Promise<{ messages: number; passages: number }> {
  const lists: [string, readonly Json[], string[]][] = [
    [
      'blocks',
      world.blocks,
      ['label', 'value', 'limit', 'read_only', 'description', 'metadata', 'tags', 'is_template'],
    ],
    [
      'tools',
      world.tools.filter((tool) => !String(tool['tool_type']).startsWith('letta_')),
      [
        'name',
        'tool_type',
        'source_code',
        'source_type',
        'json_schema',
        'tags',
        'return_char_limit',
        'pip_requirements',
        'description',
      ],
    ],
    ['archives', world.archives, ['name', 'description', 'metadata', 'created_at']],
    ['folders', world.folders, ['name', 'description', 'instructions', 'metadata']],
    [
      'identities',
      world.identities,
      ['identifier_key', 'name', 'identity_type', 'properties', 'agent_ids', 'block_ids'],
    ],
    ['groups', world.groups, ['manager_type', 'agent_ids', 'description', 'max_turns']],
    ['mcp-servers', world.servers, ['server_name', 'mcp_server_type', 'server_url', 'auth_header']],
  ]
  for (const [noun, wanted, keys] of lists) {
    const got =
      noun === 'mcp-servers'
        ? ((await readFrom(url, '/v1/mcp-servers/')) as Json[])
        : await allOf(url, `/v1/${noun}/`)
    const here = byId(noun, got)
    for (const one of wanted)
      same(
        `${noun} ${String(one['name'] ?? one['id'])}`,
        instants(here.get(String(one['id']))),
        instants(one) ?? one,
        keys,
      )
    if (!['tools'].includes(noun)) assert.equal(got.length, wanted.length, `${noun}: as many as there were`)
  }
  for (const folder of [0, 1]) {
    const path = `/v1/folders/${idOf('source', folder, 5, 1)}/files`
    const here = byId('files', await allOf(url, path))
    assert.equal(here.size, 3)
    for (const file of world.filesOf(folder, true)) {
      const read = (await readFrom(url, `${path}/${String(file['id'])}?include_content=true`)) as Json
      // Its text is here; that it is embedded anew, or waits for that, is Loci's own.
      const embeds = read['processing_status'] === 'embedding'
      const whole = embeds ? { ...read, processing_status: 'completed' } : read
      same(`file ${String(file['file_name'])}`, whole, { ...file, content: file['content'] ?? '' }, [
        'original_file_name',
        'file_name',
        'file_size',
        'processing_status',
        'content',
      ])
    }
  }
  const agents = byId('agents', await allOf(url, '/v1/agents/'))
  assert.equal(agents.size, world.size.agents, 'as many agents as there were')
  let messages = 0
  let passages = 0
  for (let a = 0; a < world.size.agents; a++) {
    messages += await assertAgent(url, world, a)
    passages += world.size.passages
  }
  return { messages, passages }
}

/** Dates as instants: with an offset or with a Z. */
function instants(object: Json | undefined): Json | undefined {
  if (!object) return object
  const dates = Object.entries(object).filter(([key]) => key.endsWith('_at'))
  return {
    ...object,
    ...Object.fromEntries(
      dates.map(([key, value]) => [key, value === null ? null : Date.parse(value as string)]),
    ),
  }
}

/** Asserts that one agent is here as it was; answers how many stored messages it has. */
export async function assertAgent(url: string, world: World, a: number): Promise<number> {
  const id = idOf('agent', a, 0, 0)
  const label = `agent ${a}`
  const include = ['blocks', 'tools', 'sources', 'secrets', 'tags', 'identities'].map(
    (one) => `include=agent.${one}`,
  )
  const got = (await readFrom(url, `/v1/agents/${id}?${include.join('&')}`)) as Json
  const wanted = world.agent(a)
  same(label, instants(got), instants(wanted) ?? wanted, [
    'name',
    'system',
    'agent_type',
    'description',
    'metadata',
    'model',
    'embedding',
    'timezone',
    'tool_rules',
    'message_ids',
    'tags',
    'max_files_open',
    'per_file_view_window_char_limit',
    'created_at',
    'last_stop_reason',
    'last_run_duration_ms',
    'hidden',
    'message_buffer_autoclear',
    'project_id',
  ])
  same(`${label}'s model`, got['llm_config'] as Json, wanted['llm_config'] as Json, [
    'model',
    'context_window',
    'handle',
    'temperature',
    'max_tokens',
    'model_endpoint_type',
  ])
  const ids = (list: unknown, key = 'id') => (list as Json[]).map((item) => item[key])
  assert.deepEqual(ids(got['blocks']), ids(wanted['blocks']), `${label}: blocks`)
  assert.deepEqual(ids(got['tools'], 'name'), ids(wanted['tools'], 'name'), `${label}: tools`)
  assert.deepEqual(new Set(ids(got['sources'])), new Set(ids(wanted['sources'])), `${label}: folders`)
  assert.deepEqual(
    (got['secrets'] as Json[]).map(({ key, value }) => [key, value]),
    (wanted['secrets'] as Json[]).map(({ key, value }) => [key, value]),
    `${label}: secrets`,
  )
  assert.deepEqual(ids(got['identities']), wanted['identity_ids'], `${label}: identities`)
  const open = ((await readFrom(url, `/v1/agents/${id}/files?is_open=true`)) as { files: Json[] }).files
  assert.deepEqual(ids(open, 'file_id'), ids(world.agentFiles(a), 'file_id'), `${label}: open files`)
  const archives = (await readFrom(url, `/v1/archives/?agent_id=${id}&limit=100`)) as Json[]
  assert.deepEqual(new Set(ids(archives)), new Set(ids(world.archivesOf(a))), `${label}: archives`)
  await assertPassages(url, world, a)
  const conversations = (await readFrom(url, `/v1/conversations/?agent_id=${id}&limit=100`)) as Json[]
  assert.equal(conversations.length, world.conversationsOf(a).length, `${label}: conversations`)
  for (const conversation of world.conversationsOf(a))
    same(
      `${label}: a conversation`,
      instants(conversations.find((one) => one['id'] === conversation['id'])),
      instants(conversation) ?? conversation,
      ['summary', 'in_context_message_ids', 'agent_id', 'created_at', 'last_message_at'],
    )
  await assertRuns(url, world, a)
  let stored = 0
  for (const part of world.countIn(a, 1) > 0 ? [0, 1] : [0])
    stored += await assertMessages(url, world, a, part)
  return stored
}

async function assertPassages(url: string, world: World, a: number): Promise<void> {
  const id = idOf('agent', a, 0, 0)
  const got: Json[] = []
  for (let after = ''; ;) {
    const page = (await readFrom(
      url,
      `/v1/agents/${id}/archival-memory?limit=500&ascending=true${after}`,
    )) as Json[]
    if (page.length === 0) break
    got.push(...page)
    after = `&after=${String(page.at(-1)?.['id'])}`
  }
  const here = byId(`passages of ${a}`, got)
  const wanted = world.passagesOf(a)
  assert.equal(here.size, wanted.length, `passages of agent ${a}`)
  for (const passage of wanted)
    same('a passage', instants(here.get(String(passage['id']))), instants(passage) ?? passage, [
      'text',
      'archive_id',
      'tags',
      'metadata',
      'created_at',
    ])
}

async function assertRuns(url: string, world: World, a: number): Promise<void> {
  const query = `&agent_id=${idOf('agent', a, 0, 0)}`
  const runs = byId(`runs of ${a}`, await allOf(url, '/v1/runs/', query))
  assert.equal(runs.size, world.runsOf(a).length, `runs of agent ${a}`)
  for (const run of world.runsOf(a))
    same('a run', instants(runs.get(String(run['id']))), instants(run) ?? run, [
      'status',
      'stop_reason',
      'conversation_id',
      'metadata',
      'created_at',
      'completed_at',
      'ttft_ns',
      'total_duration_ns',
    ])
  const steps = byId(`steps of ${a}`, await allOf(url, '/v1/steps/', query))
  assert.equal(steps.size, world.stepsOf(a).length, `steps of agent ${a}`)
  for (const step of world.stepsOf(a))
    same('a step', steps.get(String(step['id'])), step, [
      'run_id',
      'model',
      'model_handle',
      'completion_tokens',
      'prompt_tokens',
      'total_tokens',
      'status',
      'feedback',
      'stop_reason',
    ])
}

/** Every API message, in its order. */
async function assertMessages(url: string, world: World, a: number, part: number): Promise<number> {
  const agent = idOf('agent', a, 0, 0)
  const conversation = part === 0 ? 'default' : idOf('conv', a, 1, 1)
  const query = `use_assistant_message=false&include_err=true&conversation_id=${conversation}&order=asc&limit=200`
  const count = world.countIn(a, part)
  let index = 0
  for (let after = ''; ;) {
    const page = (await readFrom(url, `/v1/agents/${agent}/messages?${query}${after}`)) as Json[]
    if (page.length === 0) break
    let at = 0
    while (at < page.length) {
      const wanted = world.message(a, part, index)
      const got = page.slice(at, at + wanted.length)
      assert.deepEqual(
        got.map(shown),
        wanted.map(shown),
        `message ${index} of agent ${a}, conversation ${part}`,
      )
      at += wanted.length
      index++
    }
    after = `&after=${String(page.at(-1)?.['id'])}`
  }
  assert.equal(index, count, `messages of agent ${a}, conversation ${part}`)
  return count
}

/** Without what is numbered anew; what is null or absent is the same. */
function shown(message: Json): Json {
  const entries = Object.entries(message).filter(
    ([key, value]) => !OWN.has(key) && value !== null && value !== undefined,
  )
  // Loci names the tool of a call; V1 does not.
  const named =
    message['message_type'] === 'tool_call_message' ? entries.filter(([key]) => key !== 'name') : entries
  return Object.fromEntries(
    named.map(([key, value]) => [key, key === 'date' ? Date.parse(value as string) : withoutNulls(value)]),
  )
}

function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, inner: unknown) => inner ?? undefined)) as unknown
}
