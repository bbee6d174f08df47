import assert from 'node:assert/strict'
import { openInProcess } from '../../shared/client/in-process.ts'
import {
  cleanEnvironment,
  loci,
  LOCI,
  type Running,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

/** A host by hand: what it writes, and when it goes, is up to the test. */
function speak(server: Running, message: Record<string, unknown>): void {
  server.child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

describe('loci mcp when its host leaves in mid-turn', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let model: ScriptedModel
  let server: Running | null = null
  let answer: PromiseWithResolvers<void>

  beforeEach(async function () {
    folder = await temporaryFolder()
    answer = Promise.withResolvers()
    model = await startScriptedModel([
      { reply: { text: 'Done at last.', hold: answer.promise } },
      ...(this.currentTest?.title.includes('told to end') ? [{ reply: { text: 'Done by another.' } }] : []),
    ])
    env = cleanEnvironment(folder.path, { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
    const created = await loci(['chat', 'Slow', '--create', '--model', 'openai/test-model'], { env })
    assert.equal(created.code, 0, created.stderr)
    server = start(process.execPath, [LOCI, 'mcp'], env)
    const clientInfo = { name: 'test', version: '1' }
    speak(server, {
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
    })
    await server.waitFor(/"id":1/)
    speak(server, { method: 'notifications/initialized' })
    const args = { agent: 'Slow', message: 'Take your time' }
    speak(server, { id: 2, method: 'tools/call', params: { name: 'agent_send_message', arguments: args } })
    await model.request(0)
  })
  afterEach(async () => {
    answer.resolve()
    await server?.stop()
    await model.close()
    await folder.remove()
  })

  /** What the agent's last run came to, and the last thing it said. */
  async function outcome(): Promise<{ status: unknown; said: unknown }> {
    const client = await openInProcess({ data: env['LOCI_HOME'], env })
    try {
      const agent = await client.findAgent('Slow')
      const [run] = (await client.letta.runs.list({ agent_id: agent.id })).getPaginatedItems()
      const messages = (await client.letta.agents.messages.list(agent.id)).getPaginatedItems()
      const said = messages.flatMap((item) =>
        item.message_type === 'assistant_message' ? [item.content] : [],
      )
      return { status: run?.status, said: said.at(-1) }
    } finally {
      await client.close()
    }
  }

  /** Closes stdin and waits until that was noticed. */
  async function leave(): Promise<void> {
    server?.child.stdin?.end()
    await eventually('the host was missed', () => (/host has gone/.test(server?.stderr ?? '') ? true : null))
    assert.equal((await outcome()).status, 'running')
  }

  it('lets the turn end, and then ends itself', async () => {
    await leave()
    const asked = await model.request(0)
    answer.resolve()
    assert.equal(await withDeadline(asked.ended, 'the answer of the model'), 'answered')
    assert.deepEqual(await withDeadline(server!.exited, 'its end'), { code: 0, signal: null })
    assert.deepEqual(await outcome(), { status: 'completed', said: 'Done at last.' })
    await model.done()
  })

  it('leaves the turn to another process when it is told to end before that', async () => {
    await leave()
    const asked = await model.request(0)
    server?.child.kill('SIGTERM')
    assert.equal(await withDeadline(asked.ended, 'the request to the model'), 'aborted')
    assert.deepEqual(await withDeadline(server!.exited, 'its end'), { code: 0, signal: null })
    const client = await openInProcess({ data: env['LOCI_HOME'], env })
    try {
      const agent = await client.findAgent('Slow')
      const ended = await eventually('the turn goes on', async () => {
        const [run] = (await client.letta.runs.list({ agent_id: agent.id })).getPaginatedItems()
        return run?.status === 'completed' ? run : null
      })
      assert.equal(ended.stop_reason, 'end_turn')
    } finally {
      await client.close()
    }
    assert.deepEqual(await outcome(), { status: 'completed', said: 'Done by another.' })
    await model.done()
  })
})
