import assert from 'node:assert/strict'
import { type ClientRequest, request } from 'node:http'
import {
  cleanEnvironment,
  LOCI,
  type Running,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { connectV1Http, connectV2Http, startMcpHttp } from '../support/mcp-hosts.ts'

const clientInfo = { name: 'raw', version: '1' }
const ACCEPT = 'application/json, text/event-stream'
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo },
}

interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: unknown
}

/** By node:http: fetch sets Host and Origin itself. */
function send(url: URL, { method = 'POST', headers = {}, body }: Sent) {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>(
    (resolve, reject) => {
      const sent = request(url, {
        method,
        agent: false,
        headers: { accept: ACCEPT, 'content-type': 'application/json', ...headers },
      })
      sent.on('error', reject).on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        )
      })
      sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
    },
  )
}

/** The JSON of an answer, also where it came as one event. */
function json(text: string): { result?: Record<string, unknown>; error?: { code: number; message: string } } {
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text) as ReturnType<typeof json>
}

async function session(url: URL): Promise<string> {
  const { status, headers } = await send(url, { body: INITIALIZE })
  assert.equal(status, 200)
  const id = String(headers['mcp-session-id'])
  assert.match(id, /^[0-9a-f-]{36}$/)
  return id
}

describe('MCP over HTTP', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let server: Running
  let url: URL

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    ;({ server, url } = await startMcpHttp([], env))
  })
  after(async () => {
    const ended = await server?.stop()
    await folder.remove()
    assert.deepEqual(ended, { code: 0, signal: null })
  })

  const list = { jsonrpc: '2.0', id: 2, method: 'tools/list', params: {} }
  const inSession = (id: string) => ({ 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' })

  it('serves a host by hand with a session, up to 2025-11-25', async () => {
    const headers = inSession(await session(url))
    const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' }
    assert.equal((await send(url, { headers, body: initialized })).status, 202)
    const { text } = await send(url, { headers, body: list })
    const tools = (json(text).result ?? {})['tools'] as unknown[]
    assert.equal(tools.length, 16)
    assert.equal((await send(url, { method: 'DELETE', headers })).status, 200)
    const gone = await send(url, { headers, body: list })
    assert.equal(gone.status, 404)
    assert.match(json(gone.text).error?.message ?? '', /no such session.*initialize a new one/i)
  })

  it('serves a host by hand without a session, from 2026-07-28 on', async () => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const headers = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'agent_list',
    }
    const params = { name: 'agent_list', arguments: {}, _meta: meta }
    const answer = await send(url, { headers, body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params } })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['mcp-session-id'], undefined)
    assert.deepEqual(json(answer.text).result?.['structuredContent'], { agents: [], cursor: null })
  })

  describe('a host that goes in mid-turn', () => {
    let model: ScriptedModel
    let other: Awaited<ReturnType<typeof startMcpHttp>>
    let answer: PromiseWithResolvers<void>
    beforeEach(async () => {
      answer = Promise.withResolvers()
      model = await startScriptedModel([{ reply: { text: 'Done at last.', hold: answer.promise } }])
      other = await startMcpHttp([], { ...env, OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
    })
    afterEach(async () => {
      answer.resolve()
      await other.server.stop()
      await model.close()
    })

    const message = (name: string) => ({ agent: name, message: 'Take your time' })
    async function newAgent(name: string): Promise<void> {
      const host = await connectV2Http(other.url)
      const made = await host.call('agent_create', { name, model: 'openai/test-model' })
      assert.equal(made.isError, false, made.text)
      await host.close()
    }
    /** What became of the newest run. */
    async function outcome(status: string): Promise<string> {
      const host = await connectV2Http(other.url)
      try {
        const none = await host.call('run_get', { run_id: 'run-x' })
        const [run_id] = /run-[0-9a-f-]{36}/.exec(none.text) ?? []
        return await eventually(`the run is ${status}`, async () => {
          const { text, structured } = await host.call('run_get', { run_id, wait_seconds: 1 })
          return structured?.['status'] === status ? text : null
        })
      } finally {
        await host.close()
      }
    }

    it('finds the turn ended later, when its session was cut or ended', async () => {
      for (const [name, leave] of [
        ['Cut', async (sent: ClientRequest) => void sent.destroy()],
        [
          'Ended',
          async (_: ClientRequest, id: string) =>
            void (await send(other.url, { method: 'DELETE', headers: inSession(id) })),
        ],
      ] as const) {
        await newAgent(name)
        const id = await session(other.url)
        const params = { name: 'agent_send_message', arguments: message(name) }
        const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params })
        const headers = { accept: ACCEPT, 'content-type': 'application/json', ...inSession(id) }
        const sent = request(other.url, { method: 'POST', agent: false, headers })
        sent
          .on('error', () => undefined)
          .on('response', (response) => response.on('error', () => undefined).resume())
        sent.end(body)
        const asked = await model.request(model.requests.length)
        await leave(sent, id)
        answer.resolve()
        assert.equal(await withDeadline(asked.ended, 'the answer of the model'), 'answered')
        assert.equal(await outcome('completed'), 'Done at last.')
        answer = Promise.withResolvers()
        model.add({ reply: { text: 'Done at last.', hold: answer.promise } })
      }
    })

    it('ends the stream of a call that it cancels, up to 2025-11-25', async () => {
      await newAgent('Called off')
      const headers = inSession(await session(other.url))
      const params = { name: 'agent_send_message', arguments: message('Called off') }
      const sent = send(other.url, { headers, body: { jsonrpc: '2.0', id: 7, method: 'tools/call', params } })
      const asked = await model.request(0)
      const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } }
      assert.equal((await send(other.url, { headers, body: cancel })).status, 202)
      assert.equal(await withDeadline(asked.ended, 'the request to the model'), 'aborted')
      const { status, text } = await withDeadline(sent, 'the end of the stream')
      assert.equal(status, 200)
      assert.doesNotMatch(text, /"id":7/)
    })

    it('has cancelled the turn when it closed its request, from 2026-07-28 on', async () => {
      await newAgent('Closed')
      const host = await connectV2Http(other.url)
      const stop = new AbortController()
      const sent = host.call('agent_send_message', message('Closed'), { signal: stop.signal })
      sent.catch(() => undefined)
      const asked = await model.request(0)
      stop.abort()
      assert.equal(await withDeadline(asked.ended, 'the request to the model'), 'aborted')
      assert.match(await outcome('cancelled'), /cancelled/)
      await host.close()
    })
  })

  it('refuses sessions that it does not know, and requests that need one', async () => {
    for (const id of ['nonsense', '00000000-0000-4000-8000-000000000000', '../../etc'])
      for (const method of ['POST', 'GET', 'DELETE']) {
        const body = method === 'POST' ? list : undefined
        assert.equal(
          (await send(url, { method, headers: inSession(id), body })).status,
          404,
          `${method} ${id}`,
        )
      }
    assert.equal((await send(url, { body: list })).status, 400)
    assert.equal((await send(url, { method: 'GET' })).status, 400)
  })

  it('refuses web pages of other origins and names that are not its own', async () => {
    for (const origin of ['https://evil.example', 'http://127.0.0.1.evil.example', 'null']) {
      const { status, text } = await send(url, { headers: { origin }, body: INITIALIZE })
      assert.equal(status, 403, origin)
      assert.match(text, /web page/)
    }
    const rebound = await send(url, { headers: { host: 'evil.example' }, body: INITIALIZE })
    assert.equal(rebound.status, 403)
    assert.equal((await send(url, { headers: { origin: url.origin }, body: INITIALIZE })).status, 200)
  })

  it('refuses what is no message: too large, no JSON, another type, another method, another path', async () => {
    const text = 'x'.repeat(5 * 1024 * 1024)
    const params = { name: 'archival_insert', arguments: { text } }
    const large = await send(url, { body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params } })
    assert.equal(large.status, 413)
    const id = await session(url)
    assert.equal((await send(url, { headers: inSession(id), body: '{"jsonrpc":' })).status, 400)
    const typed = { 'content-type': 'text/plain', ...inSession(id) }
    assert.equal((await send(url, { headers: typed, body: list })).status, 415)
    assert.equal((await send(url, { method: 'PUT', headers: inSession(id), body: list })).status, 405)
    const elsewhere = await send(new URL('/v1/agents', url), { method: 'GET' })
    assert.equal(elsewhere.status, 404)
    assert.match(elsewhere.text, /it answers on \/mcp/)
    const { text: still } = await send(url, { headers: inSession(id), body: list })
    assert.ok(json(still).result)
  })

  it('answers a thousand calls at once', async () => {
    const headers = inSession(await session(url))
    const call = (id: number) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name: 'agent_list', arguments: {} },
    })
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => send(url, { headers, body: call(i) })),
    )
    assert.ok(
      answers.every(({ status, text }) => status === 200 && json(text).result?.['isError'] === undefined),
    )
  })

  it('asks for the key when it was told to, of every request', async () => {
    const secured = await startMcpHttp(['--auth'], { ...env, LOCI_API_KEY: 'secret' })
    try {
      for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic secret' }]) {
        const { status, headers: given } = await send(secured.url, { headers, body: INITIALIZE })
        assert.equal(status, 401)
        assert.equal(given['www-authenticate'], 'Bearer')
      }
      const headers = { authorization: 'Bearer secret' }
      const { headers: got } = await send(secured.url, { headers, body: INITIALIZE })
      const id = String(got['mcp-session-id'])
      assert.equal((await send(secured.url, { headers: inSession(id), body: list })).status, 401)
      assert.equal(
        (await send(secured.url, { headers: { ...headers, ...inSession(id) }, body: list })).status,
        200,
      )
    } finally {
      await secured.server.stop()
    }
  })

  it('is not opened to others without a key', async () => {
    const refused = start(process.execPath, [LOCI, 'mcp', '--http', '--port', '0', '--host', '0.0.0.0'], env)
    assert.deepEqual(await refused.exited, { code: 1, signal: null })
    assert.match(refused.stderr, /not listening on 0\.0\.0\.0 without a key/)
  })

  it('is on /mcp of loci server, too, behind the same guards, and ends with it', async () => {
    const api = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [base = ''] = await api.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const mounted = new URL('/mcp', base)
      for (const connect of [connectV1Http, connectV2Http]) {
        const host = await connect(mounted)
        const made = await host.call('agent_create', { name: `By ${host.protocol}`, model: 'loci/demo' })
        assert.equal(made.isError, false, made.text)
        const found = (await (
          await fetch(`${base}/v1/agents/?name=By%20${host.protocol}`)
        ).json()) as unknown[]
        assert.equal(found.length, 1)
        await host.subscribe(`agent://By%20${host.protocol}/memory/human`, () => undefined)
        await host.close()
      }
      const origin = 'https://evil.example'
      assert.equal((await send(mounted, { headers: { origin }, body: INITIALIZE })).status, 403)
      // With a session and a stream open, it ends in order all the same.
      const open = await connectV1Http(mounted)
      await open.subscribe('agent://By%202025-11-25', () => undefined)
      assert.deepEqual(await api.stop(), { code: 0, signal: null })
      await open.close()
    } finally {
      await api.stop()
    }
  })
})
