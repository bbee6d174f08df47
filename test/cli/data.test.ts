import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  type Running,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'

const KEY = 'sk-very-secret-0123456789'

describe('loci backup, restore, doctor and uninstall', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let data: string
  let servers: Running[] = []
  let models: ModelServer[] = []

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    // Only what a test names is a provider.
    delete env['OLLAMA_BASE_URL']
    delete env['LMSTUDIO_BASE_URL']
    data = join(folder.path, 'loci')
    await mkdir(data, { mode: 0o700 })
    await writeFile(join(data, 'config.json'), '{ "discover_local": false }', { mode: 0o600 })
  })
  afterEach(async () => {
    await Promise.all([...servers.map((server) => server.stop()), ...models.map((model) => model.close())])
    servers = []
    models = []
    await folder.remove()
  })

  async function startServer(): Promise<string> {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    servers.push(server)
    return (await server.waitFor(/ on (http:\/\/127\.0\.0\.1:\d+)$/m))[1] ?? ''
  }

  async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(response.status, 200)
    return (await response.json()) as Record<string, unknown>
  }

  const createAgent = async (url: string, name: string) =>
    String((await post(`${url}/v1/agents/`, { name, model: 'loci/demo' }))['id'])

  /** Stops every server, so that nobody has the store open. */
  async function stopServers(): Promise<void> {
    await Promise.all(servers.map((server) => server.stop()))
    servers = []
  }

  function agentNames(file: string): string[] {
    const database = new DatabaseSync(file, { readOnly: true })
    const rows = database.prepare('SELECT name FROM agents ORDER BY name').all()
    database.close()
    return rows.map((row) => String(row['name']))
  }

  it('backs up while two servers write: everything acknowledged before is in it', async () => {
    const urls = [await startServer(), await startServer()]
    const ids = await Promise.all(urls.map((url, i) => createAgent(url, `writer-${i}`)))
    const acknowledged: string[] = []
    const state = { stop: false }
    const writers = urls.map(async (url, i) => {
      for (let n = 0; !state.stop; n++) {
        const input = `note ${i} ${n}`
        await post(`${url}/v1/agents/${ids[i]}/messages`, { input })
        acknowledged.push(input)
      }
    })
    try {
      while (acknowledged.length < 20) await Promise.race([...writers, new Promise(setImmediate)])
      const before = [...acknowledged]
      const { code, stdout, stderr } = await loci(['backup', join(folder.path, 'copy.db')], { env })
      assert.equal(code, 0, stderr)
      assert.equal(stdout, `${join(folder.path, 'copy.db')}\n`)
      assert.match(stderr, /verified: .*2 agents.*messages/)
      const database = new DatabaseSync(join(folder.path, 'copy.db'), { readOnly: true })
      const stored = database
        .prepare("SELECT data FROM messages WHERE role = 'user'")
        .all()
        .map((row) => String(row['data']))
      database.close()
      assert.deepEqual(
        before.filter((text) => !stored.some((row) => row.includes(`${text}"`))),
        [],
      )
      // The writers were not stopped for it.
      const soFar = acknowledged.length
      while (acknowledged.length === soFar) await Promise.race([...writers, new Promise(setImmediate)])
    } finally {
      state.stop = true
      await Promise.all(writers)
    }
  })

  it('goes back to a backup and undoes that, by the names it prints', async () => {
    let url = await startServer()
    await createAgent(url, 'old')
    const { stdout } = await loci(['backup'], { env })
    const backup = stdout.trim()
    assert.ok(backup.startsWith(join(data, 'backups')))
    await createAgent(url, 'new')
    const refused = await loci(['restore', backup], { env })
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /is in use by .*Stop it.*then restore again/)
    assertReadable(refused.stderr)
    await stopServers()
    const restored = await loci(['restore', backup], { env })
    assert.equal(restored.code, 0, restored.stderr)
    assert.match(restored.stderr, /1 agent,.*To undo: loci restore/s)
    assert.deepEqual(agentNames(join(data, 'loci.db')), ['old'])
    const undone = await loci(['restore', restored.stdout.trim()], { env })
    assert.equal(undone.code, 0, undone.stderr)
    url = await startServer()
    const agents = (await (await fetch(`${url}/v1/agents/`)).json()) as { name: string }[]
    assert.deepEqual(agents.map(({ name }) => name).sort(), ['new', 'old'])
  })

  it('restores nothing from a file that is no whole backup', async () => {
    await createAgent(await startServer(), 'mine')
    const { stdout } = await loci(['backup', join(folder.path, 'good.db')], { env })
    await stopServers()
    const before = await readFile(join(data, 'loci.db'))
    const good = await readFile(stdout.trim())
    const bad = join(folder.path, 'bad.db')
    for (const [content, message] of [
      [good.subarray(0, good.length / 2), /bad\.db is damaged/],
      [Buffer.from('not a database, though long enough'), /bad\.db is not an SQLite database/],
    ] as const) {
      await writeFile(bad, content)
      const { code, stderr } = await loci(['restore', bad], { env })
      assert.equal(code, 1)
      assert.match(stderr, message)
      assertReadable(stderr)
    }
    const none = await loci(['restore', join(folder.path, 'none.db')], { env })
    assert.match(none.stderr, /There is no file .*none\.db/)
    assert.deepEqual(await readFile(join(data, 'loci.db')), before)
    const again = await loci(['backup', join(folder.path, 'good.db')], { env })
    assert.equal(again.code, 1)
    assert.match(again.stderr, /good\.db exists already/)
  })

  describe('loci uninstall', () => {
    it('removes nothing without --purge, and nothing without a confirmation', async () => {
      await createAgent(await startServer(), 'mine')
      await stopServers()
      const how = await loci(['uninstall'], { env })
      assert.equal(how.code, 0)
      assert.match(how.stdout, /npm uninstall/)
      const piped = await loci(['uninstall', '--purge'], { env, input: 'delete\n' })
      assert.equal(piped.code, 1)
      assert.match(piped.stderr, /Nothing was removed.*--yes/)
      assert.match(piped.stdout, /loci\.db/)
      assert.deepEqual(agentNames(join(data, 'loci.db')), ['mine'])
    })

    it("refuses while a server runs; then removes all of it, and nothing that is not Loci's", async () => {
      await createAgent(await startServer(), 'mine')
      await loci(['backup'], { env })
      const refused = await loci(['uninstall', '--purge', '--yes'], { env })
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /in use by/)
      await stopServers()
      await writeFile(join(data, 'diary.txt'), 'mine')
      const { code, stdout, stderr } = await loci(['uninstall', '--purge', '--yes'], { env })
      assert.equal(code, 0, stderr)
      assert.match(stdout, /kB +loci\.db\n.*left alone: diary\.txt/s)
      assert.deepEqual(await readdir(data), ['diary.txt'])
    })

    it("refuses a folder that is not Loci's", async () => {
      await writeFile(join(folder.path, 'precious.txt'), 'mine')
      for (const [directory, message] of [
        [folder.path, /not a data directory of Loci/],
        [data, /not a data directory of Loci/],
        ['/', /not a data directory of Loci/],
        [join(folder.path, 'none'), /There is no .*none/],
      ] as const) {
        const { code, stderr } = await loci(['uninstall', '--purge', '--yes', '--data', directory], { env })
        assert.equal(code, 1)
        assert.match(stderr, message)
        assertReadable(stderr)
      }
      assert.deepEqual((await readdir(folder.path)).sort(), ['loci', 'precious.txt'])
      assert.equal((await stat(join(data, 'config.json'))).size > 0, true)
    })
  })

  describe('loci doctor', () => {
    interface Finding {
      check: string
      status: string
      message: string
      mend?: string
      data?: Record<string, unknown>
    }
    async function look(args: string[] = [], extra: Record<string, string> = {}) {
      const { code, stdout, stderr } = await loci(['doctor', '--json', ...args], {
        env: { ...env, ...extra },
      })
      assert.equal(stderr, '')
      const report = JSON.parse(stdout) as { ok: boolean } & Record<
        'store' | 'config' | 'providers',
        Finding[]
      >
      assert.equal(code, report.ok ? 0 : 1)
      const all = [...report.store, ...report.config, ...report.providers]
      for (const { status, mend, check } of all)
        assert.ok(status === 'ok' || mend, `${check} says what to do`)
      return { ok: report.ok, of: (check: string) => all.find((finding) => finding.check === check) }
    }
    async function startModels(...args: Parameters<typeof startModelServer>): Promise<string> {
      const server = await startModelServer(...args)
      models.push(server)
      return server.url
    }

    it('finds nothing wrong with a store in use and a provider that answers, and tells its context size', async () => {
      await createAgent(await startServer(), 'mine')
      const url = await startModels({
        'GET /v1/models': { json: { data: [{ id: 'big', context_length: 64_000 }] } },
      })
      const { ok, of } = await look([], { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${url}/v1` })
      assert.equal(ok, true)
      assert.match(
        of('openai')?.message ?? '',
        new RegExp(`^${url}/v1: 1 model in \\d+ ms, from the environment`),
      )
      assert.match(of('default model')?.message ?? '', /^openai\/big: context window of 64,000 tokens/)
      assert.equal(of('integrity')?.status, 'ok')
      const pid = servers[0]?.child.pid
      if (process.platform === 'linux') assert.ok(of('processes')?.message.includes(String(pid)))
    })

    it('says what goes when it is old', async () => {
      assert.match((await look()).of('retention')?.message ?? '', /: only traces of steps after 30 days$/)
      const retention = { messages_days: 365, runs_days: 1 }
      await writeFile(join(data, 'config.json'), JSON.stringify({ retention }))
      const { of } = await look()
      assert.match(
        of('retention')?.message ?? '',
        /: messages after 365 days, runs after 1 day, traces of steps after 30 days$/,
      )
    })

    it('warns of keys that others may read', async function () {
      if (process.platform === 'win32') this.skip()
      const url = await startModels({ 'GET /v1/models': { json: { data: [{ id: 'm' }] } } })
      const provider = { name: 'work', provider_type: 'openai', base_url: `${url}/v1` }
      const path = join(data, 'config.json')
      const write = (api_key: string, mode: number) =>
        writeFile(path, JSON.stringify({ providers: [{ ...provider, api_key }] })).then(() =>
          chmod(path, mode),
        )
      await write(KEY, 0o644)
      const { of } = await look()
      assert.equal(of('config.json')?.status, 'warning')
      assert.match(of('config.json')?.message ?? '', /has keys in it, and others .*\(mode 0644\)$/)
      await write(KEY, 0o600)
      assert.equal((await look()).of('config.json')?.status, 'ok')
      await write('${env:WORK_KEY}', 0o644)
      assert.equal((await look([], { WORK_KEY: KEY })).of('config.json')?.status, 'ok')
    })

    it('says what is wrong with a hanging provider, a wrong key and one that is not there', async () => {
      const hanging = await startModels({ 'GET /v1/models': 'hang' })
      const strict = await startModels({ 'GET /v1/models': { status: 401, body: `no: ${KEY}` } })
      const provider = (name: string, base_url: string) => ({
        name,
        base_url,
        provider_type: 'openai',
        api_key: KEY,
      })
      const config = {
        discover_local: false,
        providers: [
          provider('slow', `${hanging}/v1`),
          provider('strict', `${strict}/v1`),
          provider('gone', 'http://127.0.0.1:1/v1'),
          { ...provider('unset', `${strict}/v1`), api_key: '${env:NOT_SET}' },
        ],
        defaults: { model: 'slow/big' },
      }
      await writeFile(join(data, 'config.json'), JSON.stringify(config))
      const { ok, of } = await look(['--timeout', '0.3'])
      assert.equal(ok, false)
      assert.match(
        of('slow')?.message ?? '',
        new RegExp(`${hanging}/v1/models did not answer within 0\\.3 s`),
      )
      assert.match(of('slow')?.mend ?? '', /config set providers\.slow\.base_url/)
      assert.match(of('strict')?.message ?? '', new RegExp(`${strict}/v1/models answered 401; check the key`))
      assert.match(of('strict')?.mend ?? '', /loci connect strict --url .* --key-stdin/)
      assert.match(of('gone')?.message ?? '', /http:\/\/127\.0\.0\.1:1\/v1\/models refused the connection/)
      assert.match(of('unset')?.mend ?? '', /set NOT_SET/)
      assert.match(of('default model')?.message ?? '', /slow\/big is not among/)
      const { code, stdout } = await loci(['doctor', '--timeout', '0.3'], { env: { ...env, COLUMNS: '40' } })
      assert.equal(code, 1)
      assert.ok(!stdout.includes(KEY))
      assert.match(stdout, /^5 things are wrong: slow, strict, gone,/m)
    })

    it('says what is wrong with a damaged store and a broken config.json, and changes nothing', async () => {
      await createAgent(await startServer(), 'mine')
      await stopServers()
      const path = join(data, 'loci.db')
      await copyFile(path, join(folder.path, 'good.db'))
      await writeFile(path, (await readFile(path)).fill(0xa5, 12_288, 40_960))
      await writeFile(join(data, 'config.json'), '{\n  "server": 1\n}')
      const broken = await readFile(path)
      const { ok, of } = await look()
      assert.equal(ok, false)
      assert.match(of('integrity')?.mend ?? '', /loci restore FILE/)
      assert.match(of('config.json')?.message ?? '', /line 2, column 13/)
      assert.deepEqual(await readFile(path), broken)
      await writeFile(path, 'nothing of a database')
      assert.equal((await look()).of('integrity')?.status, 'error')
    })
  })
})
