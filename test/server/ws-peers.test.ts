import assert from 'node:assert/strict'
import type { User } from '../../shared/schema/user.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { openRaw, openSocket, type RawSocket } from '../support/web-socket.ts'

const statusOf = (raw: RawSocket) => Number(raw.received().toString('latin1').split(' ', 2)[1])

describe('who may open a WebSocket', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({
      // Agents have a model, which nobody asks here.
      env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' },
      serve: { key: 'sesame', cors: ['https://app.example'], sockets: { auth_ms: 400 } },
    })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })
  const handshake = async (headers: Record<string, string>, path = '/v1/ws') => {
    const raw = await openRaw(t.url, { headers, path })
    raw.socket.destroy()
    return statusOf(raw)
  }

  it('says who asks in a header, or in the first frame', async () => {
    const byHeader = await openSocket(t.url, { headers: { authorization: 'Bearer sesame' } })
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
    assert.match(await closed(null), /^4401 no .* within 0\.4 s/)
    assert.match(await closed({ type: 'auth', token: 'x'.repeat(70_000) }), /^1009/)
  })

  it('is refused at the handshake with a wrong key, a key in the address, another page', async () => {
    const right = { authorization: 'Bearer sesame' }
    assert.equal(await handshake(right), 101)
    assert.equal(await handshake({}), 101)
    assert.equal(await handshake({ authorization: 'Bearer wrong' }), 401)
    assert.equal(await handshake({ 'x-bare-password': 'password sesame' }), 101)
    assert.equal(await handshake({}, '/v1/ws?token=sesame'), 400)
    assert.equal(await handshake({ ...right, origin: 'https://evil.example' }), 403)
    assert.equal(await handshake({ ...right, origin: 'null' }), 403)
    assert.equal(await handshake({ ...right, origin: 'http://localhost:3000' }), 403)
    assert.equal(await handshake({ ...right, origin: t.url }), 101)
    assert.equal(await handshake({ origin: 'https://app.example' }), 101)
    assert.equal(await handshake({ ...right, 'sec-websocket-version': '8' }), 426)
    assert.equal(await handshake({ ...right, 'sec-websocket-key': 'short' }), 400)
    assert.equal(await handshake(right, '/v1/agents'), 200, 'elsewhere nobody is offered an upgrade')
    assert.equal(await handshake({ ...right, upgrade: 'h2c' }, '/v1/agents'), 200)
  })

  it('acts for the user whose key it has, within their limits and no longer than the key', async () => {
    const admin = async (path: string, body: object) => {
      const headers = { authorization: 'Bearer sesame', 'content-type': 'application/json' }
      const answer = await fetch(`${t.url}/v1/admin/${path}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      })
      assert.equal(answer.status, 200)
      return answer.json()
    }
    const authorization = 'Bearer sesame'
    const made = await fetch(`${t.url}/v1/agents/`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ model: SCRIPTED }),
    })
    assert.equal(made.status, 200)
    const theirs = ((await made.json()) as { id: string }).id
    await admin('orgs', { name: 'Elsewhere' })
    const orgs = await fetch(`${t.url}/v1/admin/orgs`, { headers: { authorization } })
    const organization_id = ((await orgs.json()) as { id: string; name: string }[]).find(
      ({ name }) => name === 'Elsewhere',
    )?.id
    const user = (await admin('users', {
      name: 'Ada',
      organization_id,
      limits: { requests_per_hour: 2 },
    })) as User
    assert.equal(user.organization_id, organization_id)
    const { key, id: key_id } = (await admin(`users/${user.id}/keys`, { name: 'k' })) as {
      key: string
      id: string
    }
    const socket = await openSocket(t.url)
    socket.send({ type: 'auth', token: key })
    const status = async (id: string) => {
      socket.send({ type: 'cancel', id, agent_id: theirs })
      const [answer] = await socket.ended(id)
      return answer?.status
    }
    assert.equal(await status('a'), 404, 'the agent of another organisation')
    assert.equal(await status('b'), 404)
    assert.equal(await status('c'), 429)
    assert.match(JSON.stringify(socket.frames.at(-1)), /retry_after_seconds/)
    const revoked = await fetch(`${t.url}/v1/admin/keys/${key_id}`, {
      method: 'DELETE',
      headers: { authorization },
    })
    assert.ok(revoked.ok, String(revoked.status))
    assert.equal(await status('d'), 401)
    await socket.close()
  })
})

describe('a WebSocket of a peer that behaves badly', () => {
  let t: TestLoci
  const limits = { heartbeat_ms: 200, stall_ms: 300, buffer_bytes: 64 * 1024 }
  before(async () => {
    t = await startLoci({ serve: { sockets: limits } })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  it('refuses another Host, and pages that could not read answers', async () => {
    for (const headers of [{ host: 'evil.example' }, { origin: 'null' }, { origin: 'http://localhost:1' }]) {
      const raw = await openRaw(t.url, { headers })
      raw.socket.destroy()
      assert.equal(statusOf(raw), 403, JSON.stringify(headers))
    }
  })

  it('gets a frame of type error for what is no command, and goes on', async () => {
    const socket = await openSocket(t.url)
    const bad = ['{', '', 'null', '[]', '"x"', '{}', '{"type":"nothing","id":"n"}', '{"type":"stream"}']
    bad.push('{"type":"resume","id":"../x","run_id":"../../admin/users"}', '[['.repeat(50_000))
    bad.push('{"__proto__":{"type":"ping"},"id":"q"}', '{"type":"stop","id":"s","target":"none"}')
    for (const text of bad) socket.send(text)
    socket.send({ type: 'auth', token: 'late' })
    socket.send({ type: 'ping', id: 'p' })
    await socket.frame('a pong', ({ type }) => type === 'pong')
    const errors = socket.frames.filter(({ type }) => type === 'error')
    assert.equal(errors.length, bad.length + 1)
    assert.ok(errors.every(({ detail }) => (detail ?? '').length > 10))
    assert.equal(errors.find(({ id }) => id === 'n')?.status, 422)

    socket.send({ type: 'subscribe', id: 'e' })
    socket.send({ type: 'subscribe', id: 'e' })
    const twice = await socket.frame('an error', ({ id, type }) => id === 'e' && type === 'error')
    assert.match(twice.detail ?? '', /under way, and goes on/)
    for (let i = 0; i < 70; i++) socket.send({ type: 'subscribe', id: `many-${i}` })
    assert.equal((await socket.frame('too many', ({ id }) => id === 'many-69')).status, 429)
    await socket.close()
  })

  it('is closed for binary frames, broken frames and text that is none, each with its code', async () => {
    const closed = async (send: (raw: RawSocket) => void) => {
      const raw = await openRaw(t.url)
      assert.equal(statusOf(raw), 101)
      send(raw)
      const { code, reason } = await raw.closeFrame()
      assert.ok(reason.length > 10, reason)
      return code
    }
    assert.equal(await closed((raw) => raw.frame(0x82, 'bytes')), 1003)
    assert.equal(await closed((raw) => raw.frame(0x81, Buffer.from([0xc3, 0x28]))), 1007)
    assert.equal(await closed((raw) => raw.frame(0x80, 'continues nothing')), 1002)
    assert.equal(await closed((raw) => raw.frame(0xc1, 'compressed')), 1002)
    assert.equal(await closed((raw) => raw.frame(0x83, 'of no type')), 1002)
    assert.equal(await closed((raw) => raw.frame(0x89, 'x'.repeat(126))), 1002)
    assert.equal(
      await closed((raw) => void raw.socket.write(Buffer.from([0x81, 0x01, 0x78]))),
      1002,
      'no mask',
    )
    assert.equal(
      await closed((raw) => {
        raw.frame(0x01, 'begun')
        raw.frame(0x81, 'and begun again')
      }),
      1002,
    )
    // Refused by its head, before a byte of it came.
    const head = Buffer.alloc(14)
    head.set([0x81, 0xff])
    head.writeBigUInt64BE(2n ** 40n, 2)
    assert.equal(await closed((raw) => void raw.socket.write(head)), 1009)
    assert.equal(
      await closed((raw) => {
        for (let i = 0; i < 5; i++) raw.frame(i === 0 ? 0x01 : 0x00, 'x'.repeat(1024 * 1024))
      }),
      1009,
      'also when it comes in parts',
    )
  })

  it('reads a message in parts, cut anywhere, with a ping between them', async () => {
    const raw = await openRaw(t.url)
    const [write] = [raw.socket.write.bind(raw.socket)]
    const sent: Buffer[] = []
    raw.socket.write = (bytes: Buffer) => sent.push(bytes) > 0
    raw.frame(0x01, '{"type":"ping",')
    raw.frame(0x89, 'there?')
    raw.frame(0x80, '"id":"é"}')
    for (const byte of Buffer.concat(sent)) write(Buffer.from([byte]))
    await eventually('both pongs', () => {
      const text = raw.received().toString('utf8')
      return text.includes('there?') && text.includes('{"type":"pong","id":"é"}') ? true : null
    })
    raw.socket.destroy()
  })

  it('is asked whether it is there, and closed when it is not', async () => {
    const raw = await openRaw(t.url)
    const began = performance.now()
    await eventually('the end', () => (raw.socket.destroyed || raw.socket.readableEnded ? true : null))
    assert.ok(performance.now() - began < 5000)
    assert.ok(raw.received().includes(Buffer.from([0x89, 0x00])), 'a ping came')
    const alive = await openSocket(t.url)
    let ended = false
    void alive.closed.then(() => (ended = true))
    const late = performance.now() + 1000
    await eventually('five heartbeats', () => (performance.now() > late ? true : null))
    assert.equal(ended, false, 'who answers stays')
    await alive.close()
  })

  it('that stops reading is closed with how to resume, while its turn goes on', async () => {
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    const large = Array.from({ length: 100 }, () => 'x'.repeat(10_000))
    const model = await startScriptedModel([
      { reply: { text: large } },
      { reply: { text: ['a', 'b', 'c'], hold, hold_after: 2 } },
    ])
    const loci = await startLoci({
      model_url: model.url,
      serve: { sockets: { ...limits, heartbeat_ms: 60_000 } },
    })
    const [talker, agent] = [
      await loci.letta.agents.create({ model: SCRIPTED }),
      await loci.letta.agents.create({ model: SCRIPTED }),
    ]
    const reader = await openSocket(loci.url)
    const runOf = async (id: string) => {
      const frame = await reader.frame('a run', (one) => one.id === id && one.type === 'message')
      return String(frame.data?.['run_id'])
    }
    reader.send({ type: 'stream', id: 'large', agent_id: talker.id, input: 'go' })
    await reader.ended('large')
    const large_run = await runOf('large')
    const raw = await openRaw(loci.url)
    raw.socket.pause()
    raw.frame(0x81, JSON.stringify({ type: 'stream', id: 'held', agent_id: agent.id, input: 'go' }))
    for (let i = 0; i < 40; i++)
      raw.frame(0x81, JSON.stringify({ type: 'resume', id: `r${i}`, run_id: large_run }))
    await model.request(1)
    const until = performance.now() + 10 * limits.stall_ms
    await eventually('the stall', () => (performance.now() > until ? true : null))
    const runs = (await loci.http('GET', `/v1/runs/?agent_id=${agent.id}&active=true`)).body
    assert.equal((runs as unknown[]).length, 1, 'its turn goes on')
    const [{ id: run_id }] = runs as [{ id: string }]
    raw.socket.resume()
    const { code, reason } = await raw.closeFrame()
    assert.equal(code, 4408)
    assert.match(reason, /resume runs by run_id and seq_id/)
    assert.ok(raw.received().length < 25_000_000, 'nothing more was made for it')
    open()
    reader.send({ type: 'resume', id: 'again', run_id })
    const rest = await reader.ended('again')
    assert.deepEqual(
      rest.flatMap(({ data }) => data?.['content'] ?? []),
      ['a', 'b', 'c'],
    )
    await reader.close()
    await loci.close()
    await model.close()
    assert.deepEqual(loci.failures, [])
  })
})
