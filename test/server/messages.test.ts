import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel, ScriptedStep } from '../support/scripted-model.ts'

const REMEMBER: ScriptedStep[] = [
  {
    reply: {
      tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Lives in London.' } }],
    },
  },
  {
    expect: (body) => assert.equal(body.messages.at(-1)?.role, 'tool'),
    reply: { text: 'I will remember London.' },
  },
]

describe('messages over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))
  const newAgent = () =>
    t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [
        { label: 'human', value: 'Name: Ada' },
        { label: 'persona', value: 'Kind.' },
      ],
    })

  it('runs a tool step and answers with V1 messages in order', async () => {
    model.add(...REMEMBER)
    const agent = await newAgent()
    const answer = await t.letta.agents.messages.create(agent.id, {
      messages: [{ role: 'user', content: 'I live in London' }],
    })
    assert.deepEqual(
      answer.messages.map((m) => m.message_type),
      ['tool_call_message', 'tool_return_message', 'assistant_message'],
    )
    const [call, result, text] = answer.messages
    assert.ok(call?.message_type === 'tool_call_message' && Array.isArray(call.tool_calls))
    assert.equal(call.tool_calls[0]?.name, 'memory_insert')
    assert.ok(result?.message_type === 'tool_return_message')
    assert.equal(result.status, 'success')
    assert.equal(result.tool_return, 'Name: Ada\nLives in London.')
    assert.ok(text?.message_type === 'assistant_message')
    assert.equal(text.content, 'I will remember London.')
    assert.deepEqual(answer.stop_reason, { message_type: 'stop_reason', stop_reason: 'end_turn' })
    assert.equal(answer.usage.step_count, 2)
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.equal(block.value, 'Name: Ada\nLives in London.')

    const runs = await t.http('GET', `/v1/runs/?agent_id=${agent.id}`)
    const [run] = runs.body as { id: string; status: string; stop_reason: string }[]
    assert.deepEqual([run?.status, run?.stop_reason], ['completed', 'end_turn'])
    const steps = await t.http('GET', `/v1/runs/${run?.id}/steps`)
    assert.equal((steps.body as unknown[]).length, 2)
  })

  it('keeps the prompt to the byte within a turn and across turns, and recompiles it after an edit', async () => {
    const agent = await newAgent()
    const from = model.requests.length
    model.add(...REMEMBER, { reply: { text: 'one' } }, { reply: { text: 'two' } })
    for (const input of ['I live in London', 'first', 'second'])
      await t.letta.agents.messages.create(agent.id, { input })
    const asked = model.requests.slice(from).map((r) => r.body.messages)
    const systems = asked.map((messages) => messages[0]?.content)
    assert.equal(systems[0], systems[1], 'the same within the turn that edits memory')
    assert.notEqual(systems[1], systems[2], 'compiled again at the start of the next turn')
    assert.match(String(systems[2]), /Lives in London\./)
    assert.equal(systems[2], systems[3], 'the same while nothing changes')
    const [a = [], b = []] = [asked[2], asked[3]]
    assert.equal(
      JSON.stringify(b.slice(0, a.length)),
      JSON.stringify(a),
      'the whole request is a prefix of the next',
    )
  })

  it('streams steps: ping, whole messages, stop reason, usage', async () => {
    model.add(...REMEMBER)
    const agent = await newAgent()
    const stream = await t.letta.agents.messages.create(agent.id, {
      input: 'I live in London',
      streaming: true,
    })
    const types: string[] = []
    for await (const item of stream) types.push(item.message_type ?? '')
    assert.deepEqual(types, [
      'ping',
      'tool_call_message',
      'tool_return_message',
      'assistant_message',
      'stop_reason',
      'usage_statistics',
    ])
  })

  it('streams tokens: deltas that share id and otid and add up to what is stored', async () => {
    model.add(...REMEMBER)
    const agent = await newAgent()
    const stream = await t.letta.agents.messages.stream(agent.id, {
      messages: [{ role: 'user', content: 'I live in London' }],
      stream_tokens: true,
    })
    let text = ''
    let args = ''
    const ids = new Set<string>()
    for await (const item of stream) {
      if (item.message_type === 'assistant_message' && typeof item.content === 'string') {
        text += item.content
        ids.add(`${item.id} ${item.otid}`)
      }
      if (item.message_type === 'tool_call_message') {
        assert.deepEqual(item.tool_calls, item.tool_call, 'one delta object, not an array')
        args += item.tool_call.arguments ?? ''
      }
    }
    assert.equal(text, 'I will remember London.')
    assert.equal(ids.size, 1)
    assert.deepEqual(JSON.parse(args), { label: 'human', new_string: 'Lives in London.' })
    const stored = await t.letta.agents.messages.list(agent.id, { limit: 1 })
    const last = stored.items.at(0)
    assert.ok(last?.message_type === 'assistant_message')
    assert.deepEqual([`${last.id} ${last.otid}`], [...ids])
  })

  it('lists messages with V1 cursors: after is newer, before is older', async () => {
    const agent = await newAgent()
    const said = ['a', 'b', 'c', 'd']
    for (const text of said) {
      model.add({ reply: { text: `re ${text}` } })
      await t.letta.agents.messages.create(agent.id, { input: text })
    }
    const texts = (items: { message_type?: string; content?: unknown }[]) => items.map((m) => m.content)
    const newest = await t.letta.agents.messages.list(agent.id, { limit: 3 })
    assert.deepEqual(texts(newest.items as never), ['re d', 'd', 're c'])
    const older = await t.letta.agents.messages.list(agent.id, {
      limit: 2,
      before: newest.items.at(-1)?.id ?? '',
    })
    assert.deepEqual(texts(older.items as never), ['c', 're b'])
    const newer = await t.letta.agents.messages.list(agent.id, {
      after: older.items[0]?.id ?? '',
      order: 'asc',
    })
    assert.deepEqual(texts(newer.items as never), ['re c', 'd', 're d'])
    const all: unknown[] = []
    for await (const m of t.letta.agents.messages.list(agent.id, { limit: 2, order: 'asc' }))
      if (m.message_type === 'user_message') all.push(m.content)
    assert.deepEqual(all, said)
    // V1's quirk, which clients rely on: without an order, `after` the oldest of a page is what is newer, again and again.
    const listed = (await t.letta.agents.messages.list(agent.id)).items.length
    let yielded = 0
    for await (const _ of t.letta.agents.messages.list(agent.id)) yielded++
    assert.equal(yielded, (listed * (listed + 1)) / 2)
  })

  it('stores the input before the model is asked, and says which provider and URL failed', async () => {
    const agent = await newAgent()
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key provided' } } } })
    const failure = await t.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'are you there?' })
    assert.equal(failure.status, 401)
    const { error } = failure.body as { error: { type: string; message: string } }
    assert.equal(error.type, 'llm_authentication')
    assert.ok(error.message.includes('openai') && error.message.includes(model.url), error.message)
    assert.equal(failure.headers.get('x-should-retry'), 'false')
    const [last] = (await t.letta.agents.messages.list(agent.id, { limit: 1 })).items
    assert.ok(last?.message_type === 'user_message')
    assert.equal(last.content, 'are you there?')
    model.add({ reply: { text: 'I am now.' } })
    const again = await t.letta.agents.messages.create(agent.id, { input: 'and now?' })
    assert.equal(again.messages.length, 1)
  })

  it('tells a streaming client of a failing model inside the stream', async () => {
    const agent = await newAgent()
    model.add({ reply: { raw: '<html>not a model</html>', content_type: 'text/html' } })
    const stream = await t.letta.agents.messages.create(agent.id, { input: 'hi', streaming: true })
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, /llm_error|test-model|openai/)
  })

  it('gives the model an error return for unknown tools and broken arguments, and goes on', async () => {
    const agent = await newAgent()
    model.add(
      { reply: { tool_calls: [{ name: 'launch_rocket', arguments: {} }] } },
      {
        expect: (body) =>
          assert.match(String(body.messages.at(-1)?.content), /there is no tool 'launch_rocket'/),
        reply: { tool_calls: [{ name: 'memory_insert', arguments: '{"label": "human", ' }] },
      },
      {
        expect: (body) => assert.match(String(body.messages.at(-1)?.content), /not valid JSON/),
        reply: { text: 'Sorry.' },
      },
    )
    const answer = await t.letta.agents.messages.create(agent.id, { input: 'go' })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
  })

  it('runs two calls of one id, and stores them under ids of their own', async () => {
    const agent = await newAgent()
    const call = (new_string: string) => ({
      id: 'call_same',
      name: 'memory_insert',
      arguments: { label: 'human', new_string },
    })
    model.add(
      { reply: { tool_calls: [call('Lives in London.'), call('Likes tea.')] } },
      {
        expect: (body) => {
          const asked = body.messages.flatMap((message) => message.tool_calls ?? []).map(({ id }) => id)
          const returned = body.messages.flatMap((message) => message.tool_call_id ?? [])
          assert.equal(new Set(asked).size, 2)
          assert.deepEqual(returned, asked)
        },
        reply: { text: 'Noted.' },
      },
    )
    const answer = await t.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'remember' })
    assert.equal(answer.status, 200)
    const block = await t.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.equal(block.value, 'Name: Ada\nLives in London.\nLikes tea.')
  })

  it('answers 409 with the run while a turn runs, and the turn outlives its client', async () => {
    const agent = await newAgent()
    let release: () => void = () => undefined
    const hold = new Promise<void>((resolve) => {
      release = resolve
    })
    const index = model.requests.length
    model.add({ reply: { text: 'done at last', hold } })
    const abort = new AbortController()
    const gone = fetch(`${t.url}/v1/agents/${agent.id}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'slow' }),
      signal: abort.signal,
    })
    await model.request(index)
    const busy = await t.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'again' })
    assert.equal(busy.status, 409)
    const { detail, run_id } = busy.body as { detail: string; run_id: string }
    assert.match(detail, /^CONVERSATION_BUSY/)
    assert.match(run_id, /^run-/)
    abort.abort()
    await assert.rejects(gone)
    release()
    const run = await eventually('the run completes without its client', async () => {
      const { body } = await t.http('GET', `/v1/runs/${run_id}`)
      return (body as { status: string }).status === 'completed' ? body : null
    })
    assert.ok(run)
    const [last] = (await t.letta.agents.messages.list(agent.id, { limit: 1 })).items
    assert.ok(last?.message_type === 'assistant_message' && last.content === 'done at last')
  })

  it('cancels a turn and keeps the conversation usable', async () => {
    const agent = await newAgent()
    const index = model.requests.length
    model.add({ reply: { text: 'never', hold: new Promise(() => undefined) } })
    const sent = t.letta.agents.messages.create(agent.id, { input: 'slow' })
    await model.request(index)
    const cancelled = await t.letta.agents.messages.cancel(agent.id)
    assert.deepEqual(Object.values(cancelled), ['cancelled'])
    assert.equal((await sent).stop_reason.stop_reason, 'cancelled')
    model.add({ reply: { text: 'here' } })
    assert.equal((await t.letta.agents.messages.create(agent.id, { input: 'ok?' })).messages.length, 1)
  })

  it('stops after max_steps with its tools run', async () => {
    const agent = await newAgent()
    const call = { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } }
    model.add(call, call)
    const answer = await t.letta.agents.messages.create(agent.id, { input: 'loop', max_steps: 2 })
    assert.equal(answer.stop_reason.stop_reason, 'max_steps')
    assert.equal(answer.messages.at(-1)?.message_type, 'tool_return_message')
  })
})

describe('the event feed', () => {
  it('tells of changes, resumes after a cursor, and ends with its reader', async () => {
    const t = await startLoci()
    try {
      const abort = new AbortController()
      const response = await fetch(`${t.url}/v1/events`, { signal: abort.signal })
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      assert.ok(reader)
      let text = ''
      const until = async (pattern: RegExp) => {
        while (!pattern.test(text)) {
          const { value, done } = await reader.read()
          assert.ok(!done, `the feed ended before ${pattern}: ${text}`)
          text += value
        }
      }
      await until(/event: ready\nid: \d+\n/)
      const agent = await t.letta.agents.create({
        model: 'loci/demo',
        memory_blocks: [{ label: 'human', value: '' }],
      })
      await until(new RegExp(`"type":"agent.created","object_id":"${agent.id}"`))
      await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'new' })
      await until(/"type":"block.updated"/)
      abort.abort()
      const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((m) => Number(m[1]))
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      )
      const resumed = await fetch(`${t.url}/v1/events?after=${ids[0]}`)
      const again = resumed.body?.pipeThrough(new TextDecoderStream()).getReader()
      let replay = ''
      while (!replay.includes('block.updated')) replay += (await again?.read())?.value ?? ''
      assert.match(replay, /agent\.created[\s\S]*block\.updated/)
      await again?.cancel()
      const newest = ids.at(-1)
      for (const [path, headers] of [
        ['/v1/events?after=999999999', {}],
        ['/v1/events', { 'last-event-id': '999999999' }],
      ] as const) {
        const future = await fetch(t.url + path, { headers })
        const feed = future.body?.pipeThrough(new TextDecoderStream()).getReader()
        let said = ''
        while (!said.includes('\n\n')) said += (await feed?.read())?.value ?? ''
        assert.equal(said, `event: ready\nid: ${newest}\ndata: {"id":${newest},"reset":true}\n\n`, path)
        await feed?.cancel()
      }
      const junk = await fetch(`${t.url}/v1/events`, { headers: { 'last-event-id': 'junk' } })
      assert.equal(junk.status, 422)
      assert.match(((await junk.json()) as { detail: string }).detail, /Last-Event-ID.*'junk'/)
    } finally {
      await t.close()
    }
  })
})
