import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { collectOutput, KEPT_OUTPUT, MAX_OUTPUT } from '../../../shared/tools/sandbox/tool-output.ts'

describe('the output of a tool', () => {
  const open = () => {
    const stream = new PassThrough()
    let floods = 0
    const output = collectOutput(stream, () => floods++)
    return { stream, output, floods: () => floods }
  }
  const mark = '\ntoken\n'

  it('is what comes before the mark, however it is cut', async () => {
    const text = `one\ntwo\n\ntoke\nlast${mark}`
    for (let size = 1; size <= text.length; size++) {
      const { stream, output } = open()
      output.begin('token')
      for (let at = 0; at < text.length; at += size) stream.write(text.slice(at, at + size))
      await output.ended
      assert.deepEqual(output.lines(), ['one', 'two', '', 'toke', 'last'], `in pieces of ${size}`)
    }
  })

  it('begins anew with each call', async () => {
    const { stream, output } = open()
    stream.write('before any call')
    await new Promise((resolve) => setImmediate(resolve))
    output.begin('token')
    stream.write(`first${mark}after the first`)
    await output.ended
    assert.deepEqual(output.lines(), ['first'])
    output.begin('other')
    stream.write('second\nother\n')
    await output.ended
    assert.deepEqual(output.lines(), ['second'])
  })

  it('is kept up to its end when the process ends without a mark', async () => {
    const { stream, output } = open()
    output.begin('token')
    stream.end('half a line\ntok')
    await output.ended
    assert.deepEqual(output.lines(), ['half a line', 'tok'])
  })

  it('is kept in bounded memory and read to its end all the same', async () => {
    const { stream, output, floods } = open()
    output.begin('token')
    const chunk = Buffer.alloc(64 * 1024, 'x')
    for (let sent = 0; sent < MAX_OUTPUT + 3 * chunk.length; sent += chunk.length)
      if (!stream.write(chunk)) await once(stream, 'drain')
    stream.write(mark)
    await output.ended
    const [line = '', note] = output.lines()
    assert.equal(line.length, KEPT_OUTPUT + 1)
    assert.ok(line.endsWith('x…'))
    assert.equal(note, '[output cut after 256 KB]')
    assert.equal(floods(), 1)
  })
})
