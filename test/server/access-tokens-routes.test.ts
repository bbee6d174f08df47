import assert from 'node:assert/strict'
import type { Route } from '../../shared/server/route.ts'
import { bodies, everyRoute, everything, filled, type Owner, populate } from '../support/every-route.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

const KEY = 'the-server-s-own-key'
const MARK = 'Zebra77'
const PAGE = 'https://app.example.com'

/** What access tokens reach of the API, and the right that it takes. A route that is not here is refused to them. */
const OPEN: Record<string, string> = {
  'GET /v1/agents/:agent_id': 'read_agent',
  'PATCH /v1/agents/:agent_id': 'write_agent',
  'GET /v1/agents/:agent_id/core-memory': 'read_agent',
  'GET /v1/agents/:agent_id/core-memory/blocks': 'read_agent',
  'GET /v1/agents/:agent_id/core-memory/blocks/:block_label': 'read_agent',
  'PATCH /v1/agents/:agent_id/core-memory/blocks/:block_label': 'write_agent',
  'POST /v1/agents/:agent_id/core-memory/blocks/:block_label/edit': 'write_agent',
  'GET /v1/agents/:agent_id/archival-memory': 'read_agent',
  'POST /v1/agents/:agent_id/archival-memory': 'write_agent',
  'GET /v1/agents/:agent_id/archival-memory/search': 'read_agent',
  'DELETE /v1/agents/:agent_id/archival-memory/:memory_id': 'write_agent',
  'GET /v1/agents/:agent_id/messages': 'read_messages',
  'POST /v1/agents/:agent_id/messages': 'write_messages',
  'POST /v1/agents/:agent_id/messages/stream': 'write_messages',
  'POST /v1/agents/:agent_id/messages/async': 'write_messages',
  'POST /v1/agents/:agent_id/messages/cancel': 'write_messages',
  'GET /v1/conversations': 'read_messages',
  'POST /v1/conversations': 'write_messages',
  'GET /v1/conversations/:conversation_id': 'read_messages',
  'PATCH /v1/conversations/:conversation_id': 'write_messages',
  'DELETE /v1/conversations/:conversation_id': 'write_messages',
  'POST /v1/conversations/:conversation_id/cancel': 'write_messages',
  'GET /v1/conversations/:conversation_id/messages': 'read_messages',
  'POST /v1/conversations/:conversation_id/messages': 'write_messages',
  'POST /v1/conversations/:conversation_id/messages/:message_id/edit-and-resend': 'write_messages',
  'POST /v1/conversations/:conversation_id/stream': 'read_messages',
  'GET /v1/runs/:run_id': 'read_messages',
  'GET /v1/runs/:run_id/messages': 'read_messages',
  'GET /v1/runs/:run_id/usage': 'read_messages',
  'POST /v1/runs/:run_id/stream': 'read_messages',
}
/** Answered to everybody, token or not. */
const EVERYBODY = /^(GET \/v1\/(health|ready)|GET \/v1\/tools\/mcp\/oauth\/callback\/?:?.*)$/

describe('every route, asked with an access token', () => {
  let loci: TestLoci
  let routes: Route[]
  let ids: Record<string, string>
  /** With every right on an agent of its own, and with none on the agent that all belongs to. */
  let elsewhere: string
  let rightless: string

  const ask = async (token: string, method: string, path: string, body?: unknown) => {
    const response = await fetch(loci.url + path, {
      method,
      signal: AbortSignal.timeout(20_000),
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, origin: PAGE },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, text: await response.text() }
  }
  const owner: Owner = async (method, path, body) => {
    const response = await fetch(loci.url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> & { id: string }
  }
  const tokenFor = async (id: string, access: string[]) =>
    String(
      (
        await owner('POST', '/v1/client-side-access-tokens', {
          policy: [{ type: 'agent', id, access }],
          hostname: PAGE,
          expires_at: '2100-01-01T00:00:00Z',
        })
      )['token'],
    )

  before(async () => {
    loci = await startLoci({ serve: { key: KEY } })
    routes = await everyRoute()
    ids = await populate(loci, KEY, MARK)
    const { id } = await owner('POST', '/v1/agents/', { name: 'own', model: 'loci/demo' })
    elsewhere = await tokenFor(id, [...new Set(Object.values(OPEN))])
    rightless = await tokenFor(ids['agent_id'] ?? '', [])
  })
  after(async () => {
    await loci.close()
    assert.deepEqual(loci.failures, [])
  })

  it('is refused unless it is written down here with the right that it takes', () => {
    const open = routes.flatMap((route) =>
      route.scoped ? [[`${route.method} ${route.path}`, route.scoped.right] as const] : [],
    )
    assert.deepEqual(Object.fromEntries(open), OPEN)
  })

  for (const [name, status] of [
    ['reaches nothing of an agent that the token does not name, as if it were not there', 404],
    ['does nothing with its own agent without the right', 403],
  ] as const)
    it(name, async function () {
      this.timeout(240_000)
      const token = status === 404 ? elsewhere : rightless
      const before = await everything(owner, ids)
      const wrong: string[] = []
      let asked = 0
      for (const route of routes) {
        const line = `${route.method} ${route.path}`
        if (EVERYBODY.test(line)) continue
        const { path } = filled(route, ids)
        const query = `query=${MARK}&agent_id=${ids['agent_id'] ?? ''}`
        for (const body of route.body ? bodies(MARK, ids['agent_id']) : [undefined]) {
          const answer = await ask(token, route.method, `${path}?${query}`, body)
          asked++
          const wanted = line in OPEN ? status : 403
          if (answer.status !== wanted || answer.text.includes(MARK))
            wrong.push(
              `${line} ${JSON.stringify(body) ?? ''} → ${answer.status} ${answer.text.slice(0, 200)}`,
            )
        }
      }
      assert.deepEqual(wrong, [])
      assert.deepEqual(await everything(owner, ids), before)
      console.log(`      ${asked} requests to ${routes.length} routes`)
    })
})
