import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { incoming, outgoing } from '../../shared/store/postgres/values.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { aBlock, ADA } from '../contracts/store/samples.ts'
import { startServer, type TestServer } from './server.ts'

/** Characters that nothing can compress, always the same. */
function random(length: number, from: number, count: number): string {
  let state = 42
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return String.fromCodePoint(from + (Math.floor(state / 65_536) % count))
  }).join('')
}

const TEXTS: Record<string, string> = {
  'a NUL character': 'a\0b',
  'a lone surrogate': 'a\ud800b',
  'half a surrogate at its end': 'x\uDB80',
  'NUL as JSON writes it': String.raw`a\u0000b`,
  'private-use characters': 'a\u{F0000}b\u{F0001}\u{F0002}0c',
  '10,000 equal characters': 'x'.repeat(10_000),
  '10,000 different characters': random(10_000, 33, 90),
  '900 characters of four bytes': random(900, 0x20000, 40_000),
}

interface Answer {
  status: number
  body: unknown
}

/** Every place of the API that keeps or looks for a text that a client chose. */
async function everywhere(t: TestLoci, model: ScriptedModel, text: string): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  const go = async (what: string, method: string, path: string, body?: unknown) => {
    const { status, body: said } = await t.http(method, path, body)
    answers.set(what, { status, body: said })
    return (said ?? {}) as { id: string }
  }
  const query = encodeURIComponent(text.toWellFormed()).slice(0, 6_000)
  const agent = await go('an agent', 'POST', '/v1/agents/', { name: 'base', model: SCRIPTED })
  const archive = await go('an archive', 'POST', '/v1/archives/', { name: 'base' })
  const agents: [string, object][] = [
    ['name', { name: text }],
    ['tags', { tags: [text] }],
    ['metadata', { metadata: { [text]: text } }],
    ['system', { system: text }],
    ['project', { project_id: text }],
    ['secrets', { secrets: { [text]: text } }],
  ]
  for (const [field, value] of agents)
    await go(`agent ${field}`, 'POST', '/v1/agents/', { name: 'n', model: SCRIPTED, ...value })
  await go('block', 'POST', '/v1/blocks/', { label: 'l', value: text, description: text })
  await go('block label', 'POST', '/v1/blocks/', { label: text, value: '' })
  await go('block tags', 'POST', '/v1/blocks/', { label: 'l', value: '', tags: [text] })
  const identity = { identifier_key: `k${answers.size}`, name: 'n', identity_type: 'user' }
  await go('identity key', 'POST', '/v1/identities/', { ...identity, identifier_key: text })
  await go('identity project', 'POST', '/v1/identities/', { ...identity, project_id: text })
  await go('folder', 'POST', '/v1/folders/', { name: text })
  await go('archive', 'POST', '/v1/archives/', { name: text })
  await go('tool', 'POST', '/v1/tools/', {
    source_code: `def f():\n  """${text}"""\n  return 1`,
    json_schema: { name: 'f', description: text, parameters: {} },
    tags: [text],
  })
  await go('passage', 'POST', `/v1/archives/${archive.id}/passages`, { text })
  await go('passage tags', 'POST', `/v1/archives/${archive.id}/passages`, { text: 'x', tags: [text] })
  await go('mcp server', 'POST', '/v1/mcp-servers/', {
    server_name: text,
    config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:1/' },
  })
  await go('template', 'POST', '/v1/templates', { name: text, type: 'agent', agent_id: agent.id })
  for (const name of ['name', 'tags', 'query_text', 'project_id', 'identifier_keys', 'after'])
    await go(`agents by ${name}`, 'GET', `/v1/agents/?${name}=${query}`)
  for (const name of ['label', 'value_search', 'after'])
    await go(`blocks by ${name}`, 'GET', `/v1/blocks/?${name}=${query}`)
  await go('messages found', 'POST', '/v1/messages/search', { query: text })
  await go('passages found', 'POST', '/v1/passages/search', { query: text, agent_id: agent.id })
  await go('tools found', 'POST', '/v1/tools/search', { query: text })
  await go('conversation', 'POST', `/v1/conversations/?agent_id=${agent.id}`, { summary: text })
  await go('user', 'POST', '/v1/admin/users/', { name: text })
  await go('steps', 'GET', `/v1/steps/?model=${query}`)
  await go('runs', 'GET', `/v1/runs/?agent_id=${query}`)
  model.add({ reply: { text } })
  await go('message', 'POST', `/v1/agents/${agent.id}/messages`, { input: text })
  await go('messages', 'GET', `/v1/agents/${agent.id}/messages`)
  return answers
}

