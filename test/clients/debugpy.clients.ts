import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withDeadline } from '../support/cli-process.ts'
import { openDebugAdapter } from '../support/dap.ts'
import { eventually, SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const STORED = `def add(a: int, b: int) -> str:
    """Adds.

    Args:
        a: One.
        b: Another.
    """
    total = a + b
    return f"stored: {total}"
`
const OWN = STORED.replace('    return', '    print("adding")\n    return').replace('stored', 'own')
/** Of the `print`, from 1. */
const LINE = 9

interface DebugRun {
  state: string
  target: { protocol: string; host: string; port: number } | null
  outcome: string | null
  result: string | null
}

/** Installs debugpy from the package index, as a user's first debug run does. */
describe('debugging a Python tool', function () {
  this.timeout(240_000)
  let model: ScriptedModel
  let t: TestLoci
  let folder: string
  withLociEach((started) => ({ model, t } = started))
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loci-debug-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('stops at a breakpoint in the file while an agent calls the tool', async () => {
    const file = join(folder, 'add.py')
    await writeFile(file, OWN)
    const { id: tool_id } = await t.letta.tools.create({ source_code: STORED })
    const { id } = await t.letta.agents.create({
      model: SCRIPTED,
      tool_ids: [tool_id],
      include_base_tools: false,
    })
    const path = `/v1/tools/${tool_id}/debug`
    assert.equal((await t.http('POST', path, { path: file })).status, 200)
    model.add(
      { reply: { tool_calls: [{ id: 'call-1', name: 'add', arguments: { a: 40, b: 2 } }] } },
      {
        expect: (body) => assert.match(JSON.stringify(body.messages.at(-1)), /own: 42/),
        reply: { text: 'It is 42.' },
      },
    )
    const answer = t.letta.agents.messages.create(id, { input: 'Add.' })
    const run = await eventually(
      'a port for the debugger',
      async () => {
        const { body } = await t.http('GET', path)
        const { state, target, result } = body as DebugRun
        assert.notEqual(state, 'ended', result ?? '')
        return target
      },
      200_000,
    )
    assert.equal(run.protocol, 'dap')
    const adapter = await openDebugAdapter(run.host, run.port)
    try {
      await adapter.send('initialize', { adapterID: 'debugpy', linesStartAt1: true, pathFormat: 'path' })
      // Answered when the configuration is done.
      const attached = adapter.send('attach', { justMyCode: true })
      await adapter.event('initialized')
      await adapter.send('setBreakpoints', { source: { path: file }, breakpoints: [{ line: LINE }] })
      await adapter.send('configurationDone')
      await attached
      const { threadId, reason } = await adapter.event('stopped')
      assert.equal(reason, 'breakpoint')
      const { stackFrames } = (await adapter.send('stackTrace', { threadId })) as {
        stackFrames: { id: number; line: number; source: { path: string } }[]
      }
      const [frame] = stackFrames
      assert.deepEqual([frame?.source.path, frame?.line], [file, LINE])
      const total = await adapter.send('evaluate', { expression: 'total', frameId: frame?.id })
      assert.equal(total['result'], '42')
      await adapter.send('continue', { threadId })
      const { messages } = await withDeadline(answer, 'the turn')
      const returned = messages.find((message) => message.message_type === 'tool_return_message')
      assert.ok(returned && 'tool_return' in returned)
      assert.deepEqual([returned.tool_return, returned.stdout], ['own: 42', ['adding']])
    } finally {
      adapter.close()
    }
    const ended = (await t.http('GET', path)).body as DebugRun
    assert.deepEqual([ended.state, ended.outcome, ended.result], ['ended', 'success', 'own: 42'])
  })
})
