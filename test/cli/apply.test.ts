import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'

const PROGRAM = join(import.meta.dirname, '..', 'tools', 'fixtures', 'mcp-program.ts')

const TOOL = `/**
 * Greets somebody.
 * @param name whom
 */
export function greet(name: string): string {
  return 'Hello ' + name
}
`

const FLEET = `
shared_blocks:
  - name: guidelines
    description: For all
    limit: 5000
    value: Be kind.
shared_folders:
  - name: handbook
    files: ["docs/*.md"]
agents:
  - name: sam
    description: Helps
    llm_config: { model: demo, context_window: 16000 }
    system_prompt: { from_file: prompts/sam.md }
    memory_blocks:
      - name: user_info
        description: What is known of the user
        limit: 2000
        value: Nothing yet.
      - name: rules
        agent_owned: false
        value: As written.
    shared_blocks: [guidelines]
    shared_folders: [handbook]
    archives: [{ name: kb, description: Knowledge }]
    tools: [archival_memory_insert, tools/*]
    tool_rules: [{ type: exit_loop, tool_name: greet }]
    tags: ["tenant:a"]
    secrets: { KEY: "\${env:FLEET_KEY}" }
    conversations: [{ summary: first }]
    compaction_settings: { mode: sliding_window }
    metadata: { team: blue }
  - name: kai
    model: loci/demo
    shared_blocks: [guidelines]
`