describe('bad input to a Loci over PostgreSQL', function () {
  this.timeout(120_000)
  let server: TestServer
  let model: ScriptedModel
  let postgres: TestLoci
  let sqlite: TestLoci

  before(async () => {
    server = await startServer()
    await server.create('loci')
    model = await startScriptedModel([])
    postgres = await startLoci({ model_url: model.url, env: { LOCI_STORE: server.address('loci') } })
    sqlite = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await postgres?.close()
    await sqlite?.close()
    await model?.close()
    await server?.stop()
  })
  afterEach(() => assert.deepEqual(postgres.failures, []))

  for (const [name, text] of Object.entries(TEXTS)) {
    it(`is answered as SQLite answers it, or with what is wrong: ${name}`, async () => {
      const ours = await everywhere(postgres, model, text)
      const theirs = await everywhere(sqlite, model, text)
      const other = [...ours]
        .filter(([what, { status }]) => status !== theirs.get(what)?.status)
        .map(([what, { status, body }]) => [what, status, JSON.stringify(body).slice(0, 300)] as const)
      // Longer than an index of PostgreSQL can be, in bytes.
      const tooLong = other.filter(
        ([, status, body]) => status === 400 && /longer than PostgreSQL can index/.test(body),
      )
      assert.deepEqual(
        other.filter((one) => !tooLong.includes(one)),
        [],
      )
      if (Buffer.byteLength(text) < 2_000) assert.deepEqual(tooLong, [])
      assert.deepEqual(
        [...ours].filter(([, { status }]) => status >= 500),
        [],
      )
    })
  }

  it('comes back as it was given: every character that PostgreSQL or this store has another use for', async () => {
    const kept = async (t: TestLoci, text: string) => {
      const given = { label: 'all', value: text, description: text, metadata: { [text]: [text] } }
      const { id } = (await t.http('POST', '/v1/blocks/', given)).body as { id: string }
      const { value, description, metadata } = (await t.http('GET', `/v1/blocks/${id}`)).body as typeof given
      return JSON.stringify({ value, description, metadata })
    }
    for (const [name, text] of Object.entries(TEXTS)) {
      const [ours, theirs] = [await kept(postgres, text), await kept(sqlite, text)]
      assert.ok(ours === theirs, `${name}: ${ours.slice(0, 100)}, and SQLite: ${theirs.slice(0, 100)}`)
    }
    for (const text of ['\0', '\u{F0000}', '\u{F0001}', '\u{F0002}', '\u{F0002}0', '\u{F0003}', '\uDB80'])
      assert.equal(incoming(String(outgoing(`a${text}b`))), `a${text}b`)
  })

  it('keeps and finds texts of 10 MB, also where no word is there twice', async () => {
    const agent = await postgres.letta.agents.create({ name: 'long', model: SCRIPTED })
    const han = random(120_000, 0x4e00, 20_000)
    const texts = ['needle '.concat('x'.repeat(10_000_000)), `needle ${han}`]
    for (const text of texts) {
      const created = await postgres.http('POST', `/v1/agents/${agent.id}/archival-memory`, { text })
      assert.equal(created.status, 200, JSON.stringify(created.body).slice(0, 300))
      const [passage] = created.body as { text: string }[]
      assert.equal(passage?.text, text)
    }
    const found = await postgres.http('POST', '/v1/passages/search', { query: 'needle', agent_id: agent.id })
    assert.equal((found.body as unknown[]).length, 2)
    const last = await postgres.http('POST', '/v1/passages/search', {
      query: han.slice(60_000, 60_004),
      agent_id: agent.id,
    })
    assert.equal((last.body as unknown[]).length, 1)
  })

  it('that is no JSON is refused before anything is stored', async () => {
    const bodies = [
      '{"label": "x", "value": "\ud800',
      '{"label": "x\u0001", "value": ',
      '\0',
      '{"label":"x","value":"\\u12"}',
    ]
    for (const body of bodies) {
      const { status } = await postgres.http('POST', '/v1/blocks/', body)
      assert.ok(status === 400 || status === 422, `${status}`)
    }
  })
})

