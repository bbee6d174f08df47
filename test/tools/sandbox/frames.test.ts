import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { encodeFrame, readFrameBytes } from '../../../shared/tools/sandbox/frame-codec.ts'
import { parseToolFrame } from '../../../shared/tools/sandbox/frames.ts'

describe('frames', () => {
  const read = (chunks: Buffer[], max = 1000) => {
    const stream = new PassThrough()
    const frames: unknown[] = []
    const violations: string[] = []
    readFrameBytes(
      stream,
      max,
      (bytes) => {
        const frame: unknown = JSON.parse(bytes.toString())
        frames.push(frame)
        return frame !== null
      },
      (why) => violations.push(why),
    )
    for (const chunk of chunks) stream.emit('data', chunk)
    return { frames, violations }
  }

  it('come out as they went in, however they are cut', () => {
    const sent = [{ type: 'ready' }, { type: 'call', text: 'é✓'.repeat(9) }, {}]
    const bytes = Buffer.concat(sent.map((frame) => encodeFrame(frame)))
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = []
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
      assert.deepEqual(read(chunks), { frames: sent, violations: [] }, `in pieces of ${size}`)
    }
  })

  it('are heard no more after one that is too long, or none', () => {
    const long = encodeFrame({ text: 'x'.repeat(2000) })
    assert.deepEqual(read([long, encodeFrame({})], 1024 * 1024).frames.length, 2)
    const cut = read([long, encodeFrame({})])
    assert.equal(cut.frames.length, 0)
    assert.match(cut.violations.join(), /^more than 0 MB at once$/)
    const none = read([Buffer.concat([Buffer.from([0, 0, 0, 4]), Buffer.from('null'), encodeFrame({})])])
    assert.deepEqual(none, { frames: [null], violations: ['something that is no message'] })
  })

  it('of a process are checked: nothing else is understood', () => {
    const token = 'one'
    const parse = (value: unknown) => parseToolFrame(Buffer.from(JSON.stringify(value)))
    const request = {
      type: 'request',
      token,
      id: 0,
      method: 'GET',
      path: '/v1/blocks/',
      headers: [],
      body: null,
    }
    for (const good of [
      { type: 'ready' },
      request,
      { type: 'result', token, status: 'success', value: 'text', memory_edits: { a: 'b' } },
      { type: 'result', token, status: 'success', value: [{ type: 'text', text: 'x' }], memory_edits: {} },
      { type: 'result', token, status: 'error', name: 'E', message: 'm' },
    ])
      assert.notEqual(parse(good), null, JSON.stringify(good))
    for (const bad of [
      null,
      [],
      { type: 'call' },
      { ...request, method: 'TRACE' },
      { ...request, path: 'http://elsewhere/' },
      { ...request, body: 'not base64!' },
      { ...request, id: -1 },
      { type: 'result', token, status: 'success', value: 1 },
      { type: 'result', token, status: 'success', value: 'x', memory_edits: { a: 1 } },
      { type: 'result', status: 'success', value: 'x' },
    ])
      assert.equal(parse(bad), null, JSON.stringify(bad))
    assert.equal(parseToolFrame(Buffer.from('{')), null)
  })
})
