/** The well-known tutorial of the REST API: its snippets run as they are written, but for host, port and command name. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { cleanEnvironment, LOCI, start, temporaryFolder } from '../support/cli-process.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { pythonOf, pythonWith } from './python-client.ts'
import { docsSnippets, type Snippet, TUTORIAL, tutorialSnippets } from './tutorial.ts'

const PACKAGES = [
  'requests==2.34.2',
  'ratelimit==2.2.1',
  'redis==8.1.0',
  'fakeredis==2.40.0',
  'flask==3.1.3',
] as const
const EXPRESS = 'express@5.1.0'

/** What is no program, or of a package that is retired: the name of a snippet and why it does not run. */
const LEFT_OUT: Record<string, string> = {
  'Python Client Library':
    'of the retired package; docs/rest.md says what to write instead, which is run below',
}

interface Report {
  name: string
  error: string | null
  printed: string
  shown: Record<string, unknown>
}

describe('the tutorial of the REST API', function () {
  this.timeout(300_000)
  const snippets = tutorialSnippets()
  if (!snippets) {
    it('did not run: the tutorial is not there', function () {
      const why = `${TUTORIAL} is not there: none of its snippets were run`
      assert.ok(!process.env['CI'], why)
      console.log(`      not run: ${why}`)
      this.skip()
    })
    return
  }

  const ran = new Set<string>()
  const closing = new AsyncDisposableStack()
  let python: string
  let home: string
  let model: ScriptedModel
  let t: TestLoci
  before(async () => {
    python = pythonOf('python-rest-tutorial', ...PACKAGES)
    const folder = await temporaryFolder()
    closing.defer(() => folder.remove())
    home = folder.path
    model = await startScriptedModel([], {
      models: ['gpt-4o-mini'],
      loop: (body) => ({ text: ['You said: ', said(body.messages)] }),
    })
    closing.defer(() => model.close())
    t = await startLoci({ model_url: model.url })
    closing.defer(() => t.close())
    const made = await t.http('POST', '/agents', { name: 'sam', persona: 'Kind.' })
    assert.equal(made.status, 200)
  })
  after(() => closing.disposeAsync())

  /** A snippet of the tutorial, with another address and command. */
  function snippet(name: string, url = t.url): Snippet {
    const found = snippets?.find((one) => one.name === name)
    assert.ok(found, `the tutorial has no snippet '${name}'`)
    ran.add(name)
    const code = found.code.replaceAll('http://localhost:8283', url).replaceAll(/^letta /gm, 'loci ')
    return { ...found, code }
  }

  /** Runs snippets one after another in one Python; answers their reports. */
  async function read(
    steps: { name: string; show?: string[]; url?: string; edit?: (code: string) => string }[],
    names: Record<string, unknown> = {},
    modules: string[] = [],
  ): Promise<{ reports: Report[]; log: string }> {
    const task = {
      names,
      modules,
      snippets: steps.map(({ name, show = [], url, edit = (code) => code }) => ({
        name,
        show,
        code: edit(snippet(name, url).code),
      })),
    }
    const path = join(import.meta.dirname, 'python', 'tutorial.py')
    const program = start(python, ['-B', path], cleanEnvironment(home))
    program.child.stdin?.end(JSON.stringify(task))
    const { code } = await program.exited
    assert.equal(code, 0, program.stderr)
    const reports = program.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Report)
    assert.deepEqual(
      reports.flatMap(({ name, error }) => (error === null ? [] : [`${name}: ${error}`])),
      [],
    )
    return { reports, log: program.stderr }
  }

  it('manages agents, conversations and messages', async () => {
    const begun = await t.http('POST', '/agents/sam/conversations')
    const { id: conversation_id } = begun.body as { id: string }
    const { reports } = await read(
      [
        { name: 'Agent Management', show: ['agents', 'agent', 'new_agent', 'response.status_code'] },
        { name: 'Conversations', show: ['conversations', 'messages', 'conversation'] },
        { name: 'Sending Messages', show: ['agent_response'] },
      ],
      // The tutorial leaves it to its reader.
      { conversation_id },
    )
    const [agents, conversations, sent] = reports.map(({ shown }) => shown)
    assert.equal((agents!['agents'] as { name: string }[])[0]?.name, 'sam')
    assert.equal((agents!['agent'] as { name: string }).name, 'sam')
    const { name, persona, model: handle } = agents!['new_agent'] as Record<string, string>
    assert.deepEqual(
      [name, persona, handle, agents!['response.status_code']],
      ['api-agent', 'You are a helpful API assistant.', 'openai/gpt-4o-mini', 200],
    )
    const listed = conversations?.['conversations'] as { id: string }[]
    assert.ok(listed.some(({ id }) => id === conversation_id))
    assert.deepEqual(conversations?.['messages'], [])
    assert.notEqual((conversations['conversation'] as { id: string }).id, conversation_id)
    assert.equal(reports[2]?.printed, 'You said: Hello, how are you?\n')
    assert.equal((sent!['agent_response'] as { conversation_id: string }).conversation_id, conversation_id)
  })

  it('streams, sends batches, retries, keeps to a limit of its own, caches and watches', async () => {
    const redis = await startRedis()
    const busy = await startBusyFront(t.url, 2)
    try {
      const { reports, log } = await read(
        [
          { name: 'Streaming Responses' },
          { name: 'Batch Processing', show: ['results'] },
          { name: 'Error Handling' },
          { name: 'Rate Limiting', show: ['response.status_code', 'response.json()'] },
          {
            name: 'Caching Layer',
            edit: (code) => code.replace('port=6379', `port=${redis.port}`),
            show: [
              "send_with_cache('sam', 'What is new?')['run_id']",
              "send_with_cache('sam', 'What is new?')['run_id'] ",
            ],
          },
          {
            name: 'Monitoring and Logging',
            show: ["monitored_send_message('sam', 'Still there?')['content']"],
          },
        ],
        { BASE_URL: t.url },
        ['requests'],
      )
      const [stream, batch, safe, limited, cached, watched] = reports
      assert.equal(stream?.printed, 'You said: Tell me a story')
      assert.equal(
        batch?.printed,
        "Message 1: You said: Hello\nMessage 2: You said: How are you?\nMessage 3: You said: What's your name?\n",
      )
      assert.equal(safe?.printed, 'You said: Hello\n')
      assert.equal(limited?.shown['response.status_code'], 200)
      const [first, second] = Object.values(cached?.shown ?? {})
      assert.ok(typeof first === 'string' && first === second, 'the second answer is the first one')
      assert.deepEqual(Object.values(watched?.shown ?? {}), ['You said: Still there?'])
      assert.match(log, /INFO:__main__:Agent sam response time: \d|Agent sam response time: \d/)

      const again = await read([{ name: 'Error Handling' }], { BASE_URL: busy.url }, ['requests', 'time'])
      assert.equal(again.reports[0]?.printed, 'You said: Hello\n', 'after 429, by itself')
      assert.equal(busy.refused(), 2)
    } finally {
      await Promise.all([redis.close(), busy.close()])
    }
  })

  it('asks for a key, which the command takes from the environment', async () => {
    const [serve = '', key = ''] = commandsOf(snippet('Authentication', 'http://localhost:8283').code)
    const port = await freePort()
    const server = shell(`${key}\n${serve} --port ${port}`)
    try {
      const url = `http://127.0.0.1:${port}`
      await answers(`${url}/v1/health/`)
      assert.equal((await fetch(`${url}/agents`)).status, 401)
      const { reports } = await read(
        [{ name: 'Authentication 2', show: ['response.status_code', 'response.json()'] }],
        { BASE_URL: url },
        ['requests'],
      )
      assert.deepEqual(reports[0]?.shown, { 'response.status_code': 200, 'response.json()': [] })
    } finally {
      await server.stop()
    }
  })

  it('starts the server: plainly, on a port, for web pages, with its documentation', async () => {
    const usual = await freePort()
    mkdirSync(join(home, 'loci'), { recursive: true })
    writeFileSync(join(home, 'loci', 'config.json'), JSON.stringify({ server: { port: usual } }))
    const commands = [
      ...commandsOf(snippet('Starting the API Server').code),
      ...commandsOf(snippet('API Documentation').code),
    ]
    assert.equal(commands.length, 4)
    const page = { origin: 'https://app.example.com' }
    for (const command of commands) {
      const port = command.includes('8000') ? await freePort() : usual
      const server = shell(command.replace('8000', String(port)))
      try {
        const url = `http://127.0.0.1:${port}`
        await answers(`${url}/v1/health/`)
        const cors = await fetch(`${url}/agents`, { headers: command.includes('--cors') ? page : {} })
        assert.equal(cors.status, 200)
        assert.equal(
          cors.headers.get('access-control-allow-origin'),
          command.includes('--cors') ? page.origin : null,
        )
        assert.equal((await fetch(`${url}/docs`)).status, command.includes('--docs') ? 200 : 404)
        if (command.includes('--docs')) {
          const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object }
          assert.ok(Object.hasOwn(paths, '/agents/{agent}/messages'))
        }
      } finally {
        await server.stop()
      }
    }
  })

  it('is spoken to by a page through Express', async () => {
    const key = 'your-letta-api-key'
    const guarded = await startLoci({ model_url: model.url, serve: { key } })
    const folder = join(home, 'express')
    mkdirSync(folder)
    const { code } = snippet('Web Application Integration', guarded.url)
    const [page = '', backend = ''] = code.split('// backend.js')
    const express = join(expressModules(), 'express', 'index.js')
    // What the tutorial leaves to its reader: an application, and where a page comes from.
    const head = `const express = (await import(${JSON.stringify(express)})).default\nconst app = express()\napp.use(express.json())\n//`
    writeFileSync(
      join(folder, 'backend.mjs'),
      `${head}${backend}\nconst s = app.listen(0, '127.0.0.1', () => console.log('on ' + s.address().port))\n`,
    )
    const relative = `const fetch = (path, init) => globalThis.fetch(new URL(path, process.argv[2]), init)\n`
    writeFileSync(
      join(folder, 'page.mjs'),
      `${relative}${page}\nconsole.log(await sendToAgent('Hello from a page'))\n`,
    )
    const env = cleanEnvironment(home)
    const server = start(process.execPath, [join(folder, 'backend.mjs')], env)
    try {
      const headers = { authorization: `Bearer ${key}` }
      const made = await fetch(`${guarded.url}/agents`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ name: 'sam' }),
      })
      assert.equal(made.status, 200)
      const [, port] = await server.waitFor(/on (\d+)/)
      const shown = start(process.execPath, [join(folder, 'page.mjs'), `http://127.0.0.1:${port}`], env)
      const { code: exit } = await shown.exited
      assert.equal(exit, 0, shown.stderr)
      assert.equal(shown.stdout, 'You said: Hello from a page\n')
    } finally {
      await server.stop()
      await guarded.close()
    }
  })

  it('is spoken to through Flask', async () => {
    const port = await freePort()
    const { code } = snippet('Example Application')
    const file = join(home, 'app.py')
    writeFileSync(file, code.replace('app.run(debug=True)', `app.run(debug=True, port=${port})`))
    const server = spawnGroup(python, ['-B', file])
    try {
      const url = `http://127.0.0.1:${port}/chat`
      await answers(url)
      const ask = async (body: object) => {
        const headers = { 'content-type': 'application/json' }
        const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
        return [answer.status, await answer.json()]
      }
      assert.deepEqual(await ask({ message: 'Hello' }), [200, { response: 'You said: Hello' }])
      assert.deepEqual(await ask({ message: 'Hello', agent: 'nobody' }), [500, { error: 'Agent error' }])
      const both = await Promise.all([ask({ message: 'One' }), ask({ message: 'Two' })])
      assert.deepEqual(both, [
        [200, { response: 'You said: One' }],
        [200, { response: 'You said: Two' }],
      ])
    } finally {
      await server.stop()
    }
  })

  it('is spoken to through nginx, which gives two servers turns', async function () {
    const program = nginxProgram()
    if (program === null) {
      const why = 'nginx is not installed: the load balancer of the tutorial was not run'
      assert.ok(!process.env['CI'], why)
      ran.add('Load Balancing')
      console.log(`      not run: ${why}`)
      this.skip()
    }
    const key = 'sesame'
    const [compose = '', conf = ''] = snippet('Load Balancing').code.split('# nginx.conf\n')
    assert.match(compose, /LETTA_API_KEY=/, 'the servers of the tutorial have a key')
    const folder = join(home, 'nginx')
    mkdirSync(folder)
    const ports = [await freePort(), await freePort()]
    // What its containers are here: two processes over one data directory.
    const servers = ports.map((port) =>
      spawnGroup(process.execPath, [LOCI, 'server', '--auth', '--port', String(port)], {
        LETTA_API_KEY: key,
      }),
    )
    const front = await freePort()
    const here = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    )
    const config = conf
      .replace('letta1:8283', `127.0.0.1:${ports[0]}`)
      .replace('letta2:8283', `127.0.0.1:${ports[1]}`)
      .replace('listen 80;', `listen 127.0.0.1:${front};`)
      // Where it may write, which in its container is set up already.
      .replace('http {', `http {\n${here.join('\n')}\naccess_log ${folder}/access.log upstream;`)
      .replace('events {}', 'events {}\n')
      .replace('access_log', `log_format upstream '$upstream_addr';\naccess_log`)
    writeFileSync(join(folder, 'nginx.conf'), config)
    const options = `daemon off; error_log stderr; pid ${folder}/pid;`
    const nginx = spawnGroup(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', options])
    try {
      const url = `http://127.0.0.1:${front}`
      for (const port of ports) await answers(`http://127.0.0.1:${port}/v1/health/`)
      await answers(`${url}/v1/health/`)
      const ask = async (method: string, path: string, body?: object, token = key) => {
        const headers = { authorization: `Bearer ${token}` }
        const answer = await fetch(url + path, {
          method,
          headers,
          ...(body ? { body: JSON.stringify(body) } : {}),
        })
        return { status: answer.status, text: await answer.text() }
      }
      assert.equal((await ask('GET', '/agents', undefined, 'wrong')).status, 401)
      const made = await ask('POST', '/agents', { name: 'ada', model: 'loci/demo' })
      assert.equal(made.status, 200, made.text)
      for (let i = 0; i < 4; i++) {
        const { status, text } = await ask('POST', '/agents/ada/messages', { message: 'My name is Ada.' })
        assert.equal(status, 200, text)
      }
      const lines = (await ask('POST', '/agents/ada/messages', { message: 'Who am I?', stream: true })).text
      assert.match(lines, /"type":"start"[\s\S]*"content":[\s\S]*"type":"end"/)
      const used = new Set(readFileSync(join(folder, 'access.log'), 'utf8').trim().split('\n'))
      assert.deepEqual([...used].toSorted(), ports.map((port) => `127.0.0.1:${port}`).toSorted())
    } finally {
      await nginx.stop()
      for (const server of servers) await server.stop()
    }
  })

  it('has letta-client in the place of the retired package', async () => {
    const [equivalent] = docsSnippets('rest.md').filter(({ code }) => code.includes('letta_client'))
    assert.ok(equivalent, 'docs/rest.md has no example of letta_client')
    const program = start(pythonWith('1.12.1'), ['-B', '-'], cleanEnvironment(home))
    const code = equivalent.code.replaceAll('http://localhost:8283', t.url)
    program.child.stdin?.end(`${code}\nprint(response.messages[-1].content)\n`)
    const { code: exit } = await program.exited
    assert.equal(exit, 0, program.stderr)
    assert.match(program.stdout, /You said: Hello from Python client!/)
  })

  it('is run whole', () => {
    const names = snippets.map(({ name }) => name)
    const missing = names.filter((name) => !ran.has(name) && !Object.hasOwn(LEFT_OUT, name))
    assert.deepEqual(missing, [], 'snippets that are neither run nor left out')
    assert.deepEqual(
      Object.keys(LEFT_OUT).filter((name) => !names.includes(name) || ran.has(name)),
      [],
    )
    assert.deepEqual(t.failures, [])
    console.log(`      snippets run: ${ran.size} of ${names.length}`)
    for (const [name, why] of Object.entries(LEFT_OUT)) console.log(`      left out: ${name}: ${why}`)
  })

  /** A program of bash, whose `loci` is the built command. */
  function shell(code: string) {
    const bin = join(home, 'bin')
    mkdirSync(bin, { recursive: true })
    const script = `#!/bin/sh\nexec '${process.execPath}' '${LOCI}' "$@"\n`
    writeFileSync(join(bin, 'loci'), script, { mode: 0o755 })
    return spawnGroup('bash', ['-c', code], { PATH: `${bin}:${process.env['PATH']}` })
  }

  /** A program that may start others; all of them are stopped together. */
  function spawnGroup(command: string, args: string[], extra: Record<string, string> = {}) {
    const env = cleanEnvironment(home, extra)
    const child = spawn(command, args, {
      cwd: home,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    const ended = new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', () => resolve())
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    return {
      async stop() {
        if (child.exitCode !== null) throw new Error(`${command} ended by itself: ${stderr}`)
        process.kill(-child.pid!, 'SIGTERM')
        await ended
      },
    }
  }

  async function startRedis() {
    const port = await freePort()
    const code = `from fakeredis import TcpFakeServer\nTcpFakeServer(("127.0.0.1", ${port}), server_type="redis").serve_forever()`
    const server = spawnGroup(python, ['-c', code])
    await eventually(`a Redis on ${port}`, () => connects(port))
    return { port, close: () => server.stop() }
  }
})