describe('a database that is not as it should be', function () {
  this.timeout(120_000)
  let server: TestServer
  let directory: string
  let admin: Client

  before(async () => {
    server = await startServer()
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    admin = new Client({ connectionString: server.address('postgres') })
    await admin.connect()
  })
  after(async () => {
    await admin?.end()
    await server?.stop()
    await rm(directory, { recursive: true })
  })

  const open = async (address: string) => (await openPostgresStore({ address, directory })).close()

  for (const encoding of ['SQL_ASCII', 'LATIN1'])
    it(`of the encoding ${encoding} is refused, with how to make one`, async () => {
      const name = `in_${encoding.toLowerCase()}`
      await admin.query(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0`)
      await assert.rejects(open(server.address(name)), {
        code: 'store_unavailable',
        message: new RegExp(`is encoded in ${encoding}, .*createdb --encoding=UTF8`),
      })
    })

  const foreign: [string, string][] = [
    ['a table of the same name', 'CREATE TABLE agents (name text)'],
    ['a table meta of other columns', 'CREATE TABLE meta (id int)'],
    ['a table meta that says nothing of Loci', 'CREATE TABLE meta (key text, value text)'],
  ]
  for (const [i, [what, sql]] of foreign.entries())
    it(`of another program is left as it is: ${what}`, async () => {
      const name = `foreign_${i}`
      await server.create(name)
      const client = new Client({ connectionString: server.address(name) })
      await client.connect()
      await client.query(sql)
      const tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
      const before = (await client.query(tables)).rows
      await assert.rejects(open(server.address(name)), {
        code: 'store_unavailable',
        message:
          /has tables of another program in it .*Nothing was changed\. Give Loci a database of its own/,
      })
      assert.deepEqual((await client.query(tables)).rows, before)
      await client.end()
    })

  it('whose tables are gone under a store that is open is one that cannot be used, and says so', async () => {
    await server.create('emptied')
    const store = await openPostgresStore({ address: server.address('emptied'), directory })
    const client = new Client({ connectionString: server.address('emptied') })
    await client.connect()
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await client.end()
    const refused = {
      code: 'store_unavailable',
      message: /a table of Loci is not there .*Restore the database/,
    }
    await assert.rejects(store.agents.list(ADA, {}, { limit: 1, order: 'asc' }, []), refused)
    await assert.rejects(store.blocks.create(ADA, aBlock('x', '')), refused)
    await assert.rejects(store.ready(), { code: 'store_unavailable' })
    await store.close()
  })

  it('that may not be written by its user, or asks for another password, says so', async () => {
    await server.create('rights')
    await admin.query("CREATE ROLE guest LOGIN PASSWORD 'right'")
    const address = server.address('rights').replace('loci@', 'guest:wrong@')
    // The user may connect, and not create.
    await assert.rejects(open(address), {
      code: 'store_unavailable',
      message: /permission denied for schema public\. Give Loci's user the right to create/,
    })
    await open(server.address('rights'))
    await assert.rejects(open(address), { code: 'store_unavailable', message: /permission denied/ })
    const { rows } = await admin.query("SELECT setting FROM pg_settings WHERE name = 'hba_file'")
    const [{ setting }] = rows as [{ setting: string }]
    await admin.query(
      `COPY (SELECT 'local all guest scram-sha-256' UNION ALL SELECT 'local all all trust') TO '${setting}'`,
    )
    await admin.query('SELECT pg_reload_conf()')
    const message = /refuses the user or password \(password authentication failed for user "guest"\)/
    await assert.rejects(open(address), (error: Error) => {
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /wrong/)
      return true
    })
    await assert.rejects(open(server.address('rights').replace('loci@', 'nobody_here@')), {
      message: /refuses the user or password \(role "nobody_here" does not exist\)/,
    })
  })

  it('that has no connection free says so', async () => {
    await server.create('crowded')
    const clients: Client[] = []
    try {
      // The three that are kept for superusers are taken, too.
      for (;;) {
        const client = new Client({ connectionString: server.address('postgres') })
        client.on('error', () => undefined)
        try {
          await client.connect()
        } catch {
          break
        }
        clients.push(client)
      }
      await assert.rejects(open(server.address('crowded')), {
        code: 'store_unavailable',
        message: /no connection free\. Raise its max_connections/,
      })
    } finally {
      await Promise.all(clients.map((client) => client.end()))
    }
  })

  it('is told in words for every part of an address that is wrong', async () => {
    const cases: [string, RegExp][] = [
      ['postgres://', /no database|nothing listens/],
      ['sqlite:///x', /A store is postgres:\/\/user:password@host:port\/database/],
      ['postgres://loci@host.invalid/loci', /its host is not known/],
      ['postgres://loci@127.0.0.1:1/loci', /nothing listens there/],
      ['postgres://loci@127.0.0.1:99999/loci', /cannot be read: its port is no number/],
      ['postgres://loci@127.0.0.1:abc/loci', /cannot be read: its port is no number/],
      ['postgres://loci@localhost/loci?host=/nowhere', /nothing listens there/],
      ['postgres://loci@a,b:5432/loci', /several hosts.*DNS or a proxy/],
      [`${server.address('postgres')}&pool=0`, /pool=0 .* is not a whole number/],
      [`${server.address('postgres')}&pool_wait_ms=soon`, /pool_wait_ms=soon/],
      [
        `${server.address('postgres')}&sslmode=verify-full&sslrootcert=/nowhere`,
        /a file that it names.*\/nowhere/,
      ],
    ]
    for (const [address, message] of cases)
      await assert.rejects(open(address), (error: Error & { code?: string }) => {
        assert.match(error.message, message, address)
        assert.match(
          String(error.code),
          /^(store_unavailable|invalid_argument)$/,
          `${address}: ${error.message}`,
        )
        return true
      })
  })
})
