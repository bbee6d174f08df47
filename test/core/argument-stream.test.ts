import assert from 'node:assert/strict'
import { ArgumentStream, splitArguments } from '../../shared/core/turn/argument-stream.ts'

/** The text in pieces of this many characters, read one after the other. */
function inPieces(text: string, size: number, names: string[]) {
  const stream = new ArgumentStream(names)
  const deltas = []
  for (let at = 0; at < text.length; at += size) deltas.push(stream.push(text.slice(at, at + size)))
  deltas.push(stream.end())
  return {
    rest: deltas.map((delta) => delta.rest).join(''),
    said: deltas.flatMap((delta) => delta.taken),
  }
}

describe('arguments of a tool call as they come', () => {
  it('takes a member out wherever it stands and leaves valid JSON', () => {
    for (const text of [
      '{"thinking":"hm","message":"hi","request_heartbeat":true}',
      '{"message":"hi","thinking":"hm","request_heartbeat":true}',
      '{ "message" : "hi" ,\n "request_heartbeat" : true ,\n "thinking" : "hm" }',
    ]) {
      const { rest, taken } = splitArguments(text, ['thinking'])
      assert.deepEqual(JSON.parse(rest), { message: 'hi', request_heartbeat: true }, rest)
      assert.deepEqual([...taken], [['thinking', 'hm']])
    }
    assert.equal(splitArguments('{"thinking":"hm"}', ['thinking']).rest, '{}')
    assert.equal(splitArguments('{"a":[1,{"thinking":"no"}]}', ['thinking']).taken.size, 0)
  })

  it('says the text as soon as it is there', () => {
    const stream = new ArgumentStream(['message'])
    assert.deepEqual(stream.push('{"mess').taken, [])
    assert.deepEqual(stream.push('age": "Hel').taken, [{ name: 'message', text: 'Hel' }])
    assert.deepEqual(stream.push('lo\\').taken, [{ name: 'message', text: 'lo' }])
    assert.deepEqual(stream.push('n"}').taken, [{ name: 'message', text: '\n' }])
  })

  it('is the same in whatever pieces it comes, and never half a character', () => {
    const value = {
      thinking: 'a "quote", a \\ and 😀 é \u2028',
      n: [1, { s: '}],"' }],
      message: 'tab\tand 😀',
      z: null,
    }
    for (const text of [
      JSON.stringify(value),
      JSON.stringify(value, null, 2),
      JSON.stringify(value).replaceAll('😀', '\\ud83d\\ude00'),
    ]) {
      const whole = splitArguments(text, ['thinking', 'message'])
      assert.deepEqual(JSON.parse(whole.rest), { n: value.n, z: null })
      assert.deepEqual(Object.fromEntries(whole.taken), {
        thinking: value.thinking,
        message: value.message,
      })
      for (let size = 1; size < text.length; size++) {
        const { rest, said } = inPieces(text, size, ['thinking', 'message'])
        assert.equal(rest, whole.rest, `pieces of ${size}`)
        const words = (name: string) => said.flatMap((s) => (s.name === name ? [s.text] : [])).join('')
        assert.equal(words('thinking'), value.thinking)
        assert.equal(words('message'), value.message)
        assert.ok(
          said.every((s) => s.text.isWellFormed()),
          `pieces of ${size}`,
        )
      }
    }
  })

  it('passes on whatever is no object, or stops half way', () => {
    for (const text of [
      '',
      '  ',
      'not json',
      '[1,2]',
      '"thinking"',
      'null',
      '{"a":1} {"thinking":"x"}',
      '{thinking: "x"}',
      '{,,',
      '{"a',
      '{"a\\',
      '{"a":"b\\',
      '{"a" "thinking":',
      '{"a":1,',
      '{"thinking":5}',
      '{"thinking":{"thinking":"x"}}',
      '{{{{',
      '}',
      '{]',
      '\0{"a":1}',
    ])
      for (const size of [1, 2, 1000])
        assert.equal(inPieces(text, size, ['thinking']).rest, text, JSON.stringify(text))
  })

  it('keeps what was said of a text that breaks off', () => {
    const text = (given: string) => splitArguments(given, ['message']).taken.get('message')
    assert.equal(text('{"message":"Hel'), 'Hel')
    assert.equal(text('{"message":"Hel\\'), 'Hel\\')
    assert.equal(text('{"message":"Hel\\u00'), 'Hel\\u00')
    assert.equal(text('{"message":"\\ud83d"}'), '\ufffd')
    assert.equal(text('{"message":"\\q\\uzzzz"}'), '\\q\\uzzzz')
    assert.equal(text('{"message":"one","message":"two"}'), 'one')
    assert.equal(text('{"\\u006dessage":"one"}'), 'one')
  })

  it('reads random text without ever failing, and loses nothing that it does not take', () => {
    let seed = 7
    const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n
    const pieces = [
      '{',
      '}',
      '"',
      ':',
      ',',
      '\\',
      'thinking',
      '"thinking":"',
      'a',
      '[',
      ']',
      ' ',
      '\\u12',
      '😀',
      '1',
    ]
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join('')
      const whole = splitArguments(text, ['thinking'])
      if (whole.taken.size === 0 && !text.includes('thinking":"')) assert.equal(whole.rest, text)
      assert.equal(inPieces(text, 1 + random(4), ['thinking']).rest, whole.rest, JSON.stringify(text))
    }
  })
})
