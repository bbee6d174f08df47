import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('input of every kind', () => {
  let t: TestLoci
  let agent_id: string
  before(async () => {
    t = await startLoci()
    agent_id = (
      await t.letta.agents.create({ model: 'loci/demo', memory_blocks: [{ label: 'human', value: '' }] })
    ).id
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [], 'nothing of this was a failure of ours')
  })

  const post = async (
    path: string,
    body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
    headers: Record<string, string> = {},
  ) => {
    const response = await fetch(t.url + path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
    })
    const text = await response.text()
    const { detail } = JSON.parse(text) as { detail?: unknown }
    assert.ok(!/\n\s+at /.test(text), 'no stack')
    return { status: response.status, detail: String(detail), text }
  }

  /** One request as bytes; the status line and what follows, until the server closes. */
  const raw = (bytes: string | Buffer) =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(t.url)
      let answer = ''
      const socket = connect(Number(port), hostname, () => socket.write(bytes))
      socket.setTimeout(10_000, () => socket.destroy(new Error(`no end in 10 s: ${answer}`)))
      socket.on('data', (piece) => (answer += piece.toString()))
      socket.on('close', () => resolve(answer))
      socket.on('error', (error: NodeJS.ErrnoException) =>
        answer === '' && error.code !== 'ECONNRESET' && error.code !== 'EPIPE'
          ? reject(error)
          : resolve(answer),
      )
    })

  it('takes a body of 10 MB', async () => {
    const label = 'big'
    const value = 'é'.repeat(5 * 1024 * 1024)
    const { status } = await post('/v1/blocks/', JSON.stringify({ label, value }))
    assert.equal(status, 200)
  })

  it('refuses a body that is too large: announced, and while it streams in', async () => {
    const answer = await raw(
      `POST /v1/agents/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{"name":`,
    )
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.match(answer, /33554432 bytes/)
    let sent = 0
    const piece = new TextEncoder().encode('x'.repeat(1024 * 1024))
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += piece.length
        if (sent > 512 * 1024 * 1024) controller.error(new Error('the server read it all'))
        else controller.enqueue(piece)
      },
    })
    const streamed = await post('/v1/agents/', endless).catch((error: unknown) => error)
    // The connection may be gone before the answer is read, but never the server.
    assert.ok(streamed instanceof Error || (streamed as { status: number }).status === 413)
    assert.ok(sent < 256 * 1024 * 1024, `${sent} bytes were taken`)
    assert.equal((await fetch(`${t.url}/v1/health/`)).status, 200)
  })

  it('refuses bytes that are no UTF-8, instead of replacing them', async () => {
    const body = Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe, 0xc3]), Buffer.from('"}')])
    const { status, detail } = await post('/v1/agents/', body)
    assert.equal(status, 400)
    assert.match(detail, /UTF-8/)
  })

  it('refuses a compressed body, and names its encoding', async () => {
    const { status, detail } = await post(
      '/v1/blocks/',
      new Uint8Array(gzipSync('{"label":"a","value":""}')),
      {
        'content-encoding': 'gzip',
      },
    )
    assert.equal(status, 415)
    assert.match(detail, /gzip/)
    const plain = { 'content-encoding': 'identity' }
    assert.equal((await post('/v1/blocks/', '{"label":"a","value":""}', plain)).status, 200)
  })

  it('takes a byte order mark, and JSON of any content type', async () => {
    const body = '\uFEFF{"label":"bom","value":"x"}'
    assert.equal((await post('/v1/blocks/', body, { 'content-type': 'text/plain' })).status, 200)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await post('/v1/blocks/', '{"label":"curl","value":"-d"}', form)).status, 200)
    const multipart = new FormData()
    multipart.set('name', 'x')
    const response = await fetch(`${t.url}/v1/agents/`, { method: 'POST', body: multipart })
    assert.equal(response.status, 422)
  })

  it('refuses JSON that is nested too deep, or holds too much', async () => {
    const deep = `{"metadata":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`
    assert.match((await post('/v1/agents/', deep)).detail, /deeper than the 200 levels/)
    const many = JSON.stringify({ tags: Array.from({ length: 200_000 }, () => 1) })
    assert.match((await post('/v1/agents/', many)).detail, /more than the 100000 values/)
    const wide = JSON.stringify({ tags: Array.from({ length: 50_000 }, () => 1) })
    const { status, detail } = await post('/v1/agents/', wide)
    assert.equal(status, 422)
    assert.ok(detail.length < 2000 && detail.includes('more)'), detail.slice(0, 300))
    const brackets = JSON.stringify({ label: 'b', value: '[{'.repeat(1000) + '\\"[[' })
    assert.equal((await post('/v1/blocks/', brackets)).status, 200, 'brackets in text are text')
    const messages = Array.from({ length: 2000 }, () => ({ role: 'user', content: 'x' }))
    assert.equal((await post(`/v1/agents/${agent_id}/messages`, JSON.stringify({ messages }))).status, 422)
  })

  it('leaves out NUL and replaces lone surrogates, in text, names and cursors', async () => {
    const text = String.raw`{"input":"a\u0000b \ud83d c \ud83d\ude00"}`
    const { status } = await post(`/v1/agents/${agent_id}/messages`, text)
    assert.equal(status, 200)
    const [message] = (
      await t.letta.agents.messages.list(agent_id, { include_return_message_types: ['user_message'] })
    ).items
    assert.ok(message?.message_type === 'user_message')
    assert.equal(message.content, 'ab \uFFFD c 😀')
    const label = await post('/v1/blocks/', String.raw`{"label":"n\u0000ul/%\ud800","value":"\u0000"}`)
    assert.equal((JSON.parse(label.text) as { label: string }).label, 'nul/%\uFFFD')
    for (const path of [
      '/v1/agents/?name=%00',
      '/v1/agents/?query_text=%00%FF',
      '/v1/tags/?after=%00',
      `/v1/agents/${agent_id}/core-memory/blocks/%00`,
      `/v1/agents/${agent_id}/core-memory/blocks/%E0%A4%A`,
      `/v1/agents/${agent_id}/messages?after=%00`,
      '/v1/runs/%00',
    ]) {
      const answer = await fetch(t.url + path)
      assert.ok(answer.status < 500, `${path} ${answer.status}`)
      await answer.text()
    }
  })

  it('answers 405 with the methods that a path has, 404 where there is none', async () => {
    for (const [method, path, allow] of [
      ['PUT', '/v1/agents/', 'GET, HEAD, POST'],
      ['POST', '/v1/health', 'GET, HEAD'],
      ['DELETE', `/v1/agents/${agent_id}/messages`, 'GET, HEAD, POST'],
      ['POST', '/v1/runs/run-1', 'GET, HEAD, DELETE'],
      ['OPTIONS', '/v1/tags/', 'GET, HEAD'],
      // Words where others have an id.
      ['PATCH', '/v1/agents/count', 'GET, HEAD'],
      ['DELETE', '/v1/runs/active', 'GET, HEAD'],
      ['GET', '/v1/messages/search', 'POST'],
    ] as const) {
      const answer = await fetch(t.url + path, { method })
      assert.equal(answer.status, 405, `${method} ${path}`)
      assert.equal(answer.headers.get('allow'), allow)
      await answer.text()
    }
    for (const path of [
      '/v1/constructor',
      '/v1/__proto__',
      '/v1',
      '/v1/agents/x/y/z',
      '//v1/agents',
      '/V1/agents',
    ])
      assert.equal((await fetch(t.url + path, { method: 'POST' })).status, 404, path)
    assert.equal((await fetch(`${t.url}/v1/health/`, { method: 'HEAD' })).status, 200)
  })

  it('stays up under methods, headers and requests that are none', async () => {
    const answered: string[] = []
    for (const request of [
      'TRACE /v1/agents/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      'CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'BREW /v1/agents/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'GET http://[broken/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      'GET /v1/agents/ HTTP/1.1\r\nConnection: close\r\n\r\n',
      'GET /v1/agents/ HTTP/1.1\r\nHost: local host\r\nConnection: close\r\n\r\n',
      `GET /v1/agents/ HTTP/1.1\r\nHost: localhost\r\n${Array.from({ length: 5000 }, (_, i) => `X-${i}: y\r\n`).join('')}\r\n`,
      `GET /v1/agents/?${'a=b&'.repeat(3000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      `GET /v1/agents/?${'a=b&'.repeat(6000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      '\x16\x03\x01\x02\x00\r\n\r\n',
      'POST /v1/agents/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n',
    ]) {
      const answer = await raw(request)
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5/, request.slice(0, 80))
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      answered.push(head.slice(9, 12))
      if (!head.startsWith('HTTP/1.1 4') || request.startsWith('CONNECT')) continue
      const chunked = /transfer-encoding: chunked/i.test(head)
      const json = chunked ? (body.split('\r\n')[1] ?? '') : body
      assert.equal(typeof (JSON.parse(json) as { detail: unknown }).detail, 'string', request.slice(0, 80))
    }
    assert.equal(answered.filter((status) => status === '431').length, 2, answered.join())
    assert.ok(answered.filter((status) => status === '400').length >= 5, answered.join())
    assert.equal((await fetch(`${t.url}/v1/health/`)).status, 200)
  })

  it('names the field of a time zone that is none', async () => {
    for (const timezone of ['Mars/Olympus', '', '+01:00', 'x'.repeat(10_000)]) {
      const made = await post('/v1/agents/', JSON.stringify({ model: 'loci/demo', timezone }))
      assert.equal(made.status, 422)
      assert.match(made.detail, /body\.timezone: .*Europe\/London/)
      const changed = await t.http('PATCH', `/v1/agents/${agent_id}`, { timezone })
      assert.equal(changed.status, 422)
    }
    assert.equal((await t.letta.agents.update(agent_id, { timezone: 'Asia/Tokyo' })).timezone, 'Asia/Tokyo')
  })

  it('refuses ids and cursors of another kind everywhere', async () => {
    const block = 'block-00000000-0000-4000-8000-000000000000'
    for (const [path, status] of [
      [`/v1/agents/${block}/messages`, 422],
      [`/v1/steps/${agent_id}`, 422],
      [`/v1/steps/?agent_id=${block}`, 422],
      [`/v1/agents/${agent_id}/messages?before=${block}`, 404],
      [`/v1/runs/?before=${agent_id}`, 404],
      [`/v1/steps/?after=${agent_id}`, 404],
      [`/v1/runs/${agent_id}`, 404],
      [`/v1/agents/?limit=0`, 422],
      [`/v1/agents/?limit=99999999999999999999`, 422],
      [`/v1/agents/?order=sideways`, 422],
    ] as const)
      assert.equal((await fetch(t.url + path)).status, status, path)
  })
})
