import assert from 'node:assert/strict'
import { prettyArgs, rowsOf, shortArgs } from '../../extension/webview/transcript.ts'
import {
  approvalRequest,
  approvalResponse,
  assistant,
  reasoning,
  system,
  toolCall,
  toolReturn,
  user,
} from './messages.ts'

const bare = (tool_call_id: string) => ({
  tool_call_id,
  step_id: null,
  run_id: null,
  output: '',
  approval: null,
})

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
      { kind: 'user', key: 'message-1', text: 'I am Ada', images: [], message_id: 'message-1' },
      { kind: 'reasoning', key: 'message-2-reasoning', text: 'A fact.' },
      {
        kind: 'tool',
        key: 'call-call-1',
        name: 'memory_insert',
        args: '{"label":"human"}',
        status: 'success',
        result: 'done',
        ...bare('call-1'),
      },
      { kind: 'assistant', key: 'message-4-text', text: 'Hello Ada', message_id: 'message-4' },
    ])
  })

  it('grows one call from its deltas, with and without its id', () => {
    const rows = rowsOf([
      toolCall('message-2', 'call-1', 'search', '{"q'),
      toolCall('message-2', 'call-1', null, '":"a'),
      toolCall('message-2', null, null, '"}'),
    ])
    assert.deepEqual(rows, [
      {
        kind: 'tool',
        key: 'call-call-1',
        name: 'search',
        args: '{"q":"a"}',
        status: 'running',
        result: '',
        ...bare('call-1'),
      },
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
    assert.deepEqual(rows, [
      { kind: 'user', key: 'm2', text: '{"name": "Ada"}', images: [], message_id: null },
    ])
  })

  it('gives every row a key of its own', () => {
    const rows = rowsOf([assistant('m1', 'a'), toolCall('m1', 'c', 't', ''), assistant('m1', 'b')])
    assert.equal(new Set(rows.map((row) => row.key)).size, 3)
  })

  it('keeps the key of a question when the server has it', () => {
    const sent = { ...user('otid-1', 'Hi'), otid: 'otid-1' }
    const stored = { ...user('message-9', 'Hi'), otid: 'otid-1' }
    assert.equal(rowsOf([sent])[0]?.key, rowsOf([stored])[0]?.key)
  })

  it('shows a call that waits for an approval, and what was answered', () => {
    const request = approvalRequest('message-1', 'call-1', 'delete_all')
    const states = (items: Parameters<typeof rowsOf>[0], pending: string | null) =>
      rowsOf(items, { pending }).map((row) => row.kind === 'tool' && row.approval?.state)
    assert.deepEqual(states([request], 'message-1'), ['waiting'])
    assert.deepEqual(states([request], null), ['unanswered'])
    const denied = [request, approvalResponse('message-2', 'message-1', 'call-1', false, 'Not today')]
    assert.deepEqual(states(denied, null), ['denied'])
    const [row] = rowsOf(denied)
    assert.equal(row?.kind === 'tool' && row.approval?.reason, 'Not today')
  })

  it('folds what was set aside into one row that knows its last message', () => {
    const rows = rowsOf(
      [user('m1', 'a'), assistant('m2', 'b'), user('m3', 'c'), assistant('m4', 'd'), user('m5', 'e')],
      { aside: new Set(['m3', 'm4']) },
    )
    assert.deepEqual(
      rows.map((row) => row.kind),
      ['user', 'assistant', 'aside', 'user'],
    )
    const [, , group] = rows
    assert.ok(group?.kind === 'aside')
    assert.deepEqual([group.last_id, group.rows.length], ['m4', 2])
  })

  it('shows images that were sent, and no address of another place', () => {
    const image = (media_type: string) => ({
      type: 'image' as const,
      source: { type: 'base64' as const, media_type, data: 'AAAA' },
    })
    const remote = { type: 'image' as const, source: { type: 'url' as const, url: 'https://spy.test/a.png' } }
    const content = [
      { type: 'text' as const, text: 'Look' },
      image('image/png'),
      image('text/html,x'),
      remote,
    ]
    const [row] = rowsOf([{ ...user('m1', ''), content }])
    assert.deepEqual(row?.kind === 'user' && row.images, ['data:image/png;base64,AAAA'])
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
