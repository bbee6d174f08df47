import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DEFAULT_LIMITS,
  type ApiScope,
  type LanguageTools,
} from '../../../shared/tools/sandbox/language-tools.ts'
import { createTypeScriptTools } from '../../../shared/tools/typescript/typescript-tools.ts'
import type { Agent } from '../../../shared/schema/agent.ts'
import { openSqliteStore } from '../../../shared/store/sqlite/sqlite-store.ts'
import { aBlock, ADA, anAgent } from '../../contracts/store/samples.ts'
import { tryTool } from '../../support/custom-tool.ts'
import { startLoci, type TestLoci } from '../../support/loci.ts'
import { testWalls } from '../../support/walls.ts'
import { DEFAULT_ORGANIZATION_ID } from '../../../shared/schema/ids.ts'

const textOf = (response: unknown) => {
  assert.ok(typeof response === 'string')
  return response
}

for (const wall of await testWalls()) {
  describe(`tools in TypeScript, behind ${wall.kind === 'none' ? 'no wall' : wall.kind}`, () => {
    let folder: string
    let agent: Agent
    let loci: TestLoci
    let tools: LanguageTools
    const scopes: ApiScope[] = []
    const run = (source: string, call: Parameters<typeof tryTool>[3] = {}) =>
      tryTool(tools, 'typescript', source, call)
    const returns = async (source: string, call: Parameters<typeof tryTool>[3] = {}) => {
      const { status, func_response } = await run(source, call)
      assert.equal(status, 'success', JSON.stringify(func_response))
      return func_response
    }

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'loci-ts-tools-'))
      await chmod(folder, 0o755)
      const store = await openSqliteStore({ directory: join(folder, 'store') })
      agent = await store.agents.create(
        ADA,
        anAgent('ada', { new_blocks: [aBlock('human', 'Ada'), aBlock('plan', 'nothing yet')] }),
      )
      await store.close()
      loci = await startLoci()
      tools = createTypeScriptTools({
        wall,
        limits: DEFAULT_LIMITS,
        hide: [loci.data],
        requirements: () => Promise.resolve(join(folder, 'requirements')),
        api: (scope, request) => {
          scopes.push(scope)
          return Promise.resolve(loci.loci.fetch(request))
        },
      })
      const package_ = join(folder, 'requirements/node_modules/left')
      await mkdir(package_, { recursive: true })
      await writeFile(join(package_, 'package.json'), '{"name":"left","main":"index.js"}')
      await writeFile(join(package_, 'index.js'), `exports.pad = (text) => '  ' + text`)
    })
    after(async () => {
      await tools.close()
      await loci.close()
      await rm(folder, { recursive: true })
    })

    it('calls an exported function with its arguments by name, defaults included', async () => {
      const source = `/** Adds.
        * @param a one
        * @param b two */
      export function add(a: number, b: number, times = 2): number { return (a + b) * times }`
      assert.equal(await returns(source, { arguments: { b: 3, a: 1 } }), '8')
      assert.equal(await returns(source, { arguments: { b: 3, a: 1, times: 1 } }), '4')
    })

    it('names the arguments that are missing, and takes those as missing that may be', async () => {
      const source = `/** Adds. */
      export function add(a: number, b: string[], c?: number, d: number | undefined, e = 1): string {
        return [a, b.length, c, d, e].join()
      }`
      const wrong = await run(source, { arguments: { c: 1 } })
      assert.equal(wrong.status, 'error')
      assert.match(
        JSON.stringify(wrong.func_response),
        /TypeError: the required arguments 'a', 'b' were not given/,
      )
      assert.equal(await returns(source, { arguments: { a: 1, b: [] } }), '1,0,,,1')
    })

    it('runs a tool of `loci/tool` with what its schema makes of the input', async () => {
      const source = `import { z } from 'zod'
        import { tool } from 'loci/tool'
        export default tool({ name: 'greet', description: 'Greets.',
          input: z.object({ name: z.string(), mark: z.string().default('!') }),
          run: ({ name, mark }, context) => ({ text: name + mark, agent: context.agent_id }) })`
      assert.deepEqual(
        JSON.parse(textOf(await returns(source, { arguments: { name: 'Ada', extra: 1 }, agent }))),
        {
          text: 'Ada!',
          agent: agent.id,
        },
      )
      const wrong = await run(source, { arguments: { name: 1 } })
      assert.equal(wrong.status, 'error')
      assert.match(JSON.stringify(wrong.func_response), /greet was called with a wrong input: name: /)
    })

    it('returns text as it is, nothing as V1 does, and data as JSON', async () => {
      const source = (value: string) => `export async function give() { return ${value} }`
      assert.equal(await returns(source(`'a "text"\\n'`)), 'a "text"\n')
      assert.equal(await returns(source('undefined')), 'None')
      assert.equal(await returns(source('null')), 'None')
      assert.equal(await returns(source('4.5')), '4.5')
      assert.equal(await returns(source('false')), 'false')
      assert.equal(
        await returns(source(`[{ a: [1, new Date(0)] }]`)),
        '[{"a":[1,"1970-01-01T00:00:00.000Z"]}]',
      )
    })

    it('returns images as content parts', async () => {
      const image = {
        type: 'image',
        source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' },
      }
      const source = (value: unknown) => `export const give = () => (${JSON.stringify(value)})`
      assert.deepEqual(await returns(source(image)), [image])
      const parts = [{ type: 'text', text: 'a dot' }, image]
      assert.deepEqual(await returns(source(parts)), parts)
      // Without an image it is data.
      assert.equal(await returns(source([parts[0]])), '[{"type":"text","text":"a dot"}]')
    })

    it('keeps what is printed, as lines, in their streams and bounded', async () => {
      const source = `export function print() { console.log('one\\ntwo'); console.error('oops'); process.stdout.write('three'); return 1 }`
      const { stdout, stderr } = await run(source)
      assert.deepEqual(stdout, ['one', 'two', 'three'])
      assert.deepEqual(stderr, ['oops'])
      const long = await run(
        `export function print() { for (let i = 0; i < 10_000; i++) console.log('x'.repeat(99)); return 1 }`,
      )
      assert.equal(long.status, 'success')
      assert.equal(long.stdout.at(-1), '[output cut after 256 KB]')
      assert.equal(long.stdout.length, Math.ceil((256 * 1024) / 100) + 1)
    })

    it('tells an error with its place in the source', async () => {
      const source = `enum Side { Left = 1, Right }
type Point = { x: number }

/** Fails. */
export function fail(): Point {
  const inner = (): never => {
    throw new RangeError('too far ' + Side[2])
  }
  return inner()
}`
      const { status, func_response, stderr } = await run(source, { name: 'fail' })
      assert.equal(status, 'error')
      assert.equal(func_response, 'Error executing function fail: RangeError: too far Right')
      assert.deepEqual(stderr[0], 'RangeError: too far Right')
      assert.match(stderr[1] ?? '', /at inner \(tool\.ts:7:11\)$/)
      assert.match(stderr[2] ?? '', /at (Module\.)?fail \(tool\.ts:9:10\)$/)
      assert.equal(stderr.length, 3)
    })

    it('tells where a source is no TypeScript', async () => {
      const { status, func_response } = await run('export function f( {')
      assert.equal(status, 'error')
      assert.match(JSON.stringify(func_response), /Error executing function attempt: .*[Ll]ine 1/)
    })

    it('gives a tool the memory of its agent, and answers what it changed there', async () => {
      const source = `import type { AgentState } from 'loci/tool'
        export function plan(text: string, agent_state: AgentState) {
          const before = agent_state.memory.get_block('plan').value
          agent_state.memory.update_block_value('plan', text)
          agent_state.memory.update_block_value('human', 'Ada')
          return [agent_state.name, before, agent_state.memory.get_block('plan').value, 'secrets' in agent_state]
        }`
      const { func_response, memory_edits } = await run(source, {
        agent: { ...agent, secrets: [] },
        arguments: { text: 'rest' },
      })
      assert.deepEqual(JSON.parse(textOf(func_response)), ['ada', 'nothing yet', 'rest', false])
      assert.deepEqual(memory_edits, { plan: 'rest' })
      const failed = await run(
        `export function f(agent_state: any) { agent_state.memory.update_block_value('plan', 'x'); throw new Error('no') }`,
        { agent },
      )
      assert.deepEqual(failed.memory_edits, {})
      const missing = await run(
        `export function f(agent_state: any) { agent_state.memory.get_block('diary') }`,
        { agent },
      )
      assert.match(JSON.stringify(missing.func_response), /no memory block 'diary'; it has: human, plan/)
    })

    it('has a client for the API as the agent, for as long as the call', async () => {
      scopes.length = 0
      const source = `import { tool } from 'loci/tool'
        import { z } from 'zod'
        export default tool({ name: 'make', description: 'Makes a block.', input: z.object({}),
          async run(_, { client }: any) {
            const block = await client.blocks.create({ label: 'note', value: 'made by a tool' })
            const again = await (globalThis as any).client.blocks.retrieve(block.id)
            return again.value
          } })`
      assert.equal(await returns(source, { agent, run_id: 'run-1' }), 'made by a tool')
      assert.equal((await loci.letta.blocks.list({ label: 'note' })).items[0]?.value, 'made by a tool')
      assert.deepEqual(scopes[0], {
        actor: { user_id: 'user-1', organization_id: DEFAULT_ORGANIZATION_ID },
        agent_id: agent.id,
        run_id: 'run-1',
      })
    })

    it('refuses its client what a tool must not ask, in a sentence', async () => {
      const ask = (call: string) =>
        run(
          `export async function ask() { return ${call} }`.replaceAll('client', '(globalThis as any).client'),
        )
      for (const call of [
        `client.tools.list()`,
        `client.tools.create({ source_code: 'x' })`,
        `client.agents.update('agent-1', { secrets: { A: 'b' } })`,
        `client.agents.update('agent-1', { tool_rules: [] })`,
        `client.agents.exportFile('agent-1')`,
        `client.get('/v1/agents/../tools/')`,
        `client.agents.messages.create('agent-1', { messages: [{ type: 'approval', approve: true, approval_request_id: 'message-1' }] })`,
      ]) {
        const { status, func_response } = await ask(call)
        assert.equal(status, 'error', call)
        assert.match(JSON.stringify(func_response), /The client inside a tool may not/, call)
      }
      const missing = await ask(`client.blocks.retrieve('block-00000000-0000-4000-8000-000000000000')`)
      assert.match(JSON.stringify(missing.func_response), /404/)
    })

    it('starts each call afresh, unless the tool keeps its state', async () => {
      const source = `let calls = 0
        export const count = () => ++calls`
      assert.equal(await returns(source, { agent }), '1')
      assert.equal(await returns(source, { agent }), '1')
      const permissions = { keep_state: true }
      assert.equal(await returns(source, { agent, permissions }), '1')
      assert.equal(await returns(source, { agent, permissions }), '2')
      // Another agent, and another version of the source, have their own.
      assert.equal(await returns(source, { agent: { ...agent, id: 'agent-2' }, permissions }), '1')
      assert.equal(await returns(`${source}\n// changed`, { agent, permissions }), '1')
      const side = await Promise.all([1, 2, 3].map(() => returns(source, { agent, permissions })))
      assert.deepEqual(side.sort(), ['3', '4', '5'])
    })

    it('begins again after a call that ended the process of a tool that keeps its state', async () => {
      const source = `let calls = 0
        export const count = (end = false) => { if (end) process.exit(1); return ++calls }`
      const permissions = { keep_state: true }
      assert.equal(await returns(source, { permissions }), '1')
      assert.equal((await run(source, { permissions, arguments: { end: true } })).status, 'error')
      assert.equal(await returns(source, { permissions }), '1')
    })

    it('imports the packages that it names', async () => {
      const call = {
        source: {
          source_type: 'typescript' as const,
          source_code: `import { pad } from 'left'
            import { z } from 'zod'
            export function shift(text: string) { return pad(text) + typeof z.object }`,
          pip_requirements: [],
          npm_requirements: [{ name: 'left' }],
        },
        arguments: { text: 'x' },
      }
      assert.equal(await returns('', call), '  xfunction')
    })

    it('reads and writes what it declares, and not the data directory', async () => {
      const open = join(folder, 'open')
      await mkdir(open)
      await chmod(open, 0o777)
      await writeFile(join(open, 'note'), 'a note')
      const source = `import { readFileSync, writeFileSync } from 'node:fs'
        export function copy(from: string, to: string) { writeFileSync(to, readFileSync(from, 'utf8').toUpperCase()); return 'done' }`
      const given = { from: join(open, 'note'), to: join(open, 'copy') }
      assert.equal((await run(source, { arguments: given, permissions: { read: [open] } })).status, 'error')
      assert.equal(await returns(source, { arguments: given, permissions: { write: [open] } }), 'done')
      assert.equal(await readFile(given.to, 'utf8'), 'A NOTE')
      assert.equal(
        await returns(source, { arguments: { from: given.from, to: 'here' }, permissions: { read: [open] } }),
        'done',
      )
      for (const [declared, says] of [
        [loci.data, /where Loci keeps its data/],
        [join(loci.data, 'loci.db'), /where Loci keeps its data/],
        ['./here', /is relative/],
        ['/', /no tool gets the whole machine/],
        ['/proc/self', /no tool gets at \/proc/],
        ['/dev', /no tool gets at \/dev/],
        ['/no/such/folder', /is not there/],
      ] as const) {
        const { status, func_response } = await run(source, {
          arguments: given,
          permissions: { read: [declared] },
        })
        assert.equal(status, 'error')
        assert.match(JSON.stringify(func_response), says)
      }
      if (wall.kind === 'none') return
      const around = await run(
        `export async function look() { return (await import('node:fs')).readdirSync(${JSON.stringify(loci.data)}) }`,
        {
          permissions: { read: [tmpdir()] },
        },
      )
      assert.doesNotMatch(JSON.stringify(around), /loci\.db/)
    })

    it('reaches the network when it declares it', async () => {
      const source = `export async function ask() { return (await fetch('${loci.url}/v1/health/')).status }`
      assert.equal(await returns(source, { permissions: { network: true } }), '200')
    })

    it('rejects when it is cancelled, and leaves nothing running', async () => {
      const abort = new AbortController()
      const source = `export async function wait() { setInterval(() => undefined, 1000); await new Promise(() => undefined) }`
      const running = run(source, { signal: abort.signal })
      abort.abort(new Error('enough'))
      await assert.rejects(running, /enough/)
      const begun = new AbortController()
      const client = `export async function wait() { await (globalThis as any).client.blocks.list(); await new Promise(() => undefined) }`
      const asked = scopes.length
      const second = run(client, { signal: begun.signal })
      // Its first request says that it runs.
      while (scopes.length === asked) await new Promise((resolve) => setImmediate(resolve))
      begun.abort(new Error('stopped'))
      await assert.rejects(second, /stopped/)
    })

    it('runs many at once', async () => {
      const source = 'export const square = (n: number) => n * n'
      const all = await Promise.all(
        Array.from({ length: 12 }, (_, n) => returns(source, { arguments: { n } })),
      )
      assert.deepEqual(
        all,
        Array.from({ length: 12 }, (_, n) => String(n * n)),
      )
    })
  })
}
