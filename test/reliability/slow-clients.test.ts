/**
 * A server under load from autocannon while hundreds of clients are slow: heads and bodies that drip, connections that
 * say nothing, readers of streams that do not read. The others must not notice, and its memory must stay where it is.
 *
 * LOCI_SLOW_SECONDS (default 10) is how long.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { request } from './load.ts'
import { ServerProcess } from './server-process.ts'

const SECONDS = Number(process.env['LOCI_SLOW_SECONDS'] ?? 10)
const AUTOCANNON = fileURLToPath(import.meta.resolve('autocannon'))
/** All that the server may keep of what it was sent and has not been able to send. */
const HEAP_MB = 256
const LIMITS = { headers_timeout_seconds: 2, request_timeout_seconds: 4, stalled_timeout_seconds: 3 }
/** Readers of a stream who stop reading it. */
const STOPPED = 40
const STORY = Array.from({ length: 5_000 }, (_, i) => `${i} `.repeat(250))

/** What autocannon says of a run. */
interface Result {
  errors: number
  timeouts: number
  non2xx: number
  '2xx': number
  requests: { average: number }
  latency: { p50: number; p99: number; max: number }
}

function autocannon(url: string, options: string[]): Promise<Result> {
  const args = [AUTOCANNON, '--json', '--duration', String(SECONDS), '--timeout', '10', ...options, url]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let said = ''
  child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (said += piece.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(out) as Result)
      else reject(new Error(`autocannon ended with ${code}: ${said}`))
    })
  })
}

