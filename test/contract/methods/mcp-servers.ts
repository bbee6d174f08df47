import assert from 'node:assert/strict'
import { join } from 'node:path'
import { startHandMcp } from '../../support/mcp-http.ts'
import { startOAuthMcp } from '../../support/mcp-oauth.ts'
import { type ContractTest, parseEvents } from '../../support/contract.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

const PROGRAM = join(import.meta.dirname, '..', '..', 'tools', 'fixtures', 'mcp-program.ts')

const program = (mode = 'well') => ({
  mcp_server_type: 'stdio' as const,
  command: process.execPath,
  args: [PROGRAM, mode],
  env: { REGION: 'eu', API_KEY: 'nobody sees this' },
})

/** A server with tools, which is gone again after `work`: tools have one name for everybody. */
async function withServer(
  t: ContractTest,
  work: (server: { id: string; name: string }) => Promise<void>,
): Promise<void> {
  const name = `s-${crypto.randomUUID().slice(0, 8)}`
  const { id = '' } = await t.letta.mcpServers.create({ server_name: name, config: program() })
  try {
    await work({ id, name })
  } finally {
    await t.http('DELETE', `/v1/mcp-servers/${id}`)
  }
}

const MASKED = '********'

export const mcpMethods: Method[] = [
  {
    name: 'mcpServers.create',
    shows: 'a server whose tools agents can have at once; its secrets are not shown',
    async run(t) {
      const made = await t.letta.mcpServers.create({ server_name: 'made', config: program() })
      assert.ok('command' in made)
      assert.deepEqual(made.env, { REGION: 'eu', API_KEY: MASKED })
      const [tool] = (await t.letta.tools.list({ name: 'add' })).items
      assert.deepEqual([tool?.tool_type, tool?.tags], ['external_mcp', ['mcp:made']])
      assert.deepEqual(tool?.metadata_?.['mcp:SCHEMA_STATUS'], 'STRICT_COMPLIANT')
      const again = t.letta.mcpServers.create({ server_name: 'made', config: program() })
      await assert.rejects(again, { status: 409 })
      // One that cannot be reached is there all the same, and says why it has no tools.
      const lost = await t.letta.mcpServers.create({
        server_name: 'lost',
        config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:9/mcp' },
      })
      const { connection } = lost as unknown as { connection: { state: string; error: string } }
      assert.equal(connection.state, 'failed')
      assert.match(connection.error, /^The MCP server 'lost' failed while connecting: /)
      assert.deepEqual(await t.letta.mcpServers.tools.list(lost.id ?? ''), [])
      for (const { id = '' } of [made, lost]) await t.letta.mcpServers.delete(id)
    },
  },
  {
    name: 'mcpServers.list',
    shows: 'the newest first',
    async run(t) {
      await withServer(t, async (one) => {
        const hand = await startHandMcp()
        const config = {
          mcp_server_type: 'streamable_http' as const,
          server_url: hand.url,
          auth_token: 'abc',
        }
        const { id = '' } = await t.letta.mcpServers.create({ server_name: 'two', config })
        const servers = await t.letta.mcpServers.list()
        assert.deepEqual(
          servers.map((server) => server.id),
          [id, one.id],
        )
        assert.deepEqual([servers[0] && 'auth_token' in servers[0] && servers[0].auth_token], [MASKED])
        await t.letta.mcpServers.delete(id)
        await hand.close()
      })
    },
  },
  {
    name: 'mcpServers.retrieve',
    shows: 'the server, or 404',
    async run(t) {
      await withServer(t, async ({ id, name }) => {
        const server = await t.letta.mcpServers.retrieve(id)
        assert.deepEqual([server.id, server.server_name], [id, name])
        await assert.rejects(t.letta.mcpServers.retrieve('mcp_server-nowhere'), { status: 404 })
      })
    },
  },
  {
    name: 'mcpServers.update',
    shows: 'a new name in its tools, too; what is absent or masked stays',
    async run(t) {
      await withServer(t, async ({ id }) => {
        const changed = await t.letta.mcpServers.update(id, {
          server_name: 'renamed',
          config: {
            mcp_server_type: 'stdio',
            command: null,
            args: null,
            env: { REGION: 'us', API_KEY: MASKED },
          },
        })
        assert.ok('command' in changed)
        assert.deepEqual([changed.server_name, changed.command], ['renamed', process.execPath])
        const tools = await t.letta.mcpServers.tools.list(id)
        assert.ok(tools.every(({ tags }) => tags?.includes('mcp:renamed')))
        const env = tools.find(({ name }) => name === 'env')
        const run = await t.letta.mcpServers.tools.run(env?.id ?? '', { mcp_server_id: id })
        const seen = JSON.parse(String(run.func_return)) as Record<string, string>
        assert.deepEqual([seen['REGION'], seen['API_KEY']], ['us', 'nobody sees this'])
      })
    },
  },
  {
    name: 'mcpServers.delete',
    shows: 'a server that is gone with its tools, from agents too',
    async run(t) {
      await withServer(t, async ({ id }) => {
        const [tool] = await t.letta.mcpServers.tools.list(id)
        const agent = await t.newAgent({ tool_ids: [tool?.id ?? ''] })
        await t.letta.mcpServers.delete(id)
        await assert.rejects(t.letta.mcpServers.delete(id), { status: 404 })
        await assert.rejects(t.letta.tools.retrieve(tool?.id ?? ''), { status: 404 })
        const left = await t.letta.agents.tools.list(agent.id)
        assert.ok(left.items.every(({ tool_type }) => tool_type !== 'external_mcp'))
      })
    },
  },
  {
    name: 'mcpServers.refresh',
    shows: 'what was added, changed and deleted since; tools that stay keep their ids',
    async run(t) {
      const tools = [{ name: 'echo', inputSchema: { type: 'object' } }] as object[]
      const hand = await startHandMcp(({ method }) =>
        method === 'tools/list' ? { result: { tools } } : null,
      )
      const config = { mcp_server_type: 'streamable_http' as const, server_url: hand.url }
      const { id = '' } = await t.letta.mcpServers.create({ server_name: 'fresh', config })
      const [before] = await t.letta.mcpServers.tools.list(id)
      tools.splice(0, 1, { name: 'echo', description: 'New.', inputSchema: { type: 'object' } })
      tools.push({ name: 'more', inputSchema: { type: 'object' } })
      assert.deepEqual(await t.letta.mcpServers.refresh(id), {
        deleted: [],
        updated: ['echo'],
        added: ['more'],
      })
      tools.splice(1, 1)
      assert.deepEqual(await t.letta.mcpServers.refresh(id), { deleted: ['more'], updated: [], added: [] })
      const [after] = await t.letta.mcpServers.tools.list(id)
      assert.deepEqual([after?.id, after?.description], [before?.id, 'New.'])
      await hand.close()
      await assert.rejects(t.letta.mcpServers.refresh(id), { status: 502 })
      assert.equal((await t.letta.mcpServers.tools.list(id)).length, 1, 'nothing is lost with the server')
      await t.letta.mcpServers.delete(id)
    },
  },
  {
    name: 'mcpServers.tools.list',
    shows: 'its tools by name',
    async run(t) {
      await withServer(t, async ({ id }) => {
        const names = (await t.letta.mcpServers.tools.list(id)).map(({ name }) => name ?? '')
        assert.ok(names.includes('add'))
        assert.deepEqual(names, names.toSorted())
        await assert.rejects(t.letta.mcpServers.tools.list('mcp_server-nowhere'), { status: 404 })
      })
    },
  },
  {
    name: 'mcpServers.tools.retrieve',
    shows: 'a tool of the server, and no other',
    async run(t) {
      await withServer(t, async ({ id }) => {
        const [tool] = await t.letta.mcpServers.tools.list(id)
        const mcp_server_id = id
        assert.deepEqual(await t.letta.mcpServers.tools.retrieve(tool?.id ?? '', { mcp_server_id }), tool)
        const [other] = (await t.letta.tools.list({ name: 'conversation_search' })).items
        const wrong = t.letta.mcpServers.tools.retrieve(other?.id ?? '', { mcp_server_id })
        await assert.rejects(wrong, { status: 404 })
      })
    },
  },
  {
    name: 'mcpServers.tools.run',
    shows: 'what the tool returned, and that it failed',
    async run(t) {
      await withServer(t, async ({ id }) => {
        const tools = await t.letta.mcpServers.tools.list(id)
        const run = async (name: string, args: Record<string, unknown> = {}) => {
          const tool_id = tools.find((tool) => tool.name === name)?.id ?? ''
          const { status, func_return } = await t.letta.mcpServers.tools.run(tool_id, {
            mcp_server_id: id,
            args,
          })
          return [status, func_return]
        }
        assert.deepEqual(await run('add', { a: 2, b: 3 }), ['success', '5'])
        assert.deepEqual(await run('fail'), ['error', 'it went wrong'])
        await assert.rejects(run('crash'), { status: 502 })
      })
    },
  },
]