describe('loci apply', function () {
  this.timeout(120_000)
  let t: TestLoci
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  before(async () => {
    t = await startLoci()
  })
  after(() => t.close())
  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path, { FLEET_KEY: 'the-secret-value' })
    await write({
      'agents.yml': FLEET,
      'prompts/sam.md': 'You are Sam.\n',
      'docs/one.md': '# One\n',
      'tools/greet.ts': TOOL,
    })
  })
  afterEach(async () => {
    for (const list of [t.letta.agents, t.letta.archives, t.letta.folders])
      for (const { id } of (await list.list({ limit: 100 })).items)
        await t.letta.delete(`/v1/${kindOf(id)}/${id}`)
    for (const { id } of await everyBlock()) await t.letta.blocks.delete(id)
    for (const { id } of (await t.letta.tools.list({ tool_types: ['custom'] })).items)
      await t.letta.tools.delete(id)
    for (const server of await t.letta.mcpServers.list()) await t.letta.mcpServers.delete(server.id ?? '')
    await folder.remove()
    assert.deepEqual(t.failures, [])
  })

  async function everyBlock(): Promise<{ id: string }[]> {
    return t.letta.get('/v1/blocks/', { query: { show_hidden_blocks: true, limit: 500 } })
  }

  const kindOf = (id: string) =>
    id.startsWith('agent') ? 'agents' : id.startsWith('archive') ? 'archives' : 'folders'

  async function write(files: Record<string, string | Uint8Array>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(folder.path, dirname(name)), { recursive: true })
      await writeFile(join(folder.path, name), text)
    }
  }

  const run = (...args: string[]) => loci(['apply', '--url', t.url, ...args], { env, cwd: folder.path })

  async function apply(...args: string[]) {
    const done = await run('-f', 'agents.yml', ...args)
    assert.equal(done.code, 0, done.stderr)
    return done
  }

  /** The plan as it would be carried out. */
  async function drift(
    ...args: string[]
  ): Promise<{ code: number | null; changes: Record<string, string[]> }> {
    const { code, stdout, stderr } = await run('-f', 'agents.yml', '--dry-run', '--json', ...args)
    assert.notEqual(stdout, '', stderr)
    const { changes, applied } = JSON.parse(stdout) as {
      applied: boolean
      changes: { action: string; kind: string; name: string; fields: { field: string }[] }[]
    }
    assert.equal(applied, false)
    return {
      code,
      changes: Object.fromEntries(
        changes.map((change) => [
          `${change.action} ${change.kind} ${change.name}`,
          change.fields.map(({ field }) => field),
        ]),
      ),
    }
  }

  async function agentNamed(name: string) {
    const include = ['agent.blocks', 'agent.tools', 'agent.tags', 'agent.sources', 'agent.secrets'] as const
    const { items } = await t.letta.agents.list({ name, include: [...include] })
    assert.equal(items.length, 1, `agents called ${name}`)
    return items[0]!
  }

  it('makes what a file says, and finds nothing to change afterwards', async () => {
    const first = await drift()
    assert.equal(first.code, 2)
    assert.deepEqual(Object.keys(first.changes), [
      'create tool greet',
      'create block guidelines',
      'create folder handbook',
      'create archive kb',
      'create agent sam',
      'create agent kai',
    ])
    assert.deepEqual((await t.letta.agents.list()).items, [], 'a dry run makes nothing')

    const { stdout, stderr } = await apply()
    assert.match(stdout, /^\+ agent sam\s+agents\.yml:11:5$/m)
    assert.match(stderr, /6 made/)
    const sam = await agentNamed('sam')
    assert.deepEqual(
      [sam.description, sam.system, sam.model, sam.llm_config.context_window, sam.metadata],
      ['Helps', 'You are Sam.', 'loci/demo', 16000, { team: 'blue' }],
    )
    assert.deepEqual(sam.tags, ['tenant:a'])
    assert.deepEqual(sam.blocks.map(({ label, value, limit }) => [label, value, limit]).toSorted(), [
      ['guidelines', 'Be kind.', 5000],
      ['rules', 'As written.', 100_000],
      ['user_info', 'Nothing yet.', 2000],
    ])
    const tools = sam.tools.map(({ name }) => name)
    assert.ok(tools.includes('greet') && tools.includes('archival_memory_insert'))
    assert.deepEqual(
      sam.sources?.map(({ name }) => name),
      ['handbook'],
    )
    assert.deepEqual(
      sam.secrets?.map(({ key, value }) => [key, value]),
      [['KEY', 'the-secret-value']],
    )
    assert.deepEqual(sam.tool_rules, [{ type: 'exit_loop', tool_name: 'greet' }])
    const archives = (await t.letta.archives.list({ agent_id: sam.id })).items
    assert.deepEqual(
      archives.map(({ name }) => name),
      ['kb'],
    )
    const conversations = await t.letta.conversations.list({ agent_id: sam.id })
    assert.deepEqual(
      conversations.map(({ summary }) => summary),
      ['first'],
    )
    const kai = await agentNamed('kai')
    assert.equal(
      kai.blocks.find(({ label }) => label === 'guidelines')?.id,
      sam.blocks.find(({ label }) => label === 'guidelines')?.id,
    )

    assert.deepEqual(await drift(), { code: 0, changes: {} })
    const again = await apply()
    assert.equal(again.stdout, '')
    assert.match(again.stderr, /nothing to change/)
    assert.equal((await agentNamed('sam')).id, sam.id)
    assert.doesNotMatch(stdout + stderr + again.stderr, /the-secret-value/)
    const { items } = await t.letta.blocks.list({ limit: 100 })
    assert.ok(!items.some(({ label }) => label === 'loci-fleet'), 'the state is not among the blocks')
  })

  it('shows what was changed elsewhere, and changes it back', async () => {
    await apply()
    const sam = await agentNamed('sam')
    await t.letta.agents.update(sam.id, {
      description: 'Other',
      tags: ['mine'],
      secrets: { KEY: 'x', OWN: 'y' },
    })
    const shared = sam.blocks.find(({ label }) => label === 'guidelines')
    await t.letta.blocks.update(shared?.id ?? '', { limit: 7000 })
    const greet = sam.tools.find(({ name }) => name === 'greet')
    await t.letta.agents.tools.detach(greet?.id ?? '', { agent_id: sam.id })
    await t.letta.tools.update(greet?.id ?? '', { description: 'Something else.' })
    const { code, changes } = await drift()
    assert.equal(code, 2)
    assert.deepEqual(changes, {
      'update block guidelines': ['limit'],
      'update agent sam': ['description', 'tool', 'tag', 'secret KEY'],
    })
    const { stdout } = await apply()
    assert.match(stdout, /description: Other → Helps/)
    const now = await agentNamed('sam')
    assert.equal(now.description, 'Helps')
    assert.deepEqual(now.tags.toSorted(), ['mine', 'tenant:a'], 'what others have added stays')
    assert.deepEqual(now.secrets?.map(({ key, value }) => `${key}=${value}`).toSorted(), [
      'KEY=the-secret-value',
      'OWN=y',
    ])
    assert.ok(now.tools.some(({ name }) => name === 'greet'))
    assert.deepEqual(await drift(), { code: 0, changes: {} })
  })

  it('leaves what agents have written, unless the file says otherwise', async () => {
    await apply()
    const sam = await agentNamed('sam')
    const idOf = (label: string) => sam.blocks.find((block) => block.label === label)?.id ?? ''
    await t.letta.blocks.update(idOf('user_info'), { value: 'Likes tea.' })
    await t.letta.blocks.update(idOf('rules'), { value: 'Scribbled.' })
    assert.deepEqual(await drift(), { code: 2, changes: { 'update agent sam': ['block rules'] } })
    await write({
      'agents.yml': FLEET.replace('Nothing yet.', 'Nothing at all.').replace('Be kind.', 'Be very kind.'),
    })
    const { stdout, stderr } = await apply()
    assert.match(
      stderr,
      /agents\.yml:16:9: the text of block 'sam\/user_info' was written by others since and stays/,
    )
    assert.match(stdout, /block rules: Scribbled\. → As written\./)
    const values = Object.fromEntries(
      (await agentNamed('sam')).blocks.map(({ label, value }) => [label, value]),
    )
    assert.deepEqual(values, {
      user_info: 'Likes tea.',
      rules: 'As written.',
      // Nobody had written there: the new text of the file comes.
      guidelines: 'Be very kind.',
    })
    assert.deepEqual(await drift(), { code: 0, changes: {} })
  })

  it('brings new and changed files, once', async () => {
    await apply()
    await write({
      'docs/two.md': '# Two\n',
      'docs/one.md': '# One, changed\n',
      'prompts/sam.md': 'You are\nSam.\n',
    })
    assert.deepEqual((await drift()).changes, {
      'update folder handbook': ['file', 'file'],
      'update agent sam': ['system'],
    })
    const { stdout } = await apply()
    assert.match(stdout, /system:\n {6}@@ -1,1 \+1,2 @@\n {6}-You are Sam\.\n {6}\+You are\n {6}\+Sam\.\n?$/)
    const { items } = await t.letta.folders.list({ name: 'handbook' })
    const files = (await t.letta.folders.files.list(items[0]!.id, { include_content: true })).items
    assert.deepEqual(files.map((file) => file.content).toSorted(), ['# One, changed', '# Two'])
    assert.deepEqual(await drift(), { code: 0, changes: {} })
  })

  it('removes what it has made and the file has no more, when it is asked to', async () => {
    await t.letta.agents.create({ name: 'kai', model: 'loci/demo', memory_blocks: [] })
    await apply()
    const sam = await agentNamed('sam')
    const own = sam.blocks.find(({ label }) => label === 'user_info')
    const other = await t.letta.agents.create({ name: 'other', model: 'loci/demo', memory_blocks: [] })
    const { items } = await t.letta.archives.list({ name: 'kb' })
    await t.letta.agents.archives.attach(items[0]!.id, { agent_id: other.id })
    await write({ 'agents.yml': 'agents: []\n' })

    const kept = await apply()
    assert.match(
      kept.stderr,
      /\d things of an earlier apply are not in the fleet any more: agent sam, .*--prune/,
    )
    assert.equal((await agentNamed('sam')).id, sam.id)

    const refused = await run('-f', 'agents.yml', '--prune')
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /no terminal to confirm it on.*--yes/)
    assert.equal((await agentNamed('sam')).id, sam.id)

    const { code, changes } = await drift('--prune')
    assert.equal(code, 2)
    assert.deepEqual(Object.keys(changes), [
      'delete agent sam',
      'delete folder handbook',
      'delete tool greet',
    ])
    const { stderr } = await apply('--prune', '--yes')
    assert.match(stderr, /archive 'kb' stays: other/)
    assert.match(stderr, /block 'guidelines' stays: kai/)
    const left = (await t.letta.agents.list()).items.map(({ name }) => name).toSorted()
    assert.deepEqual(left, ['kai', 'other'], 'an agent that was there before stays')
    await assert.rejects(t.letta.blocks.retrieve(own?.id ?? ''), { status: 404 })
    assert.deepEqual((await t.letta.folders.list()).items, [])
    assert.deepEqual(await drift('--prune'), { code: 0, changes: {} })
  })

  it('removes nothing because a file is empty or cut off', async () => {
    await apply()
    for (const text of ['', '# agents:\n', '---\n', 'shared_folders: []\n', 'agents:\n']) {
      await write({ 'agents.yml': text })
      for (const more of [['--yes'], ['--dry-run']]) {
        const { code, stderr } = await run('-f', 'agents.yml', '--prune', ...more)
        assert.equal(code, 1, `${JSON.stringify(text)} ${more.join(' ')}: ${stderr}`)
        assert.match(stderr, /says nothing|No file of the fleet has 'agents'.*sam|agents: .*null/)
        assertReadable(stderr)
      }
      assert.equal((await agentNamed('sam')).name, 'sam')
    }
  })

  it('goes on where it was broken off, and makes nothing twice', async () => {
    const broken = FLEET.replace('model: loci/demo', 'model: loci/none')
    await write({ 'agents.yml': broken })
    const failed = await run('-f', 'agents.yml')
    assert.equal(failed.code, 1)
    assert.match(
      failed.stderr,
      /agents\.yml:33:5: agent 'kai': .*none.* What was changed before it \(5\) stays\./,
    )
    assertReadable(failed.stderr)
    const { id } = await agentNamed('sam')
    await write({ 'agents.yml': FLEET })
    assert.deepEqual(Object.keys((await drift()).changes), ['create agent kai'])
    await apply()
    assert.equal((await agentNamed('sam')).id, id)
    await write({ 'agents.yml': 'agents: []\n' })
    assert.ok(
      Object.keys((await drift('--prune')).changes).includes('delete agent sam'),
      'it is known to be made',
    )
  })

  it('that is killed on the way knows afterwards what it has made', async () => {
    const args = [LOCI, 'apply', '--url', t.url, '-f', 'agents.yml']
    const killed = start(process.execPath, args, env, { cwd: folder.path })
    await eventually('agent sam', async () => (await t.letta.agents.list({ name: 'sam' })).items[0] ?? null)
    killed.child.kill('SIGKILL')
    await killed.exited
    await apply()
    for (const name of ['sam', 'kai']) await agentNamed(name)
    assert.deepEqual(await drift(), { code: 0, changes: {} })
    await write({ 'agents.yml': 'agents: []\n' })
    await apply('--prune', '--yes')
    assert.deepEqual((await t.letta.agents.list()).items, [])
    assert.deepEqual((await t.letta.blocks.list()).items, [])
    assert.deepEqual((await t.letta.folders.list()).items, [])
  })

  it('knows agents and blocks that were there, and takes an agent back that was renamed', async () => {
    const there = await t.letta.agents.create({
      name: 'sam',
      model: 'loci/demo',
      memory_blocks: [{ label: 'user_info', value: 'Long known.' }],
    })
    const guidelines = await t.letta.blocks.create({ label: 'guidelines', value: 'Be kind.' })
    await apply()
    const sam = await agentNamed('sam')
    assert.equal(sam.id, there.id)
    assert.equal(sam.blocks.find(({ label }) => label === 'user_info')?.value, 'Long known.')
    assert.equal(sam.blocks.find(({ label }) => label === 'guidelines')?.id, guidelines.id)
    await t.letta.agents.update(sam.id, { name: 'samuel' })
    assert.deepEqual((await drift()).changes, { 'update agent sam': ['name'] })
    await apply()
    assert.equal((await agentNamed('sam')).id, there.id)
    await t.letta.agents.create({ name: 'kai', model: 'loci/demo' })
    await t.letta.agents.delete((await t.letta.agents.list({ name: 'kai', order: 'asc' })).items[0]!.id)
    assert.deepEqual(await drift(), { code: 2, changes: { 'update agent kai': ['shared block'] } })
  })

  it('takes several files and folders as one fleet, and MCP servers with their tools', async () => {
    const program = {
      name: 'sums',
      type: 'stdio',
      command: process.execPath,
      args: [PROGRAM, 'well'],
      env: { K: 'v1' },
    }
    await write({
      'fleet/1-shared.yml': `shared_blocks: [{ label: plan, value: One. }]\nmcp_servers: [${JSON.stringify(program)}]\n`,
      'fleet/2-agents.yaml': `fleet: team\nagents:\n  - &base\n    name: ada\n    model: loci/demo\n    shared_blocks: [plan]\n  - <<: *base\n    name: eve\n    mcp_tools: [{ server: sums, tools: [add] }]\n`,
    })
    const made = await run('-f', 'fleet', '--json')
    assert.equal(made.code, 0, made.stderr)
    assert.equal((JSON.parse(made.stdout) as { fleet: string }).fleet, 'team')
    const eve = await agentNamed('eve')
    assert.ok(eve.tools.some(({ name }) => name === 'add'))
    assert.ok(!eve.tools.some(({ name }) => name === 'crash'), 'only the tools that are named')
    assert.equal((await run('-f', 'fleet', '--dry-run')).code, 0)
    await write({
      'fleet/1-shared.yml': `shared_blocks: [{ label: plan, value: One. }]\nmcp_servers: [${JSON.stringify({ ...program, env: { K: 'v2' } })}]\n`,
    })
    const changed = await run('-f', 'fleet', '--diff')
    assert.equal(changed.code, 2)
    assert.match(changed.stdout, /~ MCP server sums.*\n {4}env: \(not shown\) → \(not shown\)/)
    const wrong = 'agents:\n  - { name: eve, mcp_tools: [{ server: sums, tools: [ad] }, { server: sum }] }\n'
    await write({ 'wrong.yml': wrong })
    const { stderr, code } = await run('-f', 'wrong.yml')
    assert.equal(code, 1)
    assert.match(stderr, /wrong\.yml:2:5: there is no MCP server 'sum'\. Did you mean 'sums'\?/)
    assert.match(stderr, /wrong\.yml:2:5: MCP server 'sums' has no tool 'ad'\. Did you mean 'add'\?/)
  })

  it('of several at once makes everything once', async () => {
    const all = await Promise.all([1, 2, 3].map(() => run('-f', 'agents.yml')))
    assert.ok(
      all.some(({ code }) => code === 0),
      all.map(({ stderr }) => stderr).join(),
    )
    for (const { code, stderr } of all)
      if (code !== 0) assert.match(stderr, /Another apply of the fleet '.*' is under way, or was since/)
    for (const name of ['sam', 'kai']) await agentNamed(name)
    assert.equal((await everyBlock()).length, 3 + 1, 'one block each, and one state')
    await apply()
    assert.deepEqual(await drift(), { code: 0, changes: {} })
  })

  it('writes down what is there; applied again it changes nothing, elsewhere it makes the same', async () => {
    await apply()
    const sam = await agentNamed('sam')
    const rules = sam.blocks.find(({ label }) => label === 'rules')
    await t.letta.blocks.update(rules?.id ?? '', { value: 'One:\n - "two"\n\n# ${env:HOME} %\ttab' })
    const done = await run('--export', 'copy.yml')
    assert.equal(done.code, 0, done.stderr)
    assert.match(done.stderr, /loci tools pull greet[\s\S]*Wrote 2 agents to copy\.yml\./)
    assert.doesNotMatch(await readFile(join(folder.path, 'copy.yml'), 'utf8'), /the-secret-value/)
    assert.equal((await run('--export', 'copy.yml')).code, 1, 'a file that is there is kept')
    const same = await run('-f', 'copy.yml', '--dry-run')
    assert.deepEqual([same.code, same.stdout], [0, ''], same.stderr)

    const other = await startLoci()
    try {
      const elsewhere = (...args: string[]) =>
        loci(['apply', '--url', other.url, ...args], { env, cwd: folder.path })
      const made = await elsewhere('-f', 'copy.yml')
      assert.equal(made.code, 0, made.stderr)
      const { stdout } = await elsewhere('--export', '-')
      const text = await readFile(join(folder.path, 'copy.yml'), 'utf8')
      // Secrets are not written, so there are none to be named.
      const plain = (yaml: string) =>
        yaml.replace(/^fleet: .*\n/, '').replace(/ {4}secrets:\n(?: {6}.*\n)*/, '')
      assert.equal(plain(stdout), plain(text))
    } finally {
      await other.close()
    }
  })

  it('takes the files of lettactl, and names what of theirs it has nothing for', async () => {
    await write({
      'agents.yml': `
root_path: .
providers: [{ name: p, provider_type: openai, api_key: { from_env: X } }]
shared_blocks:
  - { name: policies, description: Shared, limit: 5000, value: "Be brief.", version: 1.0.0, agent_owned: true }
agents:
  - name: e2e-1
    description: Minimal
    embedding: openai/text-embedding-3-small
    system_prompt: { value: "You are helpful.", disable_base_prompt: true }
    llm_config: { model: loci/demo, context_window: 32000, max_tokens: 512 }
    reasoning: false
    include_base_tools: false
    shared_blocks: [policies]
    memory: { mode: blocks }
    lettabot: { channels: {} }
    folders: [{ name: inline, files: [docs/one.md] }]
`,
    })
    const { stderr } = await apply()
    assert.match(stderr, /agents\.yml:3:1: 'providers' is left out: connect providers with/)
    assert.match(stderr, /agents\.yml:16:5: 'lettabot' is left out/)
    assert.doesNotMatch(stderr, /'memory'/)
    assert.equal((await drift()).code, 0)
    const minimal = await agentNamed('e2e-1')
    assert.deepEqual(
      minimal.tools.filter(({ tool_type }) => tool_type !== 'letta_files_core'),
      [],
    )
    assert.equal(minimal.blocks[0]?.value, 'Be brief.')
    assert.equal(minimal.llm_config.max_tokens, 512)
  })

  it('names file, line and field of every mistake, and changes nothing', async () => {
    await write({
      'agents.yml': `
sharedblocks: []
agents:
  - name: sam
    llm_cofig: { model: x }
    memory_blocks:
      - { name: a, limt: 5 }
      - { value: y }
      - { name: b, limit: many }
    system_prompt: { from_file: nowhere.md, value: x }
    secrets: { A: "\${env:NOPE}" }
  - name: "a/b"
`,
    })
    const { code, stderr } = await run('-f', 'agents.yml')
    assert.equal(code, 1)
    assert.deepEqual(
      stderr
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/^loci: /, '')),
      [
        "agents.yml:2:1: there is no key 'sharedblocks' here. Did you mean 'shared_blocks'?",
        "agents.yml:5:5: agents[0] (sam): there is no key 'llm_cofig' here. Did you mean 'llm_config'?",
        "agents.yml:7:20: agents[0] (sam).memory_blocks[0] (a): there is no key 'limt' here. Did you mean 'limit'?",
        "agents.yml:8:9: agents[0] (sam).memory_blocks[1]: a block needs a 'name' (or 'label')",
        'agents.yml:9:20: agents[0] (sam).memory_blocks[2] (b).limit: Invalid input: expected number, received string',
        "agents.yml:10:5: agents[0] (sam).system_prompt: give one of 'value' and 'from_file'",
        "agents.yml:11:16: agents[0].secrets.A: the environment has no variable 'NOPE'; set it, or write ${env:NOPE:-…} with another value",
        'agents.yml:12:5: agents[1] (a/b).name: letters, digits, spaces, apostrophes, underscores and hyphens only',
        'Nothing was changed: there are mistakes in the fleet.',
      ],
    )
    await write({
      'agents.yml': `
agents:
  - name: sam
    model: dem
    system: { from_file: nowhere.md }
    shared_blocks: [guide]
    tools: [archival_memory_inser, tools/none.py, tools/greet.ts]
  - name: sam
`,
    })
    const second = await run('-f', 'agents.yml')
    assert.match(second.stderr, /agents\.yml:5:15: nowhere\.md cannot be read: ENOENT/)
    assert.match(second.stderr, /agents\.yml:6:21: 'guide' is none of 'shared_blocks'/)
    assert.match(second.stderr, /agents\.yml:7:36: there is no file tools\/none\.py/)
    assert.match(second.stderr, /agents\.yml:8:5: there is an agent 'sam' already/)
    await write({
      'agents.yml':
        'agents:\n  - { name: sam, model: dem, tools: [archival_memory_inser, tools/greet.ts] }\n',
      'tools/greet.ts': 'export function greet(',
    })
    const third = await run('-f', 'agents.yml')
    assert.match(
      third.stderr,
      /there is no model 'dem' of any provider.* Did you mean 'loci\/demo'|There is: 'loci\/demo'/,
    )
    assert.match(third.stderr, /no tool 'archival_memory_inser' .*Did you mean 'archival_memory_insert'/)
    assert.match(third.stderr, /tools\/greet\.ts:1/)
    assert.deepEqual((await t.letta.agents.list()).items, [])
  })

  it('reads no file that would break it', async () => {
    const level = (i: number) =>
      `a${i}: &a${i} [${Array.from({ length: 9 }, () => `*a${i - 1}`).join(', ')}]\n`
    const bomb = `a0: &a0 [x]\n${Array.from({ length: 9 }, (_, i) => level(i + 1)).join('')}`
    const cases: [string, string | Uint8Array, RegExp][] = [
      ['bomb.yml', bomb, /bomb\.yml: .*alias/i],
      ['deep.yml', '['.repeat(200_000), /deep\.yml(:\d+:\d+)?: /],
      ['list.yml', '- a\n', /list\.yml:1:1: the file: /],
      ['empty.yml', '', /empty\.yml:1:1: the file says nothing/],
      ['null.yml', '~\n', /null\.yml:1:1: the file says nothing/],
      ['circle.yml', 'agents: &a\n  - *a\n', /circle\.yml:2:5: agents\[0\]: it refers to itself/],
      [
        'loop.yml',
        'agents:\n  - &x\n    name: x\n    metadata: { a: *x }\n',
        /loop\.yml:4:17: agents\[0\] \(x\)\.metadata\.a: it refers to itself/,
      ],
      ['merge.yml', 'agents:\n  - &x { name: x, <<: *x }\n', /merge\.yml(:\d+:\d+)?: /],
      ['twice.yml', 'agents: []\nagents: []\n', /twice\.yml:2:1: .*unique/],
      [
        'tag.yml',
        'agents:\n  - name: a\n    model: !!js/function "x"\n',
        /tag\.yml:3:12: the tag '!!js\/function' is none that Loci reads/,
      ],
      ['open.yml', 'agents: ["a\n', /open\.yml:\d+:\d+: /],
      [
        'bucket.yml',
        'agents: [{ name: a, folders: [{ name: b, files: [{ from_bucket: {} }] }] }]',
        /bucket\.yml:1:\d+: .*files\[0\]: a path is expected; Loci reads no buckets/,
      ],
      ['latin.yml', Uint8Array.of(0xe4, 0xff), /latin\.yml cannot be read: it is not UTF-8/],
      ['proto.yml', '__proto__: { fleet: x }\n', /proto\.yml:1:1: there is no key '__proto__'/],
      ['two.yml', 'agents: []\n---\nagents: []\n', /two\.yml:\d+:\d+: .*document/],
      ['big.yml', `# ${'x'.repeat(2_100_000)}`, /big\.yml cannot be read: it has 2\.1 MB/],
    ]
    for (const [name, text, expected] of cases) {
      await write({ [name]: text })
      const { code, stderr } = await run('-f', name)
      assert.equal(code, 1, name)
      assert.match(stderr, expected)
      assertReadable(stderr)
    }
    for (const path of ['nowhere.yml', 'docs', '/dev/zero']) {
      const { code, stderr } = await run('-f', path)
      assert.equal(code, 1, path)
      assertReadable(stderr)
    }
    assert.equal((await run()).code, 2, 'no file is named')
  })
})
