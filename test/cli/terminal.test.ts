import assert from 'node:assert/strict'
import { tableText } from '../../cli/print.ts'
import { progressText } from '../../cli/progress.ts'
import { displayWidth, oneLine, plain, plainPieces, wrap } from '../../cli/terminal.ts'

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

describe('displayWidth', () => {
  it('counts wide characters and emoji twice, and what styles not at all', () => {
    for (const [text, width] of [
      ['abc', 3],
      ['東京', 4],
      ['한글', 4],
      ['🦊', 2],
      ['👩‍👩‍👧', 2],
      ['e\u0301', 1],
      ['\x1b[1mbold\x1b[22m', 4],
    ] as const)
      assert.equal(displayWidth(text), width, text)
    assert.equal(oneLine('東京都', 5), '東京…')
  })
})

describe('tableText', () => {
  const titles = [{ title: 'NAME', flexible: true }, { title: 'N', align: 'right' as const }, { title: 'ID' }]
  const rows = [
    ['a rather long name', '1', 'id-00000001'],
    ['東京', '20', 'id-00000002'],
  ]

  it('aligns columns by what they take on a terminal, and cuts what may be cut', () => {
    assert.deepEqual(tableText(titles, rows, 80).split('\n'), [
      'NAME                 N  ID',
      'a rather long name   1  id-00000001',
      '東京                20  id-00000002',
      '',
    ])
    assert.deepEqual(tableText(titles, rows, 30).split('\n'), [
      'NAME            N  ID',
      'a rather lo…    1  id-00000001'.replace('lo…  ', 'lon… '),
      '東京           20  id-00000002',
      '',
    ])
  })

  it('shows rows below each other where there is no room', () => {
    assert.equal(
      tableText(titles, rows, 20),
      'a rather long name\n  n 1\n  id-00000001\n東京\n  n 20\n  id-00000002\n',
    )
  })
})

describe('progressText', () => {
  it('draws a bar that fits, and none where it would be too short', () => {
    assert.equal(progressText('Copying', 0.5, 40), `Copying ${'━'.repeat(13)}${'─'.repeat(13)}  50 %`)
    assert.equal(progressText('Copying', 0.5, 20), 'Copying  50 %')
    assert.equal(progressText('Copying', 1, 200).length, 8 + 30 + 6)
    assert.equal(progressText('A long text for so little room', undefined, 10), 'A long te…')
  })
})