async function ask<T>(t: ContractTest, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await t.http(method, path, body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body as T
}

/** The older API's body of a server. */
const older = (server_name: string) => {
  const { mcp_server_type: type, ...rest } = program()
  return { server_name, type, ...rest }
}

/** Adds a server by the older API, and deletes it after `work`. */
async function withOlder(t: ContractTest, work: (name: string) => Promise<void>): Promise<void> {
  const name = `old-${crypto.randomUUID().slice(0, 8)}`
  await ask(t, 'PUT', '/v1/tools/mcp/servers', older(name))
  try {
    await work(name)
  } finally {
    await t.http('DELETE', `/v1/tools/mcp/servers/${name}`)
  }
}

/** The events of a connection; `meanwhile` gets each as it comes. */
async function connect(
  t: ContractTest,
  path: string,
  init: RequestInit = {},
  meanwhile: (event: Record<string, unknown>) => void = () => undefined,
): Promise<Record<string, unknown>[]> {
  const response = await t.recorder.fetch(t.loci.url + path, {
    ...init,
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(response.status, 200)
  const events: Record<string, unknown>[] = []
  let text = ''
  for await (const piece of response.body ?? []) {
    text += new TextDecoder().decode(piece as Uint8Array, { stream: true })
    for (const { data } of parseEvents(text).slice(events.length)) {
      const event = JSON.parse(data) as Record<string, unknown>
      events.push(event)
      meanwhile(event)
    }
  }
  return events
}

const namesOf = (events: Record<string, unknown>[]) => events.map(({ event }) => event)

export const mcpOperations: PlainOperation[] = [
  {
    name: 'GET /v1/mcp-servers/connect/{mcp_server_id}',
    shows: 'a log-in in the browser, whose tools are stored; renewed tokens; the answer no',
    async run(t) {
      const oauth = await startOAuthMcp()
      const config = { mcp_server_type: 'streamable_http' as const, server_url: oauth.url }
      const made = await t.letta.mcpServers.create({ server_name: 'guarded', config })
      const id = made.id ?? ''
      const { connection } = made as unknown as { connection: { state: string } }
      assert.equal(connection.state, 'authorization_required')
      const path = `/v1/mcp-servers/connect/${id}`
      const pages: Promise<Response>[] = []
      const logIn = (answer: 'yes' | 'no') => (event: Record<string, unknown>) => {
        if (event['event'] === 'authorization_url') pages.push(oauth.logIn(String(event['url']), answer))
      }
      const refused = await connect(t, path, {}, logIn('no'))
      assert.deepEqual(namesOf(refused).slice(-2), ['waiting_for_oauth', 'error'])
      assert.equal((await pages[0])?.status, 400)
      const events = await connect(t, path, {}, logIn('yes'))
      assert.deepEqual(namesOf(events), [
        'connection_attempt',
        'oauth_required',
        'authorization_url',
        'waiting_for_oauth',
        'success',
      ])
      const page = await pages[1]
      assert.equal(page?.status, 200)
      assert.match((await page?.text()) ?? '', /You are logged in/)
      assert.equal(oauth.registered[0]?.redirect_uris[0], `${t.loci.url}/v1/tools/mcp/oauth/callback`)
      const [tool] = await t.letta.mcpServers.tools.list(id)
      assert.equal(tool?.name, 'secret_of_the_house')
      const run = () => t.letta.mcpServers.tools.run(tool?.id ?? '', { mcp_server_id: id })
      assert.equal((await run()).func_return, 'The key is under the mat.')
      oauth.tokens.clear()
      assert.equal((await run()).func_return, 'The key is under the mat.', 'the token was renewed')
      assert.equal(oauth.renewals, 1)
      assert.deepEqual(namesOf(await connect(t, path)), ['connection_attempt', 'success'])
      await t.letta.mcpServers.delete(id)
      await oauth.close()
    },
  },
  {
    name: 'GET /v1/tools/mcp/oauth/callback',
    shows: '400 for an answer that nobody waits for',
    async run(t) {
      const { status } = await t.http('GET', '/v1/tools/mcp/oauth/callback?code=a&state=b')
      assert.equal(status, 400)
    },
  },
  {
    name: 'GET /v1/tools/mcp/servers',
    shows: 'servers by their names, without what is secret',
    async run(t) {
      await withOlder(t, async (name) => {
        const servers = await ask<Record<string, { type: string; env: object }>>(
          t,
          'GET',
          '/v1/tools/mcp/servers',
        )
        assert.equal(servers[name]?.type, 'stdio')
        assert.deepEqual(servers[name]?.env, { REGION: 'eu', API_KEY: MASKED })
      })
    },
  },
  {
    name: 'PUT /v1/tools/mcp/servers',
    shows: 'all servers; one of the same name is changed',
    async run(t) {
      await withOlder(t, async (name) => {
        const body = { ...older(name), env: null }
        const servers = await ask<{ server_name: string; env: unknown }[]>(
          t,
          'PUT',
          '/v1/tools/mcp/servers',
          body,
        )
        const named = servers.filter(({ server_name }) => server_name === name)
        assert.deepEqual(
          named.map(({ env }) => env),
          [null],
        )
      })
    },
  },
  {
    name: 'PATCH /v1/tools/mcp/servers/{mcp_server_name}',
    shows: 'the server as it is then',
    async run(t) {
      await withOlder(t, async (name) => {
        const changed = await ask<{ env: object }>(t, 'PATCH', `/v1/tools/mcp/servers/${name}`, {
          stdio_config: { env: { REGION: 'us' } },
        })
        assert.deepEqual(changed.env, { REGION: 'us' })
      })
    },
  },
  {
    name: 'DELETE /v1/tools/mcp/servers/{mcp_server_name}',
    shows: 'those that are left, or 404',
    async run(t) {
      await withOlder(t, async (name) => {
        const left = await ask<{ server_name: string }[]>(t, 'DELETE', `/v1/tools/mcp/servers/${name}`)
        assert.ok(left.every(({ server_name }) => server_name !== name))
        assert.equal((await t.http('DELETE', `/v1/tools/mcp/servers/${name}`)).status, 404)
      })
    },
  },
  {
    name: 'GET /v1/tools/mcp/servers/{mcp_server_name}/tools',
    shows: 'what the server lists, with the health of each schema',
    async run(t) {
      await withOlder(t, async (name) => {
        const tools = await ask<{ name: string; health: { status: string } }[]>(
          t,
          'GET',
          `/v1/tools/mcp/servers/${name}/tools`,
        )
        assert.equal(tools.find((tool) => tool.name === 'add')?.health.status, 'STRICT_COMPLIANT')
        assert.equal(tools.find((tool) => tool.name === 'env')?.health.status, 'NON_STRICT_ONLY')
      })
    },
  },
  {
    name: 'POST /v1/tools/mcp/servers/{mcp_server_name}/{mcp_tool_name}',
    shows: 'the stored tool; 400 for a schema that no model takes, 404 for a tool that is not there',
    async run(t) {
      await withOlder(t, async (name) => {
        const tool = await ask<{ name: string; tool_type: string }>(
          t,
          'POST',
          `/v1/tools/mcp/servers/${name}/add`,
        )
        assert.deepEqual([tool.name, tool.tool_type], ['add', 'external_mcp'])
        assert.equal((await t.http('POST', `/v1/tools/mcp/servers/${name}/nothing`)).status, 404)
      })
      const broken = { ...older('broken'), args: [PROGRAM, 'schemas'] }
      await ask(t, 'PUT', '/v1/tools/mcp/servers', broken)
      const { status, body } = await t.http('POST', '/v1/tools/mcp/servers/broken/odd_type')
      assert.equal(status, 400)
      assert.match(JSON.stringify(body), /has the type \\"strnig\\", which there is not|strnig/)
      await ask(t, 'DELETE', '/v1/tools/mcp/servers/broken')
    },
  },
  {
    name: 'POST /v1/tools/mcp/servers/{mcp_server_name}/resync',
    shows: 'what has changed',
    async run(t) {
      await withOlder(t, async (name) => {
        const changes = await ask(t, 'POST', `/v1/tools/mcp/servers/${name}/resync`)
        assert.deepEqual(changes, { deleted: [], updated: [], added: [] })
      })
    },
  },
  {
    name: 'POST /v1/tools/mcp/servers/test',
    shows: 'the tools of a server that is not added; 502 for one that cannot be reached',
    async run(t) {
      const tried = await ask<{ status: string; tools: { name: string }[] }>(
        t,
        'POST',
        '/v1/tools/mcp/servers/test',
        older('tried'),
      )
      assert.ok(tried.status === 'success' && tried.tools.some(({ name }) => name === 'add'))
      assert.deepEqual(await ask(t, 'GET', '/v1/tools/mcp/servers'), {})
      const lost = { type: 'sse', server_name: 'lost', server_url: 'http://127.0.0.1:9/sse' }
      assert.equal((await t.http('POST', '/v1/tools/mcp/servers/test', lost)).status, 502)
    },
  },
  {
    name: 'POST /v1/tools/mcp/servers/connect',
    shows: 'the tools of a server, as a stream of events',
    async run(t) {
      const init = { method: 'POST', body: JSON.stringify(older('tried')) }
      const events = await connect(t, '/v1/tools/mcp/servers/connect', init)
      assert.deepEqual(namesOf(events), ['connection_attempt', 'success'])
      const crash = { ...older('tried'), args: [PROGRAM, 'crash'] }
      const failed = await connect(t, '/v1/tools/mcp/servers/connect', {
        ...init,
        body: JSON.stringify(crash),
      })
      assert.deepEqual(namesOf(failed), ['connection_attempt', 'error'])
      assert.match(String(failed[1]?.['message']), /ended with code 3/)
    },
  },
  {
    name: 'POST /v1/tools/mcp/servers/{mcp_server_name}/tools/{tool_name}/execute',
    shows: 'what the tool returned',
    async run(t) {
      await withOlder(t, async (name) => {
        const path = `/v1/tools/mcp/servers/${name}/tools/add/execute`
        const result = await ask<{ func_return: string }>(t, 'POST', path, { args: { a: 1, b: 1 } })
        assert.equal(result.func_return, '2')
      })
    },
  },
]
