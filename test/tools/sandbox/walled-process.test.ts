import assert from 'node:assert/strict'
import { Duplex, PassThrough } from 'node:stream'
import { encodeFrame } from '../../../shared/tools/sandbox/frame-codec.ts'
import { runCalls } from '../../../shared/tools/sandbox/walled-process.ts'

describe('a process that runs calls', () => {
  /** One whose scratch folder is full of files; what it says is said by the test. */
  const open = () => {
    const exited = Promise.withResolvers<string>()
    const closed = Promise.withResolvers<void>()
    let counted = 0
    const pipe = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => done(),
    })
    const stdout = new PassThrough()
    const stderr = new PassThrough()
    const process = runCalls({
      pipe,
      stdout,
      stderr,
      pid: undefined,
      files: {
        max: 10,
        count: () => {
          counted++
          return Promise.resolve(11)
        },
      },
      kill() {
        stdout.end()
        stderr.end()
        exited.resolve('it was killed')
        closed.resolve()
      },
      exited: exited.promise,
      closed: closed.promise,
    })
    return {
      process,
      say: (frame: object) => pipe.push(encodeFrame(frame)),
      counted: () => counted,
    }
  }
  const options = () => ({
    signal: new AbortController().signal,
    timeout_ms: 10_000,
    answer: () => Promise.reject(new Error('nothing is asked')),
  })

  it('is ended when its call makes too many files', async () => {
    const { process, say } = open()
    say({ type: 'ready' })
    const { result, failure } = await process.call({}, options())
    assert.equal(result, null)
    assert.equal(failure, 'it had more than 10 files in its scratch folder, the limit')
  })

  it('counts no files before it is ready: until then it may see those of the machine', async () => {
    const { process, counted } = open()
    const { failure } = await process.call({}, { ...options(), timeout_ms: 400 })
    assert.match(failure, /took longer than 0\.4 s/)
    assert.equal(counted(), 0)
  })
})
