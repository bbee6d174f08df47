import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { readFrom } from '../support/v1-compare.ts'
import { type FakeV1, startV1, type V1Options } from '../support/v1-server.ts'
import { type Json, World } from '../support/v1-world.ts'

const TOKEN = 'password-of-the-old-zoo'

describe('loci migrate', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const open: FakeV1[] = []

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path, { LOCI_MIGRATE_PAUSE_MS: '1', LOCI_MIGRATE_IDLE_MS: '400' })
  })
  afterEach(async () => {
    for (const v1 of open.splice(0)) await v1.close()
    await folder.remove()
  })

  const serve = async (options: V1Options = {}, size = { agents: 1, messages: 8, passages: 2 }) => {
    const v1 = await startV1(new World(size), options)
    open.push(v1)
    return v1
  }
  const migrate = (v1: { url: string }, args: string[] = [], more: Record<string, string> = {}) =>
    loci(['migrate', '--from', v1.url, ...args], { env: { ...env, ...more } })

  it('tells what came and what could not, and what to do about it, as text and as JSON', async () => {
    const v1 = await serve()
    const file = join(folder.path, 'report.json')
    const { code, stdout, stderr } = await migrate(v1, ['--report', file])
    assert.equal(code, 1, 'the key of one provider is not told')
    assertReadable(stderr)
    assert.match(stdout, /^agents +1 +0 +0 +0 +0$/m)
    assert.match(stdout, /^messages +8 /m)
    assert.match(stdout, /^- refused: provider hidden-key \(provider-.*\): .*loci connect hidden-key$/m)
    const report = JSON.parse(await readFile(file, 'utf8')) as Json
    assert.deepEqual([report['from'], report['version'], report['whole']], [v1.url, '0.16.8', false])
    const again = await migrate(v1, ['--json'])
    const second = JSON.parse(again.stdout) as {
      messages: Json
      counts: Record<string, Json>
      problems: Json[]
    }
    assert.deepEqual(second.messages, { added: 0, known: 8, refused: 0 })
    assert.match((await migrate(v1)).stdout, /^messages +0 +0 +8 +0 +0$/m)
    assert.equal(second.counts['agent']?.['same'], 1)
    const [problem] = second.problems.filter(({ outcome }) => outcome === 'refused')
    assert.deepEqual(Object.keys(problem ?? {}), ['kind', 'id', 'name', 'outcome', 'reason'])
  })

  it('counts first with --dry-run, and brings nothing', async () => {
    const v1 = await serve({}, { agents: 2, messages: 30, passages: 4 })
    const { code, stdout } = await migrate(v1, ['--dry-run', '--json'])
    assert.equal(code, 0)
    const { counts } = JSON.parse(stdout) as { counts: Json }
    assert.deepEqual(
      [counts['agents'], counts['messages'], counts['passages'], counts['conversations'], counts['tools']],
      [2, 60, 8, 1, 6],
    )
    await assert.rejects(stat(join(folder.path, 'loci', 'loci.db')), { code: 'ENOENT' })
  })

  it('brings only the parts that are asked for', async () => {
    const v1 = await serve()
    const { stdout } = await migrate(v1, ['--only', 'tools,blocks', '--json'])
    const { counts } = JSON.parse(stdout) as { counts: Json }
    assert.deepEqual(Object.keys(counts), ['tool', 'block'])
    const wrong = await migrate(v1, ['--only', 'toys'])
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /does not know 'toys'; it takes tools, mcp-servers/)
  })

  it('brings into a running Loci with --to, and into its data directory while it runs', async () => {
    const v1 = await serve()
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      await migrate(v1, ['--to', url, '--only', 'blocks'])
      assert.equal(((await readFrom(url, '/v1/blocks/')) as Json[]).length, 2)
      await migrate(v1)
      assert.equal(((await readFrom(url, '/v1/agents/')) as Json[]).length, 1)
      const itself = await migrate({ url }, [])
      assert.equal(itself.code, 1)
      assert.match(itself.stderr, /is the Loci that everything would be brought to/)
    } finally {
      await server.stop()
    }
  })

  it('sends the token of the environment or of stdin, and writes it nowhere', async () => {
    const v1 = await serve({ token: TOKEN })
    const none = await migrate(v1)
    assert.equal(none.code, 1)
    assert.match(none.stderr, /wants a token \(401\). Set LETTA_API_KEY/)
    const wrong = await migrate(v1, [], { LETTA_API_KEY: 'wrong-one' })
    assert.match(wrong.stderr, /refuses the token \(401\)/)
    const right = await migrate(v1, ['--json'], { LETTA_API_KEY: TOKEN, LOCI_DEBUG: '1' })
    assert.match(right.stdout, /"agent"/)
    const piped = await loci(['migrate', '--from', v1.url, '--token-stdin', '--json'], {
      env,
      input: `${TOKEN}\n`,
    })
    assert.match(piped.stdout, /"same": 1/)
    for (const { stdout, stderr } of [none, wrong, right, piped])
      assert.ok(!stdout.includes(TOKEN) && !stderr.includes(TOKEN) && !stderr.includes('wrong-one'))
    const files = await readdir(join(folder.path, 'loci'), { recursive: true, withFileTypes: true })
    for (const file of files.filter((entry) => entry.isFile())) {
      const bytes = await readFile(join(file.parentPath, file.name))
      assert.ok(!bytes.includes(TOKEN), `${file.name} holds the token`)
    }
  })

  it('says what is wrong with a server that is none, is too old, or is not there', async () => {
    const html = {
      status: 200,
      text: '<!doctype html><title>Welcome to nginx</title>',
      headers: { 'content-type': 'text/html' },
    }
    const cases: [V1Options, RegExp][] = [
      [{ fault: () => html }, /is no Letta V1 server: it sends a web page/],
      [{ fault: () => ({ status: 404 }) }, /is no Letta V1 server: it sends no version/],
      [{ version: '0.5.4' }, /is Letta 0\.5\.4, which is too old/],
      [
        {
          fault: (_n, path) =>
            path.includes('agents') ? { status: 400, text: '{"detail":"broken"}' } : null,
        },
        /answers 400 to GET \/v1\/agents\/.*broken/,
      ],
    ]
    for (const [options, pattern] of cases) {
      const { code, stderr } = await migrate(await serve(options))
      assert.equal(code, 1)
      assertReadable(stderr)
      assert.match(stderr, pattern)
    }
    const gone = await startV1(new World({ agents: 1, messages: 1, passages: 0 }))
    await gone.close()
    const nobody = await migrate(gone)
    assertReadable(nobody.stderr)
    assert.match(nobody.stderr, /cannot be read .*run the same command again/)
    const blocked = await migrate({ url: 'http://127.0.0.1:6000' })
    assertReadable(blocked.stderr)
    assert.match(blocked.stderr, /connects to port 6000, which belongs to another protocol/)
    assert.doesNotMatch(blocked.stderr, /tries/)
    for (const url of ['old-host:8283', 'http://me:secret@127.0.0.1'])
      assert.match((await migrate({ url })).stderr, /no address of a server|password in it/)
  })

  it('waits and tries again on 429, 5xx, cut answers and answers that stop', async () => {
    const faults = [
      { status: 429, headers: { 'retry-after': '0' } },
      { status: 502, text: '<html>bad gateway' },
      'cut',
      'hang',
    ] as const
    const v1 = await serve({ fault: (n) => (n % 7 === 3 ? (faults[Math.floor(n / 7) % 4] ?? null) : null) })
    const { stdout, stderr } = await migrate(v1, ['--json'])
    const report = JSON.parse(stdout) as { counts: Record<string, Json>; messages: Json; stopped: unknown }
    assert.deepEqual(
      [report.stopped, report.messages['added'], report.counts['agent']?.['new']],
      [null, 8, 1],
      stderr,
    )
  })

  it('names lists and things without an id in words', async () => {
    const next: Record<string, string> = {
      '': 'identity-1',
      'identity-1': 'identity-2',
      'identity-2': 'identity-1',
    }
    const v1 = await serve({
      answer: (path, query) => {
        if (path === '/v1/identities/') return [{ id: next[query.get('after') ?? ''] }]
        return path === '/v1/blocks/' && !query.has('after') ? [{ label: 7 }] : undefined
      },
    })
    const { stdout } = await migrate(v1)
    assert.match(stdout, /^- refused: identity list: .* turns in circles/m)
    assert.match(stdout, /^- refused: block without an id: /m)
    assert.doesNotMatch(stdout, /\(\)/)
  })

  it('ends at Ctrl-C with what has come, and goes on with it', async () => {
    const waits = Promise.withResolvers<void>()
    let hangs = true
    const v1 = await serve({
      fault: (_n, path) => {
        if (!hangs || !path.includes('archival')) return null
        waits.resolve()
        return 'hang'
      },
    })
    const patient = { ...env, LOCI_MIGRATE_IDLE_MS: '60000' }
    const args = [LOCI, 'migrate', '--from', v1.url, '--json']
    const program = start(process.execPath, args, patient)
    await withDeadline(waits.promise, 'a request that hangs')
    program.child.kill('SIGINT')
    assert.deepEqual(await withDeadline(program.exited, 'end on SIGINT'), { code: 130, signal: null })
    assert.equal(
      program.stderr,
      'loci: Stopped. What has come is kept: run the same command again to go on.\n',
    )
    assert.match((JSON.parse(program.stdout) as { stopped: string }).stopped, /^Stopped\./)
    hangs = false
    assert.match((await migrate(v1, ['--json'])).stdout, /"added": 8/)
  })

  it('tells what has come when the server fails for good, and goes on later', async () => {
    let broken = true
    const v1 = await serve({ fault: (_n, path) => (broken && path.includes('archival') ? 'hang' : null) })
    const { code, stdout, stderr } = await migrate(v1, ['--json'], { LOCI_MIGRATE_IDLE_MS: '50' })
    assert.equal(code, 1)
    assertReadable(stderr)
    assert.match(stderr, /nothing came for 0\.05 seconds.*after 8 tries.*run the same command again/)
    const report = JSON.parse(stdout) as { stopped: string; whole: boolean }
    assert.equal(report.whole, false)
    assert.match(report.stopped, /cannot be read/)
    broken = false
    assert.match((await migrate(v1, ['--json'])).stdout, /"added": 8/)
  })
})
