import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startHandMcp } from '../support/mcp-http.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const PROGRAM = join(import.meta.dirname, '..', 'tools', 'fixtures', 'mcp-program.ts')

const program = (mode = 'well', env: Record<string, string> | null = null) => ({
  mcp_server_type: 'stdio' as const,
  command: process.execPath,
  args: [PROGRAM, mode],
  env,
})

/** A tool as a server lists it. */
const listed = (name: string) => ({ name, inputSchema: { type: 'object', properties: {} } })

interface Connection {
  state: string
  error: string | null
}
const connectionOf = (server: object) => (server as { connection: Connection }).connection

describe('MCP servers as sources of tools', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLociEach((started) => ({ t, model } = started))

  const create = async (server_name: string, config: object = program()) => {
    const made = await t.letta.mcpServers.create({
      server_name,
      config: config as ReturnType<typeof program>,
    })
    return made.id ?? ''
  }
  const namesOf = async (id: string) => (await t.letta.mcpServers.tools.list(id)).map(({ name }) => name)
  const newAgent = (tools: string[], more: object = {}) =>
    t.letta.agents.create({ model: SCRIPTED, memory_blocks: [], tools, include_base_tools: false, ...more })
  const calls = (name: string, args: Record<string, unknown> = {}) => ({
    reply: { tool_calls: [{ name, arguments: args, id: `call-${name}` }] },
  })
  const turn = async (agent_id: string) => {
    model.add({ reply: { text: 'Done.' } })
    const { messages } = await t.letta.agents.messages.create(agent_id, { input: 'go' })
    const returned = messages.find((message) => message.message_type === 'tool_return_message')
    assert.ok(returned?.message_type === 'tool_return_message')
    return returned
  }

  it('an agent calls a tool of a server, and reads what it returned', async () => {
    await create('sums')
    const agent = await newAgent(['add', 'fail', 'crash'])
    model.add(calls('add', { a: 20, b: 22 }))
    const returned = await turn(agent.id)
    assert.deepEqual([returned.status, returned.tool_return], ['success', '42'])
    const shown = model.requests[0]?.body.tools?.find((tool) => tool.function.name === 'add')
    assert.equal(shown?.function.description, 'Adds two numbers.')
    model.add(calls('fail'))
    assert.deepEqual((await turn(agent.id)).tool_return, 'it went wrong')
    model.add(calls('crash'))
    const crashed = await turn(agent.id)
    assert.equal(crashed.status, 'error')
    assert.match(crashed.tool_return, /the MCP server 'sums' failed.*ended with code 7/i)
  })

  it('a hanging tool ends with the turn that is cancelled', async () => {
    await create('sums')
    const agent = await newAgent(['hang'])
    model.add(calls('hang'))
    const under_way = t.letta.agents.messages.create(agent.id, { input: 'go' })
    under_way.catch(() => undefined)
    await model.request(0)
    const run = await eventually('the run is there', async () => {
      const [active] = (await t.letta.runs.list({ agent_id: agent.id, active: true })).items
      return active ?? null
    })
    await t.letta.agents.messages.cancel(agent.id, { run_ids: [run.id] })
    const { stop_reason } = await under_way
    assert.equal(stop_reason.stop_reason, 'cancelled')
  })

  it('secrets of the agent go into headers and the environment, and not into what it reads', async () => {
    const hand = await startHandMcp(({ method }, _, request) =>
      method === 'tools/call'
        ? { result: { content: [{ type: 'text', text: `you are ${request.headers.authorization}` }] } }
        : null,
    )
    const config = {
      mcp_server_type: 'streamable_http',
      server_url: hand.url,
      auth_token: 'Bearer {{ HOUSE_KEY | none }}',
    }
    const id = await create('keyed', config)
    const server = await t.letta.mcpServers.retrieve(id)
    assert.ok('auth_token' in server)
    assert.equal(server.auth_token, 'Bearer {{ HOUSE_KEY | none }}', 'a name is no secret')
    const agent = await newAgent(['echo'], { secrets: { HOUSE_KEY: 'open-sesame-now' } })
    model.add(calls('echo'))
    const returned = await turn(agent.id)
    assert.equal(hand.headers.findLast((h) => h.authorization)?.authorization, 'Bearer open-sesame-now')
    assert.equal(returned.tool_return, 'you are Bearer ***HOUSE_KEY***')
    assert.deepEqual(await t.letta.mcpServers.refresh(id, { agent_id: agent.id }), {
      deleted: [],
      updated: [],
      added: [],
    })
    await hand.close()
  })

  it('what is secret lies encrypted on disk', async () => {
    await create('sealed', program('well', { API_KEY: 'a-value-that-is-looked-for' }))
    await t.loci.drain(0)
    for (const file of ['loci.db', 'loci.db-wal']) {
      const bytes = await readFile(join(t.data, file)).catch(() => Buffer.alloc(0))
      assert.ok(!bytes.includes('a-value-that-is-looked-for'), file)
    }
  })

  it('a tool never takes the place of a built-in or of another server’s', async () => {
    const tools = [listed('memory_insert'), listed('add'), listed('a.b'), listed('x'.repeat(100))]
    const hand = await startHandMcp(({ method }) => (method === 'tools/list' ? { result: { tools } } : null))
    await create('sums')
    const id = await create('my house', { mcp_server_type: 'streamable_http', server_url: hand.url })
    const names = await namesOf(id)
    assert.equal(names.length, 4)
    for (const name of ['a_b', 'my_house_add', 'my_house_memory_insert'])
      assert.ok(names.includes(name), name)
    assert.ok(names.every((name) => (name ?? '').length <= 64))
    const [builtin] = (await t.letta.tools.list({ name: 'memory_insert' })).items
    assert.equal(builtin?.tool_type, 'letta_memory_core')
    const agent = await newAgent(['my_house_add'])
    model.add(calls('my_house_add'))
    assert.equal((await turn(agent.id)).tool_return, 'called add')
    // A name that becomes free later changes nothing for those who know the tool by its name.
    const [sums] = (await t.letta.mcpServers.list()).filter(({ server_name }) => server_name === 'sums')
    await t.letta.mcpServers.delete(sums?.id ?? '')
    await t.letta.mcpServers.refresh(id)
    assert.deepEqual(await namesOf(id), names)
    await hand.close()
  })

  it('what the user says of a tool survives a refresh', async () => {
    const id = await create('sums')
    const [tool] = await t.letta.mcpServers.tools.list(id)
    await t.letta.tools.update(tool?.id ?? '', { default_requires_approval: true, return_char_limit: 99 })
    assert.deepEqual(await t.letta.mcpServers.refresh(id), { deleted: [], updated: [], added: [] })
    const after = await t.letta.tools.retrieve(tool?.id ?? '')
    assert.deepEqual([after.default_requires_approval, after.return_char_limit], [true, 99])
  })

  it('tools that a server adds appear by themselves; those that it takes away stay until a refresh', async () => {
    const id = await create('sums')
    const agent = await newAgent(['more', 'less', 'add'])
    model.add(calls('more'))
    await turn(agent.id)
    await eventually('the tool is there', async () => ((await namesOf(id)).includes('extra') ? true : null))
    model.add(calls('less'))
    await turn(agent.id)
    assert.ok((await namesOf(id)).includes('add'))
    const { deleted } = (await t.letta.mcpServers.refresh(id)) as { deleted: string[] }
    assert.ok(deleted.includes('add') && !deleted.includes('less'))
    const left = await t.letta.agents.tools.list(agent.id)
    assert.deepEqual(
      left.items.map(({ name }) => name),
      ['less'],
    )
  })

  it('a call that its client sends again is made once', async () => {
    let made = 0
    const answered = Promise.withResolvers<void>()
    const hand = await startHandMcp(async ({ method }) => {
      if (method !== 'tools/call') return null
      made++
      await answered.promise
      return { result: { content: [{ type: 'text', text: 'once' }] } }
    })
    const id = await create('slow', { mcp_server_type: 'streamable_http', server_url: hand.url })
    const [tool] = await t.letta.mcpServers.tools.list(id)
    const again = { headers: { 'x-stainless-retry-count': '1' } }
    const run = (options = {}) =>
      t.letta.mcpServers.tools.run(tool?.id ?? '', { mcp_server_id: id, args: {} }, options)
    const first = run()
    await eventually('the call is under way', () => (made > 0 ? true : null))
    const second = run(again)
    answered.resolve()
    const results = await Promise.all([first, second])
    assert.deepEqual(
      results.map(({ func_return }) => func_return),
      ['once', 'once'],
    )
    assert.equal(made, 1)
    await hand.close()
  })

  it('tools whose schemas no model takes are left out, and the others are there', async () => {
    assert.deepEqual(await namesOf(await create('mixed', program('schemas'))), ['good'])
  })

  it('bad input is told where it is wrong', async () => {
    const post = async (body: unknown) => {
      const { status, body: answer } = await t.http('POST', '/v1/mcp-servers/', body)
      return `${status} ${(answer as { detail: string }).detail}`
    }
    assert.match(await post({}), /^422 .*server_name/)
    assert.match(await post({ server_name: ' ', config: program() }), /^422 .*needs a name/)
    assert.match(
      await post({ server_name: 'a', config: { mcp_server_type: 'pigeon' } }),
      /^422 .*mcp_server_type/,
    )
    assert.match(
      await post({ server_name: 'a', config: { command: ' ', args: [] } }),
      /^422 .*name the program/,
    )
    assert.match(
      await post({ server_name: 'a', config: { server_url: 'file:///etc/passwd' } }),
      /^422 .*expected an address such as/,
    )
    const header = { server_url: 'http://127.0.0.1:1', custom_headers: { 'a b': 'c' } }
    assert.match(await post({ server_name: 'a', config: header }), /^422 .*the name of an HTTP header/)
    const split = { server_url: 'http://127.0.0.1:1', auth_token: 'a\r\nX-Evil: 1' }
    assert.match(await post({ server_name: 'a', config: split }), /^422 .*no line breaks/)
    assert.deepEqual(await t.letta.mcpServers.list(), [])
  })

  it('an agent’s tool whose server is not here says so', async () => {
    const id = await create('sums')
    const agent = await newAgent(['add'])
    const exported = (await t.letta.agents.exportFile(agent.id)) as unknown as object | string
    await t.letta.mcpServers.delete(id)
    const file = new File([typeof exported === 'string' ? exported : JSON.stringify(exported)], 'a.af')
    const { agent_ids } = await t.letta.agents.importFile({ file })
    model.add(calls('add', { a: 1, b: 1 }))
    assert.match((await turn(agent_ids[0] ?? '')).tool_return, /belongs to an MCP server that is not here/)
    // The tool becomes the server's own when it is.
    await create('sums')
    model.add(calls('add', { a: 1, b: 1 }))
    assert.equal((await turn(agent_ids[0] ?? '')).tool_return, '2')
  })
})

