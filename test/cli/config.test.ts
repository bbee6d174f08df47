import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assertReadable, cleanEnvironment, loci, LOCI, run, temporaryFolder } from '../support/cli-process.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'

const KEY = 'sk-very-secret-0123456789'

describe('loci config and loci connect', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let path: string
  let models: ModelServer | null = null

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    path = join(folder.path, 'loci', 'config.json')
  })
  afterEach(async () => {
    await models?.close()
    models = null
    await folder.remove()
  })

  const write = async (text: string) => {
    await mkdir(join(folder.path, 'loci'), { recursive: true })
    await writeFile(path, text)
  }
  const saved = async () => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>

  /** A provider that takes this key only. */
  async function startProvider(key: string | null): Promise<string> {
    models = await startModelServer({
      'GET /v1/models': (_body, request) =>
        key === null || request.headers.authorization === `Bearer ${key}`
          ? { json: { data: [{ id: 'big', context_length: 64_000 }, { id: 'small' }] } }
          : { status: 401, body: { error: { message: `wrong key ${request.headers.authorization}` } } },
    })
    return models.url
  }

  describe('loci config', () => {
    it('names the file whether or not it is there', async () => {
      assert.deepEqual(await loci(['config', 'path'], { env }), { code: 0, stdout: `${path}\n`, stderr: '' })
      const elsewhere = await loci(['config', 'path', '--data', folder.path], { env })
      assert.equal(elsewhere.stdout, `${join(folder.path, 'config.json')}\n`)
    })

    it('takes no address of a database that cannot be read, and says what is wrong with one that is there', async () => {
      const wrong = 'postgres://loci:geheim@db.test:99999/loci'
      const set = await loci(['config', 'set', 'store.address', wrong], { env })
      assert.notEqual(set.code, 0)
      assert.match(set.stderr, /port is no number from 1 to 65,535/)
      assert.ok(!existsSync(path), 'nothing is saved')
      await write(JSON.stringify({ store: { address: wrong } }))
      const check = await loci(['config', 'check'], { env })
      assert.equal(check.code, 1)
      assert.match(check.stderr, /config\.json: store\.address: .*port is no number/)
      assert.doesNotMatch(set.stderr + check.stderr, /geheim/)
      for (const right of ['postgres://loci@db.test/loci', '${env:LOCI_DB}'])
        assert.equal((await loci(['config', 'set', 'store.address', right], { env })).code, 0, right)
      assert.equal((await loci(['config', 'check'], { env })).code, 0)
    })

    it('shows every setting as JSON, with no secret in it', async () => {
      const provider = {
        name: 'work',
        provider_type: 'openai',
        base_url: `http://me:${KEY}@127.0.0.1:1/v1`,
        api_key: KEY,
        headers: { 'x-gateway': KEY },
      }
      const other = { name: 'b', provider_type: 'openai', base_url: 'http://b.test', api_key: '${env:B_KEY}' }
      const s3 = { bucket: 'uploads', secret_access_key: KEY, session_token: '${env:TOKEN}' }
      await write(JSON.stringify({ providers: [provider, other], storage: { s3 } }))
      const { code, stdout } = await loci(['config', 'show'], { env })
      assert.equal(code, 0)
      assert.ok(!stdout.includes(KEY))
      const shown = JSON.parse(stdout) as { providers: { api_key: string }[]; server: { port: number } }
      assert.equal(shown.server.port, 8283)
      assert.deepEqual(
        shown.providers.map(({ api_key }) => api_key),
        ['***6789', '${env:B_KEY}'],
      )
      const set = await loci(['config', 'set', 'storage.s3.secret_access_key', `other ${KEY}`], { env })
      assert.equal(set.code, 0)
      assert.ok(!(set.stdout + set.stderr).includes(KEY))
    })

    it('checks the file: right, broken with line and column, mistyped, or without its variable', async () => {
      const none = await loci(['config', 'check'], { env })
      assert.deepEqual([none.code, none.stdout], [0, `There is no ${path}: the defaults hold.\n`])
      await write('{}')
      assert.match((await loci(['config', 'check'], { env })).stdout, /config\.json is right\.\n$/)
      const tries: [string, RegExp][] = [
        ['{\n  "server": {\n    "port": 1,\n  }\n}\n', /config\.json, line 4, column 3: expected a key/],
        ['{\n  "server": { "port": "9000" }\n}\n', /line 2, column 23: server\.port: /],
        ['{ "serwer": {}, "server": { "prot": 1 } }', /server\.prot is not a setting[^]*serwer is not/],
        [
          '{ "providers": [{ "name": "a", "provider_type": "openai", "base_url": "http://a", "api_key": "${env:NOT_SET}" }] }',
          /provider 'a' takes its key from NOT_SET, which is not set/,
        ],
      ]
      for (const [text, message] of tries) {
        await write(text)
        const { code, stdout, stderr } = await loci(['config', 'check'], { env })
        assert.equal(code, 1)
        assert.equal(stdout, '')
        assert.match(stderr, message)
        assertReadable(stderr)
        assert.equal(await readFile(path, 'utf8'), text)
      }
    })

    it('sets numbers, words, lists, null and fields of a provider, and says what changed', async () => {
      await write(
        JSON.stringify({
          providers: [{ name: 'my.work', provider_type: 'openai', base_url: 'http://old', api_key: KEY }],
        }),
      )
      const changes: [string, string, string][] = [
        ['server.port', '9000', 'server.port: 8283 → 9000'],
        ['server.allowed_hosts', 'a.test,b.test', 'server.allowed_hosts: [] → ["a.test","b.test"]'],
        ['defaults.model', 'my.work/big', 'defaults.model: null → my.work/big'],
        ['defaults.model', 'null', 'defaults.model: my.work/big → null'],
        ['discover_local', 'false', 'discover_local: true → false'],
        ['discover_local', 'false', 'discover_local: false → false (as before)'],
        ['providers.my.work.base_url', 'http://new', 'providers.my.work.base_url: http://old → http://new'],
        [
          'providers.my.work.timeouts.connect_ms',
          '500',
          'providers.my.work.timeouts.connect_ms: not set → 500',
        ],
        ['providers.my.work.api_key', `${KEY}-2`, 'providers.my.work.api_key: ***6789 → ***89-2'],
      ]
      for (const [key, value, line] of changes) {
        const { code, stdout, stderr } = await loci(['config', 'set', key, value], { env })
        assert.equal(
          stderr.split('\n')[0],
          `Saved in ${path}. A Loci that is running uses it after a restart.`,
        )
        assert.equal(stdout, `${line}\n`)
        assert.equal(code, 0)
      }
      assert.deepEqual((await saved())['server'], { port: 9000, allowed_hosts: ['a.test', 'b.test'] })
      assert.equal((await stat(path)).mode & 0o777, 0o600)
    })

    it('refuses unknown keys, groups and impossible values, and leaves the file alone', async () => {
      await write('{ "server": { "port": 1 } }')
      const tries: [string, string, RegExp][] = [
        ['server.prot', '1', /no setting 'server\.prot'.*server\.port/],
        ['port', '1', /no setting 'port'.*server\.port/],
        [
          'retention.mesages_days',
          '5',
          /'retention\.mesages_days'\. Did you mean 'retention\.messages_days'/,
        ],
        ['server', '{}', /group of settings: set one of server\.host/],
        ['server.port', '70000', /server\.port cannot be set/],
        ['server.port', KEY, /server\.port cannot be set/],
        ['defaults.model', 'gpt', /handle like 'openai/],
        ['providers.none.api_key', KEY, /names no provider.*loci connect/],
        ['providers', '[]', /loci connect NAME adds one/],
        ['__proto__.x', '1', /no setting/],
        ['', '1', /no setting/],
      ]
      for (const [key, value, message] of tries) {
        const { code, stderr } = await loci(['config', 'set', key, value], { env })
        assert.equal(code, 1, key)
        assert.match(stderr, message)
        assert.ok(!stderr.includes(KEY))
        assertReadable(stderr)
      }
      assert.equal(await readFile(path, 'utf8'), '{ "server": { "port": 1 } }')
    })

    it('says why it cannot write its result', async function () {
      if (!existsSync('/dev/full')) this.skip()
      const script = `"${process.execPath}" "${LOCI}" config show > /dev/full`
      const { code, stderr } = await run('bash', ['-c', script], { env })
      assert.equal(code, 1)
      assert.equal(stderr, 'loci: stdout cannot be written: there is no space left on its device.\n')
    })

    it('ends quietly when its reader goes away', async () => {
      const script = `"${process.execPath}" "${LOCI}" config show | true; exit \${PIPESTATUS[0]}`
      const { stderr } = await run('bash', ['-c', script], { env })
      assert.equal(stderr, '')
    })
  })

  describe('loci connect', () => {
    it('asks the provider for its models, saves it for its owner alone, and shows no key', async () => {
      const url = await startProvider(KEY)
      const { code, stdout, stderr } = await loci(['connect', 'work', '--url', `${url}/v1`, '--key', KEY], {
        env,
      })
      assert.equal(code, 0, stderr)
      assert.equal(stdout, '')
      assert.ok(!stderr.includes(KEY))
      assert.match(stderr, /2 models \(big, small\)/)
      assert.match(stderr, /loci chat Ada --create --model work\/big/)
      const [provider] = (await saved())['providers'] as Record<string, unknown>[]
      assert.deepEqual(
        [provider?.['name'], provider?.['base_url'], provider?.['api_key']],
        ['work', `${url}/v1`, KEY],
      )
      assert.equal((await stat(path)).mode & 0o777, 0o600)
    })

    it('takes keys from a pipe and from the environment, and completes a URL without /v1', async () => {
      const url = await startProvider(KEY)
      const piped = await loci(['connect', 'work', '--url', url, '--key-stdin'], { env, input: `${KEY}\n` })
      assert.equal(piped.code, 0, piped.stderr)
      const named = await loci(['connect', 'work', '--url', url, '--key-env', 'MY_KEY'], {
        env: { ...env, MY_KEY: KEY },
      })
      assert.match(named.stderr, /Replaced provider 'work'.*\$\{env:MY_KEY\}/s)
      const providers = (await saved())['providers'] as Record<string, unknown>[]
      assert.equal(providers.length, 1)
      assert.equal(providers[0]?.['base_url'], `${url}/v1`)
      assert.equal(providers[0]?.['api_key'], '${env:MY_KEY}')
    })

    it('knows providers by name, and takes the variable that is set', async () => {
      const url = await startProvider(KEY)
      const { code, stderr } = await loci(['connect', 'openai', '--url', `${url}/v1`], {
        env: { ...env, OPENAI_API_KEY: KEY },
      })
      assert.equal(code, 0, stderr)
      const [provider] = (await saved())['providers'] as Record<string, unknown>[]
      assert.equal(provider?.['api_key'], '${env:OPENAI_API_KEY}')
      assert.equal(provider?.['provider_type'], 'openai')
    })

    it('asks Anthropic in its own protocol, and takes another one that the user sets', async () => {
      models = await startModelServer({
        'GET /v1/models?limit=1000': (_body, { headers }) =>
          headers['x-api-key'] === KEY && headers['anthropic-version'] !== undefined
            ? { json: { data: [{ type: 'model', id: 'claude-opus-5', max_input_tokens: 1_000_000 }] } }
            : { status: 401 },
      })
      const { code, stderr } = await loci(['connect', 'anthropic', '--url', models.url], {
        env: { ...env, ANTHROPIC_API_KEY: KEY },
      })
      assert.equal(code, 0, stderr)
      assert.match(stderr, /1 model \(claude-opus-5\)/)
      const read = async () => ((await saved())['providers'] as Record<string, unknown>[])[0]
      assert.equal((await read())?.['provider_type'], 'anthropic')
      assert.equal((await loci(['config', 'set', 'providers.anthropic.api', 'chat'], { env })).code, 0)
      assert.equal((await read())?.['api'], 'chat')
      const wrong = await loci(['config', 'set', 'providers.anthropic.api', 'telepathy'], { env })
      assert.notEqual(wrong.code, 0)
    })

    it('saves nothing when the test fails, naming the URL and the cause but no key', async () => {
      const url = await startProvider('another')
      const tries: [string[], RegExp][] = [
        [
          ['work', '--url', `${url}/v1`, '--key', KEY],
          new RegExp(`${url}/v1/models answered 401; check the key`),
        ],
        [
          ['work', '--url', 'http://127.0.0.1:1/v1'],
          /http:\/\/127\.0\.0\.1:1\/v1\/models refused the connection/,
        ],
        [['work', '--url', 'not-a-url'], /base_url: expected a URL/],
        [['loci', '--url', `${url}/v1`, '--key', 'another'], /taken by Loci itself/],
        [['a b', '--url', url], /name: letters, digits/],
        [['work', '--url', url, '--key-env', KEY], /name of a variable/],
        [['work', '--url', url, '--key-env', 'NOT_SET'], /NOT_SET is not set here/],
        [['work', '--url', url, '--key-stdin'], /no key on stdin/],
        [['openai'], /OpenAI needs a key: set OPENAI_API_KEY/],
        [['azure', '--key', KEY], /Azure OpenAI needs an address: add --url/],
        [['nobody'], /'nobody' is none of the providers.*--url/],
        [['opnai'], /'opnai' is none of the providers.* Did you mean 'openai'\? For another/],
        [['work', '--preset', 'opnai', '--url', url], /no preset 'opnai'\. Did you mean 'openai'/],
        [['work', '--preset', 'nobody', '--url', url], /no preset 'nobody'/],
        [[], /Name a provider: loci connect NAME/],
      ]
      for (const [args, message] of tries) {
        const { code, stdout, stderr } = await loci(['connect', ...args], { env })
        assert.equal(code, 1, args.join(' '))
        assert.equal(stdout, '')
        assert.match(stderr, message)
        assert.ok(!stderr.includes(KEY), stderr)
        assertReadable(stderr)
      }
      await assert.rejects(stat(path), { code: 'ENOENT' })
    })

    it('refuses two keys as a usage error, and leaves a broken file as it is', async () => {
      const two = await loci(['connect', 'openai', '--key', KEY, '--key-env', 'X'], { env })
      assert.equal(two.code, 2)
      assert.match(two.stderr, /give the key once/)
      await write('{ broken')
      const { code, stderr } = await loci(['connect', 'work', '--url', 'http://a.test', '--no-check'], {
        env,
      })
      assert.equal(code, 1)
      assert.match(stderr, /config\.json, line 1, column 3/)
      assert.equal(await readFile(path, 'utf8'), '{ broken')
    })

    it('saves without asking with --no-check, also a variable that is not set yet', async () => {
      const args = ['connect', 'openai', '--key-env', 'LATER', '--no-check']
      const { code, stderr } = await loci(args, { env })
      assert.equal(code, 0, stderr)
      const [provider] = (await saved())['providers'] as Record<string, unknown>[]
      assert.equal(provider?.['api_key'], '${env:LATER}')
      assert.equal(provider?.['base_url'], 'https://api.openai.com/v1')
    })
  })
})
