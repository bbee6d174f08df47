import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'

describe('loci export and loci import', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const file = () => join(folder.path, 'Ada.af')

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    const talked = await loci(['chat', 'Ada', '--create'], { env, input: 'My name is Ada.\n' })
    assert.equal(talked.code, 0, talked.stderr)
  })
  afterEach(() => folder.remove())

  it('takes an agent from one data directory to another, with what it remembers', async () => {
    const written = await loci(['export', 'Ada', '--output', file()], { env })
    assert.equal(written.code, 0, written.stderr)
    assert.match(written.stderr, /Wrote Ada to .*Ada\.af \(\d+(\.\d)? k?B\)/)
    assert.equal(written.stdout, '')
    const elsewhere = { ...env, LOCI_HOME: join(folder.path, 'other') }
    const read = await loci(['import', file()], { env: elsewhere })
    assert.equal(read.code, 0, read.stderr)
    assert.match(read.stdout, /^agent-[0-9a-f-]{36}\n$/)
    const asked = await loci(['chat', 'Ada'], { env: elsewhere, input: 'What is my name?\n' })
    assert.match(asked.stdout, /Ada/)
  })

  it('writes to stdout, without messages, from a running server, and takes the file back under another name', async () => {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const { stdout } = await loci(['export', 'Ada', '--no-messages', '--output', '-', '--url', url], {
        env,
      })
      const exported = JSON.parse(stdout) as { agents: { messages: unknown[] }[] }
      assert.deepEqual(exported.agents[0]?.messages, [])
      await writeFile(file(), stdout)
      const read = await loci(['import', file(), '--name', 'Eve', '--url', url], { env })
      assert.equal(read.code, 0, read.stderr)
      const asked = await loci(['chat', 'Eve', '--url', url], { env, input: 'What is my name?\n' })
      assert.equal(asked.code, 0, asked.stderr)
    } finally {
      await server.stop()
    }
  })

  it('takes several files and folders of files; a bad one stops no other', async () => {
    assert.equal((await loci(['export', 'Ada', '--output', file()], { env })).code, 0)
    const fleet = join(folder.path, 'fleet')
    await mkdir(join(fleet, 'deep'), { recursive: true })
    const text = await readFile(file(), 'utf8')
    await writeFile(join(fleet, 'a.af'), text)
    await writeFile(join(fleet, 'bad.af'), text.slice(0, -100))
    await writeFile(join(fleet, 'deep', 'c.af'), text)
    await writeFile(join(fleet, 'notes.txt'), 'no agent')
    await symlink(join(fleet, 'nowhere'), join(fleet, 'dangling.af'))
    await symlink(file(), join(fleet, 'link.af'))
    await symlink(join(fleet, 'deep'), join(fleet, 'folder.af'))
    const elsewhere = { ...env, LOCI_HOME: join(folder.path, 'other') }
    const { code, stdout, stderr } = await loci(['import', fleet, file(), join(fleet, 'gone.af')], {
      env: elsewhere,
    })
    assert.equal(code, 1)
    assert.deepEqual(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[1]),
      [join(fleet, 'a.af'), join(fleet, 'deep', 'c.af'), join(fleet, 'link.af'), file()],
    )
    assert.match(stderr, /bad\.af was not imported: .*JSON/)
    assert.match(stderr, /gone\.af was not imported: .* cannot be read/)
    assert.match(stderr, /dangling\.af was not imported: .* cannot be read/)
    assert.match(stderr, /^4 agents of 4 files imported; 3 files could not be\.$/m)
    const listed = await loci(['import', fleet, '--json'], { env: elsewhere })
    const answer = JSON.parse(listed.stdout) as {
      files: { error: string | null }[]
      imported: number
      failed: number
    }
    assert.deepEqual(
      [answer.imported, answer.failed, answer.files.map(({ error }) => error === null)],
      [3, 2, [true, false, false, true, true]],
    )
    const named = await loci(['import', fleet, '--name', 'Eve'], { env: elsewhere })
    assert.match(named.stderr, /--name is for a single file/)
    const without = join(folder.path, 'without.af')
    await mkdir(without)
    const beside = await loci(['import', without, join(fleet, 'a.af')], { env: elsewhere })
    assert.equal(beside.code, 1)
    assert.match(beside.stdout, /^agent-.*a\.af\n$/)
    assert.match(beside.stderr, /without\.af was not imported: There is no agent file \(\.af\) in/)
    assert.match(beside.stderr, /^1 agent of 1 file imported; 1 file could not be\.$/m)
    const empty = await loci(['import', join(fleet, '..', 'loci')], { env: elsewhere })
    assert.match(empty.stderr, /no agent file \(\.af\) in/)
  })

  it('replaces no file unless it is told to', async () => {
    await writeFile(file(), 'mine')
    const refused = await loci(['export', 'Ada', '--output', file()], { env })
    assert.equal(refused.code, 1)
    assertReadable(refused.stderr)
    assert.match(refused.stderr, /--force/)
    assert.equal(await readFile(file(), 'utf8'), 'mine')
    assert.equal((await loci(['export', 'Ada', '--output', file(), '--force'], { env })).code, 0)
    assert.match(await readFile(file(), 'utf8'), /^\{\n"agents"/)
  })

  it('says in one line what is wrong', async () => {
    const bad = join(folder.path, 'bad.af')
    await writeFile(bad, '{"agents": [{"id": 1}]}')
    for (const [args, expected] of [
      [['export', 'Nobody'], /Nobody/],
      [['import', join(folder.path, 'none.af')], /none\.af cannot be read/],
      [['import', bad], /agents\[0\]\.id/],
      [['export', 'Ada', '--output', join(folder.path, 'no', 'where.af')], /cannot be written/],
    ] as const) {
      const { code, stderr } = await loci([...args], { env })
      assert.equal(code, 1, args.join(' '))
      assertReadable(stderr)
      assert.match(stderr, expected)
    }
    assert.ok(!existsSync(join(folder.path, 'no')))
  })
})
