import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listen } from '../../shared/server/serve.ts'
import { bareClient } from '../support/bare-client.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('a server with a key', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({ serve: { key: 'sesame', cors: ['https://app.example'] } })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(t.url + path, { headers })).status

  it('lets in who has it, as a bearer token or as V1 clients send a password', async () => {
    assert.equal(await status('/v1/agents/', { authorization: 'Bearer sesame' }), 200)
    assert.equal(await status('/v1/agents/', { authorization: 'bearer  sesame' }), 200)
    assert.equal(await status('/v1/agents/', { 'x-bare-password': 'password sesame' }), 200)
    const letta = new Letta({ baseURL: t.url, apiKey: 'sesame', maxRetries: 0 })
    assert.deepEqual((await letta.agents.list()).items, [])
  })

  it('takes a key of any letters, as curl and as browsers send it', async () => {
    const german = await startLoci({ serve: { key: 'öffne dich' } })
    try {
      for (const encoding of ['utf8', 'latin1'] as const) {
        const sent = Buffer.from('öffne dich', encoding).toString('latin1')
        const answer = await fetch(`${german.url}/v1/agents/`, {
          headers: { authorization: `Bearer ${sent}` },
        })
        assert.equal(answer.status, 200, encoding)
        await answer.text()
      }
    } finally {
      await german.close()
    }
  })

  it('answers 401 in V1’s words to everybody else, but for health', async () => {
    const answer = await fetch(`${t.url}/v1/agents/`, { headers: { 'x-request-id': 'mine-1' } })
    assert.equal(answer.status, 401)
    assert.deepEqual(await answer.json(), { detail: 'Unauthorized' })
    assert.equal(answer.headers.get('x-request-id'), 'mine-1')
    for (const authorization of ['Bearer sesam', 'Bearer sesamee', 'Bearer', 'Basic sesame', 'sesame'])
      assert.equal(await status('/v1/agents/', { authorization }), 401, authorization)
    assert.equal(await status('/v1/agents/', { 'x-bare-password': 'sesame' }), 401)
    assert.equal(await status('/v1/nothing'), 401)
    for (const path of ['/v1/health', '/v1/health/', '/v1/ready/', '/latest/health/'])
      assert.equal(await status(path), 200, path)
  })

  it('answers to any Host, as a key cannot be guessed by a web page', async () => {
    const host = 'loci.example\r\nauthorization: Bearer sesame'
    assert.equal(await statusFor(t.url, host), 200)
  })

  it('answers the preflight of an allowed page for whatever headers the SDK sends, before the key', async () => {
    const wanted = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-project-id'
    const answer = await fetch(`${t.url}/v1/agents/`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': wanted,
      },
    })
    assert.equal(answer.status, 204)
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal(answer.headers.get('access-control-allow-headers'), wanted)
    assert.match(answer.headers.get('access-control-allow-methods') ?? '', /PATCH/)
    const read = await fetch(`${t.url}/v1/agents/`, {
      headers: { origin: 'https://app.example', authorization: 'Bearer sesame' },
    })
    assert.equal(read.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.match(read.headers.get('vary') ?? '', /origin/i)
    const refused = await fetch(`${t.url}/v1/agents/`, { headers: { origin: 'https://app.example' } })
    assert.equal(refused.status, 401)
    assert.equal(
      refused.headers.get('access-control-allow-origin'),
      'https://app.example',
      'a page reads why',
    )
  })

  it('lets an allowed page read what is left of the limits', async () => {
    const headers = { authorization: 'Bearer sesame', origin: 'https://app.example' }
    const answer = await fetch(`${t.url}/v1/agents/`, { headers })
    await answer.text()
    const exposed = (answer.headers.get('access-control-expose-headers') ?? '').split(', ')
    for (const name of ['limit', 'remaining', 'reset', 'policy'])
      assert.ok(exposed.includes(`ratelimit-${name}`), name)
    assert.ok(exposed.includes('retry-after'))
  })

  it('refuses other pages, key or not', async () => {
    const headers = { origin: 'https://evil.example', authorization: 'Bearer sesame' }
    const answer = await fetch(`${t.url}/v1/agents/`, { headers })
    assert.equal(answer.status, 403)
    assert.equal(answer.headers.get('access-control-allow-origin'), null)
    const preflight = await fetch(`${t.url}/v1/agents/`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    assert.equal(preflight.headers.get('access-control-allow-origin'), null)
  })
})

