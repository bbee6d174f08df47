/** A real nginx before a real server, configured as docs/operating.md says. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { createAuthority } from '../support/certificates.ts'
import { type Running, start, temporaryFolder } from '../support/cli-process.ts'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const DOCS = join(import.meta.dirname, '..', '..', 'docs', 'operating.md')
/** Longer than nginx waits by itself. */
const LONG_MS = 65_000

const authority = createAuthority()

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The configuration of the document for this server, in this folder and on a port of its own. */
async function configuration(folder: string, upstream: string, port: number): Promise<string> {
  const block = /```nginx\n(.*?)```/s.exec(await readFile(DOCS, 'utf8'))?.[1]
  assert.ok(block !== undefined, 'docs/operating.md shows an nginx')
  const live = '/etc/letsencrypt/live/loci.example.com'
  const changed = block
    .replace('127.0.0.1:8283', upstream)
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace(`${live}/fullchain.pem`, join(folder, 'cert.pem'))
    .replace(`${live}/privkey.pem`, join(folder, 'key.pem'))
  assert.ok(!changed.includes(live) && !changed.includes('8283'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  // Its workers would be another user, who may not write here.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user} daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr; worker_processes 1;
    events {}
    http { access_log off; ${paths.join(' ')}\n${changed} }`
}

describe('behind nginx', function () {
  this.timeout(120_000)
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let model: ScriptedModel
  let t: TestLoci
  let nginx: Running
  let port: number
  const agent = new Agent({ ca: authority.ca, servername: 'localhost', keepAlive: false })

  before(async () => {
    folder = await temporaryFolder()
    model = await startScriptedModel([])
    const data = join(folder.path, 'loci')
    await mkdir(data)
    const config = { server: { allowed_hosts: ['loci.example.com'] } }
    await writeFile(join(data, 'config.json'), JSON.stringify(config), { mode: 0o600 })
    t = await startLoci({ data, model_url: model.url })
    const { cert, key } = authority.issue()
    await writeFile(join(folder.path, 'cert.pem'), cert)
    await writeFile(join(folder.path, 'key.pem'), key)
    port = await freePort()
    const file = join(folder.path, 'nginx.conf')
    await writeFile(file, await configuration(folder.path, new URL(t.url).host, port))
    const env = { PATH: `${process.env['PATH']}:/usr/sbin` }
    nginx = start('nginx', ['-e', 'stderr', '-p', folder.path, '-c', file], env)
    await eventually('nginx answers', async () => {
      if (nginx.child.exitCode !== null) throw new Error(nginx.stderr)
      return (await ask('GET', '/v1/health/').catch(() => null))?.status === 200 ? true : null
    })
  })
  after(async () => {
    agent.destroy()
    await nginx?.stop()
    await t.close()
    await model.close()
    await folder.remove()
    assert.deepEqual(t.failures, [])
  })

  /** A request to nginx under this name. */
  function send(
    method: string,
    path: string,
    {
      body,
      host = 'loci.example.com',
      type = 'application/json',
    }: { body?: string | Buffer; host?: string; type?: string } = {},
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { host, ...(body === undefined ? {} : { 'content-type': type }) }
      const place = { host: '127.0.0.1', port, agent }
      httpsRequest({ ...place, method, path, headers }, resolve)
        .once('error', reject)
        .end(body)
    })
  }
  async function ask(
    ...args: Parameters<typeof send>
  ): Promise<{ status: number | undefined; text: string }> {
    const answer = await send(...args)
    let text = ''
    for await (const piece of answer.setEncoding('utf8')) text += String(piece)
    return { status: answer.statusCode, text }
  }

  it('answers to the name in allowed_hosts, and to no other', async () => {
    assert.equal((await ask('GET', '/v1/agents/')).status, 200)
    const other = await ask('GET', '/v1/agents/', { host: 'evil.example' })
    assert.equal(other.status, 403)
    assert.match(other.text, /allowed_hosts/)
  })

  it('passes streams on as they come, of events and of lines', async () => {
    const { id } = await t.letta.agents.create({ model: SCRIPTED, name: 'streaming' })
    for (const [path, body] of [
      [`/v1/agents/${id}/messages`, { input: 'hi', streaming: true, stream_tokens: true }],
      ['/agents/streaming/messages', { message: 'hi', stream: true }],
    ] as const) {
      const gate = Promise.withResolvers<void>()
      model.add({ reply: { text: 'first second third', hold: gate.promise, hold_after: 2 } })
      const answer = await send('POST', path, { body: JSON.stringify(body) })
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      const ended = new Promise((resolve) => answer.once('end', resolve))
      await eventually(`the first words of ${path}`, () => (text.includes('first') ? true : null))
      assert.ok(!text.includes('third'), 'the model has not said it yet')
      gate.resolve()
      await ended
      assert.match(text, /third/)
    }
  })

  it('waits for a turn that takes longer than nginx does by itself', async () => {
    const { id } = await t.letta.agents.create({ model: SCRIPTED })
    model.add({ reply: { text: 'at last', delay_ms: LONG_MS } })
    const { status, text } = await ask('POST', `/v1/agents/${id}/messages`, { body: '{"input":"hi"}' })
    assert.equal(status, 200, text)
    assert.match(text, /at last/)
  })

  it('passes large uploads on', async () => {
    const file = Buffer.concat([
      Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="big.txt"\r\n\r\n'),
      Buffer.alloc(20 * 1024 * 1024, 'word '),
      Buffer.from('\r\n--b--\r\n'),
    ])
    const { status, text } = await ask('POST', '/v1/files', {
      body: file,
      type: 'multipart/form-data; boundary=b',
    })
    assert.equal(status, 200, text)
  })

  it('opens WebSockets', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/ws`, {
      agent,
      headers: { host: 'loci.example.com' },
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.close()
    await closed
  })
})
