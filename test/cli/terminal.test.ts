import assert from 'node:assert/strict'
import { oneLine, plain, plainPieces, wrap } from '../../cli/terminal.ts'

const hostile: [string, string, string][] = [
  ['a colour', 'a\x1b[31mb\x1b[0m', 'ab'],
  ['a cursor move', 'a\x1b[2J\x1b[1;1Hb', 'ab'],
  ['a window title', 'a\x1b]0;owned\x07b', 'ab'],
  ['a clipboard write', 'a\x1b]52;c;ZXZpbA==\x1b\\b', 'ab'],
  ['a device control string', 'a\x1bPq#0;2;0\x1b\\b', 'ab'],
  ['8-bit sequences', 'a\x9b31mb\x9d0;x\x9cc', 'abc'],
  ['a terminal reset', 'a\x1bcb', 'ab'],
  ['a carriage return over text', 'yes\rno', 'yes\nno'],
  ['backspaces and bells', 'a\b\b\x07b\x7f', 'ab'],
  ['a right-to-left override', 'a\u202Ecod.exe\u2066', 'acod.exe'],
  ['text with tabs, newlines, umlauts and emoji', 'ä\tb\r\n🦊 שלום', 'ä\tb\n🦊 שלום'],
]

describe('plain', () => {
  for (const [name, text, expected] of hostile) {
    it(`makes ${name} harmless`, () => assert.equal(plain(text), expected))
  }

  it('leaves nothing of a sequence that comes in pieces, wherever it is cut', () => {
    for (const [name, text, expected] of hostile.filter(([, t]) => t.includes('\x1b') || t.includes('\r'))) {
      for (let cut = 1; cut < text.length; cut++) {
        const clean = plainPieces()
        assert.equal(clean(text.slice(0, cut)) + clean(text.slice(cut)), expected, `${name}, cut at ${cut}`)
      }
    }
  })

  it('does not hold an answer back for a sequence that never ends', () => {
    const clean = plainPieces()
    let shown = clean('\x1b]0;')
    for (let i = 0; i < 300; i++) shown += clean('word ')
    assert.match(shown, /word word/)
    assert.doesNotMatch(shown, /\x1b/) // oxlint-disable-line no-control-regex -- what must not be there
  })
})

describe('oneLine and wrap', () => {
  it('makes one line of many and says where it was cut', () => {
    assert.equal(oneLine('a\n  b\x1b[1m c', 80), 'a b c')
    assert.equal(oneLine('abcdef', 4), 'abc…')
  })

  it('breaks at spaces and never inside a word', () => {
    assert.equal(wrap('aa bb cc\n\ndd', 5), 'aa bb\ncc\n\ndd')
    assert.equal(wrap('a verylongword b', 6, '  '), '  a\n  verylongword\n  b')
  })
})
