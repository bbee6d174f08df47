import assert from 'node:assert/strict'
import { prettyArgs, rowsOf, shortArgs } from '../../extension/webview/transcript.ts'
import { assistant, reasoning, system, toolCall, toolReturn, user } from './messages.ts'

describe('rows of a chat', () => {
  it('shows a turn as question, reasoning, tool call with its result, and answer', () => {
    const rows = rowsOf([
      system('message-0', 'You are…'),
      user('message-1', 'I am Ada'),
      reasoning('message-2', 'A fact.'),
      toolCall('message-2', 'call-1', 'memory_insert', '{"label":"human"}'),
      toolReturn('message-3', 'call-1', 'done'),
      assistant('message-4', 'Hello Ada'),
    ])
    assert.deepEqual(rows, [
      { kind: 'user', key: 'message-1', text: 'I am Ada' },
      { kind: 'reasoning', key: 'message-2-reasoning', text: 'A fact.' },
      {
        kind: 'tool',
        key: 'call-call-1',
        name: 'memory_insert',
        args: '{"label":"human"}',
        status: 'success',
        result: 'done',
      },
      { kind: 'assistant', key: 'message-4-text', text: 'Hello Ada' },
    ])
  })

  it('grows one call from its deltas, with and without its id', () => {
    const rows = rowsOf([
      toolCall('message-2', 'call-1', 'search', '{"q'),
      toolCall('message-2', 'call-1', null, '":"a'),
      toolCall('message-2', null, null, '"}'),
    ])
    assert.deepEqual(rows, [
      { kind: 'tool', key: 'call-call-1', name: 'search', args: '{"q":"a"}', status: 'running', result: '' },
    ])
  })

  it('keeps parallel calls apart and gives each its own result', () => {
    const rows = rowsOf([
      toolCall('message-2', 'call-1', 'a', '{}'),
      toolCall('message-2', 'call-2', 'b', '{}'),
      toolReturn('message-3', 'call-2', 'second'),
      toolReturn('message-4', 'call-1', 'no such file', 'error'),
    ])
    assert.deepEqual(
      rows.map((row) => row.kind === 'tool' && [row.name, row.status, row.result]),
      [
        ['a', 'error', 'no such file'],
        ['b', 'success', 'second'],
      ],
    )
  })

  it('hides events that are stored as user messages', () => {
    const rows = rowsOf([
      user('m1', '{"type": "login", "last_login": "Never"}'),
      user('m2', '{"name": "Ada"}'),
    ])
    assert.deepEqual(rows, [{ kind: 'user', key: 'm2', text: '{"name": "Ada"}' }])
  })

  it('gives every row a key of its own', () => {
    const rows = rowsOf([assistant('m1', 'a'), toolCall('m1', 'c', 't', ''), assistant('m1', 'b')])
    assert.equal(new Set(rows.map((row) => row.key)).size, 3)
  })
})

describe('arguments of a tool call', () => {
  it('are indented for reading, or shown as they came', () => {
    assert.equal(prettyArgs('{"a":1}'), '{\n  "a": 1\n}')
    assert.equal(prettyArgs('{"a":'), '{"a":')
  })

  it('are summed up on one line', () => {
    assert.equal(
      shortArgs('{"label":"human","new_string":"Lives in\\nLondon","n":3,"x":""}'),
      'human · Lives in, London',
    )
    assert.equal(shortArgs('{"label":"hu'), '{"label":"hu')
    assert.equal(shortArgs('{"page":2,"size":[1,2]}'), '2 · [1,2]')
    assert.equal(shortArgs(''), '')
  })
})
