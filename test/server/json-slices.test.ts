import assert from 'node:assert/strict'
import { parseJson } from '../../shared/server/json-slices.ts'

describe('JSON in parts', () => {
  let breaths = 0
  const breathe = async () => {
    breaths++
  }
  const parse = (text: string | Buffer) => parseJson(Buffer.from(text as string), breathe)

  it('is what JSON.parse says, also of strings that are read part by part', async () => {
    const pieces = [
      'plain ',
      '\\n',
      '\\\\',
      '\\"',
      'Größe ',
      '日本',
      '😀',
      '\\ud83d\\ude00',
      '\\u00e9',
      '{[,',
    ]
    for (let n = 1; n <= 12; n++) {
      // Every beginning of a part falls on another place in the pattern.
      const long = `${'x'.repeat(n)}${pieces.join('-'.repeat(n)).repeat(20_000)}`
      const text = ` {"a": "${long}", "${'k'.repeat(n)}": [1, true, null, "${long}"], "end": {}}\n`
      assert.deepEqual(await parse(text), JSON.parse(text), String(n))
    }
  })

  it('gives way within a long string', async () => {
    breaths = 0
    await parse(JSON.stringify('line after line\n'.repeat(200_000)))
    assert.ok(breaths > 5, String(breaths))
  })

  it('reads a string in which nothing may be cut', async () => {
    const text = `"${'\\ud83d\\ude00'.repeat(100_000)}"`
    assert.equal(await parse(text), JSON.parse(text))
  })

  it('leaves a mark of the byte order out, and replaces what no store keeps', async () => {
    assert.deepEqual(await parse('\uFEFF[1]'), [1])
    assert.deepEqual(await parse(String.raw`["\u0000a", "\ud800b"]`), ['a', '\uFFFDb'])
  })

  it('refuses what is no UTF-8, wherever it stands', async () => {
    for (const text of [`["\xff"]`, `"${'x'.repeat(600_000)}\xff"`, '{"\xff": 1}'])
      await assert.rejects(parse(Buffer.from(text, 'latin1')), /is not UTF-8/)
    await assert.rejects(parse(Buffer.from('[1, \xff]', 'latin1')), { code: 'invalid_argument' })
  })

  it('says where a text is no JSON', async () => {
    for (const [text, said] of [
      ['[1, 2', 'at byte 5: the text ends too early'],
      ['hello', `near byte 1: Unexpected token 'h', "hello"`],
      ['{"é": [1, 2 3]}', `at byte 14: Expected ',' or ']' after array element`],
      [`[${'{"aaaaaaaaaaa":1},'.repeat(10_000)}{"b" 1}]`, "at byte 180007: Expected ':' after property name"],
    ] as const)
      await assert.rejects(parse(text), { message: `The file is not valid JSON, ${said}` })
    await assert.rejects(parse(`"${'x'.repeat(600_000)}`), /a string has no end/)
    await assert.rejects(parse(`"${'x'.repeat(300_000)}\n"`), { code: 'invalid_argument' })
  })
})
