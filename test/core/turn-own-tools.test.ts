import assert from 'node:assert/strict'
import { createTool } from '../../shared/schema/custom-tool.ts'
import { updateTool, upsertTool } from '../../shared/core/tools/own-tools.ts'
import { streamRun } from '../../shared/server/letta-stream.ts'
import { lazyCustomTools } from '../../shared/tools/lazy-custom-tools.ts'
import { createCustomTools } from '../../shared/tools/sandbox/custom-tools.ts'
import { openWall } from '../../shared/tools/sandbox/wall.ts'
import { createToolSources } from '../../shared/tools/source/sources.ts'
import { createToolRunner } from '../../shared/tools/tool-runner.ts'
import { eventually } from '../support/loci.ts'
import { actor, call, calls, openTurnTest, says, SEARCH, type TurnTest } from '../support/turn-test.ts'

const SOURCE = `
/** Says hello. */
export function hello(): string {
  return 'hello'
}
`

describe("a turn with tools of one's own", () => {
  let t: TurnTest
  beforeEach(async () => {
    t = await openTurnTest()
  })
  afterEach(async () => {
    await t.deps.custom?.close()
    await t.close()
  })

  async function withTool(more: object = {}) {
    const { custom } = t.deps
    t.tools = createToolRunner(custom ? { custom } : {})
    const body = createTool.parse({ source_code: SOURCE, source_type: 'typescript', ...more })
    const tool = await upsertTool(t.deps, actor, body)
    return { tool, agent: await t.newAgent({ tool_ids: [tool.id] }) }
  }

  describe('where there is no wall', () => {
    beforeEach(() => {
      const nobody = () => Promise.resolve(Response.json({}))
      t.deps.custom = createCustomTools({
        sources: createToolSources(),
        api: nobody,
        hide: [],
        languages: {},
        open: () => openWall({ kinds: [] }),
      })
    })

    it('waits for an approval of every call, and says why', async () => {
      const { agent } = await withTool()
      const result = await t.turn(agent.id, [calls(call('hello', {}))])
      assert.equal(result.stop_reason, 'requires_approval')
      const [asked] = (await t.stored(agent.id)).slice(-1)
      assert.equal(asked?.role, 'approval')
      const wall = await t.deps.custom?.wall()
      assert.equal(
        asked.approval_reason,
        `The code of hello could do anything on this machine: ${wall?.description}`,
      )
    })

    it('does not where the tool says that it need not', async () => {
      const { tool, agent } = await withTool()
      await updateTool(t.deps, actor, tool.id, { default_requires_approval: false })
      const result = await t.turn(agent.id, [calls(call('hello', {})), says('ok')])
      assert.equal(result.stop_reason, 'end_turn')
    })
  })

  it('tells what takes long before a call begins, as it comes', async () => {
    const { agent } = await withTool({
      source_code: '',
      source_type: 'json',
      json_schema: { name: 'unused' },
    })
    const gate = Promise.withResolvers<void>()
    t.tools = {
      builtins: t.tools.builtins,
      async run(_, { onProgress }) {
        onProgress?.('Installing one.')
        await gate.promise
        onProgress?.('Installing two.')
        return { status: 'success', func_response: 'done' }
      },
    }
    t.script = [calls(SEARCH), says('ok')]
    const active = await t.start(agent.id)
    const speaking = { assistant_message_tool_name: 'send_message', assistant_message_tool_kwarg: 'message' }
    const shape = {
      stream_tokens: true,
      types: null,
      include_pings: true,
      speaking: { ...speaking, use_assistant_message: true },
    }
    const reader = streamRun(active, shape).body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const until = async (wanted: RegExp) => {
      for (;;) {
        if (wanted.test(text)) return
        const { value, done } = (await reader?.read()) ?? { done: true }
        assert.ok(!done, `the stream ended: ${text}`)
        text += value
      }
    }
    await until(/"message_type":"ping"[^\n]*"text":"Installing one\."/)
    gate.resolve()
    await until(/\[DONE\]/)
    assert.match(text, /Installing two\.[^]*tool_return_message/)
    assert.equal((await active.done).stop_reason, 'end_turn')
  })

  it('ends what runs when it is cancelled, and the agent goes on afterwards', async () => {
    t.deps.custom = lazyCustomTools({
      data: '/nowhere',
      env: process.env,
      api: () => Promise.resolve(Response.json({})),
    })
    const { agent } = await withTool({
      source_code: '/** Never ends. */\nexport async function hello(): Promise<string> { for (;;); }\n',
    })
    t.script = [calls(call('hello', {}))]
    const active = await t.start(agent.id)
    await eventually('the tool is called', async () => (t.requests.length === 1 ? true : null))
    active.cancel()
    const result = await active.done
    assert.equal(result.status, 'cancelled')
    assert.equal((await t.turn(agent.id, [says('next')])).stop_reason, 'end_turn')
  })
})
