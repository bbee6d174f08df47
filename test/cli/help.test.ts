import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { assertReadable, cleanEnvironment, loci, temporaryFolder } from '../support/cli-process.ts'

describe('loci', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  after(() => folder.remove())

  it('prints the version of the package, in both spellings', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
    for (const args of [['--version'], ['-V'], ['version']]) {
      assert.deepEqual(await loci(args, { env }), { code: 0, stdout: `${version}\n`, stderr: '' })
    }
  })

  it('shows help with commands, examples, environment and exit codes', async () => {
    const { code, stdout, stderr } = await loci(['--help'], { env })
    assert.equal(code, 0)
    assert.equal(stderr, '')
    for (const part of ['server', 'chat', 'mcp', 'Examples:', 'LOCI_HOME', 'Exit codes:']) {
      assert.ok(stdout.includes(part), part)
    }
    assert.doesNotMatch(stdout, /\x1b/) // oxlint-disable-line no-control-regex -- no colour in a pipe
    assert.equal((await loci([], { env })).stdout, stdout)
  })

  for (const args of [['--help'], ['server', '--help'], ['chat', '--help'], ['mcp', '--help']]) {
    it(`fits 'loci ${args.join(' ')}' into 40 columns`, async () => {
      const { stdout } = await loci(args, { env: { ...env, COLUMNS: '40' } })
      for (const line of stdout.split('\n')) assert.ok(line.length <= 40, line)
    })
  }

  const wrong: [string[], RegExp][] = [
    [['sever'], /unknown command 'sever'\. Did you mean server\?/],
    [['server', '--prt', '1'], /unknown option '--prt'\. Did you mean --port\?/],
    [['server', '--port', '99999'], /99999.*from 0 .* to 65535/],
    [['server', '--port', '-1'], /--port/],
    [['server', '--port', '80a'], /'80a'/],
    [['server', '--port', ''], /from 0/],
    [['server', 'now'], /too many arguments/],
    [['chat'], /missing required argument 'agent'/],
    [['chat', 'Ada', '--url', 'http://127.0.0.1:1', '--data', '.'], /either '--url' or '--data'/],
  ]
  for (const [args, message] of wrong) {
    it(`refuses 'loci ${args.join(' ')}' in one line with exit code 2`, async () => {
      const { code, stdout, stderr } = await loci(args, { env })
      assert.equal(code, 2)
      assert.equal(stdout, '')
      assert.match(stderr, message)
      assertReadable(stderr)
    })
  }

  it('says what is wrong with a URL, and what is missing at one where nothing answers', async () => {
    for (const [url, message] of [
      ['localhost', /'localhost' is not a server URL/],
      ['http://127.0.0.1:1', /No server answers at http:\/\/127\.0\.0\.1:1: .*loci server/],
    ] as const) {
      const { code, stderr } = await loci(['chat', 'Ada', '--url', url], { env })
      assert.equal(code, 1)
      assert.match(stderr, message)
      assertReadable(stderr)
    }
  })

  it('shows where an error happened only with LOCI_DEBUG=1', async () => {
    const { stderr } = await loci(['chat', 'Ada', '--url', 'x'], { env: { ...env, LOCI_DEBUG: '1' } })
    assert.match(stderr, /\n\s+at /)
  })
})
