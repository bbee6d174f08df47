import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocketServer } from 'ws'
import { Session } from '../../shared/server/ws/session.ts'
import { createAuthority } from '../support/certificates.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { maskedFrame, openSocket, type OpenSocket } from '../support/web-socket.ts'

/** Peers that answer are not given up: they share this thread with what a test computes meanwhile. */
const limits = { heartbeat_ms: 30_000, stall_ms: 1000, buffer_bytes: 64 * 1024 }
/** For who is asked whether it is there. */
const impatient = { ...limits, heartbeat_ms: 200 }

describe('a WebSocket of a peer that behaves badly', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({ serve: { sockets: limits } })
  })
  after(async () => {
    await t.close()
    assert.deepEqual(t.failures, [])
  })

  it('gets a frame of type error for what is no command, and goes on', async () => {
    const socket = await openSocket(t.url)
    const bad = ['{', '', 'null', '[]', '"x"', '{}', '{"type":"nothing","id":"n"}', '{"type":"stream"}']
    bad.push('{"type":"resume","id":"../x","run_id":"../../admin/users"}', '[['.repeat(50_000))
    bad.push('{"__proto__":{"type":"ping"},"id":"q"}', '{"type":"stop","id":"s","target":"none"}')
    bad.push('{"type":"subscribe","id":"t","topic":"tokens"}', '{"type":"ping","id":7}')
    for (const text of bad) socket.send(text)
    socket.send({ type: 'auth', token: 'late' })
    socket.send({ type: 'ping', id: 'p' })
    await socket.frame('a pong', ({ type }) => type === 'pong')
    const errors = socket.frames.filter(({ type }) => type === 'error')
    assert.equal(errors.length, bad.length + 1)
    assert.ok(errors.every(({ detail }) => (detail ?? '').length > 10))
    assert.equal(errors.find(({ id }) => id === 'n')?.status, 422)
    const words = errors.map(({ detail }) => detail)
    assert.ok(words.includes('this is no command: Invalid input: expected object, received array'))
    assert.deepEqual(
      words.filter((detail) => detail?.includes(': :')),
      [],
    )
    await socket.close()
  })

  it('is answered in order of what makes sense: no approval, run or command is there yet', async () => {
    const agent = await t.letta.agents.create({ model: 'loci/demo' })
    const socket = await openSocket(t.url)
    const approvals = [{ tool_call_id: 'call-1', approve: true }]
    socket.send({ type: 'approve', id: 'a', agent_id: agent.id, approvals })
    socket.send({ type: 'resume', id: 'b', run_id: `run-${crypto.randomUUID()}`, seq_id: 10 })
    socket.send({ type: 'cancel', id: 'c', agent_id: agent.id })
    for (const id of ['a', 'b', 'c']) {
      const last = (await socket.ended(id)).at(-1)
      assert.ok(last?.type === 'error' && last.status! < 500, JSON.stringify(last))
    }
    await socket.close()
  })

  it('has so many commands under way, and no more however many it sends', async () => {
    const socket = await openSocket(t.url)
    socket.send({ type: 'subscribe', id: 'e' })
    socket.send({ type: 'subscribe', id: 'e' })
    const twice = await socket.frame('an error', ({ id, type }) => id === 'e' && type === 'error')
    assert.match(twice.detail ?? '', /under way, and goes on/)
    for (let i = 0; i < 5000; i++) socket.send({ type: 'subscribe', id: `many-${i}` })
    socket.send({ type: 'ping', id: 'p' })
    await socket.frame('a pong', ({ type }) => type === 'pong')
    assert.equal(socket.frames.filter(({ status }) => status === 429).length, 5000 - 63)
    socket.send({ type: 'stop', id: 's', target: 'e' })
    await socket.frame('its end', ({ id, type }) => id === 'e' && type === 'done')
    socket.send({ type: 'subscribe', id: 'again' })
    await socket.frame('a subscription', ({ id, type }) => id === 'again' && type === 'subscribed')
    await socket.close()
  })

  it('is closed for binary frames, broken frames and text that is none, each with its code', async () => {
    const closed = async (send: (open: OpenSocket) => void) => {
      const open = await openSocket(t.url)
      send(open)
      return open.closed
    }
    const code = async (...bytes: Buffer[]) =>
      (await closed(({ socket }) => bytes.forEach((one) => socket.write(one)))).code
    const binary = await closed(({ ws }) => ws.send(Buffer.from('{"type":"ping","id":"p"}')))
    assert.deepEqual(binary, { code: 1003, reason: 'binary frames are not taken; send JSON as text' })
    assert.equal(await code(maskedFrame(0x81, Buffer.from([0xc3, 0x28]))), 1007)
    assert.equal(await code(maskedFrame(0x80, 'continues nothing')), 1002)
    assert.equal(await code(maskedFrame(0xc1, 'compressed')), 1002)
    assert.equal(await code(maskedFrame(0x83, 'of no type')), 1002)
    assert.equal(await code(maskedFrame(0x89, 'x'.repeat(126))), 1002)
    assert.equal(await code(Buffer.from([0x81, 0x01, 0x78])), 1002, 'no mask')
    assert.equal(await code(maskedFrame(0x01, 'begun'), maskedFrame(0x81, 'and begun again')), 1002)
    // Refused by its head, before a byte of it came.
    const head = Buffer.alloc(14)
    head.set([0x81, 0xff])
    head.writeBigUInt64BE(2n ** 40n, 2)
    assert.equal(await code(head), 1009)
    const parts = Array.from({ length: 5 }, (_, i) =>
      maskedFrame(i === 0 ? 0x01 : 0x00, 'x'.repeat(1024 * 1024)),
    )
    assert.equal(await code(...parts), 1009, 'also when it comes in parts')
  })

  it('reads a message in parts, cut anywhere, with a ping between them', async () => {
    const open = await openSocket(t.url)
    let pongs = 0
    open.ws.on('pong', () => pongs++)
    const bytes = [
      maskedFrame(0x01, '{"type":"ping",'),
      maskedFrame(0x89, 'there?'),
      maskedFrame(0x80, '"id":"é"}'),
    ]
    for (const byte of Buffer.concat(bytes)) open.socket.write(Buffer.from([byte]))
    await open.frame('the pong', ({ id }) => id === 'é')
    assert.equal(pongs, 1)
    await open.close()
  })

  it('is asked whether it is there: who says nothing is cut, who answers stays', async () => {
    const loci = await startLoci({ serve: { sockets: impatient } })
    const [silent, alive] = [await openSocket(loci.url, { autoPong: false }), await openSocket(loci.url)]
    let pings = 0
    alive.ws.on('ping', () => pings++)
    assert.equal((await silent.closed).code, 1006)
    await eventually('five heartbeats', () => (pings >= 5 ? true : null))
    assert.equal(alive.ws.readyState, alive.ws.OPEN)
    await alive.close()
    await loci.close()
    assert.deepEqual(loci.failures, [])
  })

  it('is cut when it floods the server with pings whose answers it does not read', async () => {
    const { ws, socket, closed } = await openSocket(t.url)
    socket.pause()
    socket.cork()
    for (let i = 0; i < 20_000; i++) ws.ping('x'.repeat(100))
    socket.uncork()
    socket.on('error', () => undefined).resume()
    assert.equal((await closed).code, 1006)
  })

  it('is asked whether it is there over TLS as well', async () => {
    const authority = createAuthority()
    const folder = await mkdtemp(join(tmpdir(), 'loci-ws-tls-'))
    const { cert, key } = authority.issue()
    const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    await writeFile(tls.cert, cert)
    await writeFile(tls.key, key)
    const loci = await startLoci({ serve: { tls, sockets: impatient } })
    const ca = authority.ca
    const [silent, alive] = [
      await openSocket(loci.url, { ca, autoPong: false }),
      await openSocket(loci.url, { ca }),
    ]
    let pings = 0
    alive.ws.on('ping', () => pings++)
    assert.equal((await silent.closed).code, 1006)
    await eventually('five heartbeats', () => (pings >= 5 ? true : null))
    alive.send({ type: 'ping', id: 'p' })
    await alive.frame('a pong', ({ id }) => id === 'p')
    await alive.close()
    await loci.close()
    await rm(folder, { recursive: true, force: true })
    assert.deepEqual(loci.failures, [])
  })

  it('that stops reading is closed with how to resume, while its turn goes on', async () => {
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    const large = Array.from({ length: 100 }, () => 'x'.repeat(10_000))
    const model = await startScriptedModel([
      { reply: { text: large } },
      { reply: { text: ['a', 'b', 'c'], hold, hold_after: 2 } },
    ])
    const loci = await startLoci({ model_url: model.url, serve: { sockets: limits } })
    const [talker, agent] = [
      await loci.letta.agents.create({ model: SCRIPTED }),
      await loci.letta.agents.create({ model: SCRIPTED }),
    ]
    const reader = await openSocket(loci.url)
    reader.send({ type: 'stream', id: 'large', agent_id: talker.id, input: 'go' })
    const [first] = await reader.ended('large')
    const deaf = await openSocket(loci.url)
    let bytes = 0
    deaf.ws.on('message', (data: Buffer) => (bytes += data.length)).pause()
    deaf.send({ type: 'stream', id: 'held', agent_id: agent.id, input: 'go' })
    for (let i = 0; i < 40; i++) deaf.send({ type: 'resume', id: `r${i}`, run_id: first?.data?.['run_id'] })
    await model.request(1)
    // Who does not read is not read either, until it is given up: then what it sends is taken and thrown away.
    for (let i = 0; i < 8; i++) deaf.send(JSON.stringify({ type: 'ping', id: 'x'.repeat(3_000_000) }))
    await eventually('all that was sent is taken', () => (deaf.ws.bufferedAmount === 0 ? true : null))
    const runs = (await loci.http('GET', `/v1/runs/?agent_id=${agent.id}&active=true`)).body
    assert.equal((runs as unknown[]).length, 1, 'its turn goes on')
    const [{ id: run_id }] = runs as [{ id: string }]
    deaf.ws.resume()
    const { code, reason } = await deaf.closed
    assert.equal(code, 4408)
    assert.match(reason, /resume runs by run_id and seq_id/)
    assert.ok(bytes < 25_000_000, `${bytes} bytes of 40 MB were made for it`)
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

describe('a server that closes', () => {
  it('does not wait for sockets that answer nothing, nor for those that have said nothing yet', async () => {
    const t = await startLoci({ serve: { key: 'sesame' } })
    const headers = { authorization: 'Bearer sesame' }
    const [deaf, unknown] = [await openSocket(t.url, { headers }), await openSocket(t.url)]
    deaf.send({ type: 'subscribe', id: 'e' })
    await deaf.frame('the subscription', ({ type }) => type === 'subscribed')
    deaf.ws.pause()
    const closing = t.close()
    assert.equal((await unknown.closed).code, 1001)
    await closing
    deaf.ws.resume()
    assert.equal((await deaf.closed).code, 1001)
    assert.deepEqual(t.failures, [])
  })
})

describe('a WebSocket when the server fails', () => {
  it('is told by a frame, and the owner by the log; the socket goes on', async () => {
    const failures: string[] = []
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(server, 'listening')
    server.on('connection', (ws, request) => {
      const session = new Session(ws, request.socket, {
        limits: { ...limits, message_bytes: 1000, auth_ms: 1000 },
        agent: null,
        headers: new Headers(),
        auth: 'possible',
        isLetIn: () => Promise.reject(new Error('the store is gone')),
        fetch: () => Promise.reject(new Error('a bug')),
        onFailure: (where, error) => failures.push(`${where}: ${String(error)}`),
        onGone: () => undefined,
      })
      assert.ok(session)
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const socket = await openSocket(url)
    socket.send({ type: 'send', id: 'a', agent_id: 'agent-x', input: 'hello' })
    const [failed] = await socket.ended('a')
    assert.deepEqual([failed?.type, failed?.status], ['error', 500])
    assert.doesNotMatch(JSON.stringify(failed), /a bug/)
    socket.send({ type: 'user_message', message: 'hello', agent_id: 'x' })
    await socket.frame('an older failure', ({ type }) => type === 'server_error')
    socket.send({ type: 'ping', id: 'p' })
    await socket.frame('a pong', ({ type }) => type === 'pong')
    assert.deepEqual(failures, [
      'a command over a WebSocket: Error: a bug',
      'a message over a WebSocket: Error: a bug',
    ])
    await socket.close()

    const asked = await openSocket(url)
    asked.send({ type: 'auth', token: 'x' })
    const { code, reason } = await asked.closed
    assert.equal(code, 1011)
    assert.match(reason, /could not be looked up/)
    assert.equal(failures.at(-1), 'looking up who has a WebSocket: Error: the store is gone')
    server.close()
    await once(server, 'close')
  })
})
