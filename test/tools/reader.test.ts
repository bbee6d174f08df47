import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Reader, ReaderError } from '../../shared/tools/reader/reader.ts'
import { eventually } from '../support/loci.ts'

/** A worker of this source. */
const worker = (source: string) => new URL(`data:text/javascript,${encodeURIComponent(source)}`)
const THREADS = `import { parentPort as port, workerData } from 'node:worker_threads'\n`

describe('a reader', () => {
  const never = new AbortController().signal
  let reader: Reader
  beforeEach(() => {
    reader = new Reader()
  })
  afterEach(() => reader.kill())

  it('runs one thread after another in one process, which has nothing of our environment', async () => {
    const echo = worker(
      `${THREADS}port.postMessage({ workerData, env: process.env, pid: process.pid }); port.on('message', (m) => port.postMessage(m))`,
    )
    for (const data of ['one', 'two']) {
      const said = await reader.begin(echo, data, 64, never)
      assert.deepEqual(said, { workerData: data, env: {}, pid: reader.pid })
      assert.equal(await reader.tell('hello', never), 'hello')
      await reader.rest(never)
      assert.ok(reader.wake())
    }
  })

  it('says that it took too much memory, of the heap or beside it', async () => {
    for (const source of [
      'const all = []; for (;;) all.push({ a: [1, 2, 3] })',
      'const all = []; for (;;) { all.push(Buffer.alloc(1e7, 1)); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5) }',
      "let text = 'x'.repeat(1e8); const all = []; for (;;) all.push(JSON.parse(JSON.stringify([text])))",
    ]) {
      const one = new Reader()
      await assert.rejects(one.begin(worker(source), null, 64, never), { reason: 'memory' }, source)
      one.kill()
    }
  })

  it('says what the thread threw, and of a thread that ends without a word', async () => {
    await assert.rejects(reader.begin(worker("throw new Error('broken')"), null, 64, never), (error) => {
      assert.ok(error instanceof ReaderError)
      assert.deepEqual([error.reason, error.message], ['error', 'broken'])
      return true
    })
    const other = new Reader()
    await assert.rejects(other.begin(worker(''), null, 64, never), /ended with code 0/)
    other.kill()
  })

  it('ends with the process that started it, whatever its thread is at', async () => {
    const url = new URL('../../shared/tools/reader/reader.ts', import.meta.url).href
    const code = `
      import { Reader } from ${JSON.stringify(url)}
      const reader = new Reader()
      const busy = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(`${THREADS}port.postMessage('busy'); for (;;);`)}))
      await reader.begin(busy, null, 64, new AbortController().signal)
      console.log(reader.pid)
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [printed] = (await once(child.stdout, 'data')) as [Buffer]
    const pid = Number(printed.toString())
    assert.ok(pid > 0)
    child.kill('SIGKILL')
    await eventually('the reader is gone', () => Promise.resolve(isGone(pid) || null))
  })
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
