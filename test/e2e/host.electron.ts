/**
 * The suites of test/e2e/host in VS Code as Microsoft ships it (`npm run test:electron`): the oldest that Loci runs in, and
 * the newest. `E2E_VSCODE` names the program of a VS Code that is there already.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { bundleSuites, REPO, writeVendor } from './bundle.ts'

const SERVER = 'https://update.code.visualstudio.com'
const OWN = process.env['E2E_VSCODE']

describe('Loci in the VS Code that Microsoft ships', () => {
  const work = mkdtempSync(join(tmpdir(), 'loci-electron-'))
  const vendor = join(work, 'vendor')
  before(async () => {
    if (OWN === undefined) await requireServer()
    requireDisplay()
    await bundleSuites(join(work, 'host.cjs'))
    await writeVendor(vendor)
  })
  after(() => rmSync(work, { recursive: true, force: true }))

  const run = async (version: string, suite: string, settings: object, env: Record<string, string> = {}) => {
    const root = mkdtempSync(join(work, `${suite}-`))
    const folder = (name: string) => {
      mkdirSync(join(root, name), { recursive: true })
      return join(root, name)
    }
    writeFileSync(
      join(folder('user/User'), 'settings.json'),
      JSON.stringify({ 'chat.disableAIFeatures': false, 'chat.mcp.access': 'all', ...settings }),
    )
    const vscodeExecutablePath =
      OWN ?? (await downloadAndUnzipVSCode({ version, cachePath: join(tmpdir(), 'loci-e2e', 'electron') }))
    const code = await runTests({
      vscodeExecutablePath,
      extensionDevelopmentPath: [REPO, vendor],
      extensionTestsPath: join(work, 'host.cjs'),
      extensionTestsEnv: {
        LOCI_E2E_REPO: REPO,
        LOCI_E2E_SUITE: suite,
        LOCI_E2E_RESULTS: join(root, 'results.json'),
        HOME: folder('home'),
        LOCI_HOME: join(root, 'loci-default'),
        ...env,
      },
      launchArgs: [
        folder('workspace'),
        `--user-data-dir=${join(root, 'user')}`,
        `--extensions-dir=${folder('extensions')}`,
        '--disable-workspace-trust',
        '--disable-telemetry',
        '--disable-updates',
        '--skip-welcome',
        '--no-sandbox',
      ],
    })
    assert.equal(code, 0, `the suite ${suite} in VS Code ${version}`)
  }

  for (const version of OWN === undefined ? [oldest(), 'stable'] : ['of E2E_VSCODE'])
    describe(version, () => {
      let model: ScriptedModel
      let loci: TestLoci
      before(async () => {
        model = await startScriptedModel([
          { reply: { tool_calls: [{ name: 'add_up', arguments: { numbers: [1, 2, 3] } }] } },
          { reply: { text: 'Six.' } },
        ])
        loci = await startLoci({ model_url: model.url })
      })
      after(async () => {
        await loci?.close()
        await model?.close()
      })

      it('passes the suite of the whole extension', () =>
        run(version, 'extension', { 'loci.dataDirectory': join(work, `data-${version}`) }))
      it('passes the suite of models', () =>
        run(version, 'models', { 'loci.dataDirectory': join(work, `models-${version}`) }))
      it('passes the suite of tools', async () => {
        const settings = { 'loci.server.url': loci.url, 'loci.tools.pushOnSave': 'never' }
        await run(version, 'tools', settings, { LOCI_E2E_URL: loci.url })
        await model.done()
      })
    })
})

/** What `engines.vscode` names. */
function oldest(): string {
  const { engines } = JSON.parse(readFileSync(join(REPO, 'package.json'), 'utf8')) as {
    engines: { vscode: string }
  }
  return engines.vscode.replace(/^\D+/, '')
}

/** Throws, saying what else can be done, where VS Code cannot be had. */
async function requireServer(): Promise<void> {
  const problem = await new Promise<string | null>((resolve) => {
    const asking = request(
      `${SERVER}/api/releases/stable`,
      { method: 'HEAD', timeout: 15_000 },
      (response) => {
        response.resume()
        resolve((response.statusCode ?? 500) < 400 ? null : `it answered ${response.statusCode}`)
      },
    )
    asking.once('timeout', () => {
      resolve('it did not answer in 15 s')
      asking.destroy()
    })
    asking.once('error', (error) => resolve(error.message))
    asking.end()
  })
  if (problem !== null)
    throw new Error(
      `VS Code cannot be downloaded here: ${SERVER} cannot be reached (${problem}). ` +
        'The same suites run in code-server: npm run test:e2e. Or name the program of an installed VS Code in E2E_VSCODE.',
    )
}

function requireDisplay(): void {
  if (process.platform !== 'linux' || process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY']) return
  throw new Error('VS Code needs a display: xvfb-run -a npm run test:electron')
}
