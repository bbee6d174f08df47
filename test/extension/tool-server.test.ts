import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { armTool, endDebugRun, followDebugRun } from '../../extension/host/tools/debug-run.ts'
import { attachTo } from '../../extension/host/tools/debug-target.ts'
import { callTool } from '../../extension/host/tools/run-call.ts'
import { checkTool, differs, pushTool, toolNamed } from '../../extension/host/tools/server-tool.ts'
import { describeTool } from '../../extension/host/tools/tool-texts.ts'
import { connect, type LociClient } from '../../shared/client/http.ts'
import type { ToolFile } from '../../shared/client/tool-files.ts'
import type { DebugTarget } from '../../shared/schema/tool-debug.ts'
import { openInspector } from '../support/inspector.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'

const SOURCE = `/**
 * Adds.
 *
 * @param a - One number.
 * @param b - Another.
 */
export function add(a: number, b = 1): string {
  console.log('adding')
  return String(a + b)
}
`
const fileOf = (source_code: string): ToolFile => ({
  path: 'add.ts',
  source_type: 'typescript',
  source_code,
  settings: {},
})

describe("a tool's file and the server", () => {
  let loci: TestLoci
  let client: LociClient
  before(async () => {
    loci = await startLoci()
    client = connect({ url: loci.url })
  })
  after(async () => {
    await client?.close()
    await loci?.close()
  })

  it('are checked: the schema that a model gets, and problems with their places', async () => {
    const { name, json_schema, errors } = await checkTool(client, fileOf(SOURCE))
    assert.deepEqual([name, errors], ['add', []])
    const { required } = (json_schema ?? {})['parameters'] as { required: string[] }
    assert.deepEqual(required, ['a'])
    const wrong = await checkTool(client, fileOf(SOURCE.replace('a: number', 'a: Map<string, string>')))
    assert.equal(wrong.errors[0]?.line, 7)
  })

  it('differ until the file is pushed; what the file does not say stays', async () => {
    assert.equal(await toolNamed(client, 'add'), null)
    const made = await pushTool(client, fileOf(SOURCE), null)
    assert.equal(differs(fileOf(SOURCE), made), false)
    await client.letta.tools.update(made.id, { tags: ['sums'] })
    const there = await toolNamed(client, 'add')
    assert.ok(there)
    assert.equal(differs(fileOf(SOURCE), there), false)
    assert.equal(differs({ ...fileOf(SOURCE), settings: { tags: ['math'] } }, there), true)
    const changed = await pushTool(client, fileOf(SOURCE.replace('Adds', 'Sums up')), there)
    assert.deepEqual([changed.id, changed.tags], [made.id, ['sums']])
    assert.equal(describeTool(changed), changed.source_code)
  })

  it('shows of a tool without source what the model is told', async () => {
    const text = describeTool(await toolNamed(client, 'memory_insert'))
    assert.equal((JSON.parse(text) as { name: string }).name, 'memory_insert')
  })

  it('runs with what it returns and prints', async () => {
    const { signal } = new AbortController()
    const outcome = await callTool(client, fileOf(SOURCE), { a: 2 }, signal)
    assert.deepEqual([outcome.state, outcome.text, outcome.stdout], ['returned', '3', 'adding'])
    assert.ok(outcome.duration > 0)
    const failing = fileOf(SOURCE.replace("console.log('adding')", "throw new Error('no')"))
    const failed = await callTool(client, failing, { a: 2 }, signal)
    assert.equal(failed.state, 'failed')
    assert.match(failed.text, /no/)
  })

  it('stops running when it is cancelled', async () => {
    const endless = fileOf(SOURCE.replace("console.log('adding')", 'for (;;) {}'))
    const outcome = await callTool(client, endless, { a: 2 }, AbortSignal.timeout(300))
    assert.equal(outcome.state, 'cancelled')
  })

  describe('debugged', () => {
    let folder: string
    let path: string
    let tool_id: string
    let agent_id: string
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'loci-debug-'))
      path = join(folder, 'add.ts')
      await writeFile(path, SOURCE)
      tool_id = (await pushTool(client, fileOf(SOURCE), await toolNamed(client, 'add'))).id
      agent_id = (
        await client.letta.agents.create({ name: 'Adder', model: 'loci/demo', tool_ids: [tool_id] })
      ).id
    })
    after(() => rm(folder, { recursive: true, force: true }))
    const call = () => client.letta.agents.tools.run('add', { agent_id, args: { a: 2 } })

    it('says when an agent calls it and what to attach to, and how the call has ended', async () => {
      const armed = await armTool(client, tool_id, path)
      assert.equal(armed.state, 'armed')
      const callers: (string | null)[] = []
      const followed = followDebugRun(
        client,
        armed,
        {
          called: (agent) => callers.push(agent),
          async attach(target) {
            assert.equal(attachTo(armed, target, '/ours').type, 'pwa-node')
            const inspector = await openInspector(target.url ?? '')
            await inspector.send('Debugger.enable')
            await inspector.send('Runtime.runIfWaitingForDebugger')
            await inspector.event('Debugger.paused')
            await inspector.send('Debugger.resume')
            inspector.close()
          },
        },
        new AbortController().signal,
      )
      const [answer, run] = await Promise.all([call(), followed])
      assert.equal(answer.status, 'success')
      assert.deepEqual(callers, [agent_id])
      assert.deepEqual([run.state, run.outcome, run.result], ['ended', 'success', '3'])
    })

    it('is over when the developer cancels it while the call waits', async () => {
      const abort = new AbortController()
      const armed = await armTool(client, tool_id, path)
      const watcher = { called: () => undefined, attach: () => Promise.resolve(abort.abort()) }
      const followed = followDebugRun(client, armed, watcher, abort.signal)
      const [answer, run] = await Promise.all([call(), followed])
      assert.equal(run.outcome, 'cancelled')
      assert.equal(answer.status, 'error')
    })

    it('ends the call when no debugger can be attached', async () => {
      const armed = await armTool(client, tool_id, path)
      const watcher = { called: () => undefined, attach: () => Promise.reject(new Error('no debugger')) }
      const followed = followDebugRun(client, armed, watcher, new AbortController().signal)
      const answer = call()
      await assert.rejects(followed, /no debugger/)
      assert.equal((await answer).status, 'error')
    })

    it('is ended by somebody else, and then by nobody', async () => {
      const armed = await armTool(client, tool_id, path)
      const watcher = { called: () => undefined, attach: () => Promise.resolve() }
      const followed = followDebugRun(client, armed, watcher, new AbortController().signal)
      await endDebugRun(client, tool_id)
      assert.equal((await followed).outcome, 'cancelled')
      await endDebugRun(client, tool_id)
      await eventually('nothing is armed', async () => ((await call()).status === 'success' ? true : null))
    })
  })
})

describe('what VS Code attaches with', () => {
  const inspector: DebugTarget = {
    protocol: 'inspector',
    host: '127.0.0.1',
    port: 9,
    url: 'ws://127.0.0.1:9/x',
  }

  it('goes on from the first line, keeps to original places, and steps over our own code', () => {
    const { type, request, ...options } = attachTo({ name: 'add' }, inspector, 'C:\\ext\\dist')
    assert.deepEqual([type, request], ['pwa-node', 'attach'])
    assert.deepEqual(
      [options['websocketAddress'], options['continueOnAttach'], options['sourceMaps']],
      ['ws://127.0.0.1:9/x', true, true],
    )
    assert.deepEqual(options['skipFiles'], ['<node_internals>/**', 'C:/ext/dist/**', '**/loci/dist/**'])
  })

  it('is debugpy for Python', () => {
    const target: DebugTarget = { protocol: 'dap', host: '127.0.0.1', port: 9, url: null }
    const { type, connect: place } = attachTo({ name: 'add' }, target, '/ours')
    assert.deepEqual([type, place], ['debugpy', { host: '127.0.0.1', port: 9 }])
  })
})
