import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import {
  parseServerUrl,
  startServerProcess,
  type ServerProcess,
} from '../../extension/host/server-process.ts'

const script = fileURLToPath(new URL('./fixtures/server.mjs', import.meta.url))

describe("the line with the server's address", () => {
  it('is found wherever it stands', () => {
    assert.equal(parseServerUrl('Loci 0.1.0 on http://127.0.0.1:8283'), 'http://127.0.0.1:8283')
    assert.equal(parseServerUrl('{"msg":"listening on http://127.0.0.1:45001/"}'), 'http://127.0.0.1:45001')
  })

  it('is no line without a loopback address and a port', () => {
    for (const line of [
      '',
      'starting',
      'http://127.0.0.1',
      'http://10.0.0.1:80',
      'http://127.0.0.1:1234567',
    ]) {
      assert.equal(parseServerUrl(line), null, line)
    }
  })
})

describe('a server that the extension starts', () => {
  const lines: string[] = []
  let running: ServerProcess | null = null
  const start = (dataDirectory: string, more: Partial<Parameters<typeof startServerProcess>[0]> = {}) =>
    startServerProcess({
      script,
      dataDirectory,
      log: (line) => void lines.push(line),
      died: (reason) => assert.fail(reason),
      signal: new AbortController().signal,
      ...more,
    })
  beforeEach(() => void lines.splice(0))
  afterEach(async () => {
    await running?.stop()
    running = null
  })

  it('runs on a free port as plain Node, and its output is logged', async () => {
    running = await start('good')
    assert.equal(running.url, 'http://127.0.0.1:54321')
    assert.deepEqual(lines, ['asked: server --port 0 electron=1', 'Loci 0.1.0 on http://127.0.0.1:54321'])
    assert.notEqual(process.env['ELECTRON_RUN_AS_NODE'], '1')
  })

  it('is gone once it has been stopped, which is no death', async () => {
    running = await start('good')
    await running.stop()
    assert.equal(isAlive(running.pid), false)
  })

  it('is killed when it does not stop', async () => {
    running = await start('stubborn', { stopLimit: 300 })
    await running.stop()
    assert.equal(isAlive(running.pid), false)
    assert.ok(lines.includes('not now'))
  })

  it('says that it died, and how', async () => {
    const death = Promise.withResolvers<string>()
    const ready = Promise.withResolvers<void>()
    running = await start('mortal', {
      died: death.resolve,
      log: (line) => line === 'ready to die' && ready.resolve(),
    })
    await ready.promise
    process.kill(running.pid, 'SIGUSR2')
    assert.equal(
      await death.promise,
      `The Loci server (process ${running.pid}) ended by itself: exit code 3.`,
    )
  })

  it('fails with its own last words when it ends before it answers', async () => {
    await assert.rejects(start('refused'), {
      message: 'The Loci server did not start: The data directory /nowhere cannot be written: EACCES.',
    })
  })

  it('is given up and ended when it says nothing', async () => {
    await assert.rejects(start('silent', { startLimit: 300 }), {
      message: 'The Loci server did not start: it said no address within 0.3 seconds.',
    })
  })

  it('is ended when the start is called off', async () => {
    const abort = new AbortController()
    const starting = start('silent', { signal: abort.signal })
    abort.abort()
    await assert.rejects(starting, { message: 'The Loci server did not start: it was asked to stop.' })
  })

  it('says so when the command is missing', async () => {
    await assert.rejects(start('good', { script: '/nowhere/loci.js' }), /did not start: .+/)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
