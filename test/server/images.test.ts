import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isPrivate } from '../../shared/tools/web/addresses.ts'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

type Handler = (request: IncomingMessage, response: ServerResponse) => void

describe('images in messages', () => {
  let model: ScriptedModel
  let open: TestLoci
  let strict: TestLoci
  let web: Server
  let base: string
  let handle: Handler
  let hits = 0

  before(async () => {
    model = await startScriptedModel([])
    open = await startLoci({ model_url: model.url, env: { LOCI_ALLOW_PRIVATE_URLS: '1' } })
    strict = await startLoci({ model_url: model.url })
    web = createServer((request, response) => {
      hits++
      handle(request, response)
    })
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    hits = 0
  })
  after(async () => {
    web.closeAllConnections()
    web.close()
    await open.close()
    await strict.close()
    await model.done()
    await model.close()
    assert.deepEqual([...open.failures, ...strict.failures], [])
  })

  const send = async (t: TestLoci, url: string) => {
    const agent = await t.letta.agents.create({ model: SCRIPTED, include_base_tools: false })
    const content = [
      { type: 'text', text: 'what is this?' },
      { type: 'image', source: { type: 'url', url } },
    ]
    const answer = await t.http('POST', `/v1/agents/${agent.id}/messages`, {
      messages: [{ role: 'user', content }],
    })
    const [last] = (
      await t.letta.agents.messages.list(agent.id, { include_return_message_types: ['user_message'] })
    ).items
    return { ...answer, detail: String((answer.body as { detail?: unknown }).detail), last }
  }
  const accepted = async (url: string, media_type: string, bytes: Buffer) => {
    const data = bytes.toString('base64')
    model.add({
      expect: (body) =>
        assert.deepEqual(body.messages.at(-1)?.content, [
          { type: 'text', text: 'what is this?' },
          { type: 'image_url', image_url: { url: `data:${media_type};base64,${data}` } },
        ]),
      reply: { text: 'a picture' },
    })
    const { status, last } = await send(open, url)
    assert.equal(status, 200)
    assert.ok(last?.message_type === 'user_message' && Array.isArray(last.content))
    const part = last.content.at(-1)
    assert.ok(part?.type === 'image')
    assert.deepEqual(part.source, { type: 'base64', media_type, data })
  }

  it('fetches a URL and stores it as base64, for the model and for later', async () => {
    handle = (_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(PNG)
    await accepted(`${base}/a.png`, 'image/png', PNG)
    assert.equal(hits, 1)
  })

  it('follows redirects, and asks once more after a failure that may pass', async () => {
    handle = (request, response) => {
      if (hits === 1) response.writeHead(503).end()
      else if (request.url === '/first') response.writeHead(302, { location: '/second' }).end()
      else response.writeHead(200, { 'content-type': 'image/svg+xml' }).end('<svg/>')
    }
    await accepted(`${base}/first`, 'image/svg+xml', Buffer.from('<svg/>'))
    assert.equal(hits, 3)
  })

  it('reads data URLs', async () => {
    await accepted(`data:image/png;base64,${PNG.toString('base64')}`, 'image/png', PNG)
    await accepted('data:image/svg+xml,%3Csvg/%3E', 'image/svg+xml', Buffer.from('<svg/>'))
  })

  it('answers 400 with the URL and the reason, and stores nothing', async () => {
    const cases: [string, Handler, RegExp, number][] = [
      ['/gone', (_, r) => r.writeHead(404).end(), /answered 404/, 1],
      [
        '/page',
        (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
        /no image but text\/html/,
        1,
      ],
      ['/loop', (_, r) => r.writeHead(302, { location: '/loop' }).end(), /redirects more than 3/, 4],
      [
        '/file',
        (_, r) => r.writeHead(302, { location: 'file:///etc/passwd' }).end(),
        /only http: and https:/,
        1,
      ],
      ['/cut', (_, r) => r.destroy(), /could not be fetched/, 2],
      ['/500', (_, r) => r.writeHead(500).end(), /answered 500/, 2],
    ]
    for (const [path, handler, reason, count] of cases) {
      hits = 0
      handle = handler
      const { status, detail, last } = await send(open, base + path)
      assert.equal(status, 400, path)
      assert.ok(detail.includes(base + path), detail)
      assert.match(detail, reason)
      assert.equal(hits, count, path)
      assert.equal(last, undefined)
    }
    for (const url of [
      'ftp://example.com/x',
      'data:image/png;base64,###',
      'data:text/plain,hi',
      'nothing',
      'data:',
    ])
      assert.equal((await send(open, url)).status, 400, url)
  })

  it('checks an image that came along, and stores nothing of a bad one', async () => {
    const agent = await open.letta.agents.create({ model: SCRIPTED, include_base_tools: false })
    const post = (source: object) =>
      open.http('POST', `/v1/agents/${agent.id}/messages`, {
        messages: [{ role: 'user', content: [{ type: 'image', source }] }],
      })
    const data = PNG.toString('base64')
    const bad: [object, RegExp][] = [
      [{ type: 'base64', media_type: 'image/png', data: '***' }, /not base64/],
      [{ type: 'base64', media_type: 'image/png', data: '' }, /is empty/],
      [{ type: 'base64', media_type: 'image/png', data: 'aGVsbG8=' }, /said to be image\/png and is not/],
      [{ type: 'base64', media_type: 'text/html', data: 'PHA+aGk8L3A+' }, /no image but text\/html/],
      [{ type: 'letta', file_id: 'file-1', media_type: 'image/png', data: '***' }, /not base64/],
    ]
    for (const [source, reason] of bad) {
      const { status, body } = await post(source)
      assert.equal(status, 400, JSON.stringify(source))
      assert.match((body as { detail: string }).detail, reason)
    }
    const input = { role: 'user', content: [{ type: 'image', source: bad[0]?.[0] }] }
    const first = await open.http('POST', '/v1/agents/', { initial_message_sequence: [input] })
    assert.equal(first.status, 400)
    model.add({
      expect: (body) =>
        assert.deepEqual(body.messages.at(-1)?.content, [
          { type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } },
        ]),
      reply: { text: 'a picture' },
    })
    const said = {
      type: 'base64',
      media_type: 'application/octet-stream',
      data: `${data.slice(0, 8)}\n${data.slice(8)}`,
    }
    assert.equal((await post(said)).status, 200, 'its bytes tell what it is')
    const { items } = await open.letta.agents.messages.list(agent.id, {
      include_return_message_types: ['user_message'],
    })
    assert.equal(items.length, 1)
  })

  it('stops reading an image that is too large', async () => {
    let sent = 0
    handle = (_, response) => {
      response.writeHead(200, { 'content-type': 'image/png' })
      const more = () => {
        while (!response.destroyed && sent < 200 * 1024 * 1024) {
          sent += 1024 * 1024
          if (!response.write(Buffer.alloc(1024 * 1024))) return void response.once('drain', more)
        }
        response.end()
      }
      more()
    }
    const { status, detail } = await send(open, `${base}/huge`)
    assert.equal(status, 400)
    assert.match(detail, /larger than 20 MiB/)
    assert.ok(sent < 100 * 1024 * 1024)
  })

  it('does not reach into this machine or a private network, by address, name or redirect', async () => {
    handle = (_, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(PNG)
    const { port } = new URL(base)
    for (const url of [
      `${base}/x`,
      `http://localhost:${port}/x`,
      `http://[::1]:${port}/x`,
      `http://[::ffff:127.0.0.1]:${port}/x`,
      `http://2130706433:${port}/x`,
      `http://0x7f.1:${port}/x`,
    ]) {
      const { status, detail } = await send(strict, url)
      assert.equal(status, 400, url)
      assert.match(detail, /LOCI_ALLOW_PRIVATE_URLS=1/, url)
    }
    assert.equal(hits, 0)
  })

  it('knows private addresses', () => {
    for (const address of [
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '::',
      '::1',
      'fe80::1',
      'fd00::1',
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
    ])
      assert.ok(isPrivate(address), address)
    for (const address of ['1.1.1.1', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '::ffff:1.1.1.1'])
      assert.ok(!isPrivate(address), address)
  })
})
