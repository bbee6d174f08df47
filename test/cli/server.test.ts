import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  run,
  start,
  temporaryFolder,
  type Running,
  withDeadline,
} from '../support/cli-process.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

describe('loci server', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let server: Running | null = null

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  afterEach(async () => {
    await server?.stop()
    server = null
    await folder.remove()
  })

  async function startServer(args: string[] = [], more: Record<string, string> = {}): Promise<string> {
    server = start(process.execPath, [LOCI, 'server', '--port', '0', ...args], { ...env, ...more })
    const [line, url] = await server.waitFor(/^Loci \d+\.\d+\.\d+ on (http:\/\/127\.0\.0\.1:\d+)$/m)
    assert.ok(line && url)
    return url
  }

  it('is healthy when it prints its URL, names its data, and ends with 0 on SIGTERM', async () => {
    const url = await startServer()
    const health = await fetch(`${url}/v1/health/`)
    assert.equal(health.status, 200)
    assert.ok(server)
    await server.waitFor(/Ctrl-C stops the server/)
    assert.ok(server.stdout.includes(`Data in ${join(folder.path, 'loci')}`))
    assert.match(server.stdout, /No model can be reached\. loci\/demo works/)
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.equal(server.stderr, '')
  })

  it('takes a Ctrl-C that arrives twice, as under npm, for one', async () => {
    const url = await startServer()
    const follows = await fetch(`${url}/v1/events`)
    assert.equal(follows.status, 200)
    server?.child.kill('SIGINT')
    server?.child.kill('SIGINT')
    assert.deepEqual(await withDeadline(server!.exited, 'end on SIGINT'), { code: 0, signal: null })
    assert.doesNotMatch(server?.stderr ?? '', /\n\s+at /)
    await follows.body?.cancel().catch(() => undefined)
  })

  it('does not let others reach it without a key, and says how', async () => {
    const { code, stdout, stderr } = await loci(['server', '--port', '0', '--host', '0.0.0.0'], { env })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^loci: not listening on 0\.0\.0\.0 without a key: .*--auth/)
    assertReadable(stderr)
  })

  it('with --auth asks for LOCI_API_KEY, and never prints it', async () => {
    const url = await startServer(['--host', '0.0.0.0', '--auth'], { LOCI_API_KEY: 'sesame-1' })
    await server?.waitFor(/Ctrl-C stops the server/)
    assert.equal((await fetch(`${url}/v1/health/`)).status, 200)
    assert.equal((await fetch(`${url}/v1/agents/`)).status, 401)
    const headers = { authorization: 'Bearer sesame-1' }
    assert.equal((await fetch(`${url}/v1/agents/`, { headers })).status, 200)
    assert.ok(server)
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.doesNotMatch(server.stdout + server.stderr, /sesame/)
    assert.match(server.stderr, /"method":"GET","path":"\/v1\/agents","status":401/)
  })

  it('makes a key when none is set, and prints it once', async () => {
    const url = await startServer([], { LETTA_SERVER_SECURE: 'true' })
    const [, key = ''] = (await server?.waitFor(/^Key, made for this run .*: (\S{20,})$/m)) ?? []
    const headers = { 'x-bare-password': `password ${key}` }
    assert.equal((await fetch(`${url}/v1/agents/`, { headers })).status, 200)
    assert.equal(server?.stdout.split(key).length, 2)
  })

  it('serves its documentation without the network', async () => {
    const url = await startServer(['--docs'])
    const page = await (await fetch(`${url}/docs`)).text()
    assert.doesNotMatch(page, /https?:\/\//)
    const api = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, unknown> }
    assert.ok(api.paths['/v1/agents/{agent_id}/messages'])
  })

  it('refuses a log level that is none', async () => {
    const { code, stderr } = await loci(['server', '--log-level', 'loud'], { env })
    assert.equal(code, 1)
    assert.match(stderr, /'loud' is no log level; it is one of silent/)
  })

  for (const shell of ['bash', 'sh']) {
    it(`prints curl lines that create an agent and talk to it when pasted into ${shell}`, async () => {
      const url = await startServer()
      await server?.waitFor(/Ctrl-C stops the server/)
      const lines = server?.stdout.split('\n').filter((line) => line.includes('curl ')) ?? []
      const { code, stdout, stderr } = await run(shell, ['-c', lines.join('\n')], { env })
      assert.equal(code, 0, stderr)
      assert.match(stdout, /"assistant_message".*Ada/)
      const [agent] = (await (await fetch(`${url}/v1/agents/`)).json()) as { name: string; model: string }[]
      assert.equal(agent?.name, 'first')
      assert.equal(agent?.model, 'loci/demo')
    })
  }

  it('lists the models of the providers, and those that do not answer', async () => {
    const model = await startScriptedModel([], { models: ['small', 'large'] })
    try {
      await startServer([], { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
      await server?.waitFor(/openai: 2 \(small, large\)/)
      await server?.waitFor(/ollama: .*127\.0\.0\.1:1/)
      await server?.waitFor(/"model":"openai\/(small|large)"/)
      await server?.waitFor(/Ctrl-C/)
      assert.doesNotMatch(server?.stdout ?? '', /sk-1/)
    } finally {
      await model.close()
    }
  })

  it('prints its URL while a provider keeps it waiting', async () => {
    const silent = createServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    try {
      const { port } = silent.address() as AddressInfo
      const url = await startServer([], {
        OPENAI_API_KEY: 'sk-1',
        OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      })
      assert.equal((await fetch(`${url}/v1/health/`)).status, 200)
      assert.ok(!server?.stdout.includes('Try it'))
    } finally {
      silent.close()
    }
  })

  it('lets a running turn end on SIGTERM, and cancels it when its time is over', async () => {
    const model = await startScriptedModel([])
    try {
      const more = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
      const send = async (url: string) => {
        const json = { 'content-type': 'application/json' }
        const made = await fetch(`${url}/v1/agents/`, {
          method: 'POST',
          headers: json,
          body: JSON.stringify({ model: 'openai/test-model' }),
        })
        const { id } = (await made.json()) as { id: string }
        const path = `${url}/v1/agents/${id}/messages`
        return fetch(path, { method: 'POST', headers: json, body: '{"input":"hi"}' })
      }
      for (const [grace, stop_reason] of [
        [60, 'end_turn'],
        [0.2, 'cancelled'],
      ] as const) {
        const data = join(folder.path, `grace-${grace}`)
        await mkdir(data)
        const config = { server: { shutdown_grace_seconds: grace } }
        await writeFile(join(data, 'config.json'), JSON.stringify(config), { mode: 0o600 })
        const url = await startServer(['--data', data], more)
        let open: () => void = () => undefined
        const hold = new Promise<void>((resolve) => {
          open = resolve
        })
        const index = model.requests.length
        model.add({ reply: { text: 'done', hold } })
        const sent = send(url)
        await model.request(index)
        server?.child.kill('SIGTERM')
        if (grace > 1) open()
        const answer = (await (await sent).json()) as { stop_reason: { stop_reason: string } }
        assert.equal(answer.stop_reason.stop_reason, stop_reason)
        assert.deepEqual(await withDeadline(server!.exited, 'the end'), { code: 0, signal: null })
        open()
      }
      await model.done()
    } finally {
      await model.close()
    }
  })

  it('offers a name that no agent has, so that the pasted lines make no second one', async () => {
    const url = await startServer()
    const body = JSON.stringify({ name: 'first', model: 'loci/demo' })
    const made = await fetch(`${url}/v1/agents/`, { method: 'POST', body })
    assert.equal(made.status, 200)
    await server?.stop()
    await startServer()
    await server?.waitFor(/"name":"first-2"[\s\S]*chat first-2/)
  })

  it('names a taken port and the way out', async () => {
    const url = await startServer()
    const port = new URL(url).port
    const { code, stdout, stderr } = await loci(['server', '--port', port], { env })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(
      stderr,
      new RegExp(
        `port ${port} .*by a Loci that is running already \\([\\d.]+\\); use it at ${url}, .*--port`,
      ),
    )
    assertReadable(stderr)
    const silent = createServer((socket) => socket.on('error', () => undefined))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    try {
      const taken = String((silent.address() as AddressInfo).port)
      const other = await loci(['server', '--port', taken], { env })
      assert.match(
        other.stderr,
        new RegExp(`port ${taken} .*by another program; stop it, or choose .*--port`),
      )
    } finally {
      silent.close()
    }
  })

  it('listens where config.json says, unless told otherwise', async () => {
    const first = await startServer()
    const running = server
    try {
      const data = join(folder.path, 'configured')
      await mkdir(data)
      const port = Number(new URL(first).port)
      await writeFile(join(data, 'config.json'), JSON.stringify({ server: { port } }), { mode: 0o600 })
      const { stderr } = await loci(['server', '--data', data], { env })
      assert.match(stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken`))
      const url = await startServer(['--data', data])
      assert.notEqual(url, first)
    } finally {
      await running?.stop()
    }
  })

  it('has metrics and sends traces as it is built', async () => {
    const collector = await startOtlpReceiver()
    try {
      const data = join(folder.path, 'observed')
      await mkdir(data)
      await writeFile(join(data, 'config.json'), '{ "server": { "metrics": true }, "discover_local": false }')
      const url = await startServer(['--data', data], { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
      const post = async (path: string, body: object) =>
        (await (await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })).json()) as {
          id: string
        }
      const { id } = await post('/v1/agents/', { name: 'built', model: 'loci/demo' })
      await post(`/v1/agents/${id}/messages`, { input: 'Hello' })
      const metrics = await (await fetch(`${url}/metrics`)).text()
      assert.match(metrics, /^loci_turns_total\{status="completed"\} 1$/m)
      assert.deepEqual(await server?.stop(), { code: 0, signal: null })
      assert.ok(collector.requests.some(({ bytes }) => bytes.includes('invoke_agent built')))
    } finally {
      await collector.close()
    }
  })

  it('runs when the environment says of traces what cannot be, and names the variable', async () => {
    const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT'
    for (const [more, expected] of [
      [{ [ENDPOINT]: 'nonsense' }, /OTEL_EXPORTER_OTLP_ENDPOINT 'nonsense' is no address.*localhost:4318/],
      [{ [ENDPOINT]: 'localhost:4318' }, /OTEL_EXPORTER_OTLP_ENDPOINT 'localhost:4318' is no address/],
      [
        { [ENDPOINT]: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://' },
        /OTEL_EXPORTER_OTLP_TRACES_ENDPOINT 'http:\/\/' is no address/,
      ],
      [
        { [ENDPOINT]: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
        /OTEL_EXPORTER_OTLP_PROTOCOL 'grpc' is not spoken here.*4318/,
      ],
    ] as [Record<string, string>, RegExp][]) {
      const url = await startServer([], more)
      assert.equal((await fetch(`${url}/v1/agents/`)).status, 200)
      assert.deepEqual(await server?.stop(), { code: 0, signal: null })
      const warnings = (server?.stderr ?? '').split('\n').filter((line) => line.includes('"where":"traces"'))
      assert.equal(warnings.length, 1, server?.stderr)
      assert.match(warnings[0] ?? '', expected)
      assert.match(warnings[0] ?? '', /"level":40/)
    }
  })

  it('warns of settings that it does not know, in one line', async () => {
    const data = join(folder.path, 'loci')
    await mkdir(data)
    await writeFile(join(data, 'config.json'), '{"servr":{"port":1},"server":{"prot":2}}', { mode: 0o600 })
    await startServer()
    await server?.waitFor(/Ctrl-C stops the server/)
    assert.ok(server)
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.match(
      server.stderr,
      /^loci: .*config\.json: .*'servr'.* no settings this Loci knows.*Mistyped\?\n/,
    )
    assert.match(server.stderr, /'server\.prot'/)
    const set = await loci(['config', 'set', 'server.port', '9000'], { env })
    assert.match(set.stderr, /^loci: .*'servr'/)
  })

  it('names a data directory that cannot be used', async () => {
    const file = join(folder.path, 'file')
    await writeFile(file, 'not a directory')
    for (const args of [
      ['server', '--port', '0'],
      ['chat', 'Ada'],
    ]) {
      const { code, stdout, stderr } = await loci([...args, '--data', join(file, 'data')], { env })
      assert.equal(code, 1)
      assert.equal(stdout, '')
      assert.ok(stderr.includes(file), stderr)
      assertReadable(stderr)
    }
  })
})
