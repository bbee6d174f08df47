import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createParserInstaller } from '../../shared/tools/files/install-parsers.ts'
import { type NpmRegistry, startNpmRegistry } from '../support/npm-registry.ts'

describe('parsers that are installed', function () {
  this.timeout(60_000)
  let registry: NpmRegistry
  let root: string
  let folder: string
  let env: Record<string, string | undefined>
  beforeEach(async () => {
    registry = await startNpmRegistry({ one: 'export const n = 1', two: 'export const n = 2' })
    root = await mkdtemp(join(tmpdir(), 'loci-parsers-'))
    folder = join(root, 'parsers')
    env = {
      PATH: process.env['PATH'],
      HOME: root,
      npm_config_cache: join(root, 'cache'),
      npm_config_registry: registry.url,
    }
  })
  afterEach(async () => {
    await registry.close()
    await rm(root, { recursive: true, force: true })
  })

  const { signal } = new AbortController()
  const installer = (more: object = {}) =>
    createParserInstaller({ folder, lock: registry.lock(), env, ...more })
  const left = async () => (existsSync(folder) ? await readdir(folder) : [])

  it('are what the lockfile says, and installed once', async () => {
    const parsers = installer()
    await parsers.install({ signal })
    assert.equal(
      await readFile(join(parsers.target, 'node_modules', 'two', 'index.js'), 'utf8'),
      'export const n = 2',
    )
    const before = registry.hits.length
    assert.ok(before > 0)
    await parsers.install({ signal })
    await installer().install({ signal })
    assert.equal(registry.hits.length, before)
    assert.equal((await left()).length, 1)
  })

  it('are installed by several at once, and one of them stays', async () => {
    const one = installer()
    await Promise.all([one.install({ signal }), one.install({ signal }), installer().install({ signal })])
    assert.deepEqual(await left(), [one.target.split('/').at(-1)])
  })

  it('of another hash than the lockfile says are refused', async () => {
    const wrong = installer({ lock: registry.lock('two') })
    await assert.rejects(wrong.install({ signal }), /npm could not install them \(.*integrity/i)
    assert.deepEqual(await left(), [])
  })

  it('say what to do where there is no npm, or no registry', async () => {
    const nothing = installer({ env: { ...env, PATH: join(root, 'empty') } })
    await assert.rejects(
      nothing.install({ signal }),
      /npm was not found to install them\. Install them with: npm install --prefix ".*parsers" one@1\.0\.0 two@1\.0\.0/,
    )
    const away = installer({ env: { ...env, npm_config_registry: 'http://127.0.0.1:1' } })
    await assert.rejects(away.install({ signal }), /npm could not install them \(.*ECONNREFUSED/)
    assert.deepEqual(await left(), [])
  })

  it('are not tried again for each file when they could not be installed', async () => {
    const parsers = installer({ lock: registry.lock('two') })
    await assert.rejects(parsers.install({ signal }))
    const before = registry.hits.length
    await assert.rejects(parsers.install({ signal }), /npm could not install them/)
    assert.equal(registry.hits.length, before)
  })

  it('leave nothing when they are given up', async () => {
    const stopping = new AbortController()
    const parsers = installer()
    const installing = parsers.install({ signal: stopping.signal })
    stopping.abort(new Error('stopping'))
    await assert.rejects(installing, /stopping/)
    assert.deepEqual(await left(), [])
    await parsers.install({ signal })
    assert.equal((await left()).length, 1)
  })

  it('that take too long are given up', async () => {
    await assert.rejects(installer({ time_limit_ms: 1 }).install({ signal }), /took longer than 0\.001 s/)
    assert.deepEqual(await left(), [])
  })
})