describe('MCP servers that are programs, where others can reach the server', () => {
  it('are refused, unless the configuration allows them', async () => {
    const t = await startLoci({ serve: { host: '0.0.0.0', key: 'sesame' } })
    const url = t.url.replace('0.0.0.0', '127.0.0.1')
    const post = (path: string, body: object) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: 'Bearer sesame' },
        body: JSON.stringify(body),
      })
    try {
      const refused = await post('/v1/mcp-servers/', { server_name: 'a', config: program() })
      assert.equal(refused.status, 400)
      assert.match(await refused.text(), /server\.allow_stdio_mcp/)
      const { mcp_server_type: type, ...rest } = program()
      const tried = await post('/v1/tools/mcp/servers/test', { server_name: 'a', type, ...rest })
      assert.equal(tried.status, 400)
      // A browser that comes back from a log-in has no key.
      const callback = await fetch(`${url}/v1/tools/mcp/oauth/callback?state=x&code=y`)
      assert.equal(callback.status, 400)
    } finally {
      await t.close()
    }
  })

  it('come to life again with the process that first needs them', async () => {
    const first = await startLoci()
    const { id = '' } = await first.letta.mcpServers.create({ server_name: 'sums', config: program() })
    const second = await startLoci({ data: first.data })
    try {
      const server = await second.letta.mcpServers.retrieve(id)
      assert.deepEqual([connectionOf(server).state, connectionOf(server).error], ['idle', null])
      const tools = await second.letta.mcpServers.tools.list(id)
      const add = tools.find(({ name }) => name === 'add')?.id ?? ''
      const run = await second.letta.mcpServers.tools.run(add, { mcp_server_id: id, args: { a: 1, b: 2 } })
      assert.equal(run.func_return, '3')
      assert.equal(connectionOf(await second.letta.mcpServers.retrieve(id)).state, 'connected')
    } finally {
      await second.close()
      await first.close()
    }
  })
})
