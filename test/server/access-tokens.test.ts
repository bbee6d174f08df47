import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import type { AccessToken } from '../../shared/schema/access-token.ts'
import { get } from 'node:http'
import { mountMcp } from '../../cli/mcp-mount.ts'
import type { Access } from '../../shared/server/access.ts'
import { listen } from '../../shared/server/serve.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { openSocket } from '../support/web-socket.ts'

const KEY = 'the-server-s-own-key'
const PAGE = 'https://app.example.com'
const ALL = ['read_messages', 'write_messages', 'read_agent', 'write_agent'] as const

type Answer = { status: number; body: Record<string, unknown>; headers: Headers }

/** The status of a GET with this Host, which fetch does not let one choose. */
function statusAt(url: string, token: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { host, authorization: `Bearer ${token}` } }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    }).on('error', reject)
  })
}

describe('access tokens of web pages', () => {
  let loci: TestLoci
  let mine: string
  let other: string
  beforeEach(async () => {
    loci = await startLoci({ serve: { key: KEY } })
    mine = await anAgent('mine')
    other = await anAgent('other')
  })
  afterEach(async () => {
    await loci.close()
    assert.deepEqual(loci.failures, [])
  })

  async function ask(
    key: string | null,
    line: string,
    body?: unknown,
    more: Record<string, string> = {},
  ): Promise<Answer> {
    const [method = '', path = ''] = line.split(' ')
    const response = await fetch(loci.url + path, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const parsed =
      response.headers.get('content-type')?.includes('json') && text !== '' ? JSON.parse(text) : { text }
    return { status: response.status, body: parsed as Record<string, unknown>, headers: response.headers }
  }
  async function anAgent(name: string): Promise<string> {
    const { body } = await ask(KEY, 'POST /v1/agents/', {
      name,
      model: 'loci/demo',
      memory_blocks: [{ label: 'human', value: `${name} knows` }],
      secrets: { TOKEN: `secret of ${name}` },
    })
    return String(body['id'])
  }
  async function aToken(
    access: readonly string[] = ALL,
    more: Record<string, unknown> = {},
    key = KEY,
  ): Promise<AccessToken> {
    const made = await ask(key, 'POST /v1/client-side-access-tokens', {
      policy: [{ type: 'agent', id: mine, access }],
      hostname: PAGE,
      ...more,
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    return made.body as unknown as AccessToken
  }
  /** As a page of that origin asks. */
  const page = (token: string, line: string, body?: unknown, origin = PAGE) =>
    ask(token, line, body, { origin })
  const say = { messages: [{ role: 'user', content: 'Hello' }] }

  it('reach the agent that they name with the rights that they name, and nothing else', async () => {
    const { token } = await aToken(['read_messages', 'write_messages'])
    assert.equal((await page(token, `POST /v1/agents/${mine}/messages`, say)).status, 200)
    assert.equal((await page(token, `GET /v1/agents/${mine}/messages`)).status, 200)
    const refused = await page(token, `GET /v1/agents/${mine}`)
    assert.equal(refused.status, 403)
    assert.match(String(refused.body['detail']), /does not have the right 'read_agent'/)
    for (const line of [`GET /v1/agents/${other}/messages`, `GET /v1/agents/${other}`])
      assert.deepEqual((await page(token, line)).body, { detail: 'Agent not found' }, line)
    for (const line of ['GET /v1/agents/', 'GET /v1/events', 'GET /v1/admin/users', 'GET /v1/tools/'])
      assert.equal((await page(token, line, line.startsWith('P') ? {} : undefined)).status, 403, line)
    assert.equal((await page(token, 'GET /agents/mine')).status, 403)
  })

  it('are used by the official client of a page, streams and conversations included', async () => {
    const { token } = await aToken(['read_messages', 'write_messages'])
    const letta = new Letta({
      baseURL: loci.url,
      apiKey: token,
      maxRetries: 0,
      defaultHeaders: { origin: PAGE },
    })
    const conversation = await letta.conversations.create({ agent_id: mine })
    const stream = await letta.conversations.messages.create(conversation.id, {
      input: 'Hello',
      streaming: true,
    })
    const types: string[] = []
    for await (const item of stream) types.push(String(item.message_type))
    assert.ok(types.includes('assistant_message'), types.join())
    const runs = (await ask(KEY, 'GET /v1/runs/')).body as unknown as { id: string }[]
    assert.equal((await letta.runs.retrieve(runs[0]?.id ?? '')).agent_id, mine)
    assert.equal((await letta.conversations.list({ agent_id: mine })).length, 1)
    await assert.rejects(letta.conversations.list(), { status: 400 })
    await assert.rejects(letta.conversations.list({ agent_id: other }), { status: 404 })
    await assert.rejects(letta.conversations.create({ agent_id: other }), { status: 404 })
    const theirs = (await ask(KEY, `POST /v1/conversations/?agent_id=${other}`, {})).body
    for (const id of [String(theirs['id']), other, 'conv-00000000-0000-4000-8000-000000000001'])
      await assert.rejects(letta.conversations.retrieve(id), { status: 404 }, id)
    const missing = await page(token, 'GET /v1/conversations/conv-00000000-0000-4000-8000-000000000001')
    const hidden = await page(token, `GET /v1/conversations/${String(theirs['id'])}`)
    const nameless = (answer: Answer) => String(answer.body['detail']).replace(/conv-[\w-]+/, '')
    assert.equal(nameless(hidden), nameless(missing))
    const run = (await ask(KEY, `POST /v1/agents/${other}/messages/async`, say)).body
    await assert.rejects(letta.runs.retrieve(String(run['id'])), { status: 404 })
  })

  it('see no secrets, no source and nobody else, and change only what is the agent’s own', async () => {
    const { token } = await aToken()
    const seen = await page(
      token,
      `GET /v1/agents/${mine}?include=agent.secrets&include=agent.tools&include=agent.blocks`,
    )
    assert.equal(seen.status, 200)
    assert.deepEqual([seen.body['secrets'], seen.body['tool_exec_environment_variables']], [[], []])
    assert.equal(JSON.stringify(seen.body).includes('secret of'), false)
    const changed = await page(token, `PATCH /v1/agents/${mine}`, { description: 'Helps' })
    assert.deepEqual(
      [changed.status, changed.body['description'], changed.body['secrets']],
      [200, 'Helps', []],
    )
    const block = (await ask(KEY, `GET /v1/agents/${other}/core-memory/blocks/human`)).body
    for (const body of [
      { block_ids: [block['id']] },
      { tool_ids: [] },
      { secrets: {} },
      { tool_rules: [] },
      { model_settings: { provider_type: 'openai' } },
      { enable_sleeptime: true },
      { identity_ids: [] },
      { description: 'x', hidden: true },
    ]) {
      const refused = await page(token, `PATCH /v1/agents/${mine}`, body)
      assert.equal(refused.status, 403, JSON.stringify(body))
    }
    for (const more of [
      { override_model: 'loci/demo' },
      { override_system: 'Tell all' },
      { include_agent_state: true },
    ])
      assert.equal((await page(token, `POST /v1/agents/${mine}/messages`, { ...say, ...more })).status, 403)
    const called = { ...say, callback_url: 'https://elsewhere.example' }
    assert.equal((await page(token, `POST /v1/agents/${mine}/messages/async`, called)).status, 403)
    const edited = await page(token, `PATCH /v1/agents/${mine}/core-memory/blocks/human`, {
      value: 'changed',
    })
    assert.deepEqual([edited.status, edited.body['value']], [200, 'changed'])
  })

  it('count for pages of their host alone, which may read the answers', async () => {
    const { token } = await aToken()
    const line = `GET /v1/agents/${mine}`
    const right = await page(token, line)
    assert.deepEqual([right.status, right.headers.get('access-control-allow-origin')], [200, PAGE])
    assert.match(right.headers.get('vary') ?? '', /origin/i)
    for (const origin of [
      'http://app.example.com',
      'https://app.example.com:444',
      'https://evil.example',
      'null',
    ])
      assert.equal((await page(token, line, undefined, origin)).status, 403, origin)
    for (const host of ['app.example.com', 'APP.example.com:443'])
      assert.equal(
        await statusAt(`${loci.url}/v1/agents/${mine}`, token, host),
        200,
        `the same host: ${host}`,
      )
    assert.equal(await statusAt(`${loci.url}/v1/agents/${mine}`, token, 'app.example.com:444'), 403)
    const nowhere = await ask(token, line)
    assert.equal(nowhere.status, 403)
    assert.match(String(nowhere.body['detail']), /for pages of https:\/\/app\.example\.com/)
  })

  it('let the preflight of their host through, and no request without them', async () => {
    const preflight = (origin: string) =>
      ask(null, `OPTIONS /v1/agents/${mine}/messages`, undefined, {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
      })
    assert.equal((await preflight(PAGE)).status, 403)
    const { token, id } = await aToken()
    const answer = await preflight(PAGE)
    assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [204, PAGE])
    assert.match(answer.headers.get('access-control-allow-headers') ?? '', /authorization/)
    assert.equal((await preflight('https://evil.example')).status, 403)
    // The page's own key is not enough: it is not one of those that --cors names.
    assert.equal((await page(KEY, `GET /v1/agents/${mine}`)).status, 403)
    const wrong = await page(`${token}x`, `GET /v1/agents/${mine}`)
    assert.deepEqual([wrong.status, wrong.headers.get('access-control-allow-origin')], [401, PAGE])
    assert.equal((await ask(KEY, `DELETE /v1/client-side-access-tokens/${id}`)).status, 204)
    // The last token of this host is gone, and its page learns that: it needs a new one.
    assert.equal((await preflight(PAGE)).status, 204)
    const gone = await page(token, `GET /v1/agents/${mine}`)
    assert.deepEqual(
      [gone.status, gone.body, gone.headers.get('access-control-allow-origin')],
      [401, { detail: 'Unauthorized' }, PAGE],
    )
    assert.equal((await preflight('https://evil.example')).status, 403)
  })

  it('end at their moment, five minutes on unless they say it, and at once when they are deleted', async () => {
    const from = Date.now()
    const usual = await aToken()
    const lasts = Date.parse(usual.expiresAt) - from
    assert.ok(lasts >= 300_000 && lasts < 330_000, `${lasts} ms`)
    const short = await aToken(ALL, { expires_at: new Date(Date.now() + 1500).toISOString() })
    const line = `GET /v1/agents/${mine}`
    assert.equal((await page(short.token, line)).status, 200)
    const ended = await eventually('the token has expired', async () => {
      const answer = await page(short.token, line)
      return answer.status === 200 ? null : { at: Date.now(), answer }
    })
    assert.ok(ended.at >= Date.parse(short.expiresAt))
    assert.deepEqual([ended.answer.status, ended.answer.body], [401, { detail: 'Unauthorized' }])
    assert.equal(ended.answer.headers.get('access-control-allow-origin'), PAGE, 'the page can read why')
    assert.equal((await page(usual.token, line)).status, 200)
    assert.equal((await ask(KEY, `DELETE /v1/client-side-access-tokens/${usual.token}`)).status, 204)
    assert.equal((await page(usual.token, line)).status, 401)
    assert.equal((await ask(KEY, `DELETE /v1/client-side-access-tokens/${usual.token}`)).status, 404)
  })

  it('are shown once, listed by the agents that they reach, and refused with what is wrong about them', async () => {
    const first = await aToken()
    const second = await aToken(['read_messages'], {
      policy: [{ type: 'agent', id: other, access: ['read_messages'] }],
    })
    const list = async (query: string) =>
      (await ask(KEY, `GET /v1/client-side-access-tokens${query}`)).body as {
        tokens: AccessToken[]
        hasNextPage: boolean
      }
    const all = await list('')
    assert.deepEqual(
      all.tokens.map(({ token }) => token),
      [second.id, first.id],
    )
    assert.equal(JSON.stringify(all).includes(first.token), false)
    assert.deepEqual(
      (await list(`?agentId=${other}`)).tokens.map(({ id }) => id),
      [second.id],
    )
    assert.deepEqual(
      [(await list('?limit=1')).hasNextPage, (await list('?limit=1&offset=1')).hasNextPage],
      [true, false],
    )
    const refuse = async (body: object, status: number, why: RegExp) => {
      const answer = await ask(KEY, 'POST /v1/client-side-access-tokens', {
        policy: [{ type: 'agent', id: mine, access: ['read_agent'] }],
        hostname: PAGE,
        ...body,
      })
      assert.equal(answer.status, status, JSON.stringify(answer.body))
      assert.match(String(answer.body['detail']), why)
    }
    await refuse({ policy: [] }, 422, /at least one agent/)
    await refuse({ policy: [{ type: 'agent', id: mine, access: ['all'] }] }, 422, /access/)
    await refuse(
      { policy: [{ type: 'agent', id: 'agent-00000000-0000-4000-8000-000000000001', access: [] }] },
      404,
      /Agent/,
    )
    await refuse({ hostname: 'app.example.com' }, 422, /http/)
    for (const more of ['/path', '/?q', '/#part', '?', '@evil.example', '/..%2f'])
      await refuse({ hostname: PAGE + more }, 422, /body\.hostname: expected scheme, host and port alone/)
    for (const hostname of [
      'https://*.example.com',
      'https:app.example.com',
      'https://a,b.example',
      'https://a..b',
    ])
      await refuse({ hostname }, 422, /body\.hostname: expected/)
    for (const hostname of [
      `${PAGE}/`,
      'http://localhost:3000',
      'http://[::1]:3000',
      'https://bücher.example',
    ])
      assert.equal((await aToken(ALL, { hostname })).hostname, hostname)
    await refuse({ expires_at: new Date(Date.now() - 1).toISOString() }, 400, /has passed already/)
    await refuse({ expires_at: 'tomorrow' }, 422, /expected a moment/)
  })

  it('act as who made them: their organisation, their limit of requests, and not after they are gone', async () => {
    const user = (await ask(KEY, 'POST /v1/admin/users', { name: 'Ada', limits: { requests_per_hour: 5 } }))
      .body
    const key = String((await ask(KEY, `POST /v1/admin/users/${String(user['id'])}/keys`, {})).body['key'])
    const { body } = await ask(key, 'POST /v1/agents/', { name: 'hers', model: 'loci/demo' })
    const hers = String(body['id'])
    const policy = [{ type: 'agent', id: hers, access: ALL }]
    const { token } = await aToken(ALL, { policy }, key)
    const foreign = await ask(key, 'POST /v1/client-side-access-tokens', {
      policy: [{ type: 'agent', id: mine, access: ALL }],
      hostname: PAGE,
    })
    assert.equal(foreign.status, 404)
    assert.equal((await page(token, `GET /v1/agents/${mine}`)).status, 404)
    assert.equal((await page(token, `GET /v1/agents/${hers}`)).status, 200)
    assert.equal((await page(token, `GET /v1/agents/${hers}`)).status, 429)
    await ask(KEY, `PATCH /v1/admin/users/${String(user['id'])}`, {
      role: 'reader',
      limits: { requests_per_hour: null },
    })
    assert.equal((await page(token, `GET /v1/agents/${hers}`)).status, 200)
    assert.equal((await page(token, `PATCH /v1/agents/${hers}`, { name: 'x' })).status, 403)
    await ask(KEY, `DELETE /v1/admin/users/${String(user['id'])}`)
    assert.equal((await page(token, `GET /v1/agents/${hers}`)).status, 401)
  })

  it('open a WebSocket from their page, and reach there what they reach by REST', async () => {
    const handshakeOf = (origin: string) => openSocket(loci.url, { headers: { origin } })
    await assert.rejects(handshakeOf(PAGE), /^Error: 403/)
    const { token, id } = await aToken(['write_messages', 'read_messages'])
    await assert.rejects(handshakeOf('https://evil.example'), /^Error: 403/)
    const socket = await handshakeOf(PAGE)
    socket.send({ type: 'auth', token })
    socket.send({ type: 'stream', id: 'own', agent_id: mine, input: 'Hello' })
    socket.send({ type: 'send', id: 'other', agent_id: other, input: 'Hello' })
    socket.send({ type: 'send', id: 'more', agent_id: mine, input: 'Hello', override_system: 'Tell all' })
    socket.send({ type: 'subscribe', id: 'events' })
    const statusOf = async (command: string) => (await socket.ended(command)).at(-1)?.status
    assert.equal((await socket.ended('own')).at(-1)?.complete, true)
    assert.deepEqual(
      [await statusOf('other'), await statusOf('more'), await statusOf('events')],
      [404, 403, 403],
    )
    await aToken()
    await ask(KEY, `DELETE /v1/client-side-access-tokens/${id}`)
    socket.send({ type: 'send', id: 'late', agent_id: mine, input: 'Hello' })
    assert.equal((await socket.closed).code, 4401)
  })

  it('do not reach MCP, whose tools reach every agent', async () => {
    const { token } = await aToken()
    const listening = await listen(loci.loci, {
      host: '127.0.0.1',
      port: 0,
      key: KEY,
      mcp: mountMcp<Access>(loci.loci),
    })
    try {
      const initialize = (key: string) =>
        fetch(`${listening.url}/mcp`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            authorization: `Bearer ${key}`,
            ...(key === KEY ? {} : { origin: PAGE }),
          },
          body: JSON.stringify({
            jsonrpc: '2.0',
            id: 1,
            method: 'initialize',
            params: {
              protocolVersion: '2025-06-18',
              capabilities: {},
              clientInfo: { name: 'page', version: '1' },
            },
          }),
        }).then(async (answer) => ({ status: answer.status, text: await answer.text() }))
      assert.equal((await initialize(KEY)).status, 200)
      const refused = await initialize(token)
      assert.equal(refused.status, 403)
      assert.match(refused.text, /not for access tokens/)
    } finally {
      await listening.close()
    }
  })

  it('reach nobody by the user_id header, and no more where no key is needed', async () => {
    const user = (await ask(KEY, 'POST /v1/admin/users', { name: 'Ada' })).body
    const { token } = await aToken()
    const header = { origin: PAGE, user_id: String(user['id']) }
    assert.equal((await ask(token, `GET /v1/agents/${mine}`, undefined, header)).status, 403)
    const { data } = loci
    const open = await startLoci({ data })
    try {
      const at = async (line: string, more: Record<string, string>) => {
        const [method = '', path = ''] = line.split(' ')
        const answer = await fetch(open.url + path, { method, headers: more })
        await answer.text()
        return answer.status
      }
      const authorization = `Bearer ${token}`
      assert.equal(await at(`GET /v1/agents/${mine}`, { origin: PAGE, authorization }), 200)
      assert.equal(await at(`GET /v1/agents/${other}`, { origin: PAGE, authorization }), 404)
      assert.equal(await at(`GET /v1/agents/${mine}`, { origin: PAGE }), 401)
      assert.equal(await at('GET /v1/agents/', { origin: PAGE, authorization: 'Bearer x' }), 403)
    } finally {
      await open.close()
    }
  })
})
