import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'

interface AgentJson {
  id: string
  name: string
  model: string
  tags: string[]
  description: string | null
  tools: { name: string }[]
  memory: { blocks: { label: string; value: string }[] }
}

describe('loci agents', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const run = (...args: string[]) => loci(args, { env, cwd: folder.path })
  const json = async <T>(...args: string[]) => {
    const { code, stdout, stderr } = await run(...args, '--json')
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as T
  }
  const names = async () => (await json<AgentJson[]>('agents', 'list')).map(({ name }) => name)

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  afterEach(() => folder.remove())

  it('says what to do where there are none, without a line on stdout', async () => {
    assert.deepEqual(await run('agents', 'list'), {
      code: 0,
      stdout: '',
      stderr:
        'There are no agents yet. Make one: loci agents create Ada, or talk to a new one: loci chat Ada --create\n',
    })
    assert.deepEqual(await json('agents', 'list'), [])
  })

  it('makes, lists, shows, changes, renames and deletes one, by name and by id', async () => {
    await writeFile(join(folder.path, 'persona.txt'), 'I am Ada, and curious.')
    const made = await run(
      'agents',
      'create',
      'Ada',
      '--persona',
      '@persona.txt',
      '--human',
      'Kai.',
      '--tag',
      'a',
      '--tag',
      'b',
    )
    assert.equal(made.code, 0, made.stderr)
    const id = made.stdout.trim()
    assert.match(id, /^agent-/)
    assert.match(made.stderr, /Created Ada on loci\/demo\. Talk to it: loci chat Ada/)
    const listed = await run('agents', 'ls', 'ad', '--tag', 'a')
    assert.equal(listed.stdout, `Ada\tloci/demo\t\t${id}\n`)
    assert.match((await run('agents', 'list', '--tag', 'c')).stderr, /No agent is like that/)
    const shown = await run('agents', 'show', 'Ada')
    assert.match(shown.stdout, /^Ada\n/)
    for (const part of [id, 'loci/demo', '32,000 tokens', 'a, b', 'memory_insert', 'I am Ada, and curious.'])
      assert.ok(shown.stdout.includes(part), part)
    const agent = await json<AgentJson>('agents', 'show', id)
    assert.deepEqual(
      agent.memory.blocks.map(({ label, value }) => [label, value]),
      [
        ['human', 'Kai.'],
        ['persona', 'I am Ada, and curious.'],
      ],
    )
    const changed = await json<AgentJson>('agents', 'update', 'Ada', '--description', 'Helps', '--tag', 'c')
    assert.deepEqual([changed.description, changed.tags], ['Helps', ['c']])
    assert.match((await run('agents', 'rename', 'Ada', 'Eve')).stderr, /Ada is called Eve now/)
    assert.deepEqual(await names(), ['Eve'])
    const asked = await run('agents', 'delete', 'Eve')
    assert.equal(asked.code, 1)
    assert.match(asked.stderr, /Delete Eve .*no terminal.*--yes/)
    assert.deepEqual(await names(), ['Eve'])
    assert.deepEqual(await json('agents', 'delete', 'Eve', '--yes'), { deleted: [id] })
    assert.deepEqual(await names(), [])
  })

  it('deletes none of several when one is not there, and lists what has one name', async () => {
    const first = (await run('agents', 'create', 'Ada')).stdout.trim()
    const typo = await run('agents', 'delete', 'Ada', 'Adda', '--yes')
    assert.match(typo.stderr, /no agent 'Adda'\. Did you mean 'Ada'/)
    assertReadable(typo.stderr)
    assert.deepEqual(await names(), ['Ada'])
    const again = await run('agents', 'create', 'Ada')
    assert.equal(again.code, 0)
    assertReadable(again.stderr.split('\n')[0] ?? '')
    assert.ok(again.stderr.includes(`Another agent is named 'Ada', too (${first})`), again.stderr)
    const second = again.stdout.trim()
    const both = await run('agents', 'show', 'Ada')
    assert.equal(both.code, 1)
    assert.ok(both.stderr.includes(first) && both.stderr.includes(second), both.stderr)
    const apart = await run('agents', 'rename', second, 'Eve')
    assert.doesNotMatch(apart.stderr, /Another/)
    assert.match((await run('agents', 'rename', second, 'Ada')).stderr, /Another agent is named 'Ada'/)
  })

  it('attaches and detaches tools and blocks, all or none', async () => {
    await run('agents', 'create', 'Ada', '--no-base-tools')
    await run('agents', 'create', 'Bob')
    const rules = (await run('blocks', 'create', 'rules', '--value', 'Be kind.')).stdout.trim()
    const failed = await run('agents', 'attach', 'Ada', '--tool', 'memory_insert', '--tool', 'memory_inset')
    assert.match(failed.stderr, /no tool 'memory_inset'\. Did you mean .*'memory_insert'/)
    assert.deepEqual((await json<AgentJson>('agents', 'show', 'Ada')).tools, [])
    const attached = await run('agents', 'attach', 'Ada', '--tool', 'memory_insert', '--block', 'rules')
    assert.match(attached.stderr, /Ada has memory_insert, rules now/)
    const ada = await json<AgentJson>('agents', 'show', 'Ada')
    assert.deepEqual(
      ada.tools.map(({ name }) => name),
      ['memory_insert'],
    )
    assert.ok(ada.memory.blocks.some(({ label, value }) => label === 'rules' && value === 'Be kind.'))
    await run('blocks', 'attach', rules, 'Bob')
    assert.match(
      (await run('blocks', 'list', '--label', 'rules')).stdout,
      /^rules\t(Ada, Bob|Bob, Ada)\t8\tblock-/,
    )
    const detached = await json<AgentJson>(
      'agents',
      'detach',
      'Ada',
      '--tool',
      'memory_insert',
      '--block',
      'rules',
    )
    assert.deepEqual(detached.tools, [])
    assert.match((await run('blocks', 'list', '--label', 'rules')).stdout, /^rules\tBob\t/)
  })

  it('forgets what was said and keeps the memory', async () => {
    await run('chat', 'Ada', '--create', '-m', 'My name is Ada.')
    const reset = await run('agents', 'reset', 'Ada', '--yes')
    assert.match(reset.stderr, /starts anew/)
    const history = await loci(['export', 'Ada', '--output', '-'], { env, cwd: folder.path })
    assert.doesNotMatch(history.stdout, /My name is Ada/)
    assert.match((await run('blocks', 'show', 'Ada/human')).stdout, /Ada/)
  })

  it('exports an agent from here, too, and says where as JSON', async () => {
    await run('agents', 'create', 'Ada')
    const { file, bytes } = await json<{ file: string; bytes: number }>('agents', 'export', 'Ada')
    assert.equal((await readFile(join(folder.path, file))).length, bytes)
    const imported = await json<{ agent_ids: string[] }>('import', file, '--name', 'Eve')
    assert.equal(imported.agent_ids.length, 1)
  })

  it('works on a running server, with the token of a file', async () => {
    const key = join(folder.path, 'key')
    await writeFile(key, 'secret\n')
    const args = [LOCI, 'server', '--port', '0', '--auth']
    const server = start(process.execPath, args, { ...env, LOCI_API_KEY: 'secret' }, { cwd: folder.path })
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const place = ['--url', url]
      const refused = await loci(['agents', 'list', ...place], { env })
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /401/)
      assertReadable(refused.stderr)
      const withKey = { ...env, LOCI_TOKEN_FILE: key }
      assert.match((await loci(['agents', 'create', 'Ada', ...place], { env: withKey })).stdout, /^agent-/)
      assert.match((await loci(['agents', 'list', ...place], { env: withKey })).stdout, /^Ada\t/)
      const missing = { ...env, LOCI_TOKEN_FILE: `${key}-not` }
      assert.match(
        (await loci(['agents', 'list', ...place], { env: missing })).stderr,
        /LOCI_TOKEN_FILE.*cannot be read/,
      )
    } finally {
      await server.stop()
    }
  })

  it('refuses what cannot be, in words of the user', async () => {
    await run('agents', 'create', 'Ada')
    for (const [args, expected] of [
      [['create', 'a/b'], /'a\/b' cannot be the name of an agent/],
      [['create', 'Bo', '--model', 'no/such'], /no model 'no\/such'|no\/such/],
      [['create', 'Bo', '--system', '@none.txt'], /none\.txt cannot be read/],
      [['update', 'Ada'], /Nothing was named to change/],
      [['update', 'Ada', '--context-window', '-5'], /whole number above 0/],
      [['list', '--limit', 'x'], /--limit takes a whole number/],
      [['show', 'agent-00000000-0000-4000-8000-000000000000'], /no agent with the id/],
    ] as const) {
      const { code, stderr } = await run('agents', ...args)
      assert.equal(code, 1, args.join(' '))
      assert.match(stderr, expected)
      assertReadable(stderr)
    }
    assert.deepEqual(await names(), ['Ada'])
  })
})
