import assert from 'node:assert/strict'
import { addItem, parseChatState, parseToHost, textOf } from '../../extension/protocol.ts'
import type { StreamItem } from '../../shared/schema/message.ts'
import { assistant, reasoning, toolCall } from './messages.ts'

describe('the chat protocol', () => {
  it('takes every request and command as the webview sends it', () => {
    const good = [
      { kind: 'request', id: 1, method: 'chat.open', params: null },
      { kind: 'request', id: 2, method: 'chat.earlier', params: { before: 'message-1' } },
      { kind: 'request', id: 3, method: 'chat.send', params: { otid: 'o', content: 'hi' } },
      { kind: 'request', id: 4, method: 'chat.stop', params: null },
      { kind: 'command', command: 'logs.show', params: null },
      { kind: 'request', id: 5, method: 'chat.edit', params: { otid: 'o', message_id: 'm', content: null } },
      { kind: 'request', id: 6, method: 'chat.retry', params: { otid: 'o', fix: 'compact' } },
      {
        kind: 'request',
        id: 7,
        method: 'chat.decide',
        params: {
          otid: 'o',
          decisions: [{ tool_call_id: 'c', approve: false, reason: 'no' }],
          always: ['t'],
        },
      },
      { kind: 'request', id: 8, method: 'chat.fork', params: { message_id: 'm' } },
      { kind: 'request', id: 9, method: 'tool.details', params: { runs: ['r'], steps: [] } },
      { kind: 'request', id: 10, method: 'memory.undo', params: { block_id: 'b', version: 2 } },
      { kind: 'command', command: 'code.insert', params: { text: 'x' } },
      { kind: 'command', command: 'tool.open', params: { name: 't' } },
    ]
    for (const envelope of good) assert.deepEqual(parseToHost(structuredClone(envelope)), envelope)
  })

  it('refuses what is no envelope, an unknown method, and parameters of another shape', () => {
    const bad = [
      null,
      'chat.open',
      {},
      { kind: 'request', method: 'chat.open' },
      { kind: 'request', id: 1, method: 'chat.eval', params: { code: '1' } },
      { kind: 'request', id: 1, method: 'chat.earlier', params: { before: 5 } },
      { kind: 'request', id: 1, method: 'chat.send', params: { otid: 'o', content: '   ' } },
      { kind: 'request', id: 1, method: 'chat.send', params: { content: 'hi' } },
      { kind: 'command', command: 'workbench.action.quit', params: null },
      { kind: 'command', command: 'code.insert', params: null },
      { kind: 'request', id: 1, method: 'toString', params: null },
      { kind: 'request', id: 1, method: 'chat.retry', params: { otid: 'o', fix: 'rm' } },
      { kind: 'request', id: 1, method: 'chat.decide', params: { otid: 'o', decisions: [], always: [] } },
      { kind: 'request', id: 1, method: 'chat.decide', params: { otid: 'o', decisions: [{}], always: [] } },
    ]
    for (const value of bad) assert.equal(parseToHost(value), null, JSON.stringify(value))
  })

  it('drops what a request carries beyond its parameters', () => {
    const sent = {
      kind: 'request',
      id: 3,
      method: 'chat.send',
      params: { otid: 'o', content: 'hi', agent: 'x' },
    }
    assert.deepEqual(parseToHost(sent), { ...sent, params: { otid: 'o', content: 'hi' } })
  })

  it('brings back a draft, and nothing that is not one', () => {
    assert.deepEqual(parseChatState({ agentId: 'agent-1', draft: 'half a sen' }), {
      agentId: 'agent-1',
      conversationId: null,
      draft: 'half a sen',
      unsent: null,
      editing: null,
    })
    const kept = {
      agentId: 'agent-1',
      conversationId: 'conv-1',
      draft: '',
      unsent: { otid: 'o', content: 'lost?' },
      editing: { message_id: 'm', text: 'other words' },
    }
    assert.deepEqual(parseChatState(structuredClone(kept)), kept)
    assert.equal(parseChatState({ draft: 'x' }), null)
    assert.equal(parseChatState(undefined), null)
  })
})

describe('joining the items of a stream', () => {
  it('joins deltas of one message and keeps all else apart and in order', () => {
    const stream = [
      reasoning('m1', 'Let me '),
      reasoning('m1', 'think.'),
      assistant('m1', 'Hel'),
      assistant('m1', 'lo'),
      toolCall('m2', 'call-1', 'search', '{"q":'),
      toolCall('m2', 'call-1', null, '1}'),
      assistant('m3', 'Done'),
    ]
    const items = stream.reduce<StreamItem[]>((all, item) => addItem(all, item), [])
    assert.deepEqual(items, [
      reasoning('m1', 'Let me think.'),
      assistant('m1', 'Hello'),
      toolCall('m2', 'call-1', 'search', '{"q":'),
      toolCall('m2', 'call-1', null, '1}'),
      assistant('m3', 'Done'),
    ])
  })

  it('leaves the items it was given as they were', () => {
    const first = assistant('m1', 'a')
    addItem([first], assistant('m1', 'b'))
    assert.equal(textOf(first.content), 'a')
  })

  it('reads content as text, with a word for what is none', () => {
    assert.equal(textOf('plain'), 'plain')
    assert.equal(textOf([{ type: 'text', text: 'see ' }, { type: 'image' }]), 'see [image]')
  })
})
