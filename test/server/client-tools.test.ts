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
import type { TestLoci } from '../support/loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('what a client brings with it', () => {
  let model: ScriptedModel
  let loci: TestLoci
  const { newAgent, send, answer, approve, gives, types, humanBlock, returnsShown, refused } = withApprovals(
    (started) => ({ model, t: loci } = started),
  )

  describe('calls of its tools', () => {
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

  describe('its skills', () => {
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
