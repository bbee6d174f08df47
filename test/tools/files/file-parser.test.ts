import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileParser } from '../../../shared/core/ports/file-parser.ts'
import { createFileParser } from '../../../shared/tools/files/file-parser.ts'
import { aDocx } from '../../support/documents.ts'

const LIMIT = 240_000

describe('the parser of uploads', function () {
  this.timeout(LIMIT)
  let directory: string
  let parser: FileParser
  const never = new AbortController().signal

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-parser-'))
    parser = createFileParser({ parsers: join(directory, 'parsers') })
  })
  afterEach(async () => {
    parser.close()
    await rm(directory, { recursive: true, force: true })
  })

  const read = async (name: string, content: string | Uint8Array, signal = never): Promise<string> => {
    const file_id = `file-${crypto.randomUUID()}`
    const path = join(directory, file_id)
    await writeFile(path, content)
    const ids = { file_id, folder_id: '', organization_id: '' }
    const pieces: string[] = []
    const parsing = parser.parse(
      { ...ids, name, type: null, attempt: 1, chunk_chars: 1200 },
      { path, signal },
    )
    for (;;) {
      const next = await parsing.next()
      if (next.done) return pieces.join('\n')
      pieces.push(...next.value.pieces.map(({ text }) => text))
    }
  }

  it('outlives a document that no heap holds, and reads the next one', async () => {
    // Half a megabyte that unpacks to 207.
    const paragraph = `${'x'.repeat(1000)}</w:t></w:r></w:p><w:p><w:r><w:t>`
    await assert.rejects(read('large.docx', aDocx(paragraph.repeat(200_000))), /more than 768 MB of memory/)
    assert.equal(await read('small.txt', 'one\ntwo'), 'one\ntwo')
  })

  it('leaves long JSON as it is: indented it would be many times as long', async () => {
    const json = JSON.stringify(Array.from({ length: 1_000_000 }, (_, i) => [i]))
    const text = await read('long.json', json)
    assert.equal(text.replaceAll('\n', ''), json)
  })

  it('reads one file after another, and stops where it is told to', async () => {
    for (const text of ['one', 'two', 'three']) assert.equal(await read(`${text}.txt`, text), text)
    const stopping = new AbortController()
    const reading = read('page.html', `<p>${'<b>a</b> '.repeat(1_000_000)}`, stopping.signal)
    const stopped = assert.rejects(reading, /enough/)
    stopping.abort(new Error('enough'))
    await stopped
    assert.equal(await read('after.txt', 'after'), 'after')
  })
})
