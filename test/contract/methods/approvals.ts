import assert from 'node:assert/strict'
import type { Method } from './method.ts'

const insert = { name: 'memory_insert', arguments: { label: 'human', new_string: 'In Paris.' } }
const READ_FILE = { name: 'read_file', parameters: { type: 'object', properties: {} } }

export const approvalMethods: Method[] = [
  {
    name: 'agents.tools.updateApproval',
    shows: 'null, and the rule on the agent, which can be taken off again',
    async run(t) {
      const { id } = await t.newAgent()
      const change = (body_requires_approval: boolean) =>
        t.letta.agents.tools.updateApproval('memory_insert', { agent_id: id, body_requires_approval })
      const rules = async () => (await t.letta.agents.retrieve(id)).tool_rules
      assert.equal(await change(true), null)
      assert.deepEqual(await rules(), [{ type: 'requires_approval', tool_name: 'memory_insert' }])
      await change(false)
      assert.deepEqual(await rules(), [])
    },
  },
  {
    name: 'agents.messages.create',
    shows: 'a call that waits for an approval, the agent that shows it, and the answer to it in a list',
    async run(t) {
      t.model.add({ reply: { tool_calls: [insert] } }, { reply: { text: 'Noted.' } })
      const { id } = await t.newAgent({
        tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      })
      const asked = await t.letta.agents.messages.create(id, { input: 'I am in Paris' })
      const [request] = asked.messages
      assert.ok(request?.message_type === 'approval_request_message')
      const agent = await t.letta.agents.retrieve(id, { include: ['agent.pending_approval'] })
      assert.deepEqual(agent.pending_approval, request)
      const refused = await t.http('POST', `/v1/agents/${id}/messages`, { input: 'Are you there?' })
      const { detail } = refused.body as { detail: { code: string; pending_request_id: string } }
      assert.deepEqual(
        [refused.status, detail.code, detail.pending_request_id],
        [409, 'PENDING_APPROVAL', request.id],
      )
      const tool_call_id = request.tool_call.tool_call_id ?? ''
      const done = await t.letta.agents.messages.create(id, {
        messages: [{ type: 'approval', approvals: [{ type: 'approval', tool_call_id, approve: true }] }],
      })
      assert.equal(done.stop_reason.stop_reason, 'end_turn')
      const { items } = await t.letta.agents.messages.list(id, {
        include_return_message_types: ['approval_request_message', 'approval_response_message'],
      })
      assert.equal(items.length, 2)
    },
  },
  {
    name: 'agents.messages.stream',
    shows: 'a call of a tool of the client in pieces, and its return in a second request',
    async run(t) {
      t.model.add(
        { reply: { tool_calls: [{ name: 'read_file', arguments: {}, id: 'call-1' }] } },
        { reply: { text: 'Read.' } },
      )
      const { id } = await t.newAgent()
      const client_tools = [READ_FILE]
      const types = new Set<unknown>()
      for await (const item of await t.letta.agents.messages.stream(id, {
        input: 'Read',
        client_tools,
        stream_tokens: true,
      }))
        types.add(item.message_type)
      assert.deepEqual([...types], ['ping', 'approval_request_message', 'stop_reason', 'usage_statistics'])
      await t.letta.agents.messages.create(id, {
        messages: [
          {
            type: 'tool_return',
            tool_returns: [{ type: 'tool', tool_call_id: 'call-1', tool_return: 'text', status: 'success' }],
          },
        ],
        client_tools,
      })
      const { items } = await t.letta.agents.messages.list(id, {
        include_return_message_types: ['approval_response_message'],
      })
      assert.equal(items.length, 1)
    },
  },
]
