/** What clients may cost that are slow, silent, too many or too loud. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { createHttpServer, USUAL_LIMITS } from '../../shared/server/http-server.ts'
import { answerGarbage } from '../../shared/server/no-request.ts'
import { type BareClient, bareClient } from '../support/bare-client.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { openSocket } from '../support/web-socket.ts'

const HOST = 'host: 127.0.0.1\r\n'

describe('a server among bad clients', () => {
  let t: TestLoci
  const clients: BareClient[] = []
  const open = async (first = '') => {
    const client = await bareClient(t.url, first)
    clients.push(client)
    return client
  }
  before(async () => {
    t = await startLoci({
      serve: { limits: { headers_ms: 300, request_ms: 1_500, stalled_ms: 1_000 } },
    })
  })
  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.destroy()
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  it('closes a connection whose request never begins, and one whose head never ends, with the reason', async () => {
    const silent = await open()
    const slow = await open('GET /v1/health HTTP/1.1\r\n')
    const drip = setInterval(() => slow.send('x-drip: 1\r\n'), 100)
    const [nothing, said] = await Promise.all([silent.ended('silent'), slow.ended('slow head')]).finally(() =>
      clearInterval(drip),
    )
    for (const text of [nothing, said]) {
      assert.match(text, /^HTTP\/1\.1 408 /)
      assert.match(text, /did not arrive whole in time/)
    }
  })

  it('closes a connection whose body drips, after the time for a whole request', async () => {
    const slow = await open(
      `POST /v1/agents/ HTTP/1.1\r\n${HOST}content-type: application/json\r\ncontent-length: 1000\r\n\r\n`,
    )
    const drip = setInterval(() => slow.send(' '), 100)
    const text = await slow.ended('slow body').finally(() => clearInterval(drip))
    assert.match(text, /^HTTP\/1\.1 408 /)
  })

  it('closes a connection whose body stops coming', async () => {
    const stopped = await open(
      `POST /v1/agents/ HTTP/1.1\r\n${HOST}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{`,
    )
    await stopped.ended('a body that stops')
  })

  it('answers 431 to a flood of headers', async () => {
    const flood = await open(`GET /v1/health HTTP/1.1\r\n${HOST}`)
    flood.send(Array.from({ length: 2_000 }, (_, i) => `x-flood-${i}: ${'y'.repeat(50)}\r\n`).join(''))
    const text = await flood.ended('flood')
    assert.match(text, /^HTTP\/1\.1 431 /)
    assert.match(text, /larger than the \d+ bytes/)
  })

  it('refuses a body of 1 GB before any of it has come: announced, and asked for with Expect', async () => {
    const announced = `${HOST}content-type: application/json\r\ncontent-length: 1073741824\r\n`
    for (const path of ['/v1/agents/', '/v1/files', '/mcp', '/v1/health', '/nothing']) {
      const client = await open(`POST ${path} HTTP/1.1\r\n${announced}\r\n`)
      const text = await client.ended(path)
      assert.match(text, /^HTTP\/1\.1 413 /, path)
      assert.match(text, /"detail":"the request body is larger/)
    }
    const polite = await open(`POST /v1/agents/ HTTP/1.1\r\n${announced}expect: 100-continue\r\n\r\n`)
    assert.match(await polite.ended('polite'), /^HTTP\/1\.1 413 /, 'no 100 Continue before it')
    const small = await open(
      `POST /v1/agents/ HTTP/1.1\r\n${HOST}content-type: application/json\r\ncontent-length: 2\r\n` +
        'connection: close\r\nexpect: 100-continue\r\n\r\n',
    )
    await eventually('100 Continue', () => (small.text.startsWith('HTTP/1.1 100 ') ? true : null))
    small.send('{}')
    assert.match(await small.ended('small'), /HTTP\/1\.1 (?:200|400|422) /)
  })

  it('reads no more than its limit of a body that says no length, and tells the client that still sends', async () => {
    const piece = new Uint8Array(1024 * 1024).fill(0x20)
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += piece.length
        if (sent > 1024 * 1024 * 1024) controller.close()
        else controller.enqueue(piece)
      },
    })
    const answer = await fetch(`${t.url}/v1/agents/`, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(answer.status, 413)
    await answer.text()
    assert.ok(sent < 100 * 1024 * 1024, `${sent} bytes were taken`)
  })

  it('inflates nothing: a compressed body is refused, of whatever kind and on whatever route', async () => {
    const bomb = Buffer.alloc(50 * 1024 * 1024, 0x20)
    for (const [encoding, bytes] of [
      ['gzip', gzipSync(bomb)],
      ['br', brotliCompressSync(bomb)],
      ['deflate', deflateSync(bomb)],
      ['GZIP, gzip', gzipSync(gzipSync(bomb))],
    ] as const)
      for (const [path, type] of [
        ['/v1/agents/', 'application/json'],
        ['/agents', 'application/json'],
        ['/v1/files', 'multipart/form-data; boundary=x'],
        ['/v1/agents/import', 'multipart/form-data; boundary=x'],
      ] as const) {
        const answer = await fetch(t.url + path, {
          method: 'POST',
          body: new Uint8Array(bytes),
          headers: { 'content-type': type, 'content-encoding': encoding },
        })
        assert.equal(answer.status, 415, `${encoding} ${path}: ${await answer.text()}`)
      }
  })

  it('keeps a connection open for the next request, and says for how long', async () => {
    const answer = await open(`GET /v1/health HTTP/1.1\r\n${HOST}\r\n`)
    await eventually('the first', () => (answer.text.includes('"status":"ok"') ? true : null))
    assert.match(answer.text, /keep-alive: timeout=75/i)
    answer.send(`GET /v1/health HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`)
    assert.equal((await answer.ended('the second')).match(/"status":"ok"/g)?.length, 2)
  })

  it('says in every answer what a browser must not do with it', async () => {
    for (const [path, status] of [
      ['/v1/agents/', 200],
      ['/v1/nothing', 404],
      ['/v1/agents/x', 422],
    ] as const) {
      const answer = await fetch(t.url + path)
      assert.equal(answer.status, status, await answer.text())
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/)
      assert.match(answer.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
    }
  })
})

describe('a crowd', () => {
  it('takes no more connections than its limit, closes idle ones for new ones, and takes more when some leave', async () => {
    const crowded = await startLoci({ serve: { limits: { connections: 30 } } })
    try {
      const idle = await bareClient(crowded.url, `GET /v1/health HTTP/1.1\r\n${HOST}\r\n`)
      await eventually('an answer', () => (idle.text.includes('"status":"ok"') ? true : null))
      // Their request is under way: none of them is idle.
      const busy = await Promise.all(
        Array.from({ length: 29 }, () => bareClient(crowded.url, `GET /v1/events HTTP/1.1\r\n${HOST}\r\n`)),
      )
      await eventually('all are answered', () => (busy.every(({ text }) => text !== '') ? true : null))
      const room = await bareClient(crowded.url, `GET /v1/events HTTP/1.1\r\n${HOST}\r\n`)
      await idle.ended('the idle one makes room')
      await eventually('room', () => (room.text.startsWith('HTTP/1.1 200') ? true : null))
      const refused = await (
        await bareClient(crowded.url, `GET /v1/health HTTP/1.1\r\n${HOST}\r\n`)
      ).ended('one too many')
      assert.match(refused, /^HTTP\/1\.1 503 [\s\S]*retry-after: 1[\s\S]*too many connections/)
      room.socket.destroy()
      await eventually('a place', async () => {
        const answer = await fetch(`${crowded.url}/v1/health`).catch(() => null)
        await answer?.text()
        return answer?.status === 200 ? true : null
      })
    } finally {
      await crowded.close()
    }
    assert.deepEqual(crowded.failures, [])
  })
})

describe('connections that ask nothing', () => {
  /** Clients who never close by themselves: they keep their side open when the server has closed its own. */
  async function stubborn(url: string, count: number, first = ''): Promise<Socket[]> {
    const { hostname, port } = new URL(url)
    const sockets = Array.from({ length: count }, () => {
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
      socket.on('error', () => undefined).resume()
      if (first !== '') socket.write(first)
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    return sockets
  }
  // On a connection of its own: one that is kept would be closed for the crowd.
  const health = async (url: string) => {
    const asked = await bareClient(url, `GET /v1/health/ HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`)
    return Number((await asked.ended('health')).split(' ', 2)[1])
  }

  for (const [what, first] of [
    ['that never sent a byte', ''],
    ['with half a head', `GET /v1/health HTTP/1.1\r\n${HOST}`],
    [
      'that owe the rest of a request which is answered',
      `POST /v1/agents/ HTTP/1.1\r\n${HOST}content-length: 9\r\n\r\n{`,
    ],
  ] as const)
    it(`${what} lock nobody out, and cut off nobody who asks`, async () => {
      // Its answers come before the body has.
      const t = await startLoci({ serve: { key: 'sesame', limits: { connections: 20 } } })
      const owner = `authorization: Bearer sesame\r\n`
      const sockets: Socket[] = []
      const busy = await bareClient(t.url, `GET /v1/events HTTP/1.1\r\n${HOST}${owner}\r\n`)
      try {
        await eventually('the stream', () => (busy.text.includes('event: ready') ? true : null))
        for (let i = 0; i < 3; i++) {
          sockets.push(...(await stubborn(t.url, 20, first)))
          assert.equal(await health(t.url), 200)
        }
        assert.equal(busy.socket.closed, false)
        const socket = await openSocket(t.url, { headers: { authorization: 'Bearer sesame' } })
        sockets.push(...(await stubborn(t.url, 60, first)))
        assert.equal(await health(t.url), 200)
        socket.send({ type: 'ping', id: 'p' })
        await socket.frame('the pong of a WebSocket beside them', ({ type }) => type === 'pong')
        await socket.close()
      } finally {
        busy.socket.destroy()
        for (const socket of sockets) socket.destroy()
        await t.close()
      }
      assert.deepEqual(t.failures, [])
    })

  it('are gone soon after their 408, whether or not they close too', async () => {
    const server: Server = createHttpServer((_request, response) => void response.end('fine'), {
      limits: { ...USUAL_LIMITS, headers_ms: 200 },
      tls: null,
    })
    answerGarbage(server)
    let open = 0
    server.on('connection', (socket) => {
      open++
      socket.once('close', () => open--)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const sockets = await stubborn(url, 5)
    try {
      await Promise.all(sockets.map((socket) => once(socket, 'end')))
      await eventually('none is left', () => (open === 0 ? true : null))
    } finally {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  })
})

describe('a reader that does not read', () => {
  it('is cut off once nothing was read for a time; one that waits for a slow answer, or reads slowly, is not', async () => {
    const sockets = new Set<Socket>()
    const server: Server = createHttpServer(
      (request, response) => {
        if (request.url === '/slow') return void setTimeout(() => response.end('slow but whole'), 1_500)
        response.write(Buffer.alloc(64 * 1024 * 1024))
        response.end()
      },
      { limits: { ...USUAL_LIMITS, stalled_ms: 500 }, tls: null },
    )
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const slow = fetch(`${url}/slow`).then((answer) => answer.text())
    const stopped = await bareClient(url, `GET /big HTTP/1.1\r\n${HOST}\r\n`)
    stopped.socket.pause()
    const reading = await bareClient(url, `GET /big HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`)
    let read = 0
    reading.socket.removeAllListeners('data')
    reading.socket.on('data', (piece) => {
      read += piece.length
      // Some megabytes at a time, with pauses that are shorter than what counts as stalled.
      reading.socket.pause()
      setTimeout(() => reading.socket.resume(), 1)
    })
    try {
      assert.equal(await slow, 'slow but whole')
      await reading.ended('the slow reader')
      assert.ok(read > 64 * 1024 * 1024, `${read} bytes`)
      await eventually('the stalled one is gone', () => (sockets.size <= 1 ? true : null))
      await eventually('all are gone', () => {
        server.closeIdleConnections()
        return sockets.size === 0 ? true : null
      })
    } finally {
      stopped.socket.destroy()
      reading.socket.destroy()
      server.close()
    }
  })
})
