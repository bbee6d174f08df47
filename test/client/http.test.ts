import assert from 'node:assert/strict'
import { createServer as createSecureServer } from 'node:https'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { connect, describeFailure, type FeedItem, type LociClient } from '../../shared/client/http.ts'
import { createAuthority } from '../support/certificates.ts'

/** A small real server for one test; `requests` are those it got. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: { url: string; headers: IncomingMessage['headers'] }[] = []
  const server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { url, requests, close }
}

const change = {
  id: 6,
  type: 'block.updated',
  object_id: 'block-1',
  agent_id: null,
  date: '2026-01-01T00:00:00.000Z',
}

describe('connect', () => {
  let server: Awaited<ReturnType<typeof serve>>
  let client: LociClient

  async function start(answer: (request: IncomingMessage, response: ServerResponse) => void, token?: string) {
    server = await serve(answer)
    client = connect({ url: server.url, token })
  }

  afterEach(async () => {
    await client?.close()
    await server?.close()
  })

  it('sends no key to a server without a token, not even one from the environment', async () => {
    process.env['LETTA_API_KEY'] = 'sk-secret'
    process.env['LETTA_CUSTOM_HEADERS'] = 'Authorization: Bearer sk-other'
    try {
      await start((_, response) => response.end('[]'))
      await client.letta.agents.list()
      assert.equal(server.requests[0]?.headers.authorization, undefined)
      assert.equal(server.requests[0]?.headers['x-project-id'], undefined)
    } finally {
      delete process.env['LETTA_API_KEY']
      delete process.env['LETTA_CUSTOM_HEADERS']
    }
  })

  it('sends the token it was given', async () => {
    await start(
      (_, response) =>
        response.setHeader('content-type', 'application/json').end('{"version":"1","status":"ok"}'),
      'sk-1',
    )
    assert.deepEqual(await client.health(), { version: '1' })
    assert.equal(server.requests[0]?.headers.authorization, 'Bearer sk-1')
    assert.equal(server.requests[0]?.url, '/v1/health/')
  })

  it('follows the event feed from a cursor: ready, then the changes', async () => {
    await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: ready\ndata: {"id":5}\n\n: ping\n\n')
      response.write(`event: block.updated\nid: 6\ndata: ${JSON.stringify(change)}\n\n`)
    })
    const stop = new AbortController()
    const items: FeedItem[] = []
    for await (const item of client.events(5, { signal: stop.signal })) {
      items.push(item)
      if (items.length === 2) stop.abort()
    }
    assert.deepEqual(items, [{ type: 'ready', id: 5 }, change])
    assert.equal(server.requests[0]?.url, '/v1/events?after=5')
  })

  it('ends the feed quietly when it is closed, and tells the server', async () => {
    const gone = Promise.withResolvers<void>()
    await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: ready\ndata: {"id":0}\n\n')
      response.on('close', gone.resolve)
    })
    const feed = client.events(undefined, { signal: new AbortController().signal })
    assert.deepEqual((await feed.next()).value, { type: 'ready', id: 0 })
    const pending = feed.next()
    await client.close()
    assert.deepEqual(await pending, { done: true, value: undefined })
    await gone.promise
  })

  it('throws when the feed is lost, so that the caller can follow again', async () => {
    await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end('event: ready\ndata: {"id":0}\n\n')
    })
    const feed = client.events(undefined, { signal: new AbortController().signal })
    await feed.next()
    await assert.rejects(feed.next(), { code: 'internal', message: /feed of http:.* ended/ })
  })

  it('says so when what answers is something else', async () => {
    await start((_, response) => response.setHeader('content-type', 'text/html').end('<h1>hello</h1>'))
    await assert.rejects(client.health(), {
      code: 'invalid_argument',
      message: /not a server with the Letta V1 API/,
    })
  })

  it('describes a server that is down with its address and the reason', async () => {
    await start((_, response) => response.end())
    await server.close()
    const failure = await client.health().catch((error: unknown) => error)
    const text = describeFailure(failure, client.url)
    assert.match(text, /^No server answers at http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED .*loci server/)
    await start((_, response) => response.end())
  })

  it('says what to do about a certificate that is not trusted, of a server that does answer', async () => {
    const authority = createAuthority()
    const chained = authority.issue()
    for (const [cert, key] of [
      [chained.cert, chained.key],
      [chained.cert + authority.ca, chained.key],
    ]) {
      const secure = createSecureServer({ cert, key }, (_, response) => response.end('[]'))
      secure.listen(0, '127.0.0.1')
      await once(secure, 'listening')
      const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
      const own = connect({ url })
      try {
        const failure = await own.health().catch((error: unknown) => error)
        const text = describeFailure(failure, own.url)
        assert.match(
          text,
          /^The certificate of the server at https:.* is not trusted here: [^;]*\. Set NODE_EXTRA/,
        )
        assert.doesNotMatch(text, /No server answers/)
      } finally {
        await own.close()
        secure.closeAllConnections()
        secure.close()
        await once(secure, 'close')
      }
    }
    await start((_, response) => response.end())
  })

  it("describes a refused request with the server's own sentence", async () => {
    await start((_, response) =>
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Agent not found: x"}'),
    )
    const failure = await client.letta.agents.retrieve('x').catch((error: unknown) => error)
    assert.equal(describeFailure(failure, client.url), 'Agent not found: x')
  })

  it("describes an error in a stream with the server's own sentence", async () => {
    const item = {
      message_type: 'error_message',
      error_type: 'llm_error',
      message: 'It is down.',
      detail: 'code',
    }
    await start((_, response) =>
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end(`event: error\ndata: ${JSON.stringify(item)}\n\n`),
    )
    const stream = await client.letta.agents.messages.create('agent-1', { input: 'Hi', streaming: true })
    const failure = await stream[Symbol.asyncIterator]()
      .next()
      .catch((error: unknown) => error)
    assert.equal(describeFailure(failure, client.url), 'It is down.')
  })

  it('names the server when the connection breaks in mid-stream', async () => {
    await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"message_type":"ping"}\n\n', () => response.destroy())
    })
    const stream = await client.letta.agents.messages.create('agent-1', { input: 'Hi', streaming: true })
    const failure = await (async () => {
      for await (const _ of stream);
    })().catch((error: unknown) => error)
    const text = describeFailure(failure, client.url)
    assert.ok(text.startsWith(`The connection to ${client.url} was lost: `), text)
  })

  it('takes a base URL with or without a slash or /v1, and refuses what is no URL', async () => {
    await start((_, response) => response.end())
    for (const suffix of ['', '/', '/v1', '/v1/']) {
      assert.equal(connect({ url: server.url + suffix }).url, server.url)
    }
    for (const url of ['localhost:8283', 'ftp://x', '', 'http://u:p@host']) {
      assert.throws(() => connect({ url }), { code: 'invalid_argument' })
    }
  })
})