describe('a server for everybody on this machine', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({ serve: { cors: '*', docs: true } })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  it('lets any page in with --cors alone, also one without an origin', async () => {
    for (const origin of ['https://any.example', 'null', 'vscode-webview://x']) {
      const answer = await fetch(`${t.url}/v1/agents/`, { headers: { origin } })
      assert.equal(answer.status, 200, origin)
      assert.equal(answer.headers.get('access-control-allow-origin'), origin)
      await answer.text()
    }
  })

  it('does not listen where others can reach it', async () => {
    await assert.rejects(
      listen(t.loci, { host: '0.0.0.0', port: 0 }),
      (error: Error) => /0\.0\.0\.0 without a key/.test(error.message) && /--auth/.test(error.message),
    )
  })

  it('sends the request id back: the client’s own, or one of ours', async () => {
    for (const given of ['abc.1:2', 'x'.repeat(500), 'two words', '']) {
      for (const path of ['/v1/health', '/v1/agents/agent-x', '/v1/nothing']) {
        const answer = await fetch(t.url + path, { headers: { 'x-request-id': given } })
        const id = answer.headers.get('x-request-id') ?? ''
        if (given === 'abc.1:2') assert.equal(id, given)
        else assert.match(id, /^[0-9a-f-]{36}$/)
        await answer.text()
      }
    }
  })

  it('serves its OpenAPI document: every route, with unique ids', async () => {
    const api = (await (await fetch(`${t.url}/openapi.json`)).json()) as {
      openapi: string
      paths: Record<
        string,
        Record<
          string,
          {
            operationId: string
            parameters?: { name: string; in: string }[]
            responses: Record<string, { $ref?: string }>
          }
        >
      >
      components: { responses: Record<string, unknown> }
    }
    assert.equal(api.openapi, '3.1.0')
    const operations = Object.values(api.paths).flatMap((methods) => Object.values(methods))
    const ids = operations.map((operation) => operation.operationId)
    assert.equal(new Set(ids).size, ids.length)
    for (const id of [
      'list_agents',
      'send_message',
      'list_steps',
      'list_tags',
      'recompile_agent',
      'list_runs',
    ])
      assert.ok(ids.includes(id), id)
    for (const [path, methods] of Object.entries(api.paths))
      for (const { parameters = [], operationId } of Object.values(methods))
        assert.deepEqual(
          parameters.filter((p) => p.in === 'path').map((p) => `{${p.name}}`),
          path.match(/\{[a-z_]+\}/g) ?? [],
          operationId,
        )
    const { responses } = api.components
    for (const [path, methods] of Object.entries(api.paths))
      for (const [method, operation] of Object.entries(methods)) {
        const always = ['400', '401', '403', '404', '408', '422', '429', '431', '500', '503']
        const writes = method === 'get' ? [] : ['409', '413', '415']
        for (const status of [...always, ...writes]) {
          const { $ref = '' } = operation.responses[status] ?? {}
          assert.ok(Object.hasOwn(responses, $ref.split('/').at(-1) ?? ''), `${method} ${path} ${status}`)
        }
        assert.ok(
          Object.keys(operation.responses).some((status) => status.startsWith('2')),
          `${method} ${path}`,
        )
      }
    const page = await fetch(`${t.url}/docs/`)
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.doesNotMatch(await page.text(), /https?:\/\//)
  })
})

