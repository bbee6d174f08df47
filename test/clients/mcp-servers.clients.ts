import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'
import { mcpServers } from './mcp-servers.ts'

describe('real MCP servers as sources of tools', function () {
  this.timeout(180_000)
  let t: TestLoci
  let model: ScriptedModel
  let servers: ReturnType<typeof mcpServers>
  let folder: string
  withLoci((started) => ({ t, model } = started))
  before(async () => {
    servers = mcpServers()
    folder = await mkdtemp(join(tmpdir(), 'loci-real-mcp-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const program = (path: string, args: string[] = [], env: Record<string, string> | null = null) => ({
    mcp_server_type: 'stdio' as const,
    command: process.execPath,
    args: [path, ...args],
    env,
  })
  const create = async (server_name: string, config: object) => {
    const made = await t.letta.mcpServers.create({
      server_name,
      config: config as ReturnType<typeof program>,
    })
    const { connection } = made as unknown as { connection: { state: string; error: string | null } }
    assert.deepEqual([connection.state, connection.error], ['connected', null])
    return made.id ?? ''
  }
  const run = async (id: string, name: string, args: Record<string, unknown> = {}) => {
    const tools = await t.letta.mcpServers.tools.list(id)
    const tool = tools.find(
      ({ metadata_ }) => (metadata_?.['mcp'] as { tool_name: string } | undefined)?.tool_name === name,
    )
    assert.ok(tool, `${name} is one of ${tools.map((one) => one.name).join(', ')}`)
    const { status, func_return } = await t.letta.mcpServers.tools.run(tool.id, { mcp_server_id: id, args })
    return { status, text: typeof func_return === 'string' ? func_return : JSON.stringify(func_return) }
  }

  it('server-everything over stdio: text, structures, images, links, progress, errors', async () => {
    const id = await create('everything', program(servers.everything))
    assert.deepEqual(await run(id, 'echo', { message: 'hi' }), { status: 'success', text: 'Echo: hi' })
    assert.match((await run(id, 'get-sum', { a: 2, b: 3 })).text, /5/)
    assert.match((await run(id, 'get-tiny-image')).text, /"type":"image"/)
    assert.match((await run(id, 'get-structured-content', { location: 'Chicago' })).text, /temperature/)
    assert.match((await run(id, 'get-resource-links', { count: 2 })).text, /\[resource '.*': demo:\/\//)
    assert.match(
      (await run(id, 'trigger-long-running-operation', { duration: 1, steps: 2 })).text,
      /completed/,
    )
    assert.equal((await run(id, 'echo', { message: 1 })).status, 'error')
    const env = JSON.parse((await run(id, 'get-env')).text) as Record<string, string>
    assert.ok(!Object.keys(env).some((name) => name.startsWith('LOCI') || name.startsWith('npm_')))
  })

  for (const [transport, type, path] of [
    ['streamableHttp', 'streamable_http', 'mcp'],
    ['sse', 'sse', 'sse'],
  ] as const)
    it(`server-everything over ${type}`, async () => {
      const port = await freePort()
      const child = spawn(process.execPath, [servers.everything, transport], {
        env: { ...process.env, PORT: String(port) },
        stdio: 'ignore',
      })
      try {
        await eventually('it listens', () => answers(port))
        const url = `http://127.0.0.1:${port}/${path}`
        const id = await create(`everything ${type}`, { mcp_server_type: type, server_url: url })
        assert.deepEqual(await run(id, 'echo', { message: 'hi' }), { status: 'success', text: 'Echo: hi' })
        await t.letta.mcpServers.delete(id)
      } finally {
        await ended(child)
      }
    })

  it('server-memory and server-filesystem: an agent writes with one and reads with the other', async () => {
    const file = join(folder, 'memory.jsonl')
    await writeFile(join(folder, 'note.txt'), 'The tram to Belém is number 15.')
    const memory = await create('memory', program(servers.memory, [], { MEMORY_FILE_PATH: file }))
    await create('files', program(servers.filesystem, [folder]))
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [],
      include_base_tools: false,
      tools: ['create_entities', 'read_text_file'],
    })
    const entities = [{ name: 'Ada', entityType: 'person', observations: ['likes tea'] }]
    model.add(
      { reply: { tool_calls: [{ name: 'create_entities', arguments: { entities } }] } },
      { reply: { tool_calls: [{ name: 'read_text_file', arguments: { path: join(folder, 'note.txt') } }] } },
      { reply: { text: 'Done.' } },
    )
    const { messages } = await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const returns = messages.flatMap((m) => (m.message_type === 'tool_return_message' ? [m.tool_return] : []))
    assert.match(returns[0] ?? '', /likes tea/)
    assert.match(returns[1] ?? '', /number 15/)
    assert.match((await run(memory, 'read_graph')).text, /Ada/)
    // What lies outside is the server's to refuse, and the agent reads why.
    const [files] = (await t.letta.mcpServers.list()).filter(({ server_name }) => server_name === 'files')
    const outside = await run(files?.id ?? '', 'read_text_file', { path: '/etc/hostname' })
    assert.deepEqual([outside.status, /denied|outside/i.test(outside.text)], ['error', true])
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(port: number): Promise<boolean | null> {
  return fetch(`http://127.0.0.1:${port}/nothing`).then(
    async (response) => {
      await response.body?.cancel()
      return true
    },
    () => null,
  )
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
}
