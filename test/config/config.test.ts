import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openConfig } from '../../shared/config/config.ts'
import { AppError } from '../../shared/schema/errors.ts'

const KEY = 'sk-very-secret'
const openai = {
  name: 'openai',
  provider_type: 'openai' as const,
  base_url: 'https://api.openai.com/v1',
  api_key: KEY,
  category: 'byok' as const,
}

async function failureOf(promise: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await promise.then(
    () => assert.fail('expected a failure'),
    (error: unknown) => error,
  )
  assert.ok(thrown instanceof AppError, String(thrown))
  return thrown
}

describe('config', () => {
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await fs.mkdtemp(join(tmpdir(), 'loci-config-'))
    path = join(directory, 'config.json')
  })
  afterEach(() => fs.rm(directory, { recursive: true, force: true }))
  const write = (text: string) => fs.writeFile(path, text)
  const files = async () => (await fs.readdir(directory)).sort()

  it('is the defaults where there is no file, and writes none', async () => {
    const { value } = await openConfig(directory)
    assert.deepEqual(value, {
      providers: [],
      defaults: { model: null, embedding: null },
      server: {
        host: '127.0.0.1',
        port: 8283,
        allowed_hosts: [],
        cors_origins: [],
        tls: null,
        max_connections: 4096,
        headers_timeout_seconds: 15,
        request_timeout_seconds: 300,
        stalled_timeout_seconds: 120,
        keep_alive_seconds: 75,
        shutdown_grace_seconds: 10,
        batch_concurrency: 4,
        provider_batches: {
          max_waiting: 100,
          collect_seconds: 2,
          first_poll_seconds: 10,
          max_poll_seconds: 300,
        },
        resume_background_runs: true,
        stream_retention_hours: 3,
        stream_max_chunks: 100_000,
        trace_retention_days: 30,
        allow_stdio_mcp: false,
        max_upload_mb: 100,
        metrics: false,
      },
      storage: {
        s3: {
          endpoint: null,
          bucket: null,
          region: null,
          prefix: null,
          path_style: null,
          access_key_id: null,
          secret_access_key: null,
          session_token: null,
        },
      },
      retention: {
        messages_days: null,
        runs_days: null,
        batches_days: null,
        events_days: null,
        usage_days: null,
      },
      store: { address: null },
      limits: { requests_per_hour: 1000, agents: 100, tools: 1000, file_mb: 100 },
      mcp: {
        connect_timeout_seconds: 30,
        list_timeout_seconds: 30,
        execute_timeout_seconds: 60,
        execute_max_seconds: 600,
        idle_minutes: 10,
        max_message_mb: 8,
      },
      embed_messages: false,
      discover_local: true,
    })
    assert.deepEqual(await files(), [])
  })

  it('writes only what was set, readable by its owner alone, and leaves nothing beside it', async () => {
    const deep = join(directory, 'not', 'there', 'yet')
    const config = await openConfig(deep)
    await config.update((data) => {
      data.providers.push(openai)
      data.server.port = 9000
    })
    assert.deepEqual(await fs.readdir(deep), ['config.json'])
    assert.deepEqual(JSON.parse(await fs.readFile(config.path, 'utf8')), {
      providers: [openai],
      server: { port: 9000 },
    })
    assert.equal((await fs.stat(config.path)).mode & 0o777, 0o600)
    assert.equal(config.value.server.port, 9000)
    assert.equal(config.value.server.host, '127.0.0.1')
  })

  it('keeps keys it does not know, and what another process wrote in the meantime', async () => {
    await write('{"future": {"x": 1}, "server": {"quic": true}}')
    const config = await openConfig(directory)
    await write('{"future": {"x": 2}, "server": {"quic": true, "port": 1}}')
    await config.update((data) => {
      data.defaults.model = 'openai/gpt-4.1'
    })
    assert.deepEqual(JSON.parse(await fs.readFile(path, 'utf8')), {
      future: { x: 2 },
      server: { quic: true, port: 1 },
      defaults: { model: 'openai/gpt-4.1' },
    })
  })

  it('tightens the mode of a file that others could read', async () => {
    await write('{}')
    await fs.chmod(path, 0o644)
    await (await openConfig(directory)).update((data) => void (data.server.port = 1))
    assert.equal((await fs.stat(path)).mode & 0o777, 0o600)
  })

  it('is the same object until the file changes, whoever changes it', async () => {
    const heard: unknown[] = []
    const config = await openConfig(directory, { onBroken: (error) => heard.push(error) })
    const other = await openConfig(directory)
    const before = config.current()
    assert.equal(config.current(), before)
    await other.update((data) => {
      data.providers.push({
        name: 'p',
        provider_type: 'openai',
        base_url: 'http://127.0.0.1',
        category: 'byok',
      })
    })
    const [one, two] = await Promise.all([config.current(), config.current()])
    assert.equal(one, two, 'read once for both')
    assert.deepEqual(
      one.providers.map(({ name }) => name),
      ['p'],
    )
    await write('{')
    assert.equal(await config.current(), one)
    assert.equal(config.current(), one)
    assert.deepEqual(
      heard.map((error) => (error as AppError).code),
      ['config_invalid'],
      'once',
    )
    await fs.rm(path)
    assert.deepEqual((await config.current()).providers, [])
  })

  describe('a broken file', () => {
    const cases: [string, string, number, number, RegExp][] = [
      [
        'a missing comma',
        `{\n  "providers": [\n    {"api_key": "${KEY}" "name": "x"}\n  ]\n}`,
        3,
        34,
        /expected ',' or '}'/,
      ],
      ['a comma too many', '{\n  "server": {"port": 1},\n}', 3, 1, /expected a key/],
      ['an unfinished file', `{"providers": [{"api_key": "${KEY}`, 1, 28, /expected a string that is closed/],
      ['an empty file', '', 1, 1, /expected a value, the file ends here/],
      ['something after the end', '{}\n{}', 2, 1, /nothing after the end/],
      ['a comment', '{ // port\n}', 1, 3, /expected a key/],
      ['a wrong escape', String.raw`{"a": "\x"}`, 1, 7, /valid escapes/],
      ['a list', '[]', 1, 1, /expected object/],
      ['a wrong type', '{\n "server": {\n  "port": "8283"\n }\n}', 3, 11, /server\.port: .*expected number/],
      [
        'a URL that is none',
        `{"providers": [{"name": "a", "provider_type": "openai", "base_url": "api", "api_key": "${KEY}"}]}`,
        1,
        69,
        /providers\[0\]\.base_url: expected a URL/,
      ],
      ['a missing field', '{"providers": [\n {"name": "a"}]}', 2, 2, /providers\[0\]\.provider_type/],
      [
        'a name twice',
        `{"providers": [${JSON.stringify(openai)},\n${JSON.stringify(openai)}]}`,
        2,
        9,
        /'openai' is there twice/,
      ],
      [
        'a reserved name',
        `{"providers": [${JSON.stringify({ ...openai, name: 'loci' })}]}`,
        1,
        24,
        /taken by Loci/,
      ],
      ['nesting without end', '['.repeat(5000), 1, 102, /less nesting/],
    ]
    for (const [what, text, line, column, said] of cases) {
      it(`is reported with line and column and kept: ${what}`, async () => {
        await write(text)
        const error = await failureOf(openConfig(directory))
        assert.equal(error.code, 'config_invalid')
        assert.match(error.message, said)
        assert.ok(error.message.startsWith(`${path}, line ${line}, column ${column}: `), error.message)
        assert.deepEqual(error.data, { path, line, column })
        assert.ok(!error.message.includes(KEY), 'no key in the text')
        assert.equal(await fs.readFile(path, 'utf8'), text)
      })
    }

    it('stops an update and is not overwritten', async () => {
      const config = await openConfig(directory)
      await write('{oops')
      assert.equal((await failureOf(config.update(() => {}))).code, 'config_invalid')
      assert.equal(await fs.readFile(path, 'utf8'), '{oops')
      assert.deepEqual(await files(), ['config.json'])
      assert.equal((await failureOf(config.read())).code, 'config_invalid')
      assert.deepEqual(config.value.providers, [])
    })
  })

  it('takes every valid JSON text that JSON.parse takes', async () => {
    const extra = {
      text: 'a"\\\n\u2028é😀',
      numbers: [0, -1.5e-7, 1e21],
      deep: [[{}], [], null, true, false],
      '': 1,
    }
    await write(`\uFEFF\r\n\t${JSON.stringify({ extra }, null, 3)}\r\n`)
    const { value } = await openConfig(directory)
    assert.deepEqual((value as Record<string, unknown>).extra, extra)
  })

  it('refuses values that could not be read again, and writes nothing', async () => {
    const config = await openConfig(directory)
    const error = await failureOf(
      config.update((data) => {
        data.providers.push({ ...openai, base_url: `ftp://${KEY}` })
      }),
    )
    assert.equal(error.code, 'invalid_argument')
    assert.match(error.message, /providers\[0\]\.base_url: expected a URL/)
    assert.ok(!error.message.includes(KEY))
    assert.deepEqual(await files(), [])
  })

  it('writes nothing when the change throws, and works afterwards', async () => {
    const config = await openConfig(directory)
    const failing = config.update(() => {
      throw new Error('changed my mind')
    })
    await assert.rejects(failing, /changed my mind/)
    assert.deepEqual(await files(), [])
    await config.update((data) => void (data.server.port = 7))
    assert.equal(config.value.server.port, 7)
  })

  it('reads ${env:NAME} from the environment and keeps the reference in the file', async () => {
    await write(
      JSON.stringify({
        providers: [
          { ...openai, api_key: '${env:MY_KEY}' },
          { ...openai, name: 'two', api_key: '${env:UNSET}' },
        ],
        storage: {
          s3: { bucket: 'uploads', secret_access_key: '${env:MY_KEY}', session_token: '${env:UNSET}' },
        },
      }),
    )
    const config = await openConfig(directory, { env: { MY_KEY: KEY } })
    assert.deepEqual(
      config.value.providers.map((provider) => provider.api_key),
      [KEY, null],
    )
    const { secret_access_key, session_token } = config.value.storage.s3
    assert.deepEqual([secret_access_key, session_token], [KEY, null])
    await config.update((data) => void (data.server.port = 1))
    assert.deepEqual(
      config.value.providers.map((provider) => provider.api_key),
      [KEY, null],
    )
    const text = await fs.readFile(path, 'utf8')
    assert.ok(text.includes('${env:MY_KEY}') && !text.includes(KEY))
  })

  it('says what cannot be read or written where a file stands in the way', async () => {
    const inside = join(directory, 'data')
    const config = await openConfig(inside)
    await fs.writeFile(inside, '')
    const unwritable = await failureOf(config.update((data) => void (data.server.port = 1)))
    assert.equal(unwritable.code, 'store_unavailable')
    assert.match(unwritable.message, /data[/\\]config\.json cannot be written: /)
    const unreadable = await failureOf(config.read())
    assert.equal(unreadable.code, 'config_invalid')
    assert.match(unreadable.message, /data[/\\]config\.json cannot be read: /)
  })

  describe('with several processes', () => {
    const script = `
      import { openConfig } from ${JSON.stringify(new URL('../../shared/config/config.ts', import.meta.url).href)}
      const config = await openConfig(process.argv[1])
      for (let i = 0; i < 25; i++) await config.update((data) => { data.server.allowed_hosts.push(process.argv[2] + i) })
    `
    const run = async (name: string) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, directory, name], {
        stdio: 'inherit',
      })
      const [code] = (await once(child, 'exit')) as [number]
      assert.equal(code, 0, `process ${name} failed`)
    }

    it('loses no update', async () => {
      await Promise.all(['a', 'b', 'c'].map(run))
      const { value } = await openConfig(directory)
      const wanted = ['a', 'b', 'c'].flatMap((name) => Array.from({ length: 25 }, (_, i) => `${name}${i}`))
      assert.deepEqual(value.server.allowed_hosts.toSorted(), wanted.toSorted())
      assert.deepEqual(await files(), ['config.json'])
    }).timeout(60_000)

    it('takes over the lock of a process that is gone', async () => {
      const child = spawn(process.execPath, ['-e', ''])
      await once(child, 'exit')
      const { hostname } = await import('node:os')
      const lock = join(directory, 'config.json.lock')
      await fs.writeFile(lock, JSON.stringify({ pid: child.pid, host: hostname(), token: 'x' }))
      const config = await openConfig(directory)
      await config.update((data) => void (data.server.port = 5))
      assert.equal(config.value.server.port, 5)
      assert.deepEqual(await files(), ['config.json'])
    })

    it('takes over a lock that is older than any update takes', async () => {
      const lock = join(directory, 'config.json.lock')
      await fs.writeFile(lock, JSON.stringify({ pid: process.pid, host: 'elsewhere', token: 'x' }))
      await fs.utimes(lock, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
      await (await openConfig(directory)).update((data) => void (data.server.port = 6))
      assert.deepEqual(await files(), ['config.json'])
    })
  })

  it('keeps all of many updates at once in one process', async () => {
    const config = await openConfig(directory)
    const other = await openConfig(directory)
    const add = (on: typeof config, name: string) =>
      on.update((data) => void data.server.allowed_hosts.push(name))
    await Promise.all(Array.from({ length: 20 }, (_, i) => add(i % 2 ? config : other, `h${i}`)))
    assert.equal((await config.read()).server.allowed_hosts.length, 20)
  })
})
