import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'
import { parseReport } from '../../shared/client/tool-tests.ts'
import { openInspector } from '../support/inspector.ts'
import { eventually } from '../support/loci.ts'

describe('loci tools', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let project: string
  const run = (...args: string[]) => loci(['tools', ...args], { env, cwd: project })
  const path = (...parts: string[]) => join(project, '.loci', 'tools', ...parts)

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    project = join(folder.path, 'project')
    await mkdir(project)
  })
  afterEach(() => folder.remove())

  it('makes a tool that works: checked, tested, run and pushed as it is', async () => {
    const made = await run('new', 'greet')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /greet\.ts\n.*greet\.test\.ts\n/)
    const tested = await run('test')
    assert.equal(tested.code, 0, tested.stderr + tested.stdout)
    const checked = await run('check', path('greet.ts'))
    const schema = JSON.parse(checked.stdout) as { name: string; parameters: { required: string[] } }
    assert.equal(schema.name, 'greet')
    assert.deepEqual(schema.parameters.required, ['person'])
    const called = await run('run', path('greet.ts'), '--arg', 'person=42', '--arg', 'language=de')
    assert.equal(called.stdout, 'Guten Tag, 42!\n', called.stderr)
    const pushed = await run('push')
    assert.match(pushed.stdout, /^tool-[0-9a-f-]{36}\n$/, pushed.stderr)
    const named = await run('run', 'greet', '--args', '{"person": "Ada"}')
    assert.equal(named.stdout, 'Hello, Ada!\n', named.stderr)
  })

  it('makes the same in zod and in Python', async function () {
    if (spawnSync('python3', ['--version']).status !== 0) {
      // A newcomer's machine may have no Python; CI has one.
      assert.ok(!process.env['CI'], 'there is no python3, and CI needs one')
      console.log('      not run: there is no python3 here')
      this.skip()
    }
    assert.equal((await run('new', 'greet_zod', '--zod')).code, 0)
    assert.equal((await run('new', 'greet_py', '--python')).code, 0)
    const schemas = JSON.parse((await run('check')).stdout) as { name: string; parameters: unknown }[]
    assert.deepEqual(
      schemas.map(({ name }) => name),
      ['greet_py', 'greet_zod'],
    )
    assert.deepEqual(schemas[0]?.parameters, schemas[1]?.parameters)
    for (const file of ['greet_zod.ts', 'greet_py.py']) {
      const called = await run('run', path(file), '--arg', 'person=Ada', '--arg', 'language=de')
      assert.equal(called.stdout, 'Guten Tag, Ada!\n', called.stderr)
    }
    const tested = await run('test')
    assert.equal(tested.code, 0, tested.stderr + tested.stdout)
    const told = await run('test', '--json', path('greet_zod.ts'))
    assert.equal(told.code, 0, told.stderr + told.stdout)
  })

  it('says what a push changes, changes nothing twice, and with --dry-run nothing at all', async () => {
    await run('new', 'greet')
    assert.match((await run('push', '--dry-run')).stderr, /greet: would be new/)
    assert.equal((await run('list')).stdout, '')
    await run('push')
    const again = await run('push')
    assert.equal(again.stdout, '')
    assert.match(again.stderr, /^greet: unchanged\n$/)
    await writeFile(path('greet.ts'), (await readFile(path('greet.ts'), 'utf8')).replace('Hello', 'Hi'))
    await writeFile(path('greet.tool.json'), '{"tags": ["social"], "return_char_limit": 100}')
    const dry = await run('push', '--dry-run')
    assert.match(dry.stderr, /\n-.*Hello.*\n\+.*Hi,/)
    assert.match(dry.stderr, /\+ {4}"social"/)
    assert.match(dry.stderr, /greet: would be changed/)
    assert.match((await run('push')).stderr, /greet: changed/)
    assert.match((await run('push')).stderr, /greet: unchanged/)
  })

  it('pulls what was pushed, byte for byte, and keeps a file that differs', async () => {
    await run('new', 'greet')
    await writeFile(path('greet.tool.json'), '{"tags": ["social"]}')
    await run('push')
    const source = await readFile(path('greet.ts'), 'utf8')
    const pulled = await run('pull', '--dir', 'elsewhere')
    assert.equal(pulled.stdout, `${join('elsewhere', 'greet.ts')}\n`, pulled.stderr)
    assert.equal(await readFile(join(project, 'elsewhere', 'greet.ts'), 'utf8'), source)
    assert.match(await readFile(join(project, 'elsewhere', 'greet.tool.json'), 'utf8'), /social/)
    assert.match((await run('pull', 'greet', '--dir', 'elsewhere')).stderr, /unchanged/)
    await writeFile(join(project, 'elsewhere', 'greet.ts'), 'mine')
    const kept = await run('pull', 'greet', '--dir', 'elsewhere')
    assert.equal(kept.code, 1)
    assert.match(kept.stderr, /--force/)
    assert.equal(await readFile(join(project, 'elsewhere', 'greet.ts'), 'utf8'), 'mine')
    assert.equal((await run('pull', 'greet', '--dir', 'elsewhere', '--force')).code, 0)
    assert.equal(await readFile(join(project, 'elsewhere', 'greet.ts'), 'utf8'), source)
  })

  it('pulls the schema and the description that were given for a tool, and pushes the same tool again', async () => {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const { tools } = new Letta({ baseURL: url, apiKey: null })
      const source_code = '/** Q. */\nexport function q(a: string) {\n  return a\n}\n'
      const source = { source_code, source_type: 'typescript' }
      const parameters = { type: 'object', properties: { a: { type: 'string', maxLength: 5 } } }
      const named = await tools.create({
        ...source,
        json_schema: { name: 'myname', description: 'MY OWN', parameters },
      })
      const plain = await tools.create({ ...source, description: 'Other words.' })
      assert.equal((await run('pull', '--url', url)).code, 0)
      assert.match(await readFile(path('myname.tool.json'), 'utf8'), /"MY OWN"/)
      assert.deepEqual(JSON.parse(await readFile(path('q.tool.json'), 'utf8')), {
        description: 'Other words.',
      })
      const pushed = await run('push', '--url', url)
      assert.equal(pushed.code, 0, pushed.stderr)
      assert.match(pushed.stderr, /myname: unchanged\nq: unchanged/)
      const again = await run('pull', '--url', url)
      assert.deepEqual(again.stderr.trim().split('\n').toSorted(), [
        `${join('.loci', 'tools', 'myname.ts')}: unchanged`,
        `${join('.loci', 'tools', 'q.ts')}: unchanged`,
      ])
      // A server that has them not yet gets the same.
      assert.equal((await run('push')).code, 0)
      assert.equal((await run('pull', '--dir', 'back')).code, 0)
      for (const file of ['myname.tool.json', 'q.tool.json'])
        assert.equal(await readFile(join(project, 'back', file), 'utf8'), await readFile(path(file), 'utf8'))
      assert.notEqual(named.id, plain.id)
    } finally {
      await server.stop()
    }
  })

  it('fails when an argument is missing or of another type', async () => {
    await run('new', 'greet')
    for (const [args, expected] of [
      [
        [],
        /^loci: Error executing function greet: TypeError: the required argument 'person' was not given$/m,
      ],
      [['--args', '{"person": 7}'], /^loci: .*the argument 'person' must be a string, not 7$/m],
      [['--arg', 'person=Ada', '--arg', 'language=fr'], /'language' must be one of "en", "de", not "fr"$/m],
    ] as const) {
      const { code, stdout, stderr } = await run('run', path('greet.ts'), ...args)
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, expected)
    }
  })

  it('checks the others when one is no file, too large, endless or not UTF-8', async () => {
    await run('new', 'greet')
    await mkdir(path('folder.ts'))
    await writeFile(path('large.ts'), `// ${'x'.repeat(600_000)}`)
    await writeFile(path('latin.py'), Buffer.from('# caf\xe9', 'latin1'))
    if (process.platform !== 'win32')
      assert.equal(spawnSync('sh', ['-c', 'mkfifo "$0"', path('pipe.ts')]).status, 0)
    const { code, stdout, stderr } = await run('check')
    assert.equal(code, 1)
    assert.match(stdout, /"name": "greet"/)
    assert.doesNotMatch(stderr, /folder/)
    assert.match(stderr, /large\.ts has 600,003 characters, and 524,288 is the most/)
    assert.match(stderr, /latin\.py cannot be read: it is not UTF-8/)
    if (process.platform !== 'win32') assert.match(stderr, /pipe\.ts cannot be read: it is no file/)
  })

  it('works on a running server', async () => {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      await run('new', 'greet')
      assert.equal((await run('push', '--url', url)).code, 0)
      assert.match((await run('list', '--url', url)).stdout, /^greet\ttypescript\ttool-/)
    } finally {
      await server.stop()
    }
  })

  it('says what a debugger attaches to when an agent calls the tool', async () => {
    await run('new', 'greet')
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const unknown = await run('debug', path('greet.ts'), '--url', url)
      assert.equal(unknown.code, 1)
      assert.match(unknown.stderr, /no tool 'greet' yet.*loci tools push/)
      const tool_id = (await run('push', '--url', url)).stdout.trim()
      const letta = new Letta({ baseURL: url, apiKey: null })
      const { id } = await letta.agents.create({ model: 'loci/demo', tool_ids: [tool_id] })
      const debug = start(process.execPath, [LOCI, 'tools', 'debug', path('greet.ts'), '--url', url], env)
      await eventually('the tool is armed', async () =>
        (await fetch(`${url}/v1/tools/${tool_id}/debug`)).ok ? true : null,
      )
      const call = letta.agents.tools.run('greet', { agent_id: id, args: { person: 'Ada' } })
      const [target] = await debug.waitFor(/ws:\/\/127\.0\.0\.1:\d+\/\S+/)
      const inspector = await openInspector(target)
      await inspector.send('Runtime.enable')
      await inspector.send('Debugger.enable')
      await inspector.send('Runtime.runIfWaitingForDebugger')
      await inspector.event('Debugger.paused')
      await inspector.send('Debugger.resume')
      assert.equal((await call).func_return, 'Hello, Ada!')
      inspector.close()
      assert.equal((await debug.exited).code, 0, debug.stderr)
      assert.match(debug.stderr, /without the wall[^]*Attach a Node debugger[^]*It returned: Hello, Ada!/)
    } finally {
      await server.stop()
    }
  })

  it('names file, line and column of what it cannot read, and pushes none of the files then', async () => {
    await run('new', 'greet')
    await writeFile(
      path('wrong.ts'),
      '/** Wrong. */\nexport function wrong(at: Date): string {\n  return ""\n}\n',
    )
    for (const command of ['check', 'push']) {
      const { code, stderr } = await run(command)
      assert.equal(code, 1, command)
      assert.match(stderr, /wrong\.ts:2:\d+: /)
      assertReadable(stderr)
    }
    assert.equal((await run('list')).stdout, '')
  })

  it('fails when a unit test fails', async () => {
    await run('new', 'greet')
    await writeFile(
      path('greet.ts'),
      (await readFile(path('greet.ts'), 'utf8')).replace('Guten Tag', 'Servus'),
    )
    assert.equal((await run('test')).code, 1)
  })

  it('tells an editor of each unit test in a line of JSON', async () => {
    await run('new', 'greet')
    await writeFile(
      path('greet.test.ts'),
      [
        "import assert from 'node:assert/strict'",
        "import { describe, it } from 'node:test'",
        "describe('greet', () => {",
        "  it('is short', () => console.log('short'))",
        "  it('is Latin', () => assert.equal('Hello', 'Salve'))",
        "  it.skip('is sung', () => {})",
        '})',
      ].join('\n'),
    )
    const { code, stdout } = await run('test', '--json')
    assert.equal(code, 1)
    const reports = stdout.trim().split('\n').map(parseReport)
    const outcomes = reports.filter((report) => 'state' in report)
    assert.deepEqual(
      outcomes.map(({ name, state }) => [name.join(' '), state]),
      [
        ['greet is short', 'passed'],
        ['greet is Latin', 'failed'],
        ['greet is sung', 'skipped'],
      ],
    )
    const { file, failure } = outcomes[1] ?? assert.fail()
    assert.equal(file, path('greet.test.ts'))
    assert.deepEqual(
      [failure?.line, failure?.expected, failure?.actual],
      [5, 'Salve', 'Hello'],
      failure?.message,
    )
    assert.ok(reports.some((report) => 'output' in report && report.output === 'short\n'))
  })

  it('tells an editor of a test that cannot be run, and of those in Python', async function () {
    if (spawnSync('python3', ['--version']).status !== 0) {
      assert.ok(!process.env['CI'], 'there is no python3, and CI needs one')
      this.skip()
    }
    await run('new', 'broken')
    await writeFile(path('broken.test.ts'), "import './nowhere.ts'\n")
    await run('new', 'greet', '--python')
    const test = await readFile(path('test_greet.py'), 'utf8')
    await writeFile(path('test_greet.py'), `${test}\n    def test_more(self):\n        self.fail("no")\n`)
    const { code, stdout } = await run('test', '--json')
    assert.equal(code, 1)
    const outcomes = stdout
      .trim()
      .split('\n')
      .map(parseReport)
      .filter((report) => 'state' in report)
    assert.deepEqual(
      outcomes.map(({ name, state, failure }) => [name.join('.'), state, failure?.line ?? null]),
      [
        ['', 'failed', null],
        ['Greet.test_greets_in_the_language_that_was_asked_for', 'passed', null],
        ['Greet.test_more', 'failed', 11],
      ],
      stdout,
    )
  })

  it('says in one line what is wrong, and touches nothing', async () => {
    await run('new', 'greet')
    await writeFile(path('strange.tool.json'), '{"colour": 1}')
    await writeFile(path('strange.ts'), 'export function strange(): void {}\n')
    for (const [args, expected] of [
      [['new', 'greet'], /there is a .*greet\.ts and/],
      [['new', 'get weather'], /cannot be the name of a tool/],
      [['new', 'both', '--zod', '--python'], /not both/],
      [['new', 'class'], /'class' cannot be the name of a tool/],
      [['new', 'memory_insert'], /the name of a built-in tool/],
      [['check', 'none.ts'], /none\.ts cannot be read/],
      [['check', path('strange.ts')], /'colour', which no tool has/],
      [['run', 'nothing'], /There is no tool 'nothing'/],
      [['run', 'send_message'], /no source/],
      [['run', path('greet.ts'), '--args', '[1]'], /one JSON object/],
      [['run', path('greet.ts'), '--arg', 'person'], /name=value/],
      [['run', path('greet.ts'), '--env', '=1'], /NAME=value/],
      [['pull', 'nothing'], /There is no tool 'nothing'/],
      [['push', 'nowhere'], /neither a \.ts or \.py file nor a folder/],
    ] as const) {
      const { code, stderr, stdout } = await run(...args)
      assert.notEqual(code, 0, args.join(' '))
      assert.equal(stdout, '', args.join(' '))
      assert.match(stderr, expected)
      assertReadable(stderr)
    }
    assert.ok(!existsSync(path('both.ts')))
  })
})
