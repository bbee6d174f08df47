import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNpmRequirements } from '../../../shared/tools/requirements/npm-requirements.ts'

describe('packages of TypeScript tools', function () {
  this.timeout(120_000)
  let folder: string
  let registry: Server
  let url: string
  let mark: string
  let asked: string[] = []
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'loci-npm-'))
    mark = join(folder, 'mark')
    const own = join(folder, 'greeter')
    mkdirSync(own)
    const manifest = {
      name: 'greeter',
      version: '1.2.0',
      main: 'index.js',
      scripts: { install: `node -e "require('fs').writeFileSync('${mark}', '')"` },
    }
    writeFileSync(join(own, 'package.json'), JSON.stringify(manifest))
    writeFileSync(join(own, 'index.js'), 'module.exports = (name) => `Hello ${name}`')
    const tarball = join(folder, 'greeter.tgz')
    execFileSync('tar', ['-czf', tarball, '-C', folder, '--transform', 's/^greeter/package/', 'greeter'])
    const bytes = readFileSync(tarball)
    registry = createServer((request, response) => {
      asked.push(request.url ?? '')
      if (request.url === '/endless') return
      if (request.url === '/greeter.tgz') return void response.end(bytes)
      if (request.url !== '/greeter') return void response.writeHead(404).end('{"error":"not found"}')
      const dist = {
        tarball: `${url}greeter.tgz`,
        integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      }
      response.end(
        JSON.stringify({
          name: 'greeter',
          'dist-tags': { latest: '1.2.0' },
          versions: { '1.2.0': { ...manifest, hasInstallScript: true, dist } },
        }),
      )
    })
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`
  })
  after(() => {
    registry.closeAllConnections()
    registry.close()
    rmSync(folder, { recursive: true })
  })
  beforeEach(() => {
    asked = []
  })

  const requirements = (timeout_ms = 60_000) =>
    createNpmRequirements({
      directory: join(folder, 'environments'),
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, NPM_CONFIG_REGISTRY: url },
      timeout_ms,
    })
  const never = () => ({ signal: new AbortController().signal })
  const left = () => readdirSync(join(folder, 'environments')).filter((name) => /^\.|lock$/.test(name))

  it('are installed once, without running their scripts', async () => {
    const wanted = { npm_requirements: [{ name: 'greeter', version: '^1.0.0' }] }
    const told: string[] = []
    const made = await requirements()(wanted, { ...never(), onProgress: (text) => void told.push(text) })
    assert.equal(told[0], 'Installing greeter@^1.0.0 with npm; this is done once.')
    assert.match(told.at(-1) ?? '', /^Installed greeter@\^1\.0\.0 in [\d.]+ s\.$/)
    assert.ok(existsSync(join(made, 'node_modules', 'greeter', 'index.js')))
    assert.equal(existsSync(mark), false)
    assert.ok(asked.length > 0)
    asked = []
    assert.equal(await requirements()(wanted, never()), made)
    assert.deepEqual(asked, [])
    assert.deepEqual(left(), [])
  })

  it('that are not there are an error that names them', async () => {
    await assert.rejects(
      requirements()({ npm_requirements: [{ name: 'no-such-package' }] }, never()),
      /^AppError: npm could not install no-such-package: npm error [^]*no-such-package/,
    )
    assert.deepEqual(left(), [])
  })

  it('that never come are given up at the limit', async () => {
    await assert.rejects(
      requirements(4000)({ npm_requirements: [{ name: 'endless' }] }, never()),
      /^AppError: npm could not install endless: it took longer than 4 s$/,
    )
    assert.deepEqual(left(), [])
  })

  it('need npm, which a machine may not have', async () => {
    const without = createNpmRequirements({ directory: folder, env: { PATH: folder } })
    await assert.rejects(
      without({ npm_requirements: [{ name: 'greeter' }] }, never()),
      /There is no 'npm' on the PATH/,
    )
  })
})
