import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment, loci, LOCI, start, temporaryFolder } from '../support/cli-process.ts'

describe('--json', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const json = async (args: string[], code = 0) => {
    const result = await loci([...args, '--json'], { env, cwd: folder.path })
    assert.equal(result.code, code, result.stderr)
    assert.equal(result.stdout.trimEnd().split('\n').length, 1, 'one line in a pipe')
    return JSON.parse(result.stdout) as Record<string, unknown> & Record<string, unknown>[]
  }

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  after(() => folder.remove())

  it('tells versions, and where the settings are and whether they are right', async () => {
    assert.deepEqual(Object.keys(await json(['version'])), ['version', 'node', 'sqlite', 'platform', 'arch'])
    assert.equal((await json(['config', 'path']))['exists'], false)
    const set = await json(['config', 'set', 'server.port', '9000'])
    assert.deepEqual([set['key'], set['after']], ['server.port', '9000'])
    assert.equal((await json(['config', 'check']))['ok'], true)
    const connected = await json(['connect', 'work', '--url', 'http://127.0.0.1:1/v1', '--no-check'])
    assert.deepEqual([connected['name'], connected['replaced']], ['work', false])
  })

  it('tells what was backed up and restored, and what an uninstall removes', async () => {
    await loci(['agents', 'create', 'Ada'], { env })
    const backup = await json(['backup', join(folder.path, 'copy.db')])
    assert.equal((backup['rows'] as Record<string, number>)['agents'], 1)
    const restored = await json(['restore', String(backup['path'])])
    assert.equal(typeof restored['previous'], 'string')
    assert.deepEqual((await json(['uninstall']))['removed'], [])
  })

  it('tells of tools: new, checked, pushed, listed and pulled', async () => {
    const files = (await json(['tools', 'new', 'greet']))['files'] as string[]
    const [file = ''] = files
    const checked = await json(['tools', 'check', file])
    assert.deepEqual(
      checked.map((one) => [one['file'], one['problems']]),
      [[file, []]],
    )
    await writeFile(join(folder.path, 'bad.ts'), 'export const nothing = 1\n')
    const [bad] = await json(['tools', 'check', 'bad.ts'], 1)
    assert.equal(bad?.['schema'], null)
    assert.deepEqual(
      (await json(['tools', 'push', file])).map((one) => one['change']),
      ['new'],
    )
    assert.deepEqual(
      (await json(['tools', 'push', file])).map((one) => one['change']),
      ['unchanged'],
    )
    assert.deepEqual(
      (await json(['tools', 'list'])).map((one) => one['name']),
      ['greet'],
    )
    assert.deepEqual(
      (await json(['tools', 'pull', 'greet'])).map((one) => one['change']),
      ['unchanged'],
    )
  })

  it('tells where a server is, once it answers', async () => {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0', '--auth', '--json'], env)
    try {
      const [line] = await server.waitFor(/^\{.*\}\n/)
      const { url, key } = JSON.parse(line) as { url: string; key: string }
      const headers = { authorization: `Bearer ${key}` }
      assert.equal((await fetch(`${url}/v1/agents/`, { headers })).status, 200)
      assert.equal((await fetch(`${url}/v1/agents/`)).status, 401)
    } finally {
      await server.stop()
    }
    assert.equal(server.stdout.split('\n').length, 2)
  })
})