describe(`${SECONDS} s of load with slow clients`, () => {
  let model: ScriptedModel
  let data: string
  let server: ServerProcess
  const agents: string[] = []
  /** A run whose stream is stored, and long. */
  let run_id: string
  const sockets = new Set<Socket>()
  const cut: Record<string, number> = {}
  let stopped = false

  before(async () => {
    model = await startScriptedModel([], {
      loop: (body) => ({ text: JSON.stringify(body.messages).includes('a story') ? STORY : 'hello' }),
    })
    data = await mkdtemp(join(tmpdir(), 'loci-slow-'))
    await writeFile(join(data, 'config.json'), JSON.stringify({ server: LIMITS }), { mode: 0o600 })
    server = new ServerProcess(data, model.url, { heap_mb: HEAP_MB })
    await server.start()
    for (let n = 0; n < 20; n++) {
      const made = await request(server, 'POST', '/v1/agents/', { name: `a${n}`, model: 'openai/test-model' })
      assert.equal(made?.status, 200)
      agents.push((made.body as { id: string }).id)
    }
    const told = await fetch(`${server.url}/v1/agents/${agents[0]}/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'a story', streaming: true, stream_tokens: true, background: true }),
    })
    const text = await told.text()
    assert.ok(text.length > 6_000_000, 'more than the kernel takes for a connection')
    run_id = /"run_id":"(run-[^"]+)"/.exec(text)?.[1] ?? ''
  })
  after(async () => {
    stopped = true
    for (const socket of sockets) socket.destroy()
    await server.kill()
    await model.close()
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  })

  /** A client of this kind; when the server has cut it off, another one comes. */
  function keepOne(kind: string, first: string, { drip = '', reads = true } = {}): void {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    sockets.add(socket)
    if (first !== '') socket.write(first)
    if (reads) socket.resume()
    else socket.pause()
    const timer = drip === '' ? null : setInterval(() => socket.write(drip), 500)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (timer) clearInterval(timer)
      sockets.delete(socket)
      cut[kind] = (cut[kind] ?? 0) + 1
      if (!stopped) setTimeout(() => stopped || keepOne(kind, first, { drip, reads }), 50)
    })
  }

  /** A client that reads nothing of an answer, and later the rest of it: whether all of it has come then. */
  function stoppedReader(first: string): () => Promise<boolean> {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    sockets.add(socket)
    socket.pause()
    socket.write(first)
    socket.on('error', () => undefined)
    return async () => {
      let tail = ''
      socket.on('data', (piece) => (tail = (tail + piece.toString('latin1')).slice(-100)))
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.resume()
      const whole = eventually('the end of a stopped stream', () =>
        tail.includes('[DONE]') ? true : null,
      ).catch(() => undefined)
      await Promise.race([closed, whole])
      socket.destroy()
      sockets.delete(socket)
      return tail.includes('[DONE]')
    }
  }

  it('answers everybody else, without an error, in bounded memory', async function () {
    this.timeout((SECONDS + 120) * 1000)
    const json = 'host: 127.0.0.1\r\ncontent-type: application/json\r\n'
    for (let n = 0; n < 150; n++) {
      keepOne('silent', '')
      keepOne('slow heads', 'GET /v1/agents/ HTTP/1.1\r\n', { drip: 'x-drip: 1\r\n' })
      keepOne('slow bodies', `POST /v1/agents/ HTTP/1.1\r\n${json}content-length: 100000\r\n\r\n`, {
        drip: ' ',
      })
      keepOne('idle streams', `GET /v1/events?after=0 HTTP/1.1\r\n${json}\r\n`, { reads: false })
    }
    const head = `POST /v1/runs/${run_id}/stream HTTP/1.1\r\n${json}content-length: 2\r\n\r\n{}`
    const readers = Array.from({ length: STOPPED }, () => stoppedReader(head))
    const trivial = [
      '--method',
      'POST',
      '--headers',
      'content-type: application/json',
      '--body',
      '{"input":"hi"}',
    ]
    const [reads, turns] = await Promise.all([
      autocannon(`${server.url}/v1/agents/?limit=5`, ['--connections', '20']),
      autocannon(`${server.url}/v1/agents/${agents[19]}/messages`, ['--connections', '1', ...trivial]),
    ])
    const rss = await residentMb(server.pid)
    const heads = `silent ${cut['silent']}, heads ${cut['slow heads']}, bodies ${cut['slow bodies']}`
    // What a reader does not read tells it nothing: only now does it see that its stream was cut.
    const ends = await Promise.all(readers.map((reader) => reader()))
    cut['stopped readers'] = ends.filter((whole) => !whole).length
    for (const [name, result] of Object.entries({ reads, turns })) {
      const { p50, p99, max } = result.latency
      console.log(
        `      ${name}: ${result['2xx']} answered, ${result.requests.average}/s, p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
      )
      assert.deepEqual(
        [result.errors, result.timeouts, result.non2xx],
        [0, 0, 0],
        `${name}; ${refusalsIn(server.output)}`,
      )
      assert.ok(result['2xx'] > SECONDS, `${name}: ${result['2xx']} in ${SECONDS} s`)
    }
    console.log(
      `      ${600 + STOPPED} slow clients; cut off meanwhile: ${heads}, stopped readers ${cut['stopped readers']}; resident ${rss} MB`,
    )
    for (const kind of ['silent', 'slow heads', 'slow bodies'])
      await eventually(`all ${kind} were cut off`, () => ((cut[kind] ?? 0) >= 150 ? true : null), 30_000)
    assert.ok(
      (cut['stopped readers'] ?? 0) >= STOPPED / 8,
      `${cut['stopped readers']} stopped readers were cut off`,
    )
    assert.ok(server.isRunning, server.output.slice(-2_000))
    assert.ok(rss < 500, `${rss} MB`)
    stopped = true
    for (const socket of sockets) socket.destroy()
    await eventually('it is ready', async () =>
      (await request(server, 'GET', '/v1/ready/'))?.status === 200 ? true : null,
    )
  })
})

async function residentMb(pid: number | undefined): Promise<number> {
  const child = spawn('ps', ['-o', 'rss=', '-p', String(pid)])
  let out = ''
  for await (const piece of child.stdout) out += String(piece)
  return Math.round(Number(out) / 1024)
}

/** What the log has of requests that were not answered well. */
function refusalsIn(log: string): string {
  return log
    .split('\n')
    .filter((line) => /"status":[45]|"level":[456]0|heap|FATAL/.test(line))
    .slice(-5)
    .join('\n')
}
