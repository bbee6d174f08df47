import assert from 'node:assert/strict'
import { batches, MAX_LINE } from '../../shared/core/ports/file-chunks.ts'
import { decodeText, sniff } from '../../shared/tools/files/kinds.ts'
import { checkZip } from '../../shared/tools/files/zip.ts'
import { aZip } from '../support/documents.ts'

const partsOf = (text: string, chars = 1200) => {
  const all = [...batches(text, chars)]
  return { pieces: all.flatMap((batch) => batch.pieces), chunks: all.flatMap((batch) => batch.chunks), all }
}

describe('the parts of a file', () => {
  it('are the whole text again, in order, with the numbers of their lines', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) =>
      i % 7 === 6 ? '' : `line ${i} ${'x'.repeat(i % 60)}`,
    )
    const { pieces, chunks, all } = partsOf(lines.join('\n'))
    assert.ok(all.length > 10, 'in many batches')
    assert.equal(pieces.map((piece) => piece.text).join('\n'), lines.join('\n'))
    for (const { first_line, text } of pieces) assert.equal(text.split('\n')[0], lines[first_line])
    for (const { first_line, last_line, text } of chunks)
      assert.equal(text, lines.slice(first_line, last_line + 1).join('\n'))
    assert.ok(chunks.every((chunk) => chunk.text.length <= 1300))
    assert.equal(chunks[0]?.first_line, 0)
    for (const [i, chunk] of chunks.entries())
      if (i > 0) assert.equal(chunk.first_line, (chunks[i - 1]?.last_line ?? 0) + 1)
  })

  it('begin where a paragraph, a heading or a function does', () => {
    const functions = ['a', 'b', 'c'].map((name) => `def ${name}():\n${'    work()\n'.repeat(60)}`).join('\n')
    assert.deepEqual(
      partsOf(functions, 1000).chunks.map((chunk) => chunk.text.slice(0, 5)),
      ['def a', 'def b', 'def c'],
    )
  })

  it('of a line without an end are broken, also between the halves of a character', () => {
    const long = 'x'.repeat(MAX_LINE - 1) + '😀'.repeat(10)
    const { pieces } = partsOf(long)
    const text = pieces.map((piece) => piece.text).join('\n')
    assert.ok(text.split('\n').every((line) => line.length <= MAX_LINE))
    assert.ok(text.isWellFormed())
    assert.equal(text.replaceAll('\n', ''), long, 'nothing is lost')
  })

  it('have no carriage returns, marks and null bytes', () => {
    assert.equal(partsOf('\uFEFFa\r\nb\rc\0d\n').pieces[0]?.text, 'a\nb\ncd')
    assert.throws(() => partsOf(' \n\t\n'), /no text/)
  })
})

describe('what a file is', () => {
  it('is told by its bytes', () => {
    const kind = (bytes: string | Buffer, name = 'a.txt') =>
      sniff(Buffer.from(bytes as string, 'latin1'), name)
    assert.equal(kind('%PDF-1.7 …'), 'pdf')
    assert.equal(kind('PK\x03\x04', 'a.pdf'), 'zip')
    assert.equal(kind('\x89PNG\r\n'), 'image')
    assert.equal(kind('  <!DOCTYPE html><p>'), 'html')
    assert.equal(kind('plain'), 'text')
    assert.match((kind('a\0b\0\0') as { problem: string }).problem, /binary.*although its name ends in \.txt/)
    assert.match((kind('\x1f\x8b\x08') as { problem: string }).problem, /gzip/)
  })

  it('UTF-8 with a wrong byte or two is still UTF-8, and a stray NUL makes no text binary', () => {
    const read = (...parts: (string | number[])[]) =>
      decodeText(Buffer.concat(parts.map((part) => Buffer.from(part as string)))).text
    assert.equal(read('Größe, Maß, Füße', [0xff], ' und 東京'), 'Größe, Maß, Füße\uFFFD und 東京')
    assert.equal(read('ok ', [0xed, 0xa0, 0x80], ' 😀 ', [0xff]), 'ok \uFFFD\uFFFD\uFFFD 😀 \uFFFD')
    assert.equal(read('caf', [0xe9]), 'café', 'a single letter of another encoding')
    assert.equal(read([0x47, 0x72, 0xf6, 0xdf, 0x65]), 'Größe')
    assert.equal(sniff(Buffer.from('some text\0 and more'), 'a.txt'), 'text')
    assert.equal(read('some text\0 and more'), 'some text\0 and more')
  })

  it('text that goes on as something else is refused', () => {
    assert.throws(() => decodeText(Buffer.from('text\0\0\0')), /binary/)
  })
})

describe('a ZIP archive', () => {
  it('is unpacked to its bound before a parser sees it', () => {
    assert.deepEqual(
      [...checkZip(aZip({ 'a.txt': Buffer.from('a'), 'b/c': Buffer.from('') }))],
      ['a.txt', 'b/c'],
    )
    assert.throws(() => checkZip(aZip({ a: Buffer.alloc(300 * 1024 * 1024) })), /unpacks to more than 256 MB/)
    const honest = aZip({ a: Buffer.from('some text that is packed') })
    const broken = Buffer.from(honest)
    broken.fill(0xff, 31, 45)
    assert.throws(() => checkZip(broken), /broken/)
    assert.throws(() => checkZip(honest.subarray(0, honest.length - 30)), /broken/)
    const elsewhere = Buffer.from(honest)
    elsewhere.writeUInt32LE(0xfffffff0, honest.length - 6)
    assert.throws(() => checkZip(elsewhere), /broken/)
  })
})
