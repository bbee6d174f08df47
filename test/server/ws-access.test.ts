import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { User } from '../../shared/schema/user.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { handshake, openSocket } from '../support/web-socket.ts'

const OWNER = { authorization: 'Bearer sesame' }

describe('who may open a WebSocket', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({
      // Agents have a model, which nobody asks here.
      env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' },
      serve: { key: 'sesame', cors: ['https://app.example'], sockets: { auth_ms: 1000, heartbeat_ms: 1000 } },
    })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })
  const owner = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const answer = await fetch(`${t.url}${path}`, {
      method,
      headers: { ...OWNER, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    assert.equal(answer.status, 200, path)
    return (await answer.json()) as T
  }
  /** A user of another organisation, and a key. */
  const newUser = async (limits: object = {}) => {
    const name = crypto.randomUUID()
    const { id: organization_id } = await owner<{ id: string }>('POST', '/v1/admin/orgs', { name })
    const user = await owner<User>('POST', '/v1/admin/users', { name, organization_id, limits })
    const made = await owner<{ key: string; id: string }>('POST', `/v1/admin/users/${user.id}/keys`, {
      name: 'k',
    })
    return { user, key: made.key, revoke: () => owner('DELETE', `/v1/admin/keys/${made.id}`) }
  }

  it('says who asks in a header, or in the first frame', async () => {
    const byHeader = await openSocket(t.url, { headers: OWNER })
    await byHeader.frame('ready', ({ type }) => type === 'ready')
    byHeader.send({ type: 'auth', token: 'sesame' })
    await byHeader.frame('a refusal', ({ status }) => status === 409)
    await byHeader.close()

    const byFrame = await openSocket(t.url)
    byFrame.send({ type: 'auth', token: 'sesame' })
    byFrame.send({ type: 'ping', id: 'p' })
    await byFrame.frame('the pong', ({ type }) => type === 'pong')
    assert.deepEqual(
      byFrame.frames.map(({ type }) => type),
      ['ready', 'pong'],
    )
    await byFrame.close()
  })

  it('looks at what follows the token when that is known, in its order', async () => {
    const socket = await openSocket(t.url)
    socket.socket.cork()
    socket.send({ type: 'auth', token: 'sesame' })
    for (let i = 0; i < 300; i++) socket.send({ type: 'ping', id: `p${i}` })
    socket.socket.uncork()
    await socket.frame('the last pong', ({ id }) => id === 'p299')
    assert.deepEqual(
      socket.frames.slice(1).map(({ id }) => id),
      Array.from({ length: 300 }, (_, i) => `p${i}`),
    )
    await socket.close()
  })

  it('is closed with a reason for a wrong token, another first frame, none in time, a large one', async () => {
    const closed = async (frame: object | string | null) => {
      const socket = await openSocket(t.url)
      if (frame !== null) socket.send(frame)
      const { code, reason } = await socket.closed
      assert.deepEqual(socket.frames, [])
      return `${code} ${reason}`
    }
    assert.match(await closed({ type: 'auth', token: 'wrong' }), /^4401 .*not known/)
    assert.match(await closed({ type: 'auth', token: 'a\r\nb: c' }), /^4401 .*not known/)
    assert.match(await closed({ type: 'auth', token: 7 }), /^4401/)
    assert.match(await closed({ type: 'ping', id: 'p' }), /^4401 the first frame/)
    assert.match(await closed('{'), /^4401 the first frame/)
    assert.match(await closed(null), /^4401 no .* within 1 s/)
    assert.match(await closed({ type: 'auth', token: 'x'.repeat(70_000) }), /^1009 at most 65536 bytes/)
  })

  it('is refused in words at the handshake: a wrong key, a key in the address, another page, no key', async () => {
    assert.equal(await handshake(t.url, { headers: OWNER }), '101')
    assert.equal(await handshake(t.url), '101')
    assert.match(
      await handshake(t.url, { headers: { authorization: 'Bearer wrong' } }),
      /^401 .*Unauthorized/,
    )
    assert.equal(await handshake(t.url, { headers: { 'x-bare-password': 'password sesame' } }), '101')
    for (const name of ['token', 'api_key', 'access_token', 'password'])
      assert.match(
        await handshake(t.url, { path: `/v1/ws?${name}=sesame` }),
        /^400 .*an address is written into logs: send the token as a header/,
      )
    for (const origin of ['https://evil.example', 'null', 'http://localhost:3000'])
      assert.match(await handshake(t.url, { headers: { ...OWNER, origin } }), /^403 .*origin/)
    assert.equal(await handshake(t.url, { headers: { ...OWNER, origin: t.url } }), '101')
    assert.equal(await handshake(t.url, { headers: { origin: 'https://app.example' } }), '101')
    const wrong = async (headers: Record<string, string>) => {
      const all = { ...OWNER, connection: 'upgrade', upgrade: 'websocket', ...headers }
      const [answer] = (await once(get(`${t.url}/v1/ws`, { headers: all }), 'response')) as [IncomingMessage]
      return `${answer.statusCode} ${(await answer.setEncoding('utf8').toArray()).join('')}`
    }
    const key = Buffer.alloc(16).toString('base64')
    assert.match(await wrong({ 'sec-websocket-version': '7', 'sec-websocket-key': key }), /^400 .*Version/)
    assert.match(await wrong({ 'sec-websocket-version': '13', 'sec-websocket-key': 'short' }), /^400 .*Key/)
    assert.match(await handshake(t.url, { headers: OWNER, path: '/v1/agents' }), /^200 /, 'no upgrade there')
  })

  it("keeps to the user's organisation and limits: what is another's is not found, requests are counted", async () => {
    const theirs = await owner<{ id: string }>('POST', '/v1/agents/', { model: SCRIPTED })
    const { key } = await newUser({ requests_per_hour: 6 })
    const theirSocket = await openSocket(t.url, { path: `/v1/agents/${theirs.id}/ws` })
    theirSocket.send({ type: 'auth', token: key })
    await theirSocket.frame('not found', ({ type, status }) => type === 'error' && status === 404)
    assert.equal((await theirSocket.closed).code, 4404)
    const socket = await openSocket(t.url)
    socket.send({ type: 'auth', token: key })
    const status = async (id: string, frame: object) => {
      socket.send({ id, agent_id: theirs.id, ...frame })
      const [answer] = await socket.ended(id)
      return answer?.status
    }
    assert.equal(await status('a', { type: 'stream', input: 'hello' }), 404)
    assert.equal(await status('b', { type: 'send', input: 'hello' }), 404)
    assert.equal(await status('c', { type: 'cancel' }), 404)
    const approvals = [{ tool_call_id: 'c', approve: true }]
    assert.equal(await status('d', { type: 'approve', approvals }), 404)
    assert.equal(await status('e', { type: 'resume', run_id: 'run-none' }), 404)
    assert.equal(await status('f', { type: 'cancel' }), 429)
    assert.match(JSON.stringify(socket.frames.at(-1)), /retry_after_seconds/)
    await socket.close()
  })

  it('tells nobody of changes in another organisation', async () => {
    const { key } = await newUser()
    const [own, other] = [await openSocket(t.url, { headers: OWNER }), await openSocket(t.url)]
    other.send({ type: 'auth', token: key })
    for (const socket of [own, other]) {
      socket.send({ type: 'subscribe', id: 'e' })
      await socket.frame('the subscription', ({ type }) => type === 'subscribed')
    }
    await owner('POST', '/v1/blocks/', { label: 'x', value: 'y' })
    await fetch(`${t.url}/v1/blocks/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ label: 'mine', value: 'y' }),
    })
    const event = await other.frame('the block', ({ type }) => type === 'event')
    const theirs = await own.frame('the block', ({ type }) => type === 'event')
    assert.ok(theirs.cursor! < event.cursor!, 'the one that came first was not told')
    await own.close()
    await other.close()
  })

  it('is closed when its key is revoked: at its next command, and soon when it only listens', async () => {
    const [talking, listening] = [await newUser(), await newUser()]
    const [talks, listens] = [await openSocket(t.url), await openSocket(t.url)]
    talks.send({ type: 'auth', token: talking.key })
    await talks.frame('ready', ({ type }) => type === 'ready')
    listens.send({ type: 'auth', token: listening.key })
    listens.send({ type: 'subscribe', id: 'e' })
    await listens.frame('the subscription', ({ type }) => type === 'subscribed')
    await talking.revoke()
    talks.send({ type: 'cancel', id: 'd', agent_id: 'agent-x' })
    const { code, reason } = await talks.closed
    assert.equal(code, 4401)
    assert.match(reason, /key .* is not known any more/)
    assert.equal(talks.frames.find(({ id }) => id === 'd')?.status ?? 401, 401)
    await listening.revoke()
    assert.equal((await listens.closed).code, 4401)
  })
})

describe('a WebSocket of a server without a key', () => {
  it('is for those who address this machine, and for no page that could not read answers', async () => {
    const t = await startLoci()
    assert.equal(await handshake(t.url), '101')
    assert.match(await handshake(t.url, { headers: { host: 'evil.example' } }), /^403 .*allowed_hosts/)
    assert.match(await handshake(t.url, { headers: { origin: 'null' } }), /^403 /)
    assert.match(await handshake(t.url, { headers: { origin: 'http://localhost:1' } }), /^403 .*--cors/)
    await t.close()
    assert.deepEqual(t.failures, [])
  })
})
