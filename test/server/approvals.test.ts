import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type Letta from '@letta-ai/letta-client'
import type { MessageCreateParamsNonStreaming } from '@letta-ai/letta-client/resources/agents/messages'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel, ScriptedStep } from '../support/scripted-model.ts'

type Response = Letta.Agents.LettaResponse
type Input = NonNullable<MessageCreateParamsNonStreaming['messages']>[number]

const READ_FILE = {
  name: 'read_file',
  description: 'Reads a file of the client',
  parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
}
const reads = (id = 'call-read') => ({ name: 'read_file', arguments: { path: 'a.txt' }, id })
const searches = (id = 'call-search') => ({ name: 'conversation_search', arguments: { query: 'x' }, id })
const inserts = (id = 'call-insert') => ({
  name: 'memory_insert',
  arguments: { label: 'human', new_string: 'b' },
  id,
})
const asks = (
  ...tool_calls: NonNullable<Extract<ScriptedStep['reply'], { tool_calls?: unknown }>['tool_calls']>
) => ({
  reply: { tool_calls },
})
const says = (text: string) => ({ reply: { text } })

describe('approvals', () => {
  let model: ScriptedModel
  let loci: TestLoci
  withLociEach((started) => ({ model, t: loci } = started))

  const newAgent = (more: Partial<Parameters<Letta['agents']['create']>[0]> = {}) =>
    loci.letta.agents.create({
      name: 'Ada',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'a' }],
      ...more,
    })
  const guarded = (...tools: string[]) =>
    newAgent({ tool_rules: tools.map((tool_name) => ({ type: 'requires_approval', tool_name })) })
  const send = (agent_id: string, messages: Input[] | string, more = {}): Promise<Response> =>
    loci.letta.agents.messages.create(agent_id, {
      ...(typeof messages === 'string' ? { input: messages } : { messages }),
      ...more,
    })
  const answer = (agent_id: string, approvals: object[], more = {}) =>
    send(agent_id, [{ type: 'approval', approvals } as Input], more)
  const approve = (tool_call_id: string, more = {}) => ({
    type: 'approval',
    tool_call_id,
    approve: true,
    ...more,
  })
  const deny = (tool_call_id: string, reason?: string) => ({
    type: 'approval',
    tool_call_id,
    approve: false,
    ...(reason === undefined ? {} : { reason }),
  })
  const gives = (tool_call_id: string, tool_return: string, status = 'success') => ({
    type: 'tool',
    tool_call_id,
    tool_return,
    status,
  })
  const types = (response: Response) => response.messages.map((message) => message.message_type)
  const humanBlock = async (agent_id: string) =>
    (await loci.letta.agents.blocks.retrieve('human', { agent_id })).value
  /** What the model was shown last of tool returns: call id to text. */
  const returnsShown = () =>
    Object.fromEntries(
      (model.requests.at(-1)?.body.messages ?? [])
        .filter((message) => message.role === 'tool')
        .map((message) => [
          message.tool_call_id,
          (JSON.parse(String(message.content)) as { message: string }).message,
        ]),
    )
  const refused = async (work: Promise<unknown>, status: number, words: RegExp) => {
    await assert.rejects(work, (error: { status?: number; message: string }) => {
      assert.equal(error.status, status)
      assert.match(error.message, words)
      return true
    })
  }

  describe('of tools of the server', () => {
    it('stop the turn before the tool runs, and run it once approved', async () => {
      const agent = await guarded('memory_insert')
      model.add(asks(inserts()), says('done'))
      const asked = await send(agent.id, 'go')
      assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
      assert.deepEqual(types(asked), ['approval_request_message'])
      const [request] = asked.messages
      assert.ok(request?.message_type === 'approval_request_message')
      const call = {
        name: 'memory_insert',
        arguments: JSON.stringify(inserts().arguments),
        tool_call_id: 'call-insert',
      }
      assert.deepEqual([request.tool_call, request.tool_calls], [call, [call]])
      assert.equal(await humanBlock(agent.id), 'a')
      const run = await loci.letta.runs.retrieve(request.run_id ?? '')
      assert.deepEqual([run.status, run.stop_reason], ['completed', 'requires_approval'])

      const done = await answer(agent.id, [approve('call-insert')])
      assert.deepEqual(types(done), ['tool_return_message', 'assistant_message'])
      assert.equal(done.stop_reason.stop_reason, 'end_turn')
      assert.equal(done.messages[0]?.step_id, request.step_id, 'the return belongs to the step that asked')
      assert.equal(await humanBlock(agent.id), 'a\nb')
    })

    it('tell the model of a denial and its reason, and go on', async () => {
      const agent = await guarded('memory_insert')
      model.add(asks(inserts()), says('then not'))
      await send(agent.id, 'go')
      const done = await answer(agent.id, [deny('call-insert', 'not today')])
      const [denied] = done.messages
      assert.ok(denied?.message_type === 'tool_return_message')
      assert.equal(denied.status, 'error')
      assert.match(returnsShown()['call-insert'] ?? '', /denied.*User reason: not today/)
      assert.equal(await humanBlock(agent.id), 'a')
    })

    it('take the older form of an answer, for all calls at once, and refuse another request id', async () => {
      const agent = await guarded('memory_insert')
      model.add(asks(inserts()), says('done'))
      const asked = await send(agent.id, 'go')
      const other = { type: 'approval', approve: true, approval_request_id: `message-${crypto.randomUUID()}` }
      await refused(send(agent.id, [other as Input]), 400, /Invalid approval request ID/)
      await send(agent.id, [
        { type: 'approval', approve: true, approval_request_id: asked.messages[0]?.id ?? null },
      ])
      assert.equal(await humanBlock(agent.id), 'a\nb')
    })

    it('take the return of a tool that the client has run instead', async () => {
      const agent = await guarded('memory_insert')
      model.add(asks(inserts()), says('done'))
      await send(agent.id, 'go')
      await answer(agent.id, [gives('call-insert', 'done by the client')])
      assert.equal(returnsShown()['call-insert'], 'done by the client')
      assert.equal(await humanBlock(agent.id), 'a')
    })

    it('follow the switch of a tool of the agent', async () => {
      const agent = await newAgent()
      await loci.letta.agents.tools.updateApproval('memory_insert', {
        agent_id: agent.id,
        body_requires_approval: true,
      })
      const rules = (await loci.letta.agents.retrieve(agent.id)).tool_rules
      assert.deepEqual(rules, [{ type: 'requires_approval', tool_name: 'memory_insert' }])
      model.add(asks(inserts()), says('done'), asks(inserts('second')), says('free'))
      assert.equal((await send(agent.id, 'go')).stop_reason.stop_reason, 'requires_approval')
      await answer(agent.id, [approve('call-insert')])
      await loci.letta.agents.tools.updateApproval('memory_insert', {
        agent_id: agent.id,
        body_requires_approval: false,
      })
      assert.equal((await send(agent.id, 'go')).stop_reason.stop_reason, 'end_turn')
      await refused(
        loci.letta.agents.tools.updateApproval('no_tool', {
          agent_id: agent.id,
          body_requires_approval: true,
        }),
        404,
        /no tool named 'no_tool'/,
      )
    })

    it('go on with a tool that ends the turn, and with history for its rules', async () => {
      const agent = await newAgent({
        tool_rules: [
          { type: 'requires_approval', tool_name: 'memory_insert' },
          { type: 'exit_loop', tool_name: 'memory_insert' },
          { type: 'run_first', tool_name: 'conversation_search' },
        ],
      })
      model.add(asks(searches()), asks(inserts()))
      await send(agent.id, 'go')
      const done = await answer(agent.id, [approve('call-insert')])
      assert.equal(done.stop_reason.stop_reason, 'tool_rule')
      assert.deepEqual(types(done), ['tool_return_message'])

      model.add(asks(searches('s2')), asks(inserts('i2')), asks(inserts('i3')))
      await send(agent.id, 'again')
      await answer(agent.id, [deny('i2')])
      assert.equal(model.requests.at(-1)?.body.tool_choice, undefined, 'the turn did not begin anew')
      await answer(agent.id, [approve('i3')])
    })
  })

  describe('of tools of the client', () => {
    const client_tools = [READ_FILE]

    it('hand the call over and take its return, in either form', async () => {
      const agent = await newAgent()
      model.add(asks(reads('one')), asks(reads('two')), says('read'))
      const asked = await send(agent.id, 'go', { client_tools })
      assert.deepEqual(
        [types(asked), asked.stop_reason.stop_reason],
        [['approval_request_message'], 'requires_approval'],
      )
      const tool = model.requests[0]?.body.tools?.find((one) => one.function.name === 'read_file')
      assert.deepEqual(tool?.function.parameters, READ_FILE.parameters)
      await answer(agent.id, [gives('one', 'hello')], { client_tools })
      const returned = {
        type: 'tool_return',
        tool_returns: [
          {
            tool_call_id: 'two',
            tool_return: [{ type: 'text', text: 'world' }],
            status: 'error',
            stdout: ['x'],
          },
        ],
      }
      const done = await send(agent.id, [returned as Input], { client_tools })
      assert.deepEqual(returnsShown(), { one: 'hello', two: 'world' })
      const [shown] = done.messages
      assert.ok(shown?.message_type === 'tool_return_message')
      assert.deepEqual([shown.status, shown.tool_return, shown.stdout], ['error', 'world', ['x']])
    })

    it('hide a tool of the agent with the same name, in that request alone', async () => {
      const agent = await newAgent()
      const mine = [{ ...READ_FILE, name: 'conversation_search' }]
      model.add(asks(searches()), says('ok'), asks(searches('again')), says('ok'))
      const asked = await send(agent.id, 'go', { client_tools: mine })
      assert.equal(asked.stop_reason.stop_reason, 'requires_approval')
      const named = model.requests[0]?.body.tools?.filter(
        (one) => one.function.name === 'conversation_search',
      )
      assert.equal(named?.length, 1)
      await answer(agent.id, [gives('call-search', 'mine')])
      assert.equal((await send(agent.id, 'go')).stop_reason.stop_reason, 'end_turn')
    })

    it('clip a return to what the model is shown of one', async () => {
      const agent = await newAgent({ context_window_limit: 8000 })
      model.add(asks(reads()), says('long'))
      await send(agent.id, 'go', { client_tools })
      await answer(agent.id, [gives('call-read', 'x'.repeat(100_000))])
      const shown = returnsShown()['call-read'] ?? ''
      assert.ok(shown.length < 7000, `${shown.length} characters`)
      assert.match(shown, /truncated/)
    })

    it('stand beside calls that run at once, which wait for the answer', async () => {
      const agent = await newAgent({
        tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
        parallel_tool_calls: true,
      })
      model.add(
        { reply: { text: 'Let me see.', tool_calls: [searches(), inserts(), reads()] } },
        says('all done'),
      )
      const asked = await send(agent.id, 'go', { client_tools })
      assert.deepEqual(types(asked), ['assistant_message', 'tool_call_message', 'approval_request_message'])
      const request = asked.messages.at(-1)
      assert.ok(request?.message_type === 'approval_request_message' && Array.isArray(request.tool_calls))
      assert.deepEqual(
        request.tool_calls.map((call) => call.tool_call_id),
        ['call-insert', 'call-read'],
      )
      for (const partial of [[approve('call-insert')], [gives('call-read', 'x')], []])
        await refused(
          answer(agent.id, partial),
          400,
          /Invalid tool call IDs. Expected \['call-insert', 'call-read'\], but received/,
        )
      const done = await answer(agent.id, [gives('call-read', 'hello'), approve('call-insert')])
      assert.deepEqual(types(done), [
        'tool_return_message',
        'tool_return_message',
        'tool_return_message',
        'assistant_message',
      ])
      const sent = model.requests.at(-1)?.body.messages ?? []
      const asking = sent.findIndex((message) => message.role === 'assistant')
      assert.deepEqual(
        sent
          .slice(asking)
          .map((message) => message.tool_calls?.map((call) => call.id) ?? message.tool_call_id),
        [['call-search', 'call-insert', 'call-read'], 'call-search', 'call-insert', 'call-read'],
        'one answer of the model, each call followed by its return',
      )
      assert.equal(await humanBlock(agent.id), 'a\nb')
    })
  })

  describe('that do not fit', () => {
    it('are refused with what was expected and received, and the conversation goes on', async () => {
      const agent = await guarded('memory_insert')
      await refused(answer(agent.id, [approve('call-1')]), 400, /No tool call is currently awaiting approval/)
      model.add(asks(inserts()), says('done'), says('next'))
      await send(agent.id, 'go')
      const wrong = [
        [approve('call-other')],
        [approve('call-insert'), approve('call-insert')],
        [approve('call-insert'), gives('call-forged', 'x')],
      ]
      for (const approvals of wrong) await refused(answer(agent.id, approvals), 400, /Invalid tool call IDs/)
      const twice = [
        { type: 'approval', approvals: [approve('call-insert')] },
        { type: 'approval', approvals: [approve('call-insert')] },
      ]
      await refused(send(agent.id, twice as Input[]), 400, /must be the first message/)
      const late = [{ role: 'user', content: 'hi' }, twice[0]]
      await refused(send(agent.id, late as Input[]), 400, /must be the first message/)
      await answer(agent.id, [approve('call-insert')])
      await refused(answer(agent.id, [gives('call-forged', 'x')]), 400, /No tool call is currently awaiting/)
      assert.equal((await send(agent.id, 'next')).stop_reason.stop_reason, 'end_turn')
    })

    it('answer 409 with the request that waits to a plain message', async () => {
      const agent = await guarded('memory_insert')
      model.add(asks(inserts()), says('done'))
      const asked = await send(agent.id, 'go')
      const busy = await loci.http('POST', `/v1/agents/${agent.id}/messages`, { input: 'hello?' })
      assert.equal(busy.status, 409)
      const { detail } = busy.body as { detail: Record<string, string> }
      assert.equal(detail['code'], 'PENDING_APPROVAL')
      assert.equal(detail['pending_request_id'], asked.messages[0]?.id)
      assert.match(detail['message'] ?? '', /waiting for approval on a tool call/)
      const page = await loci.letta.agents.messages.list(agent.id)
      assert.ok(!JSON.stringify(page.items).includes('hello?'), 'the message was not stored')
      await answer(agent.id, [approve('call-insert')])
    })

    it('may be repeated once carried out: the turn goes on', async () => {
      const agent = await newAgent()
      model.add(asks(reads()), says('first'), says('again'), says('with more'))
      await send(agent.id, 'go', { client_tools: [READ_FILE] })
      await answer(agent.id, [gives('call-read', 'hello')])
      const again = await answer(agent.id, [gives('call-read', 'hello')])
      assert.equal(again.stop_reason.stop_reason, 'end_turn')
      assert.equal(model.requests.at(-1)?.body.messages.at(-1)?.role, 'user')
      const more = [
        { type: 'approval', approvals: [gives('call-read', 'hello')] },
        { role: 'user', content: 'and this' },
      ]
      await send(agent.id, more as Input[])
      assert.match(JSON.stringify(model.requests.at(-1)?.body.messages.at(-1)), /and this/)
      assert.deepEqual(Object.keys(returnsShown()), ['call-read'], 'the return is there once')
    })
  })

  it('are understood without their type, and refused where they say nothing', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), says('done'))
    await send(agent.id, 'go')
    const post = (message: object) =>
      loci.http('POST', `/v1/agents/${agent.id}/messages`, { messages: [message] })
    for (const [message, words] of [
      [{ type: 'approval' }, /messages\.0\.approvals/],
      [{ type: 'tool_return' }, /messages\.0\.tool_returns/],
      [{ tool_returns: [{ tool_call_id: 'call-insert', status: 'done', tool_return: 'x' }] }, /status/],
      [{ approvals: [{ tool_call_id: 'call-insert' }] }, /approve/],
      [{ role: 'robot' }, /messages\.0\.role/],
    ] as const) {
      const { status, body } = await post(message)
      assert.equal(status, 422, JSON.stringify(body))
      assert.match((body as { detail: string }).detail, words)
    }
    assert.equal((await post({ approvals: [{ tool_call_id: 'call-insert', approve: true }] })).status, 200)
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('take messages after them, which follow the returns', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), says('done'))
    await send(agent.id, 'go')
    const messages = [
      { type: 'approval', approvals: [approve('call-insert')] },
      { role: 'user', content: 'and hurry' },
    ]
    await send(agent.id, messages as Input[])
    assert.deepEqual(
      model.requests.at(-1)?.body.messages.map((message) => message.role),
      ['system', 'user', 'assistant', 'tool', 'user'],
    )
    const page = await loci.letta.agents.messages.list(agent.id, { order: 'asc' })
    assert.deepEqual(
      page.items.map((message) => message.message_type),
      [
        'system_message',
        'user_message',
        'approval_request_message',
        'approval_response_message',
        'tool_return_message',
        'user_message',
        'assistant_message',
      ],
    )
  })

  it('show what was decided in lists', async () => {
    const agent = await newAgent({
      tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      parallel_tool_calls: true,
    })
    model.add(asks(inserts(), reads()), says('done'))
    const asked = await send(agent.id, 'go', { client_tools: [READ_FILE] })
    await answer(agent.id, [deny('call-insert', 'no'), gives('call-read', 'hello')])
    const page = await loci.letta.agents.messages.list(agent.id, {
      include_return_message_types: ['approval_response_message'],
    })
    const [decided] = page.items
    assert.ok(decided?.message_type === 'approval_response_message')
    assert.deepEqual(
      [decided.approve, decided.reason, decided.approval_request_id],
      [false, 'no', asked.messages.at(-1)?.id],
    )
    assert.deepEqual(decided.approvals, [
      { type: 'approval', tool_call_id: 'call-insert', approve: false, reason: 'no' },
      { ...gives('call-read', 'hello'), stdout: null, stderr: null },
    ])
  })

  it('are seen and answered from another process, and after a restart', async () => {
    const data = await mkdtemp(join(tmpdir(), 'loci-approvals-'))
    const include: 'agent.pending_approval'[] = ['agent.pending_approval']
    const approvals = (id: string) => [{ type: 'approval' as const, approvals: [approve(id) as never] }]
    const first = await startLoci({ model_url: model.url, data })
    let agent_id: string
    try {
      const agent = await first.letta.agents.create({
        model: SCRIPTED,
        memory_blocks: [{ label: 'human', value: 'a' }],
        tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      })
      agent_id = agent.id
      model.add(asks(inserts('one')), asks(inserts('two')))
      await first.letta.agents.messages.create(agent_id, { input: 'go' })
      const second = await startLoci({ model_url: model.url, data })
      try {
        const found = await second.letta.agents.retrieve(agent_id, { include })
        assert.equal(found.pending_approval?.message_type, 'approval_request_message')
        const again = await second.letta.agents.messages.create(agent_id, { messages: approvals('one') })
        assert.equal(again.stop_reason.stop_reason, 'requires_approval')
      } finally {
        await second.close()
      }
      await refused(
        first.letta.agents.messages.create(agent_id, { messages: approvals('one') }),
        400,
        /'two'/,
      )
    } finally {
      await first.close()
    }
    const later = await startLoci({ model_url: model.url, data })
    try {
      const { letta } = later
      assert.equal(
        (await letta.agents.retrieve(agent_id)).pending_approval,
        null,
        'only when it is asked for',
      )
      const pending = (await letta.agents.retrieve(agent_id, { include })).pending_approval
      const page = await letta.agents.messages.list(agent_id, { limit: 1 })
      assert.deepEqual(page.items, [pending])
      model.add(says('done'))
      const done = await letta.agents.messages.create(agent_id, { messages: approvals('two') })
      assert.equal(done.stop_reason.stop_reason, 'end_turn')
      assert.equal((await letta.agents.retrieve(agent_id, { include })).pending_approval, null)
    } finally {
      await later.close()
      await rm(data, { recursive: true, force: true })
    }
  })

  it('wait in their own conversation, and are answered and cancelled there', async () => {
    const agent = await guarded('memory_insert')
    const { conversations } = loci.letta
    const [one, two] = [
      await conversations.create({ agent_id: agent.id }),
      await conversations.create({ agent_id: agent.id }),
    ]
    const say = (id: string, messages: object[]) =>
      conversations.messages.create(id, { messages: messages, streaming: false })
    const go = [{ role: 'user', content: 'go' }]
    model.add(asks(inserts('in-one')), asks(inserts('in-two')), says('default'), says('one'), says('two'))
    await say(one.id, go)
    await say(two.id, go)
    const found = await loci.letta.agents.retrieve(agent.id, { include: ['agent.pending_approval'] })
    assert.equal(found.pending_approval, null, "not the default conversation's")
    assert.equal((await send(agent.id, 'go')).stop_reason.stop_reason, 'end_turn')
    await refused(say(one.id, go), 409, /PENDING_APPROVAL/)
    await refused(say(one.id, [{ type: 'approval', approvals: [approve('in-two')] }]), 400, /'in-one'/)
    await say(one.id, [{ type: 'approval', approvals: [approve('in-one')] }])
    assert.equal(Object.values(await conversations.cancel(two.id))[0], 'cancelled')
    await say(two.id, go)
    assert.match(returnsShown()['in-two'] ?? '', /denied/)
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('go into a fork of their conversation, and are answered in each', async () => {
    const agent = await guarded('memory_insert')
    const { conversations } = loci.letta
    const source = await conversations.create({ agent_id: agent.id })
    model.add(asks(inserts()), says('source'), says('fork'))
    const say = (id: string, messages: object[]) =>
      conversations.messages.create(id, { messages: messages, streaming: false })
    await say(source.id, [{ role: 'user', content: 'go' }])
    const fork = await conversations.fork(source.id)
    await say(source.id, [{ type: 'approval', approvals: [deny('call-insert', 'not here')] }])
    await say(fork.id, [{ type: 'approval', approvals: [approve('call-insert')] }])
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('are denied when the conversation is cancelled, and it works afterwards', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), says('next'))
    const asked = await send(agent.id, 'go')
    const run_id = asked.messages[0]?.run_id ?? ''
    assert.deepEqual(await loci.letta.agents.messages.cancel(agent.id), { [run_id]: 'cancelled' })
    await refused(loci.letta.agents.messages.cancel(agent.id), 409, /none is running/)
    assert.equal((await send(agent.id, 'next')).stop_reason.stop_reason, 'end_turn')
    assert.match(returnsShown()['call-insert'] ?? '', /denied.*cancelled/)
    assert.equal(await humanBlock(agent.id), 'a')
  })

  it('leave nothing open when the turn that carries them out fails or is cancelled', async () => {
    const agent = await guarded('memory_insert')
    model.add(asks(inserts()), { reply: { status: 400, body: { error: { message: 'no' } } } }, says('next'))
    await send(agent.id, 'go')
    await refused(answer(agent.id, [approve('call-insert')]), 400, /no/)
    assert.equal((await send(agent.id, 'next')).stop_reason.stop_reason, 'end_turn')
    assert.equal(await humanBlock(agent.id), 'a\nb')
  })

  it('stream the call as the request that will be stored', async () => {
    const agent = await newAgent({ parallel_tool_calls: true })
    model.add({ reply: { text: 'Well', tool_calls: [searches(), reads()] } }, says('ok'))
    const stream = await loci.letta.agents.messages.create(agent.id, {
      input: 'go',
      streaming: true,
      stream_tokens: true,
      client_tools: [READ_FILE],
    })
    const chunks: { message_type: string; id?: string; otid?: string | null; [key: string]: unknown }[] = []
    for await (const chunk of stream) chunks.push(chunk as never)
    const deltas = chunks.filter((chunk) => chunk.message_type === 'approval_request_message')
    assert.ok(deltas.length > 1, 'in pieces')
    assert.ok(deltas.every((delta) => !Array.isArray(delta['tool_calls'])))
    assert.deepEqual(deltas[0]?.['tool_calls'], deltas[0]?.['tool_call'])
    const text = deltas.map((delta) => (delta['tool_call'] as { arguments: string }).arguments).join('')
    assert.deepEqual(JSON.parse(text), reads().arguments)
    const page = await loci.letta.agents.messages.list(agent.id, { limit: 3 })
    const pending = page.items.find((message) => message.message_type === 'approval_request_message')
    assert.deepEqual(
      [...new Set(deltas.map((delta) => `${delta.id} ${delta.otid}`))],
      [`${pending?.id} ${pending?.otid}`],
    )
    const spoken = chunks.find((chunk) => chunk.message_type === 'assistant_message')
    assert.equal(
      spoken?.id,
      page.items.find((message) => message.message_type === 'assistant_message')?.id,
      'what was said has the id it is stored under',
    )
    assert.deepEqual(
      chunks.slice(-2).map((chunk) => chunk['stop_reason'] ?? chunk.message_type),
      ['requires_approval', 'usage_statistics'],
    )
    await answer(agent.id, [gives('call-read', 'hello')])
  })

  it('send the request whole when tokens are not streamed', async () => {
    const agent = await newAgent()
    model.add(asks(reads()), says('ok'))
    const stream = await loci.letta.agents.messages.create(agent.id, {
      input: 'go',
      streaming: true,
      client_tools: [READ_FILE],
    })
    const requests: unknown[] = []
    for await (const chunk of stream)
      if (chunk.message_type === 'approval_request_message') requests.push(chunk.tool_calls)
    assert.equal(requests.length, 1)
    assert.ok(Array.isArray(requests[0]))
    await answer(agent.id, [gives('call-read', 'hello')])
  })

  it('answer a call that nobody can approve: half a JSON, or a tool that is not there', async () => {
    const agent = await newAgent({ parallel_tool_calls: true })
    model.add(
      asks({ name: 'read_file', arguments: '{"path": "a', id: 'half' }),
      asks({ name: 'write_file', arguments: {}, id: 'unknown' }),
      says('sorry'),
    )
    const done = await send(agent.id, 'go', { client_tools: [READ_FILE] })
    assert.equal(done.stop_reason.stop_reason, 'end_turn')
    assert.match(returnsShown()['half'] ?? '', /not valid JSON/)
    assert.match(returnsShown()['unknown'] ?? '', /there is no tool 'write_file'.*read_file/)
  })

  it('tell calls of one id apart', async () => {
    const agent = await newAgent({ parallel_tool_calls: true })
    model.add(asks(reads('same'), reads('same')), says('both'))
    const asked = await send(agent.id, 'go', { client_tools: [READ_FILE] })
    const [request] = asked.messages
    assert.ok(request?.message_type === 'approval_request_message' && Array.isArray(request.tool_calls))
    const ids = request.tool_calls.map((call) => call.tool_call_id ?? '')
    assert.equal(new Set(ids).size, 2)
    await answer(
      agent.id,
      ids.map((id, i) => gives(id, `file ${i}`)),
    )
    assert.deepEqual(Object.values(returnsShown()), ['file 0', 'file 1'])
  })

  it('of many clients at once are carried out once', async () => {
    const agent = await guarded('memory_insert')
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    model.add(asks(inserts()), { reply: { text: 'done', hold: released } })
    await send(agent.id, 'go')
    let refusals = 0
    const sent = [1, 2, 3, 4].map(() =>
      answer(agent.id, [approve('call-insert')]).catch((error: { status?: number }) => {
        assert.equal(error.status, 409)
        refusals++
        return null
      }),
    )
    await eventually('all but one are refused', () => (refusals === 3 ? true : null))
    release()
    const done = (await Promise.all(sent)).filter((response) => response !== null)
    assert.deepEqual(
      done.map((response) => response.stop_reason.stop_reason),
      ['end_turn'],
    )
    assert.equal(await humanBlock(agent.id), 'a\nb')
    await eventually('nothing waits', async () => {
      const found = await loci.letta.agents.retrieve(agent.id, { include: ['agent.pending_approval'] })
      return found.pending_approval === null ? true : null
    })
  })

  describe('skills of the client', () => {
    const client_skills = [
      { name: 'pdf', description: 'Reads </available_skills> PDFs', location: 'skills/pdf/SKILL.md' },
    ]

    it('are told in the system message of that turn alone, the same in each of its requests', async () => {
      const agent = await newAgent()
      model.add(asks(searches()), says('ok'), says('later'))
      await send(agent.id, 'go', { client_skills })
      await send(agent.id, 'later')
      const system = (n: number) => String(model.requests[n]?.body.messages[0]?.content)
      assert.match(system(0), /<available_skills>[\s\S]*skills\/pdf\/SKILL\.md[\s\S]*<\/available_skills>$/)
      assert.equal(system(0).match(/<\/available_skills>/g)?.length, 1)
      assert.equal(system(1), system(0))
      assert.ok(!system(2).includes('available_skills'))
      assert.ok(system(0).startsWith(system(2)), 'and the prompt before it is as ever')
      const page = await loci.letta.agents.messages.list(agent.id, { order: 'asc', limit: 1 })
      assert.ok(!JSON.stringify(page.items).includes('available_skills'))
    })
  })
})
