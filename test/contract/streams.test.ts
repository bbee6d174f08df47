import assert from 'node:assert/strict'
import { type ContractTest, type RecordedCall, withContractTestEach } from '../support/contract.ts'

interface Item {
  message_type: string
  [key: string]: unknown
}

/** The items of a stream with their event names; `[DONE]` is the last. */
function itemsOf(call: RecordedCall): Item[] {
  assert.equal(call.events.at(-1)?.data, '[DONE]', 'a stream ends with [DONE]')
  return call.events.slice(0, -1).map((item) => JSON.parse(item.data) as Item)
}

const INSERT = { name: 'memory_insert', arguments: { label: 'human', new_string: 'In London.' } }

describe('message streams, each item held against the contract', () => {
  let t: ContractTest
  withContractTestEach((started) => (t = started))

  /** Sends a message over plain HTTP and reads the stream to its end. */
  async function stream(agent_id: string, body: object, path = 'messages/stream'): Promise<RecordedCall> {
    const url = `${t.loci.url}/v1/agents/${agent_id}/${path}`
    const response = await t.recorder.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
    await response.text()
    await t.recorder.verify()
    return t.recorder.calls.at(-1)!
  }

  it('goes ping with the run, whole messages of each step, stop reason, usage, [DONE]', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { reasoning: 'A city.', tool_calls: [INSERT] } }, { reply: { text: 'Noted.' } })
    const call = await stream(id, { input: 'I am in London' })
    const items = itemsOf(call)
    assert.deepEqual(
      items.map((item) => item.message_type),
      [
        'ping',
        'reasoning_message',
        'tool_call_message',
        'tool_return_message',
        'assistant_message',
        'stop_reason',
        'usage_statistics',
      ],
    )
    assert.ok(
      call.events.every((item) => item.event === null),
      'ordinary items have no event name',
    )
    const [run] = (await t.letta.runs.list({ agent_id: id })).items
    assert.deepEqual(
      [...new Set(items.flatMap((item) => ('run_id' in item ? [item['run_id']] : [])))],
      [run?.id],
      'every item names the run',
    )
    assert.deepEqual(items.at(-2), { message_type: 'stop_reason', stop_reason: 'end_turn' })
    assert.equal(items.at(-1)?.['step_count'], 2)
    assert.deepEqual(items.at(-1)?.['run_ids'] ?? [run?.id], [run?.id])
    const stored = (await t.letta.runs.messages.list(run?.id ?? '')).items.slice(1)
    assert.deepEqual(items.slice(1, -2), stored, 'what was streamed is what is listed')
  })

  it('is the same when POST …/messages is asked to stream', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { text: 'Hello.' } })
    const call = await stream(id, { input: 'Hi', streaming: true }, 'messages')
    assert.deepEqual(
      itemsOf(call).map((item) => item.message_type),
      ['ping', 'assistant_message', 'stop_reason', 'usage_statistics'],
    )
  })

  it('has no pings when none are asked for, and only the types that are', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { reasoning: 'Hm.', tool_calls: [INSERT] } }, { reply: { text: 'Hello.' } })
    const call = await stream(id, {
      input: 'Hi',
      include_pings: false,
      include_return_message_types: ['assistant_message'],
    })
    assert.deepEqual(
      itemsOf(call).map((item) => item.message_type),
      ['assistant_message', 'stop_reason', 'usage_statistics'],
    )
  })

  it('streams tokens as deltas that keep id and otid and add up to the stored messages', async () => {
    const { id } = await t.newAgent()
    t.model.add(
      { reply: { reasoning: ['A ', 'city', '.'], text: ['One ', 'moment.'], tool_calls: [INSERT] } },
      { reply: { text: ['I will ', 'remember', ' London.'] } },
    )
    const items = itemsOf(await stream(id, { input: 'I am in London', stream_tokens: true }))
    const parts = new Map<string, { type: string; text: string; deltas: Item[] }>()
    for (const item of items.filter((i) => 'otid' in i)) {
      const key = `${String(item['id'])} ${String(item['otid'])}`
      const part = parts.get(key) ?? { type: item.message_type, text: '', deltas: [] }
      assert.equal(part.type, item.message_type, 'one otid is one part')
      const call = item['tool_call'] as { arguments?: string | null } | undefined
      const text = item['reasoning'] ?? item['content'] ?? call?.arguments ?? ''
      part.text += item.message_type === 'tool_return_message' ? 'returned' : (text as string)
      part.deltas.push(item)
      parts.set(key, part)
    }
    assert.deepEqual(
      [...parts.values()].map((part) => [part.type, part.text]),
      [
        ['reasoning_message', 'A city.'],
        ['assistant_message', 'One moment.'],
        ['tool_call_message', JSON.stringify(INSERT.arguments)],
        ['tool_return_message', 'returned'],
        ['assistant_message', 'I will remember London.'],
      ],
    )
    const text = [...parts.values()].at(-1)
    assert.equal(text?.deltas.length, 3, 'each delta of the model is sent as it comes')
    const run_id = items[0]?.['run_id'] as string
    const stored = (await t.letta.runs.messages.list(run_id)).items.slice(1)
    assert.deepEqual(
      stored.map((m) => `${'id' in m ? m.id : ''} ${'otid' in m ? m.otid : ''}`),
      [...parts.keys()],
      'the stored messages have the ids and otids that were streamed',
    )
  })

  it('names a tool call in its first delta and puts the same single object in both fields', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { tool_calls: [INSERT] } }, { reply: { text: 'Noted.' } })
    const items = itemsOf(await stream(id, { input: 'Hi', stream_tokens: true }))
    const deltas = items.filter((item) => item.message_type === 'tool_call_message')
    const first = deltas[0]?.['tool_call'] as Record<string, unknown>
    assert.equal(first['name'], 'memory_insert')
    assert.match(String(first['tool_call_id']), /^call_/)
    for (const delta of deltas) {
      assert.deepEqual(delta['tool_calls'], delta['tool_call'])
      assert.ok(!Array.isArray(delta['tool_calls']))
    }
  })

  it('puts several returns of one step in one item while tokens are streamed', async () => {
    const { id } = await t.newAgent()
    const search = { name: 'conversation_search', arguments: { query: 'x' } }
    t.model.add({ reply: { tool_calls: [INSERT, search] } }, { reply: { text: 'Both done.' } })
    const items = itemsOf(await stream(id, { input: 'Hi', stream_tokens: true }))
    const returns = items.filter((item) => item.message_type === 'tool_return_message')
    assert.equal(returns.length, 1)
    const list = returns[0]?.['tool_returns'] as { tool_call_id: string }[]
    assert.equal(list.length, 2)
    assert.equal(returns[0]?.['tool_call_id'], list[0]?.tool_call_id, 'the legacy field is the first')
  })

  it('tells of a model that fails in an event named error, then ends', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key provided' } } } })
    const call = await stream(id, { input: 'Hi' })
    const items = itemsOf(call)
    assert.deepEqual(
      items.map((item) => item.message_type),
      ['ping', 'stop_reason', 'error_message'],
    )
    assert.deepEqual(
      call.events.map((item) => item.event),
      [null, null, 'error', null],
    )
    const error = items.at(-1)
    assert.equal(error?.['error_type'], 'llm_authentication')
    assert.equal(error?.['run_id'], items[0]?.['run_id'])
    const run = await t.letta.runs.retrieve(String(error?.['run_id']))
    assert.deepEqual([run.status, run.stop_reason], ['failed', items[1]?.['stop_reason']])
  })

  it('makes the official client throw on a failing model', async () => {
    const { id } = await t.newAgent()
    t.model.add({ reply: { status: 400, body: { error: { message: 'no such parameter' } } } })
    const answer = await t.letta.agents.messages.create(id, { input: 'Hi', streaming: true })
    await assert.rejects(async () => {
      for await (const _ of answer);
    }, /no such parameter|llm_bad_request/)
  })

  it('ends a cancelled turn with that stop reason and [DONE]', async () => {
    const { id } = await t.newAgent()
    const gate = Promise.withResolvers<void>()
    t.model.add({ reply: { text: ['Once', ' upon'], hold: gate.promise, hold_after: 2 } })
    const ended = stream(id, { input: 'Tell me', stream_tokens: true })
    await t.model.request(0)
    await t.letta.agents.messages.cancel(id)
    const items = itemsOf(await ended)
    assert.deepEqual(items.at(-1), { message_type: 'stop_reason', stop_reason: 'cancelled' })
    assert.ok(!items.some((item) => item.message_type === 'usage_statistics'))
    gate.resolve()
    await t.say(id, 'Still there?', 'Yes.')
  })

  it('answers what is wrong with a request as ordinary HTTP', async () => {
    const { id } = await t.newAgent()
    const post = (agent_id: string, body: object) =>
      t.http('POST', `/v1/agents/${agent_id}/messages/stream`, body)
    assert.equal((await post(`agent-${crypto.randomUUID()}`, { input: 'x' })).status, 404)
    assert.equal((await post(id, { input: 'x', messages: [{ role: 'user', content: 'x' }] })).status, 422)
    assert.equal((await post(id, {})).status, 422)
    await t.recorder.verify()
  })
})
