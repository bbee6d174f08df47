import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { McpConnections } from '../../../shared/core/ports/mcp-servers.ts'
import { eventually } from '../../support/loci.ts'
import {
  type Answer,
  type HttpServer,
  serve,
  startHandMcp,
  startModernMcp,
  startSseMcp,
} from '../../support/mcp-http.ts'
import { actor, aServer, call, connections, soon } from './support.ts'

const LIMITS = { connect_ms: 5000, list_ms: 4000, execute_ms: 2000 }

describe('MCP servers over HTTP', () => {
  let mcp: McpConnections
  const open: HttpServer[] = []
  const started = async <T extends HttpServer>(server: Promise<T>): Promise<T> => {
    open.push(await server)
    return server
  }
  beforeEach(() => {
    mcp = connections({ limits: LIMITS })
  })
  afterEach(async () => {
    await mcp.close()
    await Promise.all(open.splice(0).map((server) => server.close()))
  })

  const at = (
    url: string,
    more: { auth_header?: string; auth_token?: string; custom_headers?: Record<string, string> } = {},
  ) =>
    aServer({
      mcp_server_type: 'streamable_http',
      server_url: url,
      auth_header: null,
      auth_token: null,
      custom_headers: null,
      ...more,
    })
  const list = (server: ReturnType<typeof at>) => mcp.listTools(actor, server, { signal: soon() })

  it('speak the newest protocol, and return text, structures, images and links', async () => {
    const server = at(`${(await started(startModernMcp())).url}/mcp`)
    assert.deepEqual((await list(server)).tools.map(({ name }) => name).toSorted(), [
      'add',
      'look',
      'weather',
    ])
    assert.deepEqual(await call(mcp, server, 'add', { a: 1, b: 2 }), {
      status: 'success',
      func_response: '3',
    })
    assert.deepEqual(await call(mcp, server, 'weather'), {
      status: 'success',
      func_response: '{"degrees":21}',
    })
    const { func_response: parts } = await call(mcp, server, 'look')
    assert.ok(typeof parts !== 'string')
    assert.deepEqual(
      parts.map((part) => (part.type === 'text' ? part.text : part.type)),
      [
        'One\nTwo',
        'image',
        '[image of type image/svg+xml, 1 kB: it cannot be shown here]\n' +
          '[audio of type audio/wav, 1 kB: it cannot be shown here]\n' +
          "[resource 'log': file:///tmp/log (text/plain)]\n" +
          '[resource note://1]\nA note.',
      ],
    )
    const wrong = await call(mcp, server, 'add', { a: 'one' })
    assert.equal(wrong.status, 'error')
  })

  it('speak the oldest transport, and are connected to anew when its stream breaks', async () => {
    const sse = await started(startSseMcp())
    const server = aServer({
      mcp_server_type: 'sse',
      server_url: `${sse.url}/sse`,
      auth_header: null,
      auth_token: null,
      custom_headers: null,
    })
    assert.deepEqual(
      (await list(server)).tools.map(({ name }) => name),
      ['greet'],
    )
    assert.equal((await call(mcp, server, 'greet', { name: 'Ada' })).func_response, 'Hello, Ada.')
    await sse.close()
    await eventually('the loss was noticed', () => (mcp.state(server.id).state === 'failed' ? true : null))
  })

  it('get the token and the headers, with an agent’s secrets in them', async () => {
    const hand = await started(startHandMcp())
    const server = at(hand.url, {
      auth_token: '{{ KEY }}',
      custom_headers: { 'X-Region': '{{ REGION | eu }}', 'X-Plain': 'yes' },
    })
    const run = { name: 'echo', arguments: {}, secrets: { KEY: 'k-1' } }
    assert.equal((await mcp.callTool(actor, server, run, { signal: soon() })).func_response, 'called echo')
    const last = hand.headers.at(-1)
    assert.deepEqual(
      [last?.authorization, last?.['x-region'], last?.['x-plain']],
      ['Bearer k-1', 'eu', 'yes'],
    )
    const own = at(hand.url, { auth_header: 'X-Api-Key', auth_token: 'abc' })
    await call(mcp, own, 'echo')
    assert.deepEqual(
      [hand.headers.at(-1)?.['x-api-key'], hand.headers.at(-1)?.authorization],
      ['abc', undefined],
    )
    await assert.rejects(call(mcp, server, 'echo'), /needs the secret 'KEY' of the agent/)
  })

  it('that have forgotten the session are connected to once more, and the call is made', async () => {
    const hand = await started(startHandMcp())
    const server = at(hand.url)
    await call(mcp, server, 'echo')
    hand.forget()
    assert.equal((await call(mcp, server, 'echo')).func_response, 'called echo')
  })

  it('that are not there say so', async () => {
    const gone = await serve(() => undefined)
    await gone.close()
    await assert.rejects(list(at(gone.url)), {
      code: 'mcp_error',
      message: /failed while connecting: connect ECONNREFUSED/,
    })
  })

  it('that want a log-in say how to log in', async () => {
    const closed = await started(serve((_, response) => void response.writeHead(401).end()))
    const server = at(closed.url)
    await assert.rejects(list(server), /wants its user to log in: open GET \/v1\/mcp-servers\/connect/)
    assert.equal(mcp.state(server.id).state, 'authorization_required')
  })

  it('at addresses that belong to the machine itself are not asked', async () => {
    await assert.rejects(list(at('http://169.254.169.254/latest')), /are not asked/)
    await assert.rejects(list(at('http://[fe80::1]/')), /are not asked/)
  })

  it('that send their callers to another machine are not followed', async () => {
    const elsewhere = await started(startHandMcp())
    const there = await started(
      serve((_, response) => void response.writeHead(307, { location: elsewhere.url }).end()),
    )
    await assert.rejects(list(at(there.url, { auth_token: 'secret' })), { code: 'mcp_error' })
    assert.deepEqual(elsewhere.headers, [])
  })

  const misbehaving: [string, Answer, RegExp][] = [
    ['an error page', (_, response) => page(response, 500, 'text/html', '<h1>Oops</h1>'), /HTTP 500/],
    [
      'text',
      (_, response) => page(response, 200, 'text/html', '<h1>Hi</h1>'),
      /Unexpected content type|not answer|failed/,
    ],
    [
      'invalid JSON',
      (_, response) => page(response, 200, 'application/json', '{"a":'),
      /failed while running/,
    ],
    [
      'a body without end',
      (_, response) => endless(response, 'application/json', '[', 'x'.repeat(64 * 1024)),
      /more than 8 MB/,
    ],
    [
      'an event without end',
      (_, response) => endless(response, 'text/event-stream', 'data: ', 'x'.repeat(64 * 1024)),
      /more than 8 MB|not answer in time|lost|closed/,
    ],
    [
      'events without end',
      (_, response) =>
        endless(
          response,
          'text/event-stream',
          '',
          'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n'.repeat(
            100,
          ),
        ),
      /did not answer in time/,
    ],
    [
      'nothing',
      async (_, response) => {
        await new Promise((resolve) => response.on('close', resolve))
        return null
      },
      /did not answer in time/,
    ],
  ]
  for (const [what, answer, why] of misbehaving)
    it(`that answer a call with ${what} are an error of that call; the next one is made`, async () => {
      let bad = true
      const hand = await started(
        startHandMcp((asked, response, request) =>
          bad && asked.method === 'tools/call' ? answer(asked, response, request) : null,
        ),
      )
      const server = at(hand.url)
      await list(server)
      await assert.rejects(call(mcp, server, 'echo'), why)
      bad = false
      assert.equal((await call(mcp, server, 'echo')).func_response, 'called echo')
    }).timeout(20_000)
})

function page(response: ServerResponse, status: number, type: string, body: string): null {
  response.writeHead(status, { 'content-type': type }).end(body)
  return null
}

/** Writes as fast as it is read, until nobody reads. */
async function endless(response: ServerResponse, type: string, start: string, piece: string): Promise<null> {
  response.writeHead(200, { 'content-type': type })
  response.write(start)
  const gone = new Promise((resolve) => response.on('close', resolve))
  const more = () => {
    if (!response.destroyed) response.write(piece, more)
  }
  more()
  await gone
  return null
}
