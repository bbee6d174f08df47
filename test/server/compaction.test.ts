import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import type { ChatBody } from '../support/model-wire.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

/** What a provider says of a request that is too long. */
const TOO_LONG = {
  status: 400,
  body: {
    error: {
      code: 'context_length_exceeded',
      message: "This model's maximum context length is 3000 tokens, but the messages are 4000 tokens.",
    },
  },
}
const WORDS = 'The harbour master counted twelve boats and wrote each name into the ledger. '
const WINDOW = 6_000

describe('a context that is full', () => {
  let model: ScriptedModel
  let loci: TestLoci
  withLociEach((started) => ({ model, t: loci } = started), {
    models: ['test-model', 'helper'].map((id) => ({ id, context_length: WINDOW })),
  })

  const newAgent = (more: Letta.AgentCreateParams = {}) =>
    loci.letta.agents.create({
      model: SCRIPTED,
      compaction_settings: { model: SCRIPTED },
      memory_blocks: [{ label: 'human', value: 'Name: Ada' }],
      ...more,
    })
  /** A message and its answer; `usage` is what the provider counts. */
  const say = async (agent_id: string, input: string, text: string, usage?: number) => {
    model.add({
      reply: { text, ...(usage === undefined ? {} : { usage: counted(usage) }) },
    })
    return loci.letta.agents.messages.create(agent_id, { input })
  }
  const counted = (total: number) => ({
    prompt_tokens: total - 20,
    completion_tokens: 20,
    total_tokens: total,
  })
  const fill = async (agent_id: string, turns: number) => {
    for (let i = 1; i <= turns; i++) await say(agent_id, `Question ${i}? ${WORDS}`, `Answer ${i}. ${WORDS}`)
  }
  const bodyOf = (index: number): ChatBody => model.requests.at(index)!.body
  const contents = (body: ChatBody) => body.messages.map((m) => `${m.role}: ${String(m.content)}`)
  const records = async (agent_id: string) =>
    (await loci.http('GET', `/v1/agents/${agent_id}/compactions`)).body as Record<string, unknown>[]

  it('is summarised after the step that filled it: the newest messages stay, all are still listed', async () => {
    const { id } = await newAgent()
    await fill(id, 8)
    const before = await loci.letta.agents.messages.list(id, { limit: 100 })
    model.add(
      { reply: { text: 'Answer 9.', usage: counted(0.95 * WINDOW) } },
      {
        expect: (body) => {
          assert.equal(body.tools, undefined)
          assert.match(contents(body)[1] ?? '', /user: Question 1\?/)
          assert.match(contents(body)[1] ?? '', /assistant: Answer 2/)
          assert.doesNotMatch(contents(body)[1] ?? '', /Question 9/)
        },
        reply: { text: 'They counted boats.' },
      },
    )
    const answer = await loci.letta.agents.messages.create(id, { input: 'Question 9?' })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    await say(id, 'And now?', 'Fine.')
    const shown = contents(bodyOf(-1))
    assert.match(shown[1] ?? '', /^user: .*system_alert.*They counted boats\./)
    assert.match(shown[2] ?? '', /^assistant: Answer/, 'what stays begins with an answer')
    assert.ok(shown.includes('assistant: Answer 9.'))
    assert.equal(shown.at(-1), 'user: And now?')
    const after = await loci.letta.agents.messages.list(id, { limit: 100 })
    const kept = new Set(after.items.map((m) => m.id))
    assert.ok(
      before.items.every((m) => kept.has(m.id)),
      'nothing left the history',
    )
    const [record] = await records(id)
    assert.ok(record)
    assert.deepEqual(
      [
        record['trigger'],
        record['mode_used'],
        record['model'],
        record['fallback'],
        record['run_id'] !== null,
      ],
      ['post_step_context_check', 'sliding_window', SCRIPTED, false, true],
    )
    const { body } = await loci.http('GET', `/v1/agents/${id}/compactions/${String(record['id'])}`)
    const detail = body as { evicted_message_ids: string[]; evicted_count: number; last_evicted_id: string }
    assert.equal(detail.evicted_message_ids.length, detail.evicted_count)
    assert.equal(detail.evicted_message_ids.at(-1), detail.last_evicted_id)
    const { message_ids } = await loci.letta.agents.retrieve(id)
    assert.ok(detail.evicted_message_ids.every((gone) => !message_ids?.includes(gone)))
    await model.done()
  })

  it('is made shorter when the provider calls it too long, and the message is answered', async () => {
    const { id } = await newAgent()
    await fill(id, 6)
    model.add({ reply: TOO_LONG }, { reply: { text: 'Boats, mostly.' } }, { reply: { text: 'Yes.' } })
    const answer = await loci.letta.agents.messages.create(id, { input: 'Do you follow?' })
    assert.deepEqual(
      answer.messages.map((m) => m.message_type),
      ['user_message', 'assistant_message'],
      "the summary comes as V1's packed user message",
    )
    const shown = contents(bodyOf(-1))
    assert.match(shown[1] ?? '', /Boats, mostly\./)
    assert.equal(shown.at(-1), 'user: Do you follow?')
    assert.equal((await records(id))[0]?.['trigger'], 'context_window_exceeded')
    await model.done()
  })

  it('is cut down without a model when no summariser answers, and says so', async () => {
    const { id } = await newAgent({ compaction_settings: { model: 'openai/helper' } })
    await fill(id, 6)
    const down = (message: string) => ({ reply: { status: 400, body: { error: { message } } } })
    model.add({ reply: TOO_LONG }, down('no help today'), down('no summaries today'), down('still none'), {
      reply: { text: 'Still here.' },
    })
    const answer = await loci.letta.agents.messages.create(id, { input: 'Are you there?' })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    const shown = contents(bodyOf(-1))
    assert.match(shown[1] ?? '', /No model could write this summary/)
    assert.match(shown[1] ?? '', /user: Question 1\?/)
    const [record] = await records(id)
    assert.equal(record?.['fallback'], true)
    assert.equal(record?.['model'], null)
    const problems = record?.['problems'] as string[]
    assert.match(problems[0] ?? '', /no help today/)
    assert.match(problems[1] ?? '', /no summaries today/)
    await model.done()
  })

  it('is summed up by the agent’s model when the default summariser is not there: no problem of anybody’s', async () => {
    const agent = await loci.letta.agents.create({ model: SCRIPTED })
    assert.equal(agent.compaction_settings?.model, 'openai/gpt-5-mini')
    await fill(agent.id, 4)
    model.add({ reply: { text: 'Boats.' } })
    await loci.letta.agents.messages.compact(agent.id)
    const [record] = await records(agent.id)
    assert.deepEqual([record?.['model'], record?.['problems'], record?.['fallback']], [SCRIPTED, [], false])
  })

  it('says why the agent itself could not sum up: its context and the question together did not fit', async () => {
    const { id } = await newAgent()
    for (let i = 1; i <= 3; i++) await say(id, `${i}. ${WORDS.repeat(60)}`, 'Noted.')
    await loci.letta.agents.update(id, { context_window_limit: 3_000 })
    model.add({ reply: { text: 'Boats.' } })
    const compaction_settings = { mode: 'self_compact_all' as const }
    await loci.letta.agents.messages.compact(id, { compaction_settings })
    const [record] = await records(id)
    assert.equal(record?.['mode_used'], 'all')
    assert.match(String(record?.['problems']), /do not fit into the window/)
  })

  it('has a summariser that is there, or is refused', async () => {
    const { id } = await newAgent()
    const compaction_settings = { model: 'openai/not-there' }
    await assert.rejects(newAgent({ compaction_settings }), { status: 404 })
    await assert.rejects(loci.letta.agents.update(id, { compaction_settings }), { status: 404 })
    await fill(id, 2)
    await assert.rejects(loci.letta.agents.messages.compact(id, { compaction_settings }), { status: 404 })
  })

  it('is announced and summed up on the wire when the client asks for it', async () => {
    const { id } = await newAgent()
    await fill(id, 6)
    model.add({ reply: TOO_LONG }, { reply: { text: 'Boats.' } }, { reply: { text: 'Yes.' } })
    const stream = await loci.letta.agents.messages.stream(id, {
      input: 'Do you follow?',
      include_compaction_messages: true,
      stream_tokens: true,
      include_pings: false,
    })
    const items: { message_type?: string; [key: string]: unknown }[] = []
    for await (const item of stream) items.push(item as (typeof items)[number])
    const types = items.map((item) => item.message_type)
    assert.deepEqual(types.slice(0, 3), ['event_message', 'summary_message', 'assistant_message'])
    assert.deepEqual(types.slice(-2), ['stop_reason', 'usage_statistics'])
    const [event, summary] = items
    assert.equal(event?.['event_type'], 'compaction')
    assert.match(String(summary?.['summary']), /Boats\./)
    const stats = summary?.['compaction_stats'] as Record<string, number | string>
    assert.equal(stats['trigger'], 'context_window_exceeded')
    assert.ok(Number(stats['messages_count_after']) < Number(stats['messages_count_before']))
    assert.ok(Number(stats['context_tokens_after']) < Number(stats['context_tokens_before']))

    await fill(id, 4)
    model.add({ reply: TOO_LONG }, { reply: { text: 'More boats.' } }, { reply: { text: 'Yes.' } })
    const answer = await loci.letta.agents.messages.create(id, {
      input: 'Still?',
      include_compaction_messages: true,
    })
    assert.deepEqual(
      answer.messages.map((m) => m.message_type),
      ['event_message', 'summary_message', 'assistant_message'],
    )
    await model.done()
  })

  it('stops for a system prompt that alone is too large, and goes on once a block is shortened', async () => {
    const { id } = await newAgent({
      memory_blocks: [{ label: 'notes', value: WORDS.repeat(500) }],
    })
    await assert.rejects(
      loci.letta.agents.messages.create(id, { input: 'Hello?' }),
      (error: { status?: number; message: string }) => {
        assert.equal(error.status, 400)
        assert.match(error.message, /system prompt and the tools of this agent alone are about \d+ tokens/)
        assert.match(error.message, /6000 tokens/)
        return true
      },
    )
    const [run] = (await loci.letta.runs.list({ agent_id: id })).items
    assert.deepEqual([run?.status, run?.stop_reason], ['failed', 'context_window_overflow_in_system_prompt'])

    const streamed = await fetch(`${loci.url}/v1/agents/${id}/messages/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'And now?' }),
    })
    const text = await streamed.text()
    assert.match(text, /"stop_reason":"context_window_overflow_in_system_prompt"/)
    assert.match(text, /event: error\ndata: .*"error_type":"context_window_overflow_in_system_prompt"/)

    await loci.letta.agents.blocks.update('notes', { agent_id: id, value: 'short' })
    const answer = await say(id, 'Better?', 'Much better.')
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    assert.ok(contents(bodyOf(-1)).includes('user: Hello?'), 'what was said meanwhile is not lost')
    await model.done()
  })

  it('tells of a system prompt over the limit also when the model answered all the same', async () => {
    const { id } = await newAgent({
      context_window_limit: 1_100,
      memory_blocks: [{ label: 'notes', value: WORDS.repeat(30) }],
    })
    const answer = await say(id, 'Hello?', 'Hello.', 1_330)
    assert.equal(answer.stop_reason.stop_reason, 'context_window_overflow_in_system_prompt')
    assert.ok(answer.messages.some((m) => m.message_type === 'assistant_message' && m.content === 'Hello.'))
  })

  it('refuses a message that is larger than the window by its numbers, and goes on without it', async () => {
    const { id } = await newAgent()
    await say(id, 'Hello?', 'Hello.')
    const giant = WORDS.repeat(2000)
    await assert.rejects(
      loci.letta.agents.messages.create(id, { input: giant }),
      (error: { status?: number; message: string }) => {
        assert.equal(error.status, 400)
        assert.match(error.message, /The message is about \d+ tokens/)
        assert.match(error.message, /context window of 6000 tokens/)
        return true
      },
    )
    const answer = await say(id, 'A short one?', 'Good.')
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    const shown = contents(bodyOf(-1))
    assert.equal(model.requests.length, 2, 'an endpoint might have cut it, and the system message with it')
    assert.ok(!shown.some((text) => text.includes(giant)))
    assert.ok(shown.includes('assistant: Hello.'), 'nothing was summarised for it')
    const listed = await loci.letta.agents.messages.list(id, { limit: 100 })
    assert.ok(
      listed.items.some((m) => m.message_type === 'user_message' && m.content === giant),
      'it stays in the history',
    )
  })

  it('names the smaller window that the provider says it has, and how to make it known', async () => {
    const { id } = await newAgent()
    model.add({ reply: TOO_LONG })
    await assert.rejects(
      loci.letta.agents.messages.create(id, { input: WORDS.repeat(300) }),
      (error: { status?: number; message: string }) => {
        assert.equal(error.status, 400)
        assert.match(
          error.message,
          /the 3000 tokens that the provider of .* takes \(context_window_limit is 6000\)/,
        )
        assert.match(error.message, /set context_window_limit to at most 3000/)
        assert.doesNotMatch(error.message, /raise context_window_limit/)
        return true
      },
    )
    assert.equal((await say(id, 'A short one?', 'Good.')).stop_reason.stop_reason, 'end_turn')
  })

  it('never loses a call or its return: cuts fall between them', async () => {
    const { id } = await newAgent()
    for (let i = 0; i < 6; i++) {
      model.add(
        {
          reply: {
            tool_calls: [{ name: 'conversation_search', arguments: { query: `boat ${i}` } }],
          },
        },
        { reply: { text: `Found ${i}.` } },
      )
      await loci.letta.agents.messages.create(id, { input: `Find boat ${i}` })
    }
    model.add({ reply: TOO_LONG }, { reply: { text: 'Searches.' } }, { reply: { text: 'Done.' } })
    await loci.letta.agents.messages.create(id, { input: 'Well?' })
    const { messages } = bodyOf(-1)
    const calls = messages.flatMap((m) => m.tool_calls?.map((call) => call.id) ?? [])
    const returns = messages.flatMap((m) => m.tool_call_id ?? [])
    assert.ok(calls.length > 0 && calls.length < 6)
    assert.deepEqual(returns, calls)
    await model.done()
  })

  for (const mode of ['self_compact_all', 'self_compact_sliding_window'] as const)
    it(`lets the agent itself sum up with the same prompt prefix, to the byte (${mode})`, async () => {
      const { id } = await newAgent({ compaction_settings: { mode } })
      await fill(id, 8)
      model.add(
        { reply: { text: 'Answer 9.', usage: counted(0.95 * WINDOW) } },
        { reply: { text: 'I counted boats.' } },
      )
      await loci.letta.agents.messages.create(id, { input: 'Question 9?' })
      const turn = model.requests.at(-2)!.bytes.toString()
      const summary = model.requests.at(-1)!.bytes.toString()
      const messages = bodyOf(-1).messages
      // Up to the prompt, the last message, the bytes are those of the turn's own request.
      const prompt = summary.indexOf(JSON.stringify(messages.at(-1)))
      const shared =
        mode === 'self_compact_all' ? prompt - ',{"role":"assistant","content":"Answer 9."},'.length : prompt
      assert.ok(shared > 2_000, `${shared}`)
      assert.equal(summary.slice(0, shared), turn.slice(0, shared))
      assert.deepEqual(bodyOf(-1).tools, bodyOf(-2).tools)
      assert.match(String(messages.at(-1)?.content), /System notice/)
      const [record] = await records(id)
      assert.deepEqual([record?.['mode_used'], record?.['model']], [mode, SCRIPTED])
      await model.done()
    })

  it('is made shorter between two steps of a turn too, and the turn goes on', async () => {
    const { id } = await newAgent()
    await fill(id, 8)
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'conversation_search', arguments: { query: 'boats' } }],
          usage: counted(0.95 * WINDOW),
        },
      },
      { reply: { text: 'They counted boats.' } },
      { reply: { text: 'Twelve.' } },
    )
    const answer = await loci.letta.agents.messages.create(id, { input: 'How many boats?' })
    assert.deepEqual(
      answer.messages.map((m) => m.message_type),
      ['tool_call_message', 'tool_return_message', 'user_message', 'assistant_message'],
    )
    const { messages } = bodyOf(-1)
    assert.match(String(messages[1]?.content), /They counted boats\./)
    assert.deepEqual(
      messages.slice(-3).map((m) => m.role),
      ['user', 'assistant', 'tool'],
    )
    await model.done()
  })

  it('keeps the question that is being answered, word for word, whatever the summary says', async () => {
    const { id } = await newAgent({ compaction_settings: { model: SCRIPTED, mode: 'all' } })
    await fill(id, 2)
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'conversation_search', arguments: { query: 'boats' } }],
          usage: counted(0.95 * WINDOW),
        },
      },
      { reply: { text: 'Something was said.' } },
      { reply: { text: 'Twelve.' } },
    )
    await loci.letta.agents.messages.create(id, { input: 'How many boats did the master count?' })
    const [, summary] = contents(bodyOf(-1))
    assert.match(summary ?? '', /Something was said\..*word for word:.*How many boats did the master count\?/)
    await model.done()
  })

  it('is known to be full also of a provider that reports no usage', async () => {
    const { id } = await newAgent({ context_window_limit: 2_500 })
    model.add({ reply: { text: WORDS.repeat(120), usage: null } }, { reply: { text: 'Much about boats.' } })
    await loci.letta.agents.messages.create(id, { input: 'Tell me all' })
    assert.equal((await records(id))[0]?.['trigger'], 'post_step_context_check')
    await model.done()
  })

  it('is made shorter before a request that is known to be too long', async () => {
    const { id } = await newAgent()
    await fill(id, 8)
    await loci.letta.agents.update(id, { context_window_limit: 800 })
    model.add({ reply: { text: 'Boats.' } }, { reply: { text: 'Yes.' } })
    await loci.letta.agents.messages.create(id, { input: 'Still there?' })
    assert.equal((await records(id))[0]?.['trigger'], 'context_window_exceeded')
    assert.equal(contents(bodyOf(-1)).at(-1), 'user: Still there?')
    await model.done()
  })

  it('keeps a call that waits for an approval, which can be given afterwards', async () => {
    const { id } = await newAgent({
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
    })
    await fill(id, 4)
    model.add({
      reply: {
        text: 'May I note that?',
        tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes boats.' } }],
      },
    })
    const asked = await loci.letta.agents.messages.create(id, { input: 'I like boats' })
    assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
    model.add({ reply: { text: 'Talk of boats.' } })
    await loci.letta.agents.messages.compact(id, { compaction_settings: { mode: 'all' } })
    const request = asked.messages.find((m) => m.message_type === 'approval_request_message')
    assert.ok(request && 'tool_call' in request)
    const { tool_call } = request
    model.add({ reply: { text: 'Noted.' } })
    const done = await loci.letta.agents.messages.create(id, {
      messages: [
        {
          type: 'approval',
          approvals: [{ type: 'approval', tool_call_id: tool_call.tool_call_id ?? '', approve: true }],
        },
      ],
    })
    assert.equal(done.stop_reason.stop_reason, 'end_turn')
    const { messages } = bodyOf(-1)
    assert.match(String(messages[1]?.content), /Talk of boats\./)
    assert.deepEqual(
      messages.slice(2).map((m) => m.role),
      ['assistant', 'tool'],
    )
    const block = await loci.letta.agents.blocks.retrieve('human', { agent_id: id })
    assert.match(block.value, /Likes boats\./)
    await model.done()
  })

  it('is made shorter on request, and refuses when nothing would be won', async () => {
    const { id } = await newAgent()
    await assert.rejects(loci.letta.agents.messages.compact(id), { status: 400 })
    await fill(id, 4)
    model.add({ reply: { text: 'All about boats.' } })
    const done = await loci.letta.agents.messages.compact(id, { compaction_settings: { mode: 'all' } })
    assert.deepEqual(done, { summary: 'All about boats.', num_messages_before: 9, num_messages_after: 2 })
    await assert.rejects(loci.letta.agents.messages.compact(id), { status: 400 })
    const overview = (await loci.http('GET', `/v1/agents/${id}/context`)).body as Record<string, unknown>
    assert.match(String(overview['summary_memory']), /All about boats\./)
    assert.equal(overview['num_messages'], 2)
    const [record] = await records(id)
    assert.deepEqual([record?.['trigger'], record?.['mode'], record?.['run_id']], ['manual', 'all', null])
    await model.done()
  })

  it('is made shorter on request however few messages fill it', async () => {
    const { id } = await newAgent()
    await fill(id, 2)
    model.add({ reply: { text: 'Boats were counted.' } })
    const done = await loci.letta.agents.messages.compact(id)
    assert.equal(done.summary, 'Boats were counted.')
    assert.ok(done.num_messages_after < done.num_messages_before)
    const other = await newAgent()
    const long = (await loci.letta.conversations.create({ agent_id: other.id })).id
    for (let i = 1; i <= 4; i++) {
      model.add({ reply: { text: `Noted ${i}.`, usage: counted(i * 0.2 * WINDOW) } })
      const body = { input: `${i}. ${WORDS.repeat(60)}`, streaming: false } as const
      await loci.letta.conversations.messages.create(long, body)
    }
    model.add({ reply: { text: 'Many boats.' } })
    const { status, body } = await loci.http('POST', `/v1/conversations/${long}/compact`, {})
    assert.equal(status, 200, JSON.stringify(body))
    await model.done()
  })

  it('answers 409 with the run while a turn runs', async () => {
    const { id } = await newAgent()
    await fill(id, 3)
    const { promise, resolve } = Promise.withResolvers<void>()
    const count = model.requests.length
    model.add({ reply: { text: 'Slowly.', hold: promise } })
    const turn = loci.letta.agents.messages.create(id, { input: 'Take your time' })
    await model.request(count)
    await assert.rejects(loci.letta.agents.messages.compact(id), { status: 409 })
    resolve()
    await turn
    await model.done()
  })

  it('has settings with defaults, which merge, and whose prompt follows the mode', async () => {
    const agent = await loci.letta.agents.create({ model: SCRIPTED })
    const settings = agent.compaction_settings
    assert.deepEqual(
      [settings?.mode, settings?.clip_chars, settings?.sliding_window_percentage, settings?.model],
      ['sliding_window', 50_000, 0.3, 'openai/gpt-5-mini'],
    )
    const own = await loci.letta.agents.update(agent.id, { compaction_settings: { prompt: 'Be brief.' } })
    assert.deepEqual(
      [own.compaction_settings?.prompt, own.compaction_settings?.mode],
      ['Be brief.', 'sliding_window'],
    )
    const other = await loci.letta.agents.update(agent.id, {
      compaction_settings: { mode: 'all', clip_chars: 100 },
    })
    assert.equal(other.compaction_settings?.clip_chars, 100)
    assert.match(other.compaction_settings?.prompt ?? '', /transcript/)
  })
})
