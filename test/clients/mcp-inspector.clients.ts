/** The MCP Inspector's command line, over stdio and HTTP: strict schemas, every tool, resources and prompts. */
import assert from 'node:assert/strict'
import { cleanEnvironment, LOCI, type Running, run, temporaryFolder } from '../support/cli-process.ts'
import { startMcpHttp } from '../support/mcp-hosts.ts'
import { inspector } from './mcp/tools.ts'

/** Every default tool, in an order in which it can answer. */
const CALLS: readonly (readonly [tool: string, args: object, words: RegExp])[] = [
  ['agent_create', { name: 'Ada', model: 'loci/demo', human: 'Likes tea.' }, /Created Ada/],
  ['agent_list', {}, /Ada/],
  ['agent_get', { agent: 'Ada', detail: 'full' }, /loci\/demo/],
  ['agent_update', { agent: 'Ada', description: 'A friend' }, /Changed description/],
  ['agent_send_message', { agent: 'Ada', message: 'My name is Ada.' }, /completed/],
  ['memory_read', { agent: 'Ada' }, /Likes tea\./],
  ['memory_edit', { agent: 'Ada', label: 'human', mode: 'append', text: 'Owls.' }, /Owls\./],
  ['archival_insert', { agent: 'Ada', text: 'The moon is far.' }, /Stored/],
  ['archival_search', { agent: 'Ada', query: 'moon' }, /far/],
  ['conversation_list', { agent: 'Ada' }, /default/],
  ['conversation_search', { agent: 'Ada', query: 'name' }, /My name is Ada/],
  ['file_attach', { agent: 'Ada', name: 'a.md', text: 'Owls fly.' }, /a\.md/],
  ['file_search', { agent: 'Ada', query: 'owls' }, /Owls fly/],
]

for (const transport of ['stdio', 'http'] as const)
  describe(`the MCP Inspector over ${transport}`, function () {
    this.timeout(300_000)
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    let env: Record<string, string>
    let server: Running | null = null
    let target: string[]
    const called = new Set<string>()

    before(async () => {
      inspector()
      folder = await temporaryFolder()
      env = cleanEnvironment(folder.path, { MCP_STORAGE_DIR: `${folder.path}/inspector` })
      if (transport === 'stdio') target = [process.execPath, LOCI, 'mcp']
      else {
        const started = await startMcpHttp([], env)
        server = started.server
        target = ['--transport', 'http', started.url.href]
      }
    })
    after(async () => {
      await server?.stop()
      await folder.remove()
    })

    async function inspect(...args: string[]): Promise<string> {
      const result = await run(process.execPath, [inspector(), '--cli', ...target, ...args], { env })
      assert.equal(result.code, 0, `${args.join(' ')}\n${result.stdout}\n${result.stderr}`)
      return result.stdout
    }
    async function call(tool: string, args: object, words: RegExp): Promise<string> {
      called.add(tool)
      const json = JSON.stringify(args)
      const out = await inspect('--method', 'tools/call', '--tool-name', tool, '--tool-args-json', json)
      assert.match(out, words)
      return out
    }

    it('finds no fault in the schemas, and calls every tool', async () => {
      const listed = await inspect('--method', 'tools/list', '--strict', '--format', 'json')
      for (const [tool, args, words] of CALLS) await call(tool, args, words)
      const sent = await call('agent_send_message', { agent: 'Ada', message: 'Hello' }, /run-/)
      const [run_id] = /run-[0-9a-f-]{36}/.exec(sent) ?? []
      await call('run_get', { run_id }, /completed/)
      await call('run_cancel', { run_id }, /has ended already/)
      await call('agent_create', { name: 'Eve', model: 'loci/demo' }, /Created Eve/)
      await call('agent_delete', { agent: 'Eve', confirm: true }, /Deleted Eve/)
      const names = [...listed.matchAll(/"name":\s*"([a-z]+_[a-z_]+)"/g)].map(([, name]) => name ?? '')
      assert.deepEqual([...called].sort(), [...new Set(names)].sort())
    })

    it('reads resources and gets prompts', async () => {
      assert.match(await inspect('--method', 'resources/list'), /agent:\/\/agent-/)
      assert.match(await inspect('--method', 'resources/read', '--uri', 'agent://Ada/memory/human'), /tea/)
      assert.match(await inspect('--method', 'prompts/list'), /review_memory/)
      const args = ['--prompt-name', 'review_memory', '--prompt-args', 'agent=Ada']
      assert.match(await inspect('--method', 'prompts/get', ...args), /\\"Ada\\"/)
    })
  })
