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
      draft: 'half a sen',
    })
    assert.deepEqual(parseChatState({ agentId: 'agent-1' }), { agentId: 'agent-1', draft: '' })
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
