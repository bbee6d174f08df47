/** The editor's models for agents, and agents in the editor's chat, in real VS Code. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import { bundleSuites, REPO, writeVendor } from './bundle.ts'
import { createProfile, startCodeServer, type CodeServer, type Profile } from './code-server.ts'
import { openBrowser, openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']
const LIMIT = 180_000
const CHAT = { 'chat.disableAIFeatures': false }

describe('models in the extension host', () => {
  const work = mkdtempSync(join(tmpdir(), 'loci-models-'))
  let profile: Profile
  let server: CodeServer
  before(async () => {
    profile = createProfile({
      vsix: VSIX,
      settings: { 'loci.dataDirectory': join(work, 'data'), ...CHAT },
      env: { LOCI_E2E_REPO: REPO, LOCI_E2E_SUITE: 'models' },
    })
    const extensions = join(work, 'extensions')
    await writeVendor(join(extensions, 'loci-tests.scripted-1.0.0'))
    await bundleSuites(join(work, 'host.cjs'))
    server = await startCodeServer(profile, {
      flags: ['--vscode-option', 'enable-smoke-test-driver'],
      extensions,
    })
  })
  after(async () => {
    await server?.stop()
    profile?.remove()
    rmSync(work, { recursive: true, force: true })
  })

  it('pass their suite', async () => {
    const browser = await openBrowser(profile)
    try {
      const page = await browser.newPage({ viewport: { width: 1400, height: 900 } })
      const ended = Promise.withResolvers<number>()
      await page.exposeFunction('codeAutomationExit', (code: number) => ended.resolve(code))
      await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
        const line = format(...args)
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
      assert.equal(code, 0, 'the suite in the extension host')
    } finally {
      await browser.close()
    }
  })
})

describe('@loci in the chat view', () => {
  const work = mkdtempSync(join(tmpdir(), 'loci-chat-'))
  let bench: Workbench
  before(async () => {
    bench = await openWorkbench({ vsix: VSIX, dataDirectory: join(work, 'data'), settings: CHAT })
  })
  after(async () => {
    await bench?.close()
    rmSync(work, { recursive: true, force: true })
  })

  it('talks with an agent, which keeps what it is told', async () => {
    const { page } = bench
    await bench.openLoci()
    await bench.newAgent('Ada', 'loci/demo')
    await bench.command('Chat: Open Chat')
    const input = page.locator(
      '.interactive-input-editor .native-edit-context, .interactive-input-editor textarea',
    )
    await input.first().waitFor({ timeout: 60_000 })
    await input.first().focus()
    const say = async (text: string) => {
      await page.keyboard.type(text, { delay: 5 })
      await page.keyboard.press('Escape')
      await page.keyboard.press('Enter')
    }
    const answers = page.locator('.interactive-item-container.interactive-response')
    await say('@loci My name is Grace')
    await answers.filter({ hasText: 'Noted in my memory: Name: Grace.' }).waitFor({ timeout: 60_000 })
    // The agent is a model of the chat, too.
    await page.locator('.chat-input-toolbars', { hasText: 'Ada' }).first().waitFor()
    await say('/recall name')
    await answers.filter({ hasText: 'What Ada knows' }).waitFor({ timeout: 30_000 })
    if (shots) await bench.screenshot(join(shots, 'chat-participant.png'))
    await bench.rows('Blocks').filter({ hasText: 'Grace' }).first().waitFor()
  })
})
