import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import type { ChatBody, ScriptedAnswer } from '../support/model-wire.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const ASK = 'send_message_to_agent_and_wait_for_reply'
const TELL = 'send_message_to_agent_async'
const ASK_TAGGED = 'send_message_to_agents_matching_tags'

/** What an agent does with the last thing it was told; agents are known by their system text. */
type Role = (
  last: { role: string; text: string },
  body: ChatBody,
) => ScriptedAnswer & { hold?: Promise<unknown> }

describe('agents that speak to each other, over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  const roles = new Map<string, Role>()
  before(async () => {
    model = await startScriptedModel([], { loop: (body) => roleOf(body)(lastOf(body), body) })
    t = await startLoci({ model_url: model.url, env: { LOCI_AGENT_BUSY_MS: '700' } })
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })
  beforeEach(() => roles.clear())

  function roleOf(body: ChatBody): Role {
    const system = textOf(body.messages[0])
    const found = [...roles].find(([name]) => system.includes(`I am ${name}.`))
    return found?.[1] ?? assert.fail(`nobody plays the agent of: ${system.slice(0, 100)}`)
  }
  async function agent(name: string, role: Role, more: object = {}) {
    // The client's types leave out what is V1's alone.
    const body = {
      name,
      model: SCRIPTED,
      system: `I am ${name}.`,
      include_base_tools: false,
      include_multi_agent_tools: true,
      ...more,
    }
    const made = await t.letta.agents.create(body)
    roles.set(name, role)
    return made
  }
  const send = (agent_id: string, input = 'go') => t.letta.agents.messages.create(agent_id, { input })
  const history = async (agent_id: string) => {
    const page = await t.letta.agents.messages.list(agent_id, { order: 'asc' })
    return page.items as { message_type: string; content?: unknown; sender_id?: string | null }[]
  }
  const runsOf = async (agent_id: string) => (await t.letta.runs.list({ agent_id })).items
  const idle = () =>
    eventually('no run is active', async () => {
      const { body } = await t.http('GET', '/v1/runs/?active=true')
      return (body as unknown[]).length === 0 ? true : null
    })

  it('asks another agent and reads its answer; the other one reads who asks', async () => {
    const expert = await agent('Expert', ({ text }) => ({ text: `about "${text.split('\n').at(-1)}": yes` }))
    const asker = await agent('Asker', ({ role, text }) =>
      role === 'tool'
        ? { text: `It said ${returned(text)}` }
        : call(ASK, { message: 'Is it so?', other_agent_id: expert.id }),
    )
    const answer = await send(asker.id)
    assert.deepEqual(
      answer.messages.map((m) => m.message_type),
      ['tool_call_message', 'tool_return_message', 'assistant_message'],
    )
    assert.equal(said(answer), 'It said about "Is it so?": yes')
    const [, asked] = await history(expert.id)
    assert.equal(asked?.message_type, 'system_message')
    assert.match(String(asked?.content), new RegExp(`Sender: Asker \\(${asker.id}\\).* sent back to it`))
    assert.equal(asked?.sender_id, asker.id)
    const [run] = await runsOf(expert.id)
    assert.deepEqual([run?.status, run?.background], ['completed', false])
  })

  it('sends without waiting; the answer comes as a message of its own', async () => {
    const ids = { boss: '', clerk: '' }
    const { promise: hold, resolve: work } = Promise.withResolvers<void>()
    const boss = await agent('Boss', ({ role, text }) => {
      if (role === 'system') return { text: `heard: ${text.split('\n').at(-1)}` }
      return role === 'tool'
        ? { text: returned(text) }
        : call(TELL, { message: 'Look it up.', other_agent_id: ids.clerk })
    })
    const clerk = await agent('Clerk', ({ role, text }) => {
      if (role === 'tool') return { text: 'reported' }
      assert.match(text, /does not wait/)
      return { ...call(TELL, { message: '42', other_agent_id: ids.boss }), hold }
    })
    Object.assign(ids, { boss: boss.id, clerk: clerk.id })
    assert.equal(said(await send(boss.id)), 'Successfully sent message')
    const [run] = await runsOf(clerk.id)
    assert.deepEqual([run?.status, run?.background], ['running', true])
    work()
    await eventually('the answer came back', async () => {
      const last = (await history(boss.id)).at(-1)
      return last?.content === 'heard: 42' ? true : null
    })
    await idle()
  })

  it('reaches all agents with some tags at once, and says which of them failed', async () => {
    const told: string[] = []
    const member = (name: string, tags: string[]) =>
      agent(name, ({ text }) => (told.push(name), { text: `${name}: ${text.split('\n').at(-1)}` }), { tags })
    const [a, b] = await Promise.all([member('Ann', ['crew', 'day']), member('Bob', ['crew', 'night'])])
    await Promise.all([member('Cid', ['crew']), member('Dan', ['day'])])
    const lead = await agent(
      'Lead',
      ({ role, text }) =>
        role === 'tool'
          ? { text: returned(text) }
          : call(ASK_TAGGED, { message: 'ready?', match_all: ['crew'], match_some: ['day', 'night'] }),
      { tags: ['crew', 'day'] },
    )
    const busy = await t.letta.agents.create({ model: SCRIPTED, tags: ['crew', 'day'], system: 'I am Busy.' })
    const { promise: hold, resolve: free } = Promise.withResolvers<void>()
    roles.set('Busy', () => ({ text: 'at last', hold }))
    const before = model.requests.length
    const other = send(busy.id)
    await model.request(before)
    const answers = JSON.parse(said(await send(lead.id))) as { agent_id: string; response: string }[]
    free()
    await other
    const byId = new Map(answers.map((answer) => [answer.agent_id, answer.response]))
    assert.deepEqual([...byId.keys()].toSorted(), [a.id, b.id, busy.id].toSorted())
    assert.deepEqual([byId.get(a.id), byId.get(b.id)], ['Ann: ready?', 'Bob: ready?'])
    assert.match(byId.get(busy.id) ?? '', /^Error: .*busy with another turn/)
    assert.deepEqual(told.toSorted(), ['Ann', 'Bob'])
  })

  it('refuses what cannot work, in words that the model can use', async () => {
    const stranger = `agent-${crypto.randomUUID()}`
    const crowd = crypto.randomUUID()
    for (let i = 0; i < 26; i++) await t.letta.agents.create({ model: SCRIPTED, tags: [crowd] })
    const tries: [ScriptedAnswer, RegExp][] = []
    const one = await agent('Tester', ({ role }) => {
      if (role === 'tool') tries.shift()
      return tries[0]?.[0] ?? { text: 'done' }
    })
    tries.push(
      [call(ASK, { message: 'x', other_agent_id: stranger }), /there is no agent/],
      [call(ASK, { message: 'x', other_agent_id: 'Bob' }), /there is no agent 'Bob'/],
      [call(ASK, { message: 'x', other_agent_id: one.id }), /to itself/],
      [call(TELL, { message: 'x', other_agent_id: one.id }), /to itself/],
      [call(ASK, { message: 'x' }), /argument 'other_agent_id' is missing/],
      [call(ASK_TAGGED, { message: 'x', match_all: [], match_some: [] }), /name a tag/],
      [call(ASK_TAGGED, { message: 'x', match_all: ['nobody-has-it'], match_some: [] }), /no other agent/],
      [call(ASK_TAGGED, { message: 'x', match_all: [], match_some: [crowd] }), /more than 25 agents/],
    )
    const wanted = [...tries]
    const answer = await send(one.id)
    const returns = answer.messages.flatMap((m) => (m.message_type === 'tool_return_message' ? [m] : []))
    assert.equal(returns.length, wanted.length)
    for (const [i, [, error]] of wanted.entries()) {
      assert.equal(returns[i]?.status, 'error')
      assert.match(returns[i]?.tool_return ?? '', error)
    }
    assert.equal(said(answer), 'done')
  })

  it('does not let agents wait for each other in a circle, nor too deep', async () => {
    const ids: string[] = []
    const depths: number[] = []
    // Each asks the next; the last one asks the first.
    for (const i of [0, 1, 2])
      ids.push(
        (
          await agent(`Ring${i}`, ({ role, text }) =>
            role === 'tool'
              ? { text: returned(text) }
              : call(ASK, { message: 'you?', other_agent_id: ids[(i + 1) % 3] }),
          )
        ).id,
      )
    assert.match(said(await send(ids[0]!)), /Ring0 .* waits for your answer in this very turn/)
    const line: string[] = []
    for (let i = 0; i < 8; i++)
      line.push(
        (
          await agent(`Line${i}`, ({ role, text }) => {
            if (role !== 'tool') depths.push(i)
            return role === 'tool'
              ? { text: returned(text) }
              : call(ASK, { message: 'on', other_agent_id: line[i + 1] })
          })
        ).id,
      )
    assert.match(said(await send(line[0]!)), /5 agents already wait for each other/)
    assert.deepEqual(depths, [0, 1, 2, 3, 4, 5])
    await idle()
  })

  it('ends agents that message each other for ever, by themselves', async () => {
    const ids = { ping: '', pong: '' }
    let messages = 0
    const refused: string[] = []
    const player =
      (other: 'ping' | 'pong'): Role =>
      ({ role, text }) => {
        if (role === 'tool') {
          if (text.includes('Failed')) refused.push(returned(text))
          return { text: 'ok' }
        }
        messages++
        return call(TELL, { message: 'again', other_agent_id: ids[other] })
      }
    ids.ping = (await agent('Ping', player('pong'))).id
    ids.pong = (await agent('Pong', player('ping'))).id
    await send(ids.ping)
    await idle()
    assert.equal(messages, 26)
    assert.match(refused[0] ?? '', /25 messages in a row/)
    // Their conversations are as good as new: what a user says begins a chain of its own.
    await send(ids.pong)
    await idle()
    assert.equal(messages, 52)
  })

  it('ends a flood of messages, however it branches', async () => {
    const flock: string[] = []
    const refused: string[] = []
    for (let i = 0; i < 4; i++)
      flock.push(
        (
          await agent(`Bird${i}`, ({ role, text }) => {
            if (role === 'tool') {
              if (text.includes('Failed')) refused.push(returned(text))
              return { text: 'ok' }
            }
            return {
              tool_calls: flock
                .filter((id) => id !== flock[i])
                .map((id) => ({ name: TELL, arguments: { message: 'tweet', other_agent_id: id } })),
            }
          })
        ).id,
      )
    await send(flock[0]!)
    await idle()
    const stored = await Promise.all(flock.map(history))
    const received = stored.flat().filter((m) => m.message_type === 'system_message' && m.sender_id != null)
    assert.ok(received.length > 25 && received.length <= 100, `${received.length} messages came of one`)
    assert.ok(refused.some((text) => /as many messages as may follow|messages in a row/.test(text)))
  })

  it('waits for an agent that is busy, and says so when that takes too long', async () => {
    const { promise: hold, resolve: free } = Promise.withResolvers<void>()
    let first = true
    const busy = await agent('Worker', () => {
      if (!first) return { text: 'free again' }
      first = false
      return { text: 'worked', hold }
    })
    const asker = await agent('Patient', ({ role, text }) =>
      role === 'tool' ? { text: returned(text) } : call(ASK, { message: 'now?', other_agent_id: busy.id }),
    )
    const before = model.requests.length
    const working = send(busy.id)
    await model.request(before)
    assert.match(
      said(await send(asker.id)),
      /busy with another turn for 700 ms, and the message was not sent/,
    )
    const asking = send(asker.id)
    await model.request(before + 3)
    free()
    assert.equal(said(await asking), 'free again')
    await working
  })

  it('is cancelled while it waits for an agent that is busy, and has sent nothing', async () => {
    const { promise: hold, resolve: free } = Promise.withResolvers<void>()
    const busy = await agent('Occupied', () => ({ text: 'worked', hold }))
    const asker = await agent('Restless', () => call(ASK, { message: 'now?', other_agent_id: busy.id }))
    const before = model.requests.length
    const working = send(busy.id)
    await model.request(before)
    const asking = send(asker.id)
    await model.request(before + 1)
    await t.letta.agents.messages.cancel(asker.id)
    assert.equal((await asking).stop_reason.stop_reason, 'cancelled')
    free()
    await working
    assert.ok(!(await history(busy.id)).some((message) => message.sender_id === asker.id))
    assert.equal((await runsOf(busy.id)).length, 1)
  })

  it('tells two agents at once that they wait for each other', async () => {
    const ids = { left: '', right: '' }
    const { promise: hold, resolve: both } = Promise.withResolvers<void>()
    const side =
      (other: 'left' | 'right'): Role =>
      ({ role, text }) =>
        role === 'tool'
          ? { text: returned(text) }
          : role === 'system'
            ? { text: 'hello' }
            : { ...call(ASK, { message: 'hi', other_agent_id: ids[other] }), hold }
    ids.left = (await agent('Left', side('right'))).id
    ids.right = (await agent('Right', side('left'))).id
    const before = model.requests.length
    const answers = [send(ids.left), send(ids.right)]
    await model.request(before + 1)
    both()
    const texts = (await Promise.all(answers)).map(said).toSorted()
    assert.equal(texts[1], 'hello')
    assert.match(texts[0] ?? '', /its turn waits for this one to end/)
  })

  it('cancels what is waited for when who waits is cancelled, and both go on afterwards', async () => {
    const { promise: hold } = Promise.withResolvers<void>()
    let held = true
    const slow = await agent('Slow', () => ({ text: 'quick now', ...(held ? { hold } : {}) }))
    const asker = await agent('Hasty', ({ role, text }) =>
      role === 'tool' ? { text: returned(text) } : call(ASK, { message: 'well?', other_agent_id: slow.id }),
    )
    const before = model.requests.length
    const answer = send(asker.id)
    const inner = await model.request(before + 1)
    await t.letta.agents.messages.cancel(asker.id)
    assert.equal((await answer).stop_reason.stop_reason, 'cancelled')
    assert.equal(await inner.ended, 'aborted')
    await idle()
    assert.deepEqual(
      [...(await runsOf(slow.id)), ...(await runsOf(asker.id))].map((run) => run.status),
      ['cancelled', 'cancelled'],
    )
    held = false
    assert.equal(said(await send(asker.id)), 'quick now')
  })

  it('says why there is no answer: a failed turn, a cancelled one, one that waits for an approval', async () => {
    let then: ScriptedAnswer & { hold?: Promise<unknown> } = { text: '' }
    const { promise: hold } = Promise.withResolvers<void>()
    const other = await agent('Moody', () => then, {
      include_base_tools: true,
      tool_rules: [{ type: 'requires_approval', tool_name: 'conversation_search' }],
    })
    const asker = await agent('Curious', ({ role, text }) =>
      role === 'tool' ? { text: returned(text) } : call(ASK, { message: 'so?', other_agent_id: other.id }),
    )
    then = { text: 'x', hold }
    const before = model.requests.length
    const cancelled = send(asker.id)
    await model.request(before + 1)
    await t.letta.agents.messages.cancel(other.id)
    assert.match(said(await cancelled), /was cancelled before it answered/)
    then = call('conversation_search', { query: 'x' })
    assert.match(said(await send(asker.id)), /has to wait for a user to approve/)
    assert.match(said(await send(asker.id)), /waits for a user to approve a tool call and takes no message/)
    const [pending] = await t.letta.agents.messages
      .list(other.id, { limit: 1 })
      .then((page) => page.items as { tool_calls?: { tool_call_id: string }[] }[])
    then = { text: '' }
    await t.http('POST', `/v1/agents/${other.id}/messages`, {
      messages: [
        {
          type: 'approval',
          approvals: [
            { type: 'approval', tool_call_id: pending?.tool_calls?.[0]?.tool_call_id, approve: false },
          ],
        },
      ],
    })
    assert.match(said(await send(asker.id)), /failed|without an answer/)
  })

  it('reads what an agent of an older type sends with send_message', async () => {
    const older = await agent(
      'Elder',
      ({ text }) => ({
        text: 'a thought',
        ...call('send_message', { message: `yes: ${JSON.parse(text).type}` }),
      }),
      { agent_type: 'memgpt_v2_agent', include_base_tools: true, initial_message_sequence: [] },
    )
    const asker = await agent('Young', ({ role, text }) =>
      role === 'tool' ? { text: returned(text) } : call(ASK, { message: 'hm?', other_agent_id: older.id }),
    )
    assert.equal(said(await send(asker.id)), 'yes: system_alert')
  })

  it('lets two agents edit one block at once, and no edit is lost', async () => {
    const block = await t.letta.blocks.create({ label: 'plan', value: 'Plan:' })
    const { promise: hold, resolve: both } = Promise.withResolvers<void>()
    const writer =
      (line: string): Role =>
      ({ role }) =>
        role === 'tool'
          ? { text: 'noted' }
          : { ...call('memory_insert', { label: 'plan', new_string: line, insert_line: -1 }), hold }
    const more = { include_multi_agent_tools: false, tools: ['memory_insert'], block_ids: [block.id] }
    const one = await agent('Scribe', writer('from one'), more)
    const two = await agent('Notary', writer('from two'), more)
    const before = model.requests.length
    const turns = [send(one.id), send(two.id)]
    await model.request(before + 1)
    both()
    for (const turn of await Promise.all(turns)) assert.equal(said(turn), 'noted')
    const { value } = await t.letta.blocks.retrieve(block.id)
    assert.deepEqual(value.split('\n').toSorted(), ['Plan:', 'from one', 'from two'])
  })

  it('has the three tools only when asked to', async () => {
    const one = await agent('One', () => ({ text: 'x' }))
    assert.deepEqual(one.tools.map((tool) => tool.name).toSorted(), [ASK, TELL, ASK_TAGGED].toSorted())
    assert.ok(one.tools.every((tool) => tool.tool_type === 'letta_multi_agent_core'))
    const plain = await t.letta.agents.create({ model: SCRIPTED })
    assert.ok(!plain.tools.some((tool) => tool.name?.startsWith('send_message_to')))
  })
})

function call(name: string, args: object): ScriptedAnswer {
  return { tool_calls: [{ name, arguments: args as Record<string, unknown> }] }
}

function lastOf(body: ChatBody): { role: string; text: string } {
  const last = body.messages.at(-1)
  const text = textOf(last)
  // A system message in the middle, as endpoints other than OpenAI's are told of it.
  const system = /^<system>\n([^]*)\n<\/system>$/.exec(text)?.[1]
  return system === undefined ? { role: last?.role ?? '', text } : { role: 'system', text: system }
}

function textOf(message: ChatBody['messages'][number] | undefined): string {
  const content: unknown = message?.content
  if (typeof content === 'string') return content
  return JSON.stringify(content ?? '')
}

/** The text of a tool's return as its model sees it. */
function returned(packed: string): string {
  return (JSON.parse(packed) as { message: string }).message
}

function said(answer: { messages: unknown[] }): string {
  const last = answer.messages.at(-1) as { content?: unknown }
  return String(last.content)
}
