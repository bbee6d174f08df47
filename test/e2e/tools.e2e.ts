/** Tools are written in the editor: from a new file to a breakpoint that stops while an agent calls it. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { bundleSuites, REPO } from './bundle.ts'
import { createProfile, startCodeServer, until, type CodeServer, type Profile } from './code-server.ts'
import { openBrowser, openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']
const LIMIT = 180_000
const ADD_UP = `/**
 * Adds numbers up.
 *
 * @param numbers - What is added.
 */
export function add_up(numbers: number[]): string {
  let total = 0
  for (const each of numbers) total += each
  return \`The sum is \${total}\`
}
`

describe('tools in the extension host', () => {
  const work = mkdtempSync(join(tmpdir(), 'loci-tools-'))
  let model: ScriptedModel
  let loci: TestLoci
  let profile: Profile
  let server: CodeServer
  before(async () => {
    model = await startScriptedModel([
      { reply: { tool_calls: [{ name: 'add_up', arguments: { numbers: [1, 2, 3] } }] } },
      { reply: { text: 'Six.' } },
    ])
    loci = await startLoci({ model_url: model.url })
    profile = createProfile({
      vsix: VSIX,
      settings: { 'loci.server.url': loci.url, 'loci.tools.pushOnSave': 'never' },
      env: { LOCI_E2E_REPO: REPO, LOCI_E2E_URL: loci.url, LOCI_E2E_SUITE: 'tools' },
    })
    // There when the window opens: tools in a folder are what activates Loci.
    const tools = join(profile.workspace, '.loci', 'tools')
    mkdirSync(tools, { recursive: true })
    writeFileSync(join(tools, 'add_up.ts'), ADD_UP)
    await bundleSuites(join(work, 'host.cjs'))
    const empty = join(work, 'extensions')
    mkdirSync(empty)
    server = await startCodeServer(profile, {
      flags: ['--vscode-option', 'enable-smoke-test-driver'],
      extensions: empty,
    })
  })
  after(async () => {
    await server?.stop()
    profile?.remove()
    await loci?.close()
    await model?.close()
    rmSync(work, { recursive: true, force: true })
  })

  it('pass their suite: a breakpoint stops while an agent calls', async () => {
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
      if (shots) await page.screenshot({ path: join(shots, 'tools-host.png') })
      assert.equal(code, 0, 'the suite in the extension host')
      await model.done()
    } finally {
      await browser.close()
    }
  })
})

