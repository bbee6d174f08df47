import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startHandMcp } from '../support/mcp-http.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const USAGE = {
  prompt_tokens: 100,
  completion_tokens: 10,
  total_tokens: 110,
  prompt_tokens_details: { cached_tokens: 40 },
}
/** Words that stand in prompts, answers, arguments and errors alone. */
const WORDS = /private-question|private-answer|private-argument|private-complaint|private-prompt/

describe('OpenTelemetry traces', () => {
  let model: ScriptedModel
  let collector: OtlpReceiver
  let loci: TestLoci | undefined
  beforeEach(async () => {
    model = await startScriptedModel([])
    collector = await startOtlpReceiver()
  })
  afterEach(async () => {
    await loci?.close()
    loci = undefined
    await collector.close()
    await model.close()
  })

  const start = async (env: Record<string, string> = {}) => {
    loci = await startLoci({
      model_url: model.url,
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_SERVICE_NAME: 'my-loci',
        ...env,
      },
    })
    return loci
  }
  const anAgent = async ({ letta }: TestLoci) => {
    const { id } = await letta.agents.create({
      name: 'tracy',
      model: SCRIPTED,
      system: 'private-prompt',
      memory_blocks: [{ label: 'human', value: '' }],
    })
    return id
  }
  const say = async (t: TestLoci, agent_id: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${t.url}/v1/agents/${agent_id}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'private-question' }] }),
    })
    await response.text()
    return response.status
  }
  /** Closing sends what is left. */
  const spansAtTheEnd = async (): Promise<ReceivedSpan[]> => {
    await loci?.close()
    loci = undefined
    return collector.spans()
  }
  const withTool = () =>
    model.add(
      {
        reply: {
          tool_calls: [
            { name: 'memory_insert', arguments: { label: 'human', new_string: 'private-argument' } },
          ],
          usage: USAGE,
        },
      },
      { reply: { text: 'private-answer', usage: USAGE } },
    )

  it('have a span for each turn, model call and tool call, in one trace, without a word of what was said', async () => {
    withTool()
    const t = await start()
    const agent_id = await anAgent(t)
    assert.equal(await say(t, agent_id), 200)
    const spans = await spansAtTheEnd()
    const named = (name: string) => spans.filter((span) => span.name === name)
    const [turn] = named('invoke_agent tracy')
    const chats = named('chat test-model')
    const [tool] = named('execute_tool memory_insert')
    assert.ok(turn && tool)
    assert.equal(spans.length, 4)
    assert.equal(chats.length, 2)
    assert.equal(turn.parent, '')
    for (const span of [...chats, tool])
      assert.deepEqual([span.trace_id, span.parent], [turn.trace_id, turn.id])
    assert.deepEqual([turn.kind, tool.kind, ...chats.map(({ kind }) => kind)], [1, 1, 3, 3])
    assert.deepEqual([turn.resource['service.name']], ['my-loci'])
    const common = { 'gen_ai.agent.id': agent_id, 'gen_ai.conversation.id': agent_id }
    assert.deepEqual(
      { ...turn.attributes, 'loci.run.id': undefined },
      {
        ...common,
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.provider.name': 'loci',
        'gen_ai.agent.name': 'tracy',
        'gen_ai.request.model': SCRIPTED,
        'gen_ai.usage.input_tokens': 200,
        'gen_ai.usage.output_tokens': 20,
        'loci.run.id': undefined,
        'loci.run.status': 'completed',
        'loci.run.stop_reason': 'end_turn',
      },
    )
    const { port } = new URL(model.url)
    assert.deepEqual(chats[1]?.attributes, {
      ...common,
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'test-model',
      'gen_ai.request.stream': false,
      'gen_ai.request.temperature': 1,
      'server.address': '127.0.0.1',
      'server.port': Number(port),
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.output_tokens': 10,
      'gen_ai.usage.cache_read.input_tokens': 40,
      'gen_ai.response.finish_reasons': ['stop'],
    })
    assert.deepEqual(chats[0]?.attributes['gen_ai.response.finish_reasons'], ['tool_call'])
    assert.equal(tool.attributes['gen_ai.tool.name'], 'memory_insert')
    assert.match(String(tool.attributes['gen_ai.tool.call.id']), /^call/)
    assert.doesNotMatch(JSON.stringify(spans), WORDS)
    assert.ok(collector.requests.every(({ path }) => path === '/v1/traces'))
  })

  it('have what was said when the environment asks for it', async () => {
    withTool()
    const t = await start({ OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true' })
    assert.equal(await say(t, await anAgent(t)), 200)
    const spans = await spansAtTheEnd()
    const last = spans.filter(({ name }) => name === 'chat test-model')[1]
    const text = (name: string) => JSON.parse(String(last?.attributes[name])) as unknown
    assert.match(JSON.stringify(text('gen_ai.system_instructions')), /private-prompt/)
    const input = text('gen_ai.input.messages') as { role: string }[]
    assert.deepEqual(
      input.slice(-3).map(({ role }) => role),
      ['user', 'assistant', 'tool'],
    )
    assert.match(JSON.stringify(input), /private-question.*private-argument/)
    assert.deepEqual(text('gen_ai.output.messages'), [
      { role: 'assistant', parts: [{ type: 'text', content: 'private-answer' }], finish_reason: 'stop' },
    ])
    const tool = spans.find(({ name }) => name.startsWith('execute_tool'))
    assert.match(String(tool?.attributes['gen_ai.tool.call.arguments']), /private-argument/)
    assert.ok(String(tool?.attributes['gen_ai.tool.call.result']).length > 0)
  })

  it('go on with the trace of the request, and providers are told which', async () => {
    withTool()
    const t = await start()
    const agent_id = await anAgent(t)
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=1' }
    assert.equal(await say(t, agent_id, headers), 200)
    const spans = await spansAtTheEnd()
    const turn = spans.find(({ name }) => name === 'invoke_agent tracy')
    assert.deepEqual([turn?.trace_id, turn?.parent], [TRACE, PARENT])
    const chats = spans.filter(({ name }) => name === 'chat test-model')
    assert.deepEqual(
      model.requests.map((request) => request.headers['traceparent']),
      chats.map(({ id }) => `00-${TRACE}-${id}-01`),
    )
    assert.equal(model.requests[0]?.headers['tracestate'], 'vendor=1')
  })

  it('of a request that is not sampled are not sent, and of a broken traceparent begin anew', async () => {
    withTool()
    withTool()
    const t = await start()
    const agent_id = await anAgent(t)
    assert.equal(await say(t, agent_id, { traceparent: `00-${TRACE}-${PARENT}-00` }), 200)
    assert.equal(model.requests[0]?.headers['traceparent']?.slice(-3), '-00')
    assert.equal(await say(t, agent_id, { traceparent: 'nonsense' }), 200)
    const spans = await spansAtTheEnd()
    assert.equal(spans.length, 4)
    assert.ok(spans.every(({ trace_id }) => trace_id !== TRACE))
  })

  it('are told to MCP servers over HTTP with the calls of their tools', async () => {
    let told: string | undefined
    const hand = await startHandMcp(({ method }, _, request) => {
      if (method !== 'tools/call') return null
      told = request.headers['traceparent'] as string | undefined
      return { result: { content: [{ type: 'text', text: 'heard' }] } }
    })
    try {
      const t = await start()
      const config = { mcp_server_type: 'streamable_http' as const, server_url: hand.url }
      await t.letta.mcpServers.create({ server_name: 'hand', config })
      const { id } = await t.letta.agents.create({ model: SCRIPTED, tools: ['echo'], memory_blocks: [] })
      model.add(
        { reply: { tool_calls: [{ name: 'echo', arguments: {} }] } },
        { reply: { text: 'private-answer' } },
      )
      assert.equal(await say(t, id), 200)
      const tool = (await spansAtTheEnd()).find(({ name }) => name === 'execute_tool echo')
      assert.equal(tool?.attributes['gen_ai.tool.type'], 'extension')
      assert.equal(told, `00-${tool.trace_id}-${tool.id}-01`)
    } finally {
      await hand.close()
    }
  })

  it('of a turn that another agent asks for stand inside of the call that asked', async () => {
    const t = await start()
    const asked = await t.letta.agents.create({ name: 'asked', model: SCRIPTED, memory_blocks: [] })
    const { id } = await t.letta.agents.create({
      name: 'asking',
      model: SCRIPTED,
      memory_blocks: [],
      tools: ['send_message_to_agent_and_wait_for_reply'],
    })
    const call = {
      name: 'send_message_to_agent_and_wait_for_reply',
      arguments: { message: 'private-argument', other_agent_id: asked.id },
    }
    model.add(
      { reply: { tool_calls: [call] } },
      { reply: { text: 'private-answer' } },
      { reply: { text: 'Done.' } },
    )
    assert.equal(await say(t, id), 200)
    const spans = await spansAtTheEnd()
    const inner = spans.find(({ name }) => name === 'invoke_agent asked')
    const tool = spans.find(({ name }) => name.startsWith('execute_tool'))
    assert.ok(inner && tool)
    assert.deepEqual([inner.trace_id, inner.parent], [tool.trace_id, tool.id])
    const chat = spans.find(({ name, parent }) => name === 'chat test-model' && parent === inner.id)
    assert.equal(chat?.attributes['gen_ai.conversation.id'], asked.id)
  })

  it('tell failures by their kind, not in the words of a provider, which may repeat what it was sent', async () => {
    model.add({ reply: { status: 400, body: { error: { message: 'private-complaint' } } } })
    const t = await start()
    await say(t, await anAgent(t))
    const spans = await spansAtTheEnd()
    const chat = spans.find(({ name }) => name === 'chat test-model')
    assert.equal(chat?.attributes['error.type'], 'llm_bad_request')
    assert.deepEqual(chat?.status, { code: 2 })
    const turn = spans.find(({ name }) => name === 'invoke_agent tracy')
    assert.equal(turn?.status.code, 2)
    assert.equal(turn?.attributes['loci.run.status'], 'failed')
    assert.doesNotMatch(JSON.stringify(spans), WORDS)
  })

  it('are sampled as the environment says, and carry its attributes and headers', async () => {
    model.add({ reply: { text: 'Yes.' } }, { reply: { text: 'Yes.' } })
    const off = await start({ OTEL_TRACES_SAMPLER: 'always_off' })
    assert.equal(await say(off, await anAgent(off)), 200)
    assert.deepEqual(await spansAtTheEnd(), [])
    const on = await start({
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '1',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=here%20now,team=a',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=collector-key',
    })
    assert.equal(await say(on, await anAgent(on)), 200)
    const [span] = await spansAtTheEnd()
    assert.equal(span?.resource['deployment.environment.name'], 'here now')
    assert.equal(span?.resource['team'], 'a')
    assert.equal(collector.requests.at(-1)?.headers['x-api-key'], 'collector-key')
  })

  it('go out as protobuf where nothing else is asked for', async () => {
    model.add({ reply: { text: 'Yes.' } })
    const t = await start({ OTEL_EXPORTER_OTLP_PROTOCOL: '' })
    assert.equal(await say(t, await anAgent(t)), 200)
    await spansAtTheEnd()
    const [request] = collector.requests
    assert.equal(request?.headers['content-type'], 'application/x-protobuf')
    assert.ok(request.bytes.includes('invoke_agent tracy'))
    assert.equal(request.headers['traceparent'], undefined, 'what sends traces is in none')
  })

  it('are off without a collector, or when the environment says so', async () => {
    for (const env of [
      { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
      { OTEL_SDK_DISABLED: 'true' },
      { OTEL_TRACES_EXPORTER: 'none' },
    ]) {
      model.add({ reply: { text: 'Yes.' } })
      const t = await start(env)
      assert.equal(await say(t, await anAgent(t), { traceparent: `00-${TRACE}-${PARENT}-01` }), 200)
      assert.equal(model.requests.at(-1)?.headers['traceparent'], undefined)
      assert.deepEqual(await spansAtTheEnd(), [])
    }
    assert.equal(collector.requests.length, 0)
  })

  it('harm nothing when their collector is not there, or never answers', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    try {
      for (const url of ['http://127.0.0.1:1', `http://127.0.0.1:${port}`]) {
        model.add({ reply: { text: 'Yes.' } }, { reply: { text: 'Yes.' } })
        const t = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '1' })
        const agent_id = await anAgent(t)
        for (let i = 0; i < 2; i++) assert.equal(await say(t, agent_id), 200)
        const began = performance.now()
        await spansAtTheEnd()
        assert.ok(performance.now() - began < 6000, 'the end waits a limited time')
        assert.deepEqual(t.failures, [])
      }
    } finally {
      silent.closeAllConnections()
      silent.close()
    }
  })
})