/** What a user said last. */
function said(messages: { role: string; content?: unknown }[]): string {
  const content = messages.findLast(({ role }) => role === 'user')?.content
  return Array.isArray(content) ? (content[0] as { text: string }).text : String(content)
}

/** The commands of a shell snippet, without its comments. */
function commandsOf(code: string): string[] {
  return code.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
}

/** Passes requests on to Loci, but refuses the first of them. */
async function startBusyFront(url: string, refusals: number) {
  let refused = 0
  const server = createServer((request, response) => {
    if (refused < refusals) {
      refused++
      request.resume()
      response.writeHead(429, { 'retry-after': '1' }).end('{"detail":"slow down"}')
      return
    }
    void pass()

    async function pass() {
      const pieces: Buffer[] = []
      for await (const piece of request) pieces.push(piece as Buffer)
      const answer = await fetch(url + request.url, { method: 'POST', body: Buffer.concat(pieces) })
      response.writeHead(answer.status).end(await answer.text())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refused: () => refused,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

async function freePort(): Promise<number> {
  const server = createSocket()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function connects(port: number): Promise<true | null> {
  const { connect } = await import('node:net')
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(null))
  })
}

/** Resolves when something answers there, whatever it says. */
async function answers(url: string): Promise<void> {
  const probe = () =>
    fetch(url).then(
      async (answer) => (await answer.arrayBuffer(), true),
      () => null,
    )
  await eventually(`an answer from ${url}`, probe, 30_000)
}

/** Where nginx is; null when it is not installed. Distributions have it where only an administrator looks for programs. */
function nginxProgram(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, 'nginx')).find((path) => existsSync(path)) ?? null
}

/** The folder of packages with Express, installed once outside the repository, from npm. */
function expressModules(): string {
  const cache = process.env['LOCI_CLIENTS'] ?? join(tmpdir(), 'loci-clients')
  const folder = join(cache, EXPRESS.replace('@', '-'))
  const modules = join(folder, 'node_modules')
  if (existsSync(join(folder, 'installed'))) return modules
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', EXPRESS]
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  writeFileSync(join(folder, 'installed'), '')
  return modules
}
