/** Runs test/e2e/host/ with mocha INSIDE the extension host of real VS Code, on the unpacked package. */
import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import {
  createProfile,
  isAlive,
  startCodeServer,
  until,
  type CodeServer,
  type Profile,
} from './code-server.ts'
import { openBrowser, VSIX } from './workbench.ts'

const repo = join(import.meta.dirname, '..', '..')
const LIMIT = 180_000

describe('Loci in the extension host', () => {
  const work = mkdtempSync(join(tmpdir(), 'loci-host-'))
  const results = join(work, 'results.json')
  let profile: Profile
  let server: CodeServer

  before(async () => {
    profile = createProfile({
      vsix: VSIX,
      settings: {
        'loci.dataDirectory': join(work, 'data'),
        // For its MCP servers.
        'chat.disableAIFeatures': false,
        'chat.mcp.access': 'all',
      },
      env: { LOCI_E2E_REPO: repo, LOCI_E2E_RESULTS: results },
    })
    assert.ok(profile.extension, 'the package is unpacked')
    await build({
      entryPoints: [join(repo, 'test/e2e/host/index.ts')],
      outfile: join(work, 'host.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node22',
      external: ['vscode'],
      logLevel: 'warning',
    })
    const empty = join(work, 'extensions')
    mkdirSync(empty)
    server = await startCodeServer(profile, {
      flags: ['--vscode-option', 'enable-smoke-test-driver'],
      // Loci is there as the extension under development, not installed a second time.
      extensions: empty,
    })
  })
  after(async () => {
    await server?.stop()
    profile?.remove()
    rmSync(work, { recursive: true, force: true })
  })

  it('passes its suite, and leaves no server behind', async () => {
    const browser = await openBrowser(profile)
    try {
      const page = await browser.newPage({ viewport: { width: 1400, height: 900 } })
      const ended = Promise.withResolvers<number>()
      await page.exposeFunction('codeAutomationExit', (code: number) => ended.resolve(code))
      await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
        const line = format(...args)
        // Mocha indents all that it reports; the workbench's own chatter comes the same way and does not.
        if (/^\s|^Error/.test(line)) console.log(line)
      })
      const remote = `vscode-remote://127.0.0.1:${server.port}`
      const payload = [
        ['extensionDevelopmentPath', remote + profile.extension],
        ['extensionTestsPath', remote + join(work, 'host.cjs')],
      ]
      const query = new URLSearchParams({ folder: profile.workspace, payload: JSON.stringify(payload) })
      const limit = setTimeout(() => ended.reject(new Error(`The suite did not end in ${LIMIT} ms`)), LIMIT)
      await page.goto(`http://127.0.0.1:${server.port}/?${query.toString()}`, {
        waitUntil: 'domcontentloaded',
      })
      const code = await ended.promise.finally(() => clearTimeout(limit))
      const { activation, server_pid } = JSON.parse(readFileSync(results, 'utf8')) as {
        activation: number
        server_pid: number
      }
      console.log(`    activation ${activation.toFixed(1)} ms`)
      console.log(`    loci.vsix ${(statSync(VSIX).size / 1024 / 1024).toFixed(2)} MB`)
      assert.equal(code, 0, 'the suite in the extension host')
      assert.ok(existsSync(join(work, 'data', 'loci.db')), 'the data lie where loci.dataDirectory says')
      assert.ok(statSync(VSIX).size <= 5 * 1024 * 1024, 'the package has at most 5 MB')
      await page.close()
      await until('the Loci server ends with its window', 30_000, () => !isAlive(server_pid))
    } finally {
      await browser.close()
    }
  })
})
