import assert from 'node:assert/strict'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { toLettaMessages } from '../../shared/server/letta-messages.ts'

const stored: StoredMessage = {
  id: 'message-00000000-0000-4000-8000-000000000080',
  agent_id: 'agent-1',
  conversation_id: 'agent-1',
  role: 'assistant',
  content: [],
  name: null,
  otid: null,
  sender_id: null,
  group_id: null,
  step_id: null,
  run_id: null,
  model: 'm',
  tool_calls: [],
  tool_returns: [],
  is_err: false,
  created_at: '2026-01-31T10:00:00.123Z',
}
const call = (name: string, args: string, id = name) => ({
  id,
  type: 'function' as const,
  function: { name, arguments: args },
})

describe('stored messages as the API shows them', () => {
  it('shows thoughts, text and calls in this order, each with an otid of its own', () => {
    const shown = toLettaMessages({
      ...stored,
      content: [
        { type: 'reasoning', is_native: true, reasoning: 'hm', signature: 's' },
        { type: 'redacted_reasoning', data: 'xyz' },
        { type: 'text', text: 'hello' },
      ],
      tool_calls: [call('look', '{}')],
    })
    assert.deepEqual(
      shown.map((message) => [message.message_type, message.otid?.slice(-2), message.date]),
      [
        ['reasoning_message', '80', '2026-01-31T10:00:00+00:00'],
        ['hidden_reasoning_message', '81', '2026-01-31T10:00:00+00:00'],
        ['assistant_message', '82', '2026-01-31T10:00:00+00:00'],
        ['tool_call_message', '83', '2026-01-31T10:00:00+00:00'],
      ],
    )
  })

  it('shows what the user said of a message that was packed for the model, and other packed ones as they are', () => {
    const shown = (text: string) => {
      const [message] = toLettaMessages({ ...stored, role: 'user', content: [{ type: 'text', text }] })
      assert.ok(message?.message_type === 'user_message')
      return message.content
    }
    const time = '2026-01-31 10:00:00 AM UTC+0000'
    assert.equal(shown(JSON.stringify({ type: 'user_message', message: 'hi', time })), 'hi')
    const heartbeat = JSON.stringify({ type: 'heartbeat', reason: 'go on', time })
    for (const text of [
      heartbeat,
      '{"type":"user_message","message":"hi"}',
      '{"a":1}',
      '{',
      'null',
      '{"type":',
    ])
      assert.equal(shown(text), text)
  })

  it('shows what agents of the older types say through a tool as what it is, unless told not to', () => {
    const said = { ...stored, tool_calls: [call('send_message', '{"message":"hi"}'), call('look', '{}')] }
    const shown = toLettaMessages(said)
    assert.deepEqual(
      shown.map((message) => message.message_type),
      ['assistant_message', 'tool_call_message'],
    )
    assert.ok(shown[0]?.message_type === 'assistant_message')
    assert.equal(shown[0].content, 'hi')
    const returned: StoredMessage = {
      ...stored,
      role: 'tool',
      tool_returns: ['send_message', 'look'].map((name) => ({
        tool_call_id: name,
        name,
        status: 'success',
        func_response: 'ok',
      })),
    }
    assert.equal(toLettaMessages(returned).length, 1)
    const plain = {
      use_assistant_message: false,
      assistant_message_tool_name: 'send_message',
      assistant_message_tool_kwarg: 'message',
    }
    assert.deepEqual(
      toLettaMessages(said, plain).map((message) => message.message_type),
      ['tool_call_message'],
    )
    assert.equal(toLettaMessages(returned, plain).length, 2)
    const failed = returned.tool_returns.map((result) => ({ ...result, status: 'error' as const }))
    assert.equal(toLettaMessages({ ...returned, tool_returns: failed }).length, 2, 'an error is not hidden')
    const own = { ...plain, use_assistant_message: true, assistant_message_tool_name: 'look' }
    assert.deepEqual(
      toLettaMessages({ ...stored, tool_calls: [call('look', '{"message":')] }, own).map(
        (m) => m.message_type,
      ),
      ['tool_call_message'],
      'arguments that cannot be read are shown as they are',
    )
  })
})
