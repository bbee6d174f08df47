import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { assertReadable, cleanEnvironment, loci, temporaryFolder } from '../support/cli-process.ts'

/** What the help of each command is at 80 columns. */
const helpText = (command: readonly string[]) => `test/cli/help/${command.join('-') || 'loci'}.txt`

const AGENTS = ['list', 'show', 'create', 'update', 'rename', 'delete', 'reset', 'attach', 'detach', 'export']
const BLOCKS = ['list', 'show', 'create', 'edit', 'set', 'history', 'restore', 'delete', 'attach', 'detach']

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

  const commands = [
    [],
    ['server'],
    ['chat'],
    ['mcp'],
    ['mcp', 'install'],
    ['config'],
    ['config', 'path'],
    ['config', 'show'],
    ['config', 'check'],
    ['config', 'set'],
    ['connect'],
    ['apply'],
    ['export'],
    ['import'],
    ['migrate'],
    ['backup'],
    ['restore'],
    ['store'],
    ['store', 'copy'],
    ['doctor'],
    ['uninstall'],
    ['tools'],
    ['tools', 'new'],
    ['tools', 'check'],
    ['tools', 'run'],
    ['tools', 'debug'],
    ['tools', 'test'],
    ['tools', 'push'],
    ['tools', 'pull'],
    ['tools', 'list'],
    ['users'],
    ['agents'],
    ...AGENTS.map((name) => ['agents', name]),
    ['blocks'],
    ...BLOCKS.map((name) => ['blocks', name]),
    ['models'],
    ['completion'],
    ['version'],
    ['users', 'add'],
    ['users', 'list'],
    ['users', 'remove'],
    ['keys'],
    ['keys', 'create'],
    ['keys', 'list'],
    ['keys', 'revoke'],
    ['keys', 'rotate'],
  ]

  it('explains every argument, flag and command there is', async () => {
    const seen = new Set<string>()
    for (const args of commands) {
      const stdout = await readFile(helpText(args), 'utf8')
      for (const [, title, rows] of stdout.matchAll(
        /^(?!Examples|Environment|Exit codes|To keep it)([A-Z][\w ]*):\n((?: {2}.*\n)+)/gm,
      )) {
        for (const [row] of rows?.matchAll(/^ {2}\S.*$/gm) ?? []) {
          assert.match(row, /^ {2}\S.*? {2,}\S/, `loci ${args.join(' ')} explains ${row}`)
          const [name] = row.trim().split(/[ |]/)
          if (title !== 'Options' && title !== 'Arguments') seen.add([...args, name].join(' '))
        }
      }
    }
    const tested = new Set(commands.map((args) => args.join(' ')))
    const missing = [...seen].filter((name) => !tested.has(name) && !/^(\w+ )?help$/.test(name))
    assert.deepEqual(missing, [])
  })

  for (const command of commands) {
    const args = [...command, '--help']
    it(`shows 'loci ${args.join(' ')}' as it is written down`, async () => {
      const { code, stdout } = await loci(args, { env })
      assert.equal(code, 0)
      const file = helpText(command)
      if (process.env['UPDATE_HELP'] === '1') await writeFile(file, stdout)
      const hint = 'changed on purpose? UPDATE_HELP=1 mocha --no-config test/cli/help.test.ts'
      assert.equal(stdout, await readFile(file, 'utf8').catch(() => ''), hint)
    })

    it(`fits 'loci ${args.join(' ')}' into 40 columns`, async () => {
      const { stdout } = await loci(args, { env: { ...env, COLUMNS: '40' } })
      for (const line of stdout.split('\n')) assert.ok(line.length <= 40, line)
    })
  }

  it('takes --json wherever there is a result', async () => {
    // Groups, what serves on its own stdout, scripts for shells, and what waits for a debugger.
    const others = new Set(['', 'agents', 'blocks', 'tools', 'users', 'keys', 'config', 'store'])
    for (const name of ['mcp', 'completion', 'tools debug']) others.add(name)
    for (const command of commands) {
      if (others.has(command.join(' '))) continue
      const stdout = await readFile(helpText(command), 'utf8')
      assert.match(stdout, /^ {2}--json /m, `loci ${command.join(' ')}`)
    }
  })

  const wrong: [string[], RegExp][] = [
    [['sever'], /unknown command 'sever'\. Did you mean server\?/],
    [['server', '--prt', '1'], /unknown option '--prt'\. Did you mean --port\?/],
    [['server', '--port', '99999'], /99999.*from 0 .* to 65535/],
    [['server', '--port', '-1'], /--port/],
    [['server', '--port', '80a'], /'80a'/],
    [['server', '--port', ''], /from 0/],
    [['server', 'now'], /too many arguments/],
    [['help', 'dokter'], /unknown command 'dokter'\. Did you mean doctor\?/],
    [['dokter'], /unknown command 'dokter'\. Did you mean doctor\?/],
    [['config', 'shwo'], /unknown command 'shwo'\. Did you mean show\?/],
    [['config', 'set', 'server.port'], /missing required argument 'value'/],
    [['restore'], /missing required argument 'file'/],
    [['store', 'copy', '--to', 'x'], /required option '--from <store>'/],
    [['store', 'copy', '--from', 'x'], /required option '--to <store>'/],
    [['store', 'copy', '--from', 'x', '--to', 'y', '--verify', '--restart'], /give one of '--verify'/],
    [['doctor', '--timeout', '0'], /'0'.*number of seconds/],
    [['backup', '--fiel', 'x'], /unknown option '--fiel'/],
    [['connect', 'openai', '--key', 'a', '--key-stdin'], /give the key once/],
    [['agents', 'shwo'], /unknown command 'shwo'\. Did you mean show\?/],
    [['agents', 'attach', 'Ada'], /name a '--tool' or a '--block'/],
    [['blocks', 'show'], /missing required argument 'block'/],
    [['chat', 'Ada', '--approve', 'maybe'], /'maybe'.*yes, no/],
    [['completion', 'bsh'], /'bsh'.*Did you mean 'bash'/],
    [['modles'], /unknown command 'modles'\. Did you mean models\?/],
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
