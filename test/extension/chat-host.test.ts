import assert from 'node:assert/strict'
import { createAsideReader } from '../../extension/host/chat/aside.ts'
import { chatMarkdown } from '../../extension/host/chat/chat-markdown.ts'
import { smallDiff } from '../../extension/host/chat/small-diff.ts'
import { failureOf } from '../../extension/host/chat/turn-end.ts'
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

describe('what is set aside in a history', () => {
  const alert = (id: string) => user(id, '{"type": "system_alert", "message": "Summary", "time": "now"}')

  it('is what is not in context, where nothing was compacted', () => {
    const messages = [
      system('s', ''),
      user('1', 'a'),
      assistant('2', 'b'),
      user('3', 'c'),
      assistant('4', 'd'),
    ]
    assert.deepEqual(createAsideReader().newest(messages, ['s', '3', '4']).sort(), ['1', '2'])
    assert.deepEqual(createAsideReader().newest(messages, ['s', '1', '2', '3', '4']), [])
  })

  it('is nothing of what was summarised', () => {
    const kept = [
      system('s', ''),
      user('1', 'a'),
      assistant('2', 'b'),
      user('3', 'c'),
      alert('4'),
      user('5', 'd'),
    ]
    assert.deepEqual(createAsideReader().newest(kept, ['s', '4', '3', '5']), [])
    assert.deepEqual(createAsideReader().newest(kept, ['s', '4', '5']), [])
    assert.deepEqual(createAsideReader().newest(kept, ['s', '4']), ['5'], 'rewound since')
  })

  it('is nothing where no message stays in context', () => {
    assert.deepEqual(createAsideReader().newest([system('s', ''), user('1', 'a')], ['s']), [])
  })

  it('is told over pages', () => {
    const reader = createAsideReader()
    assert.deepEqual(reader.newest([user('5', 'e'), assistant('6', 'f')], ['s', '2', '6']), ['5'])
    assert.deepEqual(reader.earlier([user('1', 'a'), user('2', 'b'), user('3', 'c')]).sort(), ['1', '3'])
  })
})

describe('a small diff', () => {
  const drawn = (before: string, after: string) =>
    smallDiff(before, after).lines.map(({ kind, parts }) =>
      [kind, ...parts.map(({ text, marked }) => (marked ? `[${text}]` : text))].join(' '),
    )

  it('shows changed lines with the words that differ, and a line around', () => {
    assert.deepEqual(
      drawn('a\nb\nName: Bob\nc\nd', 'a\nb\nName: Ada\nc\nd'),
      [
        'gap',
        'same b',
        'removed Name:  [Bob]'.replace('  ', ' '),
        'added Name:  [Ada]'.replace('  ', ' '),
        'same c',
        'gap',
      ].map((line) => line.replace('Name: [', 'Name:  [')),
    )
  })

  it('leaves a last line without a newline as it is when others follow it', () => {
    assert.deepEqual(drawn('a\nb', 'a\nb\nc'), ['gap', 'same b', 'added c'])
    assert.deepEqual(drawn('a\nb\nc', 'a\nb'), ['gap', 'same b', 'removed c'])
    assert.deepEqual(drawn('a', 'a\n'), ['gap'])
  })

  it('counts what was added and removed', () => {
    const { added, removed } = smallDiff('', 'one\ntwo\n')
    assert.deepEqual([added, removed], [2, 0])
  })

  it('tells a change of millions of characters by its size', () => {
    const { lines, added } = smallDiff('', 'line\n'.repeat(1_000_000))
    assert.deepEqual([lines.length, added], [1, 1_000_000])
  })
})

describe('a chat as Markdown', () => {
  it('has questions, answers, folded tools, and fences that hold', () => {
    const text = chatMarkdown('Chat with Scout', [
      system('0', 'secret'),
      user('1', 'Hi'),
      reasoning('2', 'Hm'),
      toolCall('3', 'c', 'search', '{"q":1}'),
      toolReturn('4', 'c', 'a\n```\nb'),
      approvalRequest('5', 'd', 'rm'),
      approvalResponse('6', '5', 'd', false, 'No\nway'),
      assistant('7', 'Hello'),
      user('8', '{"type": "heartbeat", "time": "now"}'),
    ])
    assert.match(text, /^# Chat with Scout\n\n## You\n\n.*\n\nHi\n/)
    assert.match(text, /<summary>Tool search<\/summary>\n\n```json\n\{"q":1\}\n```/)
    assert.match(text, /````\na\n```\nb\n````/)
    assert.match(text, /> Denied: No way/)
    assert.match(text, /Hello\n$/)
    assert.doesNotMatch(text, /secret|heartbeat/)
  })
})

describe('what the server refuses', () => {
  it('comes with the button that helps', () => {
    const refused = (status: number, detail: unknown, type?: string) =>
      failureOf({ status, error: { detail, ...(type ? { error: { type } } : {}) } })?.fix
    assert.equal(refused(409, { code: 'PENDING_APPROVAL' }), 'deny')
    assert.equal(refused(409, 'CONVERSATION_BUSY: run-1'), 'stop-other')
    assert.equal(refused(401, 'Wrong key', 'llm_authentication'), 'provider')
    assert.equal(refused(400, 'INVALID_ARGUMENT: no'), null)
    assert.equal(failureOf({ status: 400, error: { detail: 'INVALID_ARGUMENT: no' } })?.message, 'no')
    assert.equal(failureOf(new TypeError('fetch failed')), null)
    const said = (detail: string) =>
      failureOf({ error: { message_type: 'error_message', message: 'm', detail } })?.fix
    assert.deepEqual(['model_not_found', 'llm_authentication', 'llm_context_window', 'llm_error'].map(said), [
      'model',
      'provider',
      'compact',
      null,
    ])
  })
})