/** The status for a Host header, which `fetch` would not send. */
async function statusFor(url: string, host: string): Promise<number> {
  const client = await bareClient(
    url,
    `GET /v1/agents/ HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
  )
  return Number(/^HTTP\/1\.1 (\d+)/.exec(await client.ended(host))?.[1])
}

describe('a server without a key', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({ serve: { cors: ['http://localhost:3000'], docs: true } })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })
  /** What a page may send without asking first. */
  const send = async (headers: Record<string, string>, method = 'POST') => {
    const answer = await fetch(`${t.url}/v1/agents/`, {
      method,
      headers: { 'content-type': 'text/plain', ...headers },
      ...(method === 'POST' ? { body: JSON.stringify({ name: 'planted', model: 'loci/demo' }) } : {}),
    })
    return { status: answer.status, text: await answer.text() }
  }
  const agents = async () => (await t.letta.agents.list()).items.length

  it('takes nothing from the pages of other programs on this machine, unless they are allowed', async () => {
    const { port } = new URL(t.url)
    const others = ['http://localhost:3001', 'http://127.0.0.1:5500', 'http://[::1]:1', 'http://127.0.0.2:1']
    for (const origin of [...others, `http://localhost:${port}`, 'http://localhost'])
      for (const more of [{}, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'cross-site' }]) {
        const { status, text } = await send({ origin, ...more })
        assert.equal(status, 403, origin)
        assert.match(text, /web page origin .*--cors ORIGIN/)
        assert.equal((await send({ origin, ...more }, 'GET')).status, 403, origin)
        assert.equal((await send({ origin, ...more }, 'OPTIONS')).status, 403, origin)
      }
    assert.equal(await agents(), 0, 'nothing was made')
    assert.equal(
      (await send({ origin: 'http://localhost:3000', 'sec-fetch-site': 'cross-site' })).status,
      200,
    )
    assert.equal(await agents(), 1)
  })

  it('takes what its own pages send, also by a proxy that names another host, and what is of no page', async () => {
    for (const headers of [
      { origin: t.url },
      { origin: t.url, 'sec-fetch-site': 'same-origin' },
      { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-origin' },
      {},
    ] as Record<string, string>[])
      assert.equal((await send(headers)).status, 200, JSON.stringify(headers))
    const page = await fetch(`${t.url}/openapi.json`, { headers: { 'sec-fetch-site': 'same-origin' } })
    assert.equal(page.status, 200)
    await page.text()
  })
})

describe('a server that config.json opens to names and pages', () => {
  it('answers to those hosts, exact or below a name, and lets those pages read; no others', async () => {
    const data = await mkdtemp(join(tmpdir(), 'loci-gate-'))
    const server = {
      allowed_hosts: ['Loci.example.com', '*.tunnel.example'],
      cors_origins: ['https://app.example'],
    }
    await writeFile(join(data, 'config.json'), JSON.stringify({ server }), { mode: 0o600 })
    const t = await startLoci({ data })
    try {
      const ask = async (headers: Record<string, string>) => {
        const answer = await fetch(`${t.url}/v1/agents/`, { headers })
        await answer.text()
        return answer
      }
      for (const [host, status] of [
        ['loci.example.com', 200],
        ['LOCI.example.com:8443', 200],
        ['a.tunnel.example', 200],
        ['a.b.tunnel.example', 200],
        ['tunnel.example', 403],
        ['eviltunnel.example', 403],
        ['loci.example.com.evil.example', 403],
        ['a.loci.example.com', 403],
        ['evil.example', 403],
      ] as const)
        assert.equal(await statusFor(t.url, host), status, host)
      const page = await ask({ origin: 'https://app.example' })
      assert.equal(page.headers.get('access-control-allow-origin'), 'https://app.example')
      assert.equal((await ask({ origin: 'https://evil.example' })).status, 403)
      assert.equal((await ask({ origin: 'https://loci.example.com' })).status, 200, 'its own pages')
    } finally {
      await t.close()
      await rm(data, { recursive: true, force: true })
    }
  })
})
