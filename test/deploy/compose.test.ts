/** What deploy/compose.yaml starts, as processes of this machine, and the official client before its nginx. */
import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { eventually, SCRIPTED } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { openSocket } from '../support/web-socket.ts'
import { milliseconds } from './compose.ts'
import type { Container } from './container.ts'
import {
  type Instance,
  type Machine,
  runLoci,
  runNginx,
  SECRETS,
  startMachine,
  untilHealthy,
} from './deployment.ts'

const KEY = SECRETS.LOCI_API_KEY
const MB = 1024 * 1024
/** What is copied into the image at the most: more is to be noticed. */
const MOST_MB = 16
const words = Array.from({ length: 40 }, (_, i) => `w${i} `)

/** What a piece of an answer says. */
function textOf(content: unknown): string {
  assert.ok(typeof content === 'string')
  return content
}

describe('what compose.yaml starts', function () {
  this.timeout(180_000)
  let machine: Machine
  let model: ScriptedModel
  let nginx: Container
  let url: string
  let letta: Letta
  let check: string[]
  let data: string
  const instances = {} as Record<'loci-1' | 'loci-2', Instance>

  const begin = async (name: 'loci-1' | 'loci-2') => {
    const providers = {
      OPENAI_API_KEY: 'test',
      OPENAI_BASE_URL: model.url,
      OLLAMA_BASE_URL: 'http://127.0.0.1:1',
      LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
    }
    instances[name] = await runLoci(machine, name, { data, providers })
  }
  before(async () => {
    machine = await startMachine()
    model = await startScriptedModel([])
    data = await machine.dataDirectory('loci-data')
    const [kind, ...command] = machine.compose.services['loci-1'].healthcheck.test
    assert.equal(kind, 'CMD')
    check = command
    await Promise.all([begin('loci-1'), begin('loci-2')])
    await Promise.all(Object.values(instances).map((instance) => untilHealthy(instance, check)))
    ;({ container: nginx, url } = await runNginx(machine, {
      'loci-1': new URL(instances['loci-1'].url).host,
      'loci-2': new URL(instances['loci-2'].url).host,
    }))
    letta = new Letta({ baseURL: url, apiKey: KEY })
  })
  after(async () => {
    await nginx?.kill()
    for (const instance of Object.values(instances)) await instance.kill()
    await model?.close()
    await machine?.close()
  })
  afterEach(() => model.done())

  const headers = { authorization: `Bearer ${KEY}` }
  const ask = (
    path: string,
    init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {},
  ) => fetch(url + path, { ...init, headers: { ...headers, ...init.headers } })
  /** What a request to `/v1/agents/` by this Host is answered; `fetch` sets that header itself. */
  const statusOf = async (host: string, own: Record<string, string>) => {
    const request = get(`${url}/v1/agents/`, { headers: { host, ...own } })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  }
  /** Who has answered the request of this id, by their logs. */
  const answerer = (id: string) =>
    eventually(`the log has request ${id}`, async () => {
      for (const name of ['loci-1', 'loci-2'] as const)
        if ((await instances[name].log()).includes(id)) return name
      return null
    })

  it('runs as PID 1, as a user without rights, and writes only its data and /tmp', async () => {
    const { uid } = machine.image
    for (const instance of Object.values(instances)) {
      const status = await instance.status()
      assert.match(status['NSpid'] ?? '', /\t1$/)
      if (process.getuid?.() === 0) assert.match(status['Uid'] ?? '', new RegExp(`^${uid}\t${uid}\t${uid}`))
      assert.match(status['CapEff'] ?? '', /^0+$/)
      assert.match(status['CapBnd'] ?? '', process.getuid?.() === 0 ? /^0+$/ : /./)
      assert.match(status['NoNewPrivs'] ?? '', /1/)
      const touch = (path: string) => instance.check(['sh', '-c', `: > ${path}`])
      for (const path of ['/tmp/x', '/var/lib/loci/x']) assert.equal(await touch(path), 0)
      for (const path of ['/x', '/opt/loci/x', '/opt/loci/dist/x', '/etc/x', '/usr/x'])
        assert.notEqual(await touch(path), 0, path)
    }
  })

  it('is small: what is copied in is a few megabytes, and nothing is installed beside it', async function () {
    const mb = machine.built.bytes / MB
    console.log(`        /opt/loci of the image: ${mb.toFixed(1)} MB`)
    assert.ok(mb > 1 && mb < MOST_MB, `${mb} MB`)
    await assert.rejects(access(join(machine.built.path, 'node_modules')), { code: 'ENOENT' })
  })

  it('lets nobody in without the key, whatever the Host, and everybody with it', async () => {
    const { host } = new URL(url)
    for (const name of [
      host,
      'localhost',
      'loci.example.com',
      'loci-1:8283',
      '169.254.169.254',
      '[::1]:8283',
    ])
      for (const key of [null, 'another key', KEY]) {
        const status = await statusOf(name, key === null ? {} : { authorization: `Bearer ${key}` })
        assert.equal(status, key === KEY ? 200 : 401, `${name}, ${key ?? 'no key'}`)
      }
  })

  it('shares the work, and passes on the ids of requests', async () => {
    const seen = new Set<string>()
    for (let n = 0; n < 6; n++) {
      const id = `request-of-test-${n}`
      const answer = await ask('/v1/agents/', { headers: { 'x-request-id': id } })
      assert.equal(answer.headers.get('x-request-id'), id)
      seen.add(await answerer(id))
    }
    assert.deepEqual([...seen].toSorted(), ['loci-1', 'loci-2'])
    assert.match(await nginx.log(), / request-of-test-0\n/)
  })

  it('streams a turn word by word', async () => {
    const { id } = await letta.agents.create({ model: SCRIPTED })
    const { promise: hold, resolve: open } = Promise.withResolvers<void>()
    model.add({ reply: { text: ['first ', 'second ', 'third'], hold, hold_after: 2 } })
    let text = ''
    const stream = await letta.agents.messages.stream(id, { input: 'hi', stream_tokens: true })
    for await (const chunk of stream) {
      if (chunk.message_type !== 'assistant_message') continue
      text += textOf(chunk.content)
      // The model says the rest only once this has come.
      if (text === 'first ') open()
    }
    assert.equal(text, 'first second third')
  })

  it('opens WebSockets, with turns in them', async () => {
    const { id } = await letta.agents.create({ model: SCRIPTED })
    model.add({ reply: { text: 'Hello.' } })
    const socket = await openSocket(url, { headers })
    socket.send({ type: 'stream', id: '1', agent_id: id, input: 'hi' })
    const frames = await socket.ended('1')
    assert.match(JSON.stringify(frames), /Hello\./)
    await socket.close()
  })

  it('takes files as large as Loci does; of a larger one it is Loci that says so', async () => {
    const { id } = await letta.folders.create({ name: 'large' })
    const send = (bytes: number) => {
      const form = new FormData()
      form.append('file', new Blob([Buffer.alloc(bytes, 7)]), 'large.bin')
      return ask(`/v1/folders/${id}/upload`, { method: 'POST', body: form })
    }
    const fits = await send(100 * MB)
    assert.equal(fits.status, 200, await fits.text())
    const file = await letta.folders.files.upload(id, { file: new File(['Hello.'], 'small.txt') })
    await eventually(
      'a text is read',
      async () => {
        const { items } = await letta.folders.files.list(id)
        return items.find((one) => one.id === file.id)?.processing_status === 'completed' ? true : null
      },
      60_000,
    )
    const tooLarge = await send(100 * MB + 1)
    assert.equal(tooLarge.status, 413)
    assert.match(((await tooLarge.json()) as { detail: string }).detail, /100 MB|max_upload_mb/)
  })

  it('says what a body may have that is no file, and takes more of files under every name', async () => {
    const json = await ask('/v1/agents/', { method: 'POST', body: Buffer.alloc(34 * MB, 32) })
    assert.equal(json.status, 413)
    assert.match(((await json.json()) as { detail: string }).detail, /larger than the proxy/)
    const { id } = await letta.folders.create({ name: 'under latest' })
    const form = new FormData()
    form.append('file', new Blob([Buffer.alloc(34 * MB, 7)]), 'large.bin')
    const file = await ask(`/latest/folders/${id}/upload`, { method: 'POST', body: form })
    assert.equal(file.status, 200, await file.text())
  })

  it('tells who has no key before the body is there', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const head = ['POST /v1/agents/ HTTP/1.1', 'Host: localhost', `Content-Length: ${30 * MB}`]
    socket.write([...head, 'Content-Type: application/json', '', '{'].join('\r\n'))
    try {
      const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(30_000) })) as [Buffer]
      assert.match(answer.toString(), /^HTTP\/1\.1 401 /)
    } finally {
      socket.destroy()
    }
  })

  it('does not ask again what one heard that died over it', async () => {
    const { id } = await letta.agents.create({ model: SCRIPTED })
    model.add({ reply: { text: 'never said', hold: new Promise(() => undefined) } })
    const asked = model.requests.length
    await ask('/v1/agents/', { headers: { 'x-request-id': 'the-one-before' } })
    // They take turns.
    const name = (await answerer('the-one-before')) === 'loci-1' ? 'loci-2' : 'loci-1'
    const sent = ask(`/v1/agents/${id}/messages`, {
      method: 'POST',
      body: JSON.stringify({ input: 'once' }),
      headers: { 'content-type': 'application/json' },
    })
    await model.request(asked)
    await instances[name].kill()
    assert.equal((await sent).status, 502)
    assert.equal(model.requests.length, asked + 1)
    const run = await eventually('its run is over', async () => {
      const [first] = (await letta.runs.list({ agent_id: id })).items
      return first?.status === 'running' ? null : (first ?? null)
    })
    assert.equal(run.status, 'failed')
    const users = (await letta.agents.messages.list(id)).items.filter(
      ({ message_type }) => message_type === 'user_message',
    )
    assert.equal(users.length, 1)
    await begin(name)
    await untilHealthy(instances[name], check)
  })

  it('goes on elsewhere when one is stopped: its run, streams, reads, and what nobody has heard', async () => {
    model.add(
      { reply: { tool_calls: [{ name: 'conversation_search', arguments: { query: 'x' } }] } },
      { reply: { text: words, hold: new Promise(() => undefined), hold_after: 20 } },
      {
        expect: (body) =>
          assert.equal(body.messages.at(-1)?.role, 'tool', 'the stored step is not asked again'),
        reply: { text: 'the whole answer' },
      },
    )
    const agent = await letta.agents.create({ model: SCRIPTED })
    const stream = await letta.agents.messages.create(
      agent.id,
      { input: 'go', streaming: true, stream_tokens: true, background: true, include_pings: false },
      { headers: { 'x-request-id': 'the-background-run' } },
    )
    let last: { seq_id?: number | null; run_id?: string | null } = {}
    for await (const chunk of stream) {
      last = chunk as typeof last
      if ('content' in chunk && chunk.content === 'w9 ') break
    }
    const name = await answerer('the-background-run')
    const stopped = instances[name]
    const from = performance.now()
    stopped.signal('SIGTERM')
    const rest = (async () => {
      let text = ''
      const body = { starting_after: last.seq_id ?? 0, include_pings: false }
      for await (const chunk of await letta.runs.messages.stream(last.run_id ?? '', body))
        if (chunk.message_type === 'assistant_message') text += textOf(chunk.content)
      return text
    })()
    await eventually('it takes no more', async () => ((await stopped.check(check)) === 0 ? null : true))
    assert.equal(await stopped.check(machine.image.healthcheck), 0, 'it lives while it ends')
    // While it ends: reads are asked of the other one, and the client sends again what was not taken.
    for (let n = 0; n < 10; n++) assert.equal((await ask('/v1/blocks/')).status, 200)
    for (let n = 0; n < 5; n++) await letta.blocks.create({ label: 'meanwhile', value: String(n) })
    assert.equal(await rest, `${words.slice(10, 19).join('')}the whole answer`)
    const code = await stopped.exited
    const took = performance.now() - from
    assert.equal(code, 0, await stopped.log())
    const grace = milliseconds(machine.compose.services[name].stop_grace_period ?? '')
    assert.ok(took < grace, `ended in ${Math.round(took)} ms`)
    // It is gone: nothing that nobody has heard fails, whatever the method.
    for (let n = 0; n < 6; n++) {
      // More than comes with the head.
      const body = JSON.stringify({ label: 'afterwards', value: String(n).repeat(90_000) })
      const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
      assert.equal((await ask('/v1/blocks/', init)).status, 200)
    }
    for (const [label, count] of [
      ['meanwhile', 5],
      ['afterwards', 6],
    ] as const) {
      const values = []
      for await (const { value } of letta.blocks.list({ label })) values.push(value)
      assert.equal(values.length, count, 'each once')
    }
    assert.equal((await letta.runs.retrieve(last.run_id ?? '')).status, 'completed')
  })
})