describe('tools in the workbench', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  const look = async (name: string) => {
    if (shots) await workbench.screenshot(join(shots, `tools-${name}.png`))
  }
  const path = (...parts: string[]) => join(workbench.profile.workspace, '.loci', 'tools', ...parts)
  const lens = (title: string) =>
    workbench.page.locator('.editor-group-container .codelens-decoration a', { hasText: title }).first()
  const toast = (text: string) => workbench.page.locator('.notification-toast', { hasText: text }).first()
  const quickInput = (text: string) =>
    workbench.page.locator('.quick-input-widget', { hasText: text }).waitFor()
  const tab = (name: string) => workbench.page.locator('.tab.active', { hasText: name }).first().waitFor()
  /** Puts the cursor into this line of the file in front. */
  const goTo = async (line: number) => {
    const { page } = workbench
    const ask = async () => {
      await page.locator('.editor-group-container .view-lines').first().click()
      await page.keyboard.press('Control+g')
      await page.locator('.quick-input-widget').waitFor({ timeout: 1_000 })
    }
    // A webview that has just had the focus swallows the key.
    await until('the line is asked for', 15_000, () =>
      ask().then(
        () => true,
        () => false,
      ),
    )
    await workbench.answer(`:${line}`, `line ${line}`)
    await workbench.page.locator('.quick-input-widget').waitFor({ state: 'hidden' })
  }
  const toolOnServer = async (name: string) => (await loci.letta.tools.list({ names: [name] })).items[0]

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    await loci.letta.agents.create({ name: 'Scout', model: 'openai/test-model' })
    workbench = await openWorkbench({
      vsix: VSIX,
      serverUrl: loci.url,
      // The editor in a browser saves by itself.
      settings: { 'files.autoSave': 'off' },
    })
  })
  after(async () => {
    await workbench?.close()
    await loci?.close()
    await model?.close()
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(shots ?? tmpdir(), `failed ${this.currentTest.title.slice(0, 20)}.png`))
  })

  it('are made with a unit test, and open with what can be done with them', async () => {
    await workbench.command('Loci: New Tool')
    await quickInput('Language')
    await workbench.answer('TypeScript', 'an exported function')
    await quickInput('Name')
    await workbench.answer('get weather')
    await quickInput("'get weather' cannot be the name of a tool")
    await look('new')
    await workbench.answer('greet')
    await tab('greet.ts')
    for (const title of ['Run', 'Debug', 'Attach to Agent…', 'Schema']) await lens(title).waitFor()
    assert.ok(existsSync(path('greet.test.ts')) && existsSync(path('package.json')))
    await look('lenses')
  })

  it('show what is wrong at its line while they are written', async () => {
    const { page } = workbench
    await goTo(10)
    await page.keyboard.type('export default function second(when: Date) {}')
    await page.locator('.squiggly-error').first().waitFor()
    await page.keyboard.press('Control+Shift+m')
    await page.locator('.markers-panel', { hasText: 'Loci' }).waitFor()
    await look('problem')
    await workbench.command('File: Revert File')
    await page.locator('.squiggly-error').first().waitFor({ state: 'detached' })
    await workbench.command('View: Hide Panel')
  })

  it('show the schema that the model gets', async () => {
    await lens('Schema').click()
    await tab('greet.json')
    await workbench.page.locator('.view-lines', { hasText: '"person"' }).first().waitFor()
    await look('schema')
    await workbench.closeTab('greet.json')
    await tab('greet.ts')
  })

  it('run with a form that is made from the schema', async () => {
    await lens('Run').click()
    const form = await workbench.webview('loci-run-form h1')
    const run = form.getByRole('button', { name: 'Run' })
    await run.click()
    await form.getByText('The tool needs this.').waitFor()
    await form.getByLabel('person').fill('Ada')
    await form.getByLabel('language').selectOption('de')
    await run.click()
    await form.locator('.outcome', { hasText: 'Returned' }).waitFor()
    assert.equal(await form.locator('.outcome .text').innerText(), 'Guten Tag, Ada!')
    await look('run')
  })

  it('are cancelled when they take too long', async () => {
    const { page } = workbench
    await goTo(7)
    await page.keyboard.press('End')
    await page.keyboard.press('Enter')
    await page.keyboard.type('for (;;);')
    const form = await workbench.webview('loci-run-form h1')
    await page.locator('.view-lines', { hasText: 'for (;;)' }).first().waitFor()
    await form.getByRole('button', { name: 'Run' }).click()
    await form.getByRole('button', { name: 'Cancel' }).click()
    await form.locator('.outcome', { hasText: 'Cancelled' }).waitFor()
    await workbench.closeTab('Run greet')
    await tab('greet.ts')
    await workbench.command('File: Revert File')
    await page.locator('.view-lines', { hasText: 'for (;;)' }).first().waitFor({ state: 'detached' })
  })

  it('are pushed and attached when they are saved', async () => {
    const { page } = workbench
    await goTo(2)
    await page.keyboard.press('End')
    await page.keyboard.type(' Be kind.')
    await page.keyboard.press('Control+s')
    await toast('greet is saved').waitFor()
    await look('push')
    await toast('greet is saved').getByRole('button', { name: 'Push and Attach…' }).click()
    await quickInput('Attach greet')
    await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Scout' }).click()
    await page.locator('.quick-input-widget .monaco-button', { hasText: 'OK' }).first().click()
    await until('the agent has the tool', 10_000, async () => {
      const [scout] = (await loci.letta.agents.list({ name: 'Scout', include: ['agent.tools'] })).items
      return scout?.tools.some(({ name }) => name === 'greet') ?? false
    })
    assert.equal((await toolOnServer('greet'))?.source_code, readFileSync(path('greet.ts'), 'utf8'))
  })

  it('show how they differ from the server before they are pushed again', async () => {
    const { page } = workbench
    await goTo(2)
    await page.keyboard.press('End')
    await page.keyboard.type(' And brief.')
    await page.keyboard.press('Control+s')
    await toast('Agents call the server’s version').getByRole('button', { name: 'Show Changes' }).click()
    await tab('greet: the server')
    await page.locator('.multiDiffEntry', { hasText: 'greet.json' }).waitFor()
    await page.locator('.multiDiffEntry .char-insert').nth(1).waitFor()
    await look('changes')
    await toast('Agents call the server’s version').getByRole('button', { name: 'Push', exact: true }).click()
    await until('the server has it', 10_000, async () =>
      ((await toolOnServer('greet'))?.source_code ?? '').includes('And brief.'),
    )
    await workbench.closeTab('greet: the server')
    await tab('greet.ts')
  })

  it('stop at a breakpoint while an agent calls them', async () => {
    const { page } = workbench
    await goTo(8)
    await page.keyboard.press('F9')
    await page.locator('.codicon-debug-breakpoint').first().waitFor()
    await lens('Debug').click()
    await toast('waiting for an agent to call it').waitFor()
    await look('debug-waiting')
    model.add(
      { reply: { tool_calls: [{ name: 'greet', arguments: { person: 'Grace' } }] } },
      { reply: { text: 'I have greeted Grace.' } },
    )
    const [scout] = (await loci.letta.agents.list({ name: 'Scout' })).items
    const turn = loci.letta.agents.messages.create(scout?.id ?? '', {
      messages: [{ role: 'user', content: 'Greet Grace' }],
    })
    await page.locator('.debug-toolbar').waitFor({ timeout: 30_000 })
    await page.locator('.debug-top-stack-frame-line').first().waitFor()
    assert.equal(
      await page.locator('.tab', { hasText: 'greet.ts' }).count(),
      1,
      'it stops in the file itself',
    )
    const variables = page.locator('.debug-viewlet .monaco-list-row')
    await variables.filter({ hasText: 'Local' }).first().locator('.monaco-tl-twistie').click()
    await variables
      .filter({ hasText: /person\W+Grace/ })
      .first()
      .waitFor()
    await look('debug-stopped')
    await page.keyboard.press('F5')
    const { messages } = await turn
    assert.match(JSON.stringify(messages), /Hello, Grace!.*I have greeted Grace/s)
    await toast('greet returned: Hello, Grace!').waitFor()
    await model.done()
  })

  it('have their unit tests in the Test Explorer', async () => {
    const { page } = workbench
    await workbench.command('Testing: Focus on Test Explorer View')
    const rows = page.locator('.test-explorer .monaco-list-row')
    await rows.filter({ hasText: 'greet.test.ts' }).waitFor()
    await workbench.command('Test: Run All Tests')
    await rows.filter({ hasText: 'greet.test.ts' }).locator('.codicon-testing-passed-icon').waitFor()
    await look('tests-passed')
    const test = readFileSync(path('greet.test.ts'), 'utf8')
    writeFileSync(path('greet.test.ts'), test.replace('Guten Tag', 'Servus'))
    await workbench.command('Test: Run All Tests')
    await rows.filter({ hasText: 'greet.test.ts' }).locator('.codicon-testing-failed-icon').waitFor()
    await rows.filter({ hasText: 'greet.test.ts' }).locator('.monaco-tl-twistie').click()
    await rows.filter({ hasText: 'greet greets in the language' }).dblclick()
    await page
      .locator('.testing-diff-lens-widget, .test-message-inline-content, .zone-widget', { hasText: 'Servus' })
      .first()
      .waitFor()
    await look('tests-failed')
    writeFileSync(path('greet.test.ts'), test)
  })

  it('of the server open read-only, and are pulled into the workspace', async () => {
    const source =
      'def shout(text: str) -> str:\n    """Shouts.\n\n    Args:\n        text: What.\n    """\n    return text.upper()\n'
    await loci.letta.tools.create({ source_code: source, source_type: 'python', tags: ['loud'] })
    await workbench.openLoci()
    await workbench.rows('Tools').filter({ hasText: 'shout' }).first().click()
    await tab('shout.py')
    await look('server-source')
    await lens('Pull into Workspace').click()
    await lens('Run').waitFor()
    assert.equal(readFileSync(path('shout.py'), 'utf8'), source)
    assert.deepEqual(JSON.parse(readFileSync(path('shout.tool.json'), 'utf8')), { tags: ['loud'] })
    await workbench.rows('Tools').filter({ hasText: 'greet' }).first().click()
    await tab('greet.ts')
    await lens('Debug').waitFor()
  })

  it('in Python say what is missing to debug them', async () => {
    await workbench.rows('Tools').filter({ hasText: 'shout' }).first().click()
    await tab('shout.py')
    await lens('Debug').click()
    await toast('install the extension Python Debugger').waitFor()
    await look('debugpy')
  })
})

describe('tools in a workspace that is not trusted', () => {
  let loci: TestLoci
  let workbench: Workbench
  before(async () => {
    loci = await startLoci()
    workbench = await openWorkbench({
      vsix: VSIX,
      serverUrl: loci.url,
      trust: false,
      settings: { 'security.workspace.trust.startupPrompt': 'never' },
    })
  })
  after(async () => {
    await workbench?.close()
    await loci?.close()
  })

  it('are written, and neither run nor debugged', async () => {
    const { page } = workbench
    await workbench.command('Loci: New Tool')
    await workbench.answer('TypeScript', 'an exported function')
    await page.locator('.quick-input-widget', { hasText: 'Name' }).waitFor()
    await workbench.answer('greet')
    await page
      .locator('.codelens-decoration', { hasText: 'do not run in a workspace that is not trusted' })
      .waitFor()
    assert.equal(await page.locator('.codelens-decoration a', { hasText: 'Debug' }).count(), 0)
    if (shots) await workbench.screenshot(join(shots, 'tools-untrusted.png'))
  })
})
