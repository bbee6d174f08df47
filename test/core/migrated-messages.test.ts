import assert from 'node:assert/strict'
import { messageOfParts } from '../../shared/core/migration/messages.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { toLettaMessages } from '../../shared/server/letta-messages.ts'

const id = 'message-00000000-0000-4000-8000-000000000001'
const place = { agent_id: 'agent-1', conversation_id: 'agent-1' }
const common = { id, date: '2025-03-01T09:00:00+01:00', name: null, step_id: 'step-1', run_id: 'run-1' }

function read(...parts: Record<string, unknown>[]): StoredMessage {
  const made = messageOfParts(
    parts.map((part) => ({ ...common, ...part })),
    place,
    new Map([['c', 'look']]),
  )
  assert.ok(typeof made !== 'string', typeof made === 'string' ? made : '')
  return made
}

describe('API messages of another server', () => {
  it('become the one message that was stored, whatever number of them shows it', () => {
    const calls = [
      { name: 'look', arguments: '{"a":1}', tool_call_id: 'c1' },
      { name: 'look', arguments: '{}', tool_call_id: 'c2' },
    ]
    const message = read(
      { message_type: 'reasoning_message', source: 'non_reasoner_model', reasoning: 'Hm', signature: null },
      { message_type: 'hidden_reasoning_message', state: 'redacted', hidden_reasoning: 'xyz' },
      { message_type: 'hidden_reasoning_message', state: 'omitted' },
      { message_type: 'assistant_message', content: [{ type: 'text', text: 'Wait.' }] },
      { message_type: 'tool_call_message', tool_call: calls[0], tool_calls: calls },
    )
    assert.deepEqual([message.role, message.created_at], ['assistant', '2025-03-01T08:00:00.000Z'])
    assert.deepEqual(
      message.content.map((part) => part.type),
      ['reasoning', 'redacted_reasoning', 'omitted_reasoning', 'text'],
    )
    assert.deepEqual(
      message.tool_calls.map((call) => [call.id, call.function.arguments]),
      [
        ['c1', '{"a":1}'],
        ['c2', '{}'],
      ],
    )
    const types = toLettaMessages(message).map(({ message_type }) => message_type)
    assert.equal(
      types.join(),
      'reasoning_message,hidden_reasoning_message,hidden_reasoning_message,assistant_message,tool_call_message',
    )
  })

  it('take a single call, return or decision as older servers tell it', () => {
    const call = { name: 'look', arguments: '{}', tool_call_id: 'c' }
    assert.equal(read({ message_type: 'tool_call_message', tool_call: call }).tool_calls.length, 1)
    const returned = read({
      message_type: 'tool_return_message',
      tool_return: 'no',
      status: 'error',
      tool_call_id: 'c',
      stdout: ['x'],
    })
    assert.deepEqual(returned.tool_returns, [
      { tool_call_id: 'c', name: 'look', status: 'error', func_response: 'no', stdout: ['x'] },
    ])
    const decided = read({
      message_type: 'approval_response_message',
      approve: false,
      approval_request_id: 'message-2',
      reason: 'No',
    })
    assert.deepEqual(decided.approval, {
      request_id: 'message-2',
      decisions: [{ type: 'approval', tool_call_id: '', approve: false, reason: 'No' }],
    })
  })

  it('keep what waits for an approval, and what was decided', () => {
    const call = { name: 'look', arguments: '{}', tool_call_id: 'c' }
    const request = read(
      { message_type: 'reasoning_message', source: 'reasoner_model', reasoning: 'May I?', signature: 's' },
      { message_type: 'approval_request_message', tool_call: call, tool_calls: [call] },
    )
    assert.deepEqual([request.role, request.tool_calls.length, request.approval], ['approval', 1, undefined])
    const approvals = [
      { type: 'approval', tool_call_id: 'c', approve: true, reason: null },
      {
        type: 'tool',
        tool_call_id: 'd',
        tool_return: 'done',
        status: 'success',
        stdout: null,
        stderr: ['e'],
      },
    ]
    const answer = read({ message_type: 'approval_response_message', approvals, approval_request_id: id })
    assert.deepEqual(answer.approval, {
      request_id: id,
      decisions: [
        approvals[0],
        { type: 'tool', tool_call_id: 'd', tool_return: 'done', status: 'success', stderr: ['e'] },
      ],
    })
    assert.deepEqual(
      toLettaMessages(answer).map(({ message_type }) => message_type),
      ['approval_response_message'],
    )
  })

  it('are refused with the reason when they are none', () => {
    const reason = (...parts: Record<string, unknown>[]) => {
      const made = messageOfParts(
        parts.map((part) => ({ ...common, ...part })),
        place,
        new Map(),
      )
      return typeof made === 'string' ? made : ''
    }
    assert.match(reason({ message_type: 'user_message', id: 'x' }), /its id 'x'/)
    assert.match(reason({ message_type: 'user_message', date: null }), /no date/)
    assert.match(reason({ message_type: 'dream_message' }), /'dream_message' are not known/)
    assert.match(reason(), /its id ''/)
  })
})
