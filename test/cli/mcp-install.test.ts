import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { parse } from 'smol-toml'
import { mergeMember, setMember } from '../../cli/json-edit.ts'
import { hostFiles } from '../../cli/mcp-host-files.ts'
import { writeLauncher } from '../../cli/mcp-launcher.ts'
import { setTable } from '../../cli/toml-edit.ts'
import { openDatabase } from '../../shared/store/sqlite/database.ts'
import { MIGRATIONS } from '../../shared/store/sqlite/migrate.ts'
import { assertReadable, cleanEnvironment, LOCI, loci, run, temporaryFolder } from '../support/cli-process.ts'

describe('loci mcp install', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    delete env['LOCI_HOME']
  })
  afterEach(() => folder.remove())

  const install = (...args: string[]) => loci(['mcp', 'install', ...args], { env })
  async function put(path: string, text: string): Promise<string> {
    const file = join(folder.path, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
    return file
  }

  it('writes what a host starts, for every host there is', async () => {
    for (const [name, host] of Object.entries(hostFiles(env))) {
      const { code, stdout, stderr } = await install(name)
      assert.equal(code, 0, stderr)
      assert.ok(stdout.includes(`Wrote ${host.file}.`), stdout)
      const text = await readFile(host.file, 'utf8')
      const command = join(folder.path, '.loci', 'bin', 'mcp')
      if (host.format === 'toml')
        assert.equal(text, `[mcp_servers.loci]\ncommand = "${command}"\nargs = []\n`)
      else {
        const servers = (JSON.parse(text) as Record<string, Record<string, object>>)[host.path[0] ?? '']
        assert.deepEqual(servers, { loci: host.entry({ command, args: [] }) })
      }
    }
  })

  it('starts a server that answers, by what it wrote', async () => {
    await install('cursor', '--toolsets', 'admin', '--name', 'admin')
    const text = await readFile(join(folder.path, '.cursor', 'mcp.json'), 'utf8')
    const { mcpServers } = JSON.parse(text) as {
      mcpServers: Record<string, { command: string; args: string[] }>
    }
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(new StdioClientTransport({ ...mcpServers['admin']!, env, stderr: 'ignore' }))
    try {
      assert.deepEqual((await client.listTools()).tools.map(({ name }) => name)[0], 'agent_export')
    } finally {
      await client.close()
    }
  })

  it('shows what changes, keeps everything else and a backup', async () => {
    const before =
      '// mine\n{\n\t"editor": 1,\n\t"servers": {\n\t\t"other": { "command": "x" }, // keep\n\t},\n}\n'
    const file = await put('.config/Code/User/mcp.json', before)
    const { stdout } = await install('vscode', '--agent', 'Ada', '--read-only')
    assert.match(stdout, /^\+ \t\t"loci": \{$/m)
    assert.match(stdout, /^ {2}\t\t"other": \{ "command": "x" \}, \/\/ keep$/m)
    const after = await readFile(file, 'utf8')
    assert.ok(
      after.startsWith(
        '// mine\n{\n\t"editor": 1,\n\t"servers": {\n\t\t"other": { "command": "x" }, // keep\n',
      ),
    )
    assert.match(after, /"--agent",\s+"Ada",\s+"--read-only"/)
    assert.equal(await readFile(`${file}.bak`, 'utf8'), before)
    assert.match((await install('vscode', '--agent', 'Ada', '--read-only')).stdout, /right already/)
    await install('vscode')
    assert.equal(await readFile(`${file}.bak2`, 'utf8'), after)
    const removed = await install('vscode', '--remove')
    assert.match(removed.stdout, /^- \t\t"loci": \{$/m)
    assert.doesNotMatch(await readFile(file, 'utf8'), /loci/)
  })

  it('writes nothing when it only prints or only shows', async () => {
    const printed = await install('claude-code', '--print')
    assert.match(printed.stdout, /"mcpServers": \{\n {4}"loci": \{\n {6}"type": "stdio",/)
    const shown = await install('claude-code', '--dry-run')
    assert.match(shown.stdout, /^\+ {3}"mcpServers": \{$/m)
    assert.deepEqual(
      (await readdir(folder.path)).filter((name) => name.startsWith('.claude')),
      [],
    )
  })

  it('leaves a configuration as it is that it cannot read, and says where it is wrong', async () => {
    const broken = '{\n  "mcpServers": {\n    "a" 1\n  }\n}\n'
    const file = await put('.cursor/mcp.json', broken)
    const { code, stderr } = await install('cursor')
    assert.equal(code, 1)
    assertReadable(stderr)
    assert.match(stderr, /left as it is: it is not valid JSON in line 3/)
    assert.equal(await readFile(file, 'utf8'), broken)
    for (const [text, why] of [
      ['{"mcpServers": []}', /"mcpServers" is no JSON object \(line 1\)/],
      ['\n[]', /the whole of it is no JSON object \(line 2\)/],
      ['{"mcpServers": {},\n"mcpServers": {}}', /it has "mcpServers" twice, again in line 2/],
    ] as const) {
      await writeFile(file, text)
      const refused = await install('cursor')
      assert.match(refused.stderr, why)
      assert.match(refused.stdout, /"mcpServers": \{\s+"loci": \{/)
      assert.equal(await readFile(file, 'utf8'), text)
    }
    await writeFile(file, '{"mcpServers": null}', { mode: 0o640 })
    await chmod(file, 0o640)
    assert.equal((await install('cursor')).code, 0)
    assert.match(await readFile(file, 'utf8'), /"mcpServers": \{\s+"loci": \{/)
    assert.equal((await stat(file)).mode & 0o777, 0o640)
    assert.match((await install('cursor', '--remove', '--name', 'x')).stdout, /has no entry 'x': nothing/)
    await mkdir(join(folder.path, '.gemini', 'settings.json'), { recursive: true })
    assert.match((await install('gemini')).stderr, /settings\.json cannot be read: it is a folder/)
    const toml = await put('.codex/config.toml', 'mcp_servers = { other = { command = "o" } }\n')
    const codex = await install('codex')
    assert.equal(codex.code, 1)
    assert.match(codex.stderr, /left as it is: it has 'mcp_servers' in a form/)
    assert.match(codex.stdout, /\[mcp_servers\.loci\]\ncommand = /)
    assert.equal(await readFile(toml, 'utf8'), 'mcp_servers = { other = { command = "o" } }\n')
  })

  it('follows a link to the configuration, and does not replace it', async () => {
    const real = await put('dotfiles/mcp.json', '{}\n')
    await mkdir(join(folder.path, '.cursor'))
    const link = join(folder.path, '.cursor', 'mcp.json')
    await symlink(real, link)
    assert.equal((await install('cursor')).code, 0)
    assert.ok((await lstat(link)).isSymbolicLink())
    assert.match(await readFile(real, 'utf8'), /"loci"/)
  })

  it('says what is wrong with a host, a name, a toolset and two places', async () => {
    for (const [args, words] of [
      [['cursur'], /no host 'cursur'. Did you mean 'cursor'/],
      [['cursor', '--name', 'a b'], /'a b' cannot name a server/],
      [['cursor', '--name', '__proto__'], /'__proto__' cannot name a server/],
      [['cursor', '--toolsets', 'x'], /no toolset 'x'/],
      [['cursor', '--url', 'http://x', '--data', 'y'], /not both/],
    ] as const) {
      const { code, stderr } = await install(...args)
      assert.notEqual(code, 0)
      assertReadable(stderr)
      assert.match(stderr, words)
    }
    assert.match((await install()).stdout, /^vscode .*\(not there\)$/m)
  })

  it('has a launcher that finds the newest extension when its own is gone', async () => {
    const old = await put('.vscode/extensions/loci.loci-0.1.0/dist/loci.js', 'console.log("old")')
    const launcher = writeLauncher(join(folder.path, 'data'), { main: old })
    const start = () => run('/bin/sh', [launcher, '--agent', "it's"], { env })
    assert.equal((await start()).stdout, 'old\n')
    await put('.vscode/extensions/loci.loci-0.10.0/dist/loci.js', 'console.log("new", process.argv.slice(2))')
    await rm(dirname(dirname(old)), { recursive: true })
    assert.equal((await start()).stdout, `new [ 'mcp', '--agent', "it's" ]\n`)
    await rm(join(folder.path, '.vscode'), { recursive: true })
    const nothing = await run('/bin/sh', [launcher], { env: { HOME: folder.path, PATH: '/usr/bin:/bin' } })
    assert.equal(nothing.code, 1)
    assert.match(nothing.stderr, /no Loci any more/)
    const own = await put('bin/loci', '#!/bin/sh\necho from PATH "$@"\n')
    await chmod(own, 0o755)
    const found = await run('/bin/sh', [launcher], {
      env: { HOME: folder.path, PATH: `${dirname(own)}:/usr/bin:/bin` },
    })
    assert.equal(found.stdout, 'from PATH mcp\n')
  })

  it('has a launcher that makes a Node of the editor that wrote it, where that is what runs Loci', async () => {
    const main = await put('dist/loci.js', 'console.log("as node:", process.env.ELECTRON_RUN_AS_NODE)')
    const data = join(folder.path, 'data')
    for (const [electron, said] of [
      [true, 'as node: 1\n'],
      [false, 'as node: undefined\n'],
    ] as const) {
      const launcher = writeLauncher(data, { main, electron })
      assert.equal((await run('/bin/sh', [launcher], { env })).stdout, said)
      const batch = await readFile(writeLauncher(data, { main, electron, platform: 'win32' }), 'utf8')
      assert.equal(batch.includes('set "ELECTRON_RUN_AS_NODE=1"\r\n'), electron)
    }
  })

  it('leaves an MCP server that says so and changes nothing, when a newer Loci has updated the data', async () => {
    const data = join(folder.path, 'data')
    const client = new Client({ name: 'test', version: '1' })
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [LOCI, 'mcp', '--data', data],
      env,
      stderr: 'ignore',
    })
    await client.connect(transport)
    try {
      const call = async (name: string, input: object = {}) => {
        const { content, isError } = await client.callTool({ name, arguments: { ...input } })
        return [isError ?? false, JSON.stringify(content)] as const
      }
      const made = await call('agent_create', { name: 'Ada', model: 'loci/demo' })
      assert.equal(made[0], false, made[1])
      // The extension was updated, and its new server has run.
      const migrations = [...MIGRATIONS, 'CREATE TABLE later (id TEXT)']
      const newer = await openDatabase({ directory: data, version: '9.9.9', migrations })
      await newer.close()
      const [failed, said] = await call('archival_insert', { agent: 'Ada', text: 'Too late.' })
      assert.ok(failed, said)
      assert.match(said, /updated by Loci 9\.9\.9.*restart/)
    } finally {
      await client.close()
    }
    const database = new DatabaseSync(join(data, 'loci.db'), { readOnly: true })
    assert.equal(database.prepare('SELECT count(*) AS passages FROM passages').get()?.['passages'], 0)
    database.close()
  })
})

describe('setMember', () => {
  const set = (text: string, value: unknown = 1) => setMember(text, ['a'], 'b', value)

  it('adds, replaces and removes a member and touches nothing else', () => {
    for (const [before, after] of [
      ['', '{\n  "a": {\n    "b": 1\n  }\n}\n'],
      ['{}', '{\n  "a": {\n    "b": 1\n  }\n}'],
      ['{"a":{}}', '{"a":{\n    "b": 1\n  }}'],
      ['{"a":{"b":[1,{"b":2}]}}', '{"a":{"b":1}}'],
      ['{"a":{"c":"}\\"{"}} // x\n', '{"a":{"c":"}\\"{",\n    "b": 1}} // x\n'],
      ['{"a":{"c":1,},}', '{"a":{"c":1,\n    "b": 1},}'],
      [
        '\uFEFF{\r\n\t"a": {\r\n\t\t"c": 1\r\n\t}\r\n}',
        '\uFEFF{\r\n\t"a": {\r\n\t\t"c": 1,\r\n\t\t"b": 1\r\n\t}\r\n}',
      ],
    ] as const)
      assert.equal(set(before), after)
    assert.equal(setMember('{"a":{"b":1,"c":2}}', ['a'], 'b', undefined), '{"a":{"c":2}}')
    assert.equal(setMember('{"a":{"c":2,"b":1}}', ['a'], 'b', undefined), '{"a":{"c":2}}')
    assert.equal(setMember('{"a":{"b":1}}', ['a'], 'b', undefined), '{"a":{}}')
    assert.equal(setMember('{"c":1}', ['a'], 'b', undefined), '{"c":1}')
  })

  it('names the line of what is no JSON', () => {
    for (const [text, line] of [
      ['{\n"a": {\n"b": }', 3],
      ['{"a": {"b": 1}}\n}', 2],
      ['{"a": "x\n"}', 1],
      ['{"a": 1 /* ', 1],
      ['{"a": {}', 1],
      ['{', 1],
    ] as const)
      assert.throws(() => set(text), new RegExp(`not valid JSON in line ${line}$`), text)
  })
})

describe('mergeMember', () => {
  it('keeps what the user has added to an entry, and nothing of one that is reached over HTTP', () => {
    const merge = (text: string) =>
      mergeMember(text, ['a'], 'b', { value: { command: 'x', args: [] }, dropped: ['url', 'headers'] })
    const before =
      '{\n  "a": {\n    "b": { "command": "old", "args": ["1"], "env": { "FOO": "1" } // mine\n    }\n  }\n}\n'
    assert.equal(merge(before), before.replace('"old"', '"x"').replace('["1"]', '[]'))
    assert.deepEqual(JSON.parse(merge('{"a":{"b":{"url":"http://x","headers":{},"env":{}}}}')), {
      a: { b: { env: {}, command: 'x', args: [] } },
    })
    assert.equal(merge('{"a":{"b":[]}}').replaceAll(/\s/g, ''), '{"a":{"b":{"command":"x","args":[]}}}')
    assert.equal(merge('').replaceAll(/\s/g, ''), '{"a":{"b":{"command":"x","args":[]}}}')
  })
})

describe('setTable', () => {
  const path = ['mcp_servers', 'loci']
  const entry = { command: '/x', args: ['a'] }
  const table = '[mcp_servers.loci]\ncommand = "/x"\nargs = [ "a" ]\n'

  it('adds, replaces and removes a table and touches nothing else', () => {
    assert.equal(setTable('', path, entry), table)
    const others = 'model = "m" # mine\n\n[other]\nx = 1\n'
    const added = setTable(others, path, entry)
    assert.equal(added, `${others}\n${table}`)
    assert.equal(setTable(added, path, entry), added)
    const between = `a = 1\n[mcp_servers.loci]\ncommand = "old"\ntimeout = 5\n\n# of other\n[other]\nx = 1\n`
    const set = `a = 1\n[mcp_servers.loci]\ncommand = "/x"\ntimeout = 5\nargs = [ "a" ]\n\n# of other\n[other]\nx = 1\n`
    assert.equal(setTable(between, path, entry), set)
    assert.equal(setTable(between, path, null), 'a = 1\n# of other\n[other]\nx = 1\n')
    assert.equal(setTable(others, path, null), others)
    assert.equal(setTable(others.replaceAll('\n', '\r\n'), path, entry), added.replaceAll('\n', '\r\n'))
  })

  it('keeps the environment of an entry, and takes it away with the entry', () => {
    const env = '[mcp_servers.loci.env]\nFOO = "1"\n'
    const before = `[mcp_servers.loci]\ncommand = "old"\n\n${env}\n[mcp_servers.other]\ncommand = "o"\n`
    const after = setTable(before, path, entry)
    assert.deepEqual(JSON.parse(JSON.stringify(parse(after))), {
      mcp_servers: { loci: { ...entry, env: { FOO: '1' } }, other: { command: 'o' } },
    })
    assert.ok(after.includes(`\n${env}`), after)
    assert.equal(setTable(before, path, null), '[mcp_servers.other]\ncommand = "o"\n')
  })

  it('refuses what is no TOML, and what it cannot change without touching more', () => {
    for (const broken of ['[mcp_servers.other\ncommand = "x', 'a = 1\na = 2\n'])
      for (const fields of [entry, null])
        assert.throws(() => setTable(broken, path, fields), /^Error: it is not valid TOML in line [12] \(/)
    for (const text of [
      'mcp_servers = { other = { command = "o" } }\n',
      '[mcp_servers]\nloci = { command = "old" }\n',
      'mcp_servers.loci.command = "old"\n',
      'text = """\n[mcp_servers.loci]\n"""\n',
      '[[mcp_servers]]\ncommand = "o"\n',
    ])
      assert.throws(() => setTable(text, path, entry), /in a form that is not changed here/, text)
    assert.throws(
      () => setTable('[mcp_servers]\nloci = { command = "old" }\n', path, null),
      /in a form that is not changed here/,
    )
    // Spelled otherwise, and the same table.
    assert.match(
      setTable('[ mcp_servers . "loci" ]\ncommand = "old"\n', path, entry),
      /^\[mcp_servers\.loci\]\n/,
    )
  })
})
