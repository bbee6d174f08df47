import assert from 'node:assert/strict'
import {
  asks,
  type Input,
  inserts,
  READ_FILE,
  reads,
  says,
  searches,
  withApprovals,
} from '../support/approvals.ts'
import { eventually, type TestLoci } from '../support/loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('approvals', () => {
  let model: ScriptedModel
  let loci: TestLoci
  const { newAgent, guarded, send, answer, approve, deny, gives, types, humanBlock, returnsShown, refused } =
    withApprovals((started) => ({ model, t: loci } = started))

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

    it('are answered alike when they are repeated once carried out, and the model is not asked again', async () => {
      const agent = await newAgent()
      model.add(asks(reads()), says('first'), says('with more'))
      await send(agent.id, 'go', { client_tools: [READ_FILE] })
      const first = await answer(agent.id, [gives('call-read', 'hello')])
      assert.deepEqual(await answer(agent.id, [gives('call-read', 'hello')]), first)
      const approvals = [gives('call-read', 'hello')]
      for (const background of [false, true]) {
        const messages = [{ type: 'approval', approvals } as Input]
        const body = { messages, streaming: true as const, background, include_pings: false }
        const streamed: unknown[] = []
        for await (const item of await loci.letta.agents.messages.create(agent.id, body)) streamed.push(item)
        const seen = streamed.map((item) => (item as { message_type?: string }).message_type)
        assert.deepEqual(seen, [
          'tool_return_message',
          'assistant_message',
          'stop_reason',
          'usage_statistics',
        ])
      }
      const more = [
        { type: 'approval', approvals: [gives('call-read', 'hello')] },
        { role: 'user', content: 'and this' },
      ]
      await send(agent.id, more as Input[])
      assert.match(JSON.stringify(model.requests.at(-1)?.body.messages.at(-1)), /and this/)
      assert.deepEqual(Object.keys(returnsShown()), ['call-read'], 'the return is there once')
    })
  })

  it('go on with the model when it has not answered yet, or something else was decided', async () => {
    const agent = await newAgent()
    const down = { reply: { status: 400, body: { error: { message: 'down' } } } }
    model.add(asks(reads()), down, says('after all'), says('otherwise'))
    await send(agent.id, 'go', { client_tools: [READ_FILE] })
    await refused(answer(agent.id, [gives('call-read', 'hello')]), 400, /down/)
    const again = await answer(agent.id, [gives('call-read', 'hello')])
    assert.match(JSON.stringify(again.messages), /after all/)
    const other = await answer(agent.id, [gives('call-read', 'failed', 'error')])
    assert.match(JSON.stringify(other.messages), /otherwise/)
  })

  it('that come after a cancellation are refused, and no model is asked', async () => {
    const agent = await newAgent()
    model.add(asks(reads()), says('with a message'))
    await send(agent.id, 'go', { client_tools: [READ_FILE] })
    await loci.letta.agents.messages.cancel(agent.id)
    const late = gives('call-read', 'hello')
    await refused(
      answer(agent.id, [late]),
      400,
      /No tool call is currently awaiting approval; the request was cancelled/,
    )
    await send(agent.id, [
      { type: 'approval', approvals: [late] } as Input,
      { role: 'user', content: 'and this' },
    ])
    assert.match(returnsShown()['call-read'] ?? '', /denied/)
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
})
