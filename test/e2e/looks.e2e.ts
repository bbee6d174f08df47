/** How everything looks in every theme, whether webviews are accessible, and whether large lists stay smooth. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import type { Frame } from 'playwright-core'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { until } from './code-server.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const repo = join(import.meta.dirname, '..', '..')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const kept = process.env['LOCI_E2E_SHOTS']
/** Set to make the pictures of the extension's README anew. */
const readme = process.env['LOCI_E2E_README'] === undefined ? null : join(repo, 'extension', 'media')

const THEMES = [
  ['dark', 'Default Dark Modern', 'vs-dark'],
  ['light', 'Default Light Modern', 'vs'],
  ['contrast', 'Default High Contrast', 'hc-black'],
  ['contrast-light', 'Default High Contrast Light', 'hc-light'],
] as const
const AGENTS = 1_000

describe('what Loci shows', () => {
  const shots = kept ?? mkdtempSync(join(tmpdir(), 'loci-looks-'))
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  let agent_id = ''

  const setTheme = async (name: string, className: string) => {
    const shown = workbench.page.locator(`.monaco-workbench.${className}`)
    const write = () => {
      for (const scope of ['User', 'Machine']) {
        const file = join(workbench.profile.root, 'user', scope, 'settings.json')
        const settings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
        writeFileSync(file, JSON.stringify({ ...settings, 'workbench.colorTheme': name }))
      }
    }
    // A change that follows another one closely may not be noticed.
    await until(`the theme is ${name}`, 60_000, async () => {
      write()
      return shown.waitFor({ timeout: 3_000 }).then(
        () => true,
        () => false,
      )
    })
  }
  /** A picture in every theme; of a webview also what axe finds in it. */
  const inEveryTheme = async (name: string, find?: () => Promise<Frame>) => {
    const found: string[] = []
    for (const [suffix, theme, className] of THEMES) {
      await setTheme(theme, className)
      const frame = await find?.()
      if (frame) {
        await frame.locator(`body.${vscodeClass(className)}`).waitFor()
        for (const violation of await seriousIn(frame)) found.push(`${suffix}: ${violation}`)
      }
      await workbench.screenshot(join(shots, `look ${name} ${suffix}.png`))
    }
    await setTheme(THEMES[0][1], THEMES[0][2])
    assert.deepEqual([...new Set(found)], [], `what axe finds in ${name}`)
  }
  const row = (view: 'Agents' | 'Blocks' | 'Tools', text: string) =>
    workbench.rows(view).filter({ hasText: text }).first()
  const closeAll = () => workbench.command('View: Close All Editors')

  before(async () => {
    mkdirSync(shots, { recursive: true })
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    workbench = await openWorkbench({
      vsix: VSIX,
      serverUrl: loci.url,
      settings: { 'files.autoSave': 'off', 'window.autoDetectColorScheme': false },
    })
    await workbench.openLoci()
    await workbench.page.getByText('No agents yet.').waitFor({ timeout: 60_000 })
  })
  after(async () => {
    await workbench?.close()
    await loci?.close()
    await model?.close()
    if (kept === undefined) rmSync(shots, { recursive: true, force: true })
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(kept ?? tmpdir(), `failed ${this.currentTest.title.slice(0, 20)}.png`))
  })

  it('has a package of at most 5 MB', () => {
    const size = statSync(VSIX).size / 1024 / 1024
    console.log(`    loci.vsix ${size.toFixed(2)} MB`)
    assert.ok(size <= 5)
  })

  it('begins with a walkthrough and an empty view that says what to do', async () => {
    const { page } = workbench
    await workbench.command('Loci: Get Started')
    await page.getByText('Connect a model, or try the demo').first().waitFor()
    await page.locator('.getting-started-media, .gettingStartedDetailsContent').first().waitFor()
    await inEveryTheme('walkthrough')
    await closeAll()
  })

  it('has views of agents, blocks and tools', async () => {
    const { letta } = loci
    const team = await letta.blocks.create({ label: 'team', value: 'We ship on Fridays.' })
    const scout = await letta.agents.create({
      name: 'Scout',
      model: SCRIPTED,
      description: 'Knows the project',
      memory_blocks: [
        { label: 'human', value: 'Name: Ada\nLikes tea', limit: 2_000 },
        { label: 'persona', value: 'I am Scout. I am to the point.' },
      ],
      block_ids: [team.id ?? ''],
    })
    agent_id = scout.id
    await letta.agents.create({ name: 'Helper', model: 'loci/demo', block_ids: [team.id ?? ''] })
    await row('Agents', 'Scout').locator('.monaco-tl-twistie').click()
    await row('Agents', 'persona').waitFor()
    await row('Tools', 'Built-in').click()
    await inEveryTheme('views')
  })

  it('has a chat with memory edits, code, and a call that waits', async () => {
    await row('Agents', 'Scout').click()
    const chat = await workbench.chat('Scout')
    const insert = { label: 'human', new_string: 'Ships on Fridays' }
    model.add(
      {
        reply: {
          reasoning: ['They told me something lasting: ', 'when they ship.'],
          tool_calls: [{ name: 'memory_insert', arguments: insert }],
        },
      },
      {
        reply: {
          text: 'I will remember that you ship on **Fridays**.\n\n```ts\nconst day = 5 // Friday\n```',
        },
      },
    )
    await chat.send('We ship on Fridays.')
    await chat.answers().filter({ hasText: 'Fridays' }).waitFor()
    await chat.idle()
    await loci.letta.agents.tools.updateApproval('memory_insert', { agent_id, body_requires_approval: true })
    model.add({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Sings' } }] },
    })
    await chat.send('I sing, too.')
    await chat.frame.locator('loci-chat .asking').waitFor()
    try {
      await inEveryTheme('chat', () => workbench.chat('Scout').then(({ frame }) => frame))
    } finally {
      await loci.letta.agents.messages.cancel(agent_id)
    }
    if (readme) copyFileSync(join(shots, 'look chat dark.png'), join(readme, 'readme-chat.png'))
  })

  it('has a panel for what the model sees', async () => {
    await workbench.command('Loci: Open Context')
    // Of the chat that is in front.
    const panel = () => workbench.webview('loci-context')
    await (await panel()).locator('loci-context').getByText('3 blocks').first().waitFor()
    await inEveryTheme('context', panel)
    await closeAll()
  })

  it('has memory as documents, with marks and a history', async () => {
    const { page } = workbench
    await workbench.command('Loci: Open Block')
    await workbench.answer('human', 'human')
    await page.locator('.tab.active', { hasText: 'human.md' }).waitFor()
    await loci.letta.agents.tools.updateApproval('memory_insert', { agent_id, body_requires_approval: false })
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Sings' } }],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    const messages = [{ role: 'user' as const, content: 'Note that I sing.' }]
    await loci.letta.agents.messages.create(agent_id, { messages })
    await page.locator('.codelens-decoration a', { hasText: 'Scout changed this' }).first().waitFor()
    await workbench.command('Loci: Show Memory History')
    await page
      .locator('.pane:has(.pane-header[aria-label^="Memory History"]) .monaco-list-row', { hasText: 'Sings' })
      .first()
      .waitFor()
    await inEveryTheme('memory')
    if (readme) copyFileSync(join(shots, 'look memory dark.png'), join(readme, 'readme-memory.png'))
    await closeAll()
  })

  it('has forms that run tools', async () => {
    const { page } = workbench
    await workbench.command('Loci: New Tool')
    await page.locator('.quick-input-widget', { hasText: 'Language' }).waitFor()
    await workbench.answer('TypeScript', 'an exported function')
    await page.locator('.quick-input-widget', { hasText: 'Name' }).waitFor()
    await workbench.answer('greet')
    const run = page.locator('.codelens-decoration a', { hasText: 'Run' }).first()
    await run.waitFor({ timeout: 60_000 })
    await run.click()
    const form = () => workbench.webview('loci-run-form h1')
    await (await form()).getByLabel('person').fill('Ada')
    await (await form()).getByRole('button', { name: 'Run' }).click()
    await (await form()).locator('.outcome', { hasText: 'Returned' }).waitFor()
    await inEveryTheme('tool', form)
    await closeAll()
  })

  it(`stays smooth with ${AGENTS} agents`, async () => {
    const { page } = workbench
    const create = (n: number) =>
      loci.letta.agents.create({ name: `Zed ${n}`, model: 'loci/demo', include_base_tools: false })
    for (let n = 0; n < AGENTS; n += 20)
      await Promise.all(Array.from({ length: 20 }, (_, i) => create(n + i)))
    const list = page.locator('.pane:has(.pane-header[aria-label^="Agents"]) .monaco-list')
    await workbench.command('Loci: Focus on Agents View')
    await until('the last one is shown', 60_000, async () => {
      await page.keyboard.press('End')
      return (await row('Agents', 'Zed 999').count()) > 0
    })
    await page.keyboard.press('Home')
    const box = await list.boundingBox()
    assert.ok(box)
    await page.mouse.move(box.x + 100, box.y + 60)
    const frames = page.evaluate<number[]>(FRAMES)
    for (let n = 0; n < 90; n++) await page.mouse.wheel(0, 600)
    const times = (await frames).sort((a, b) => a - b)
    const at = (part: number) => (times[Math.floor((times.length - 1) * part)] ?? Number.NaN).toFixed(0)
    console.log(
      `    frames while scrolling ${AGENTS} agents: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms`,
    )
    assert.ok((await workbench.rows('Agents').count()) < 100, 'rows out of sight are not in the page')
    await page.keyboard.press('End')
    await row('Agents', 'Zed 999').waitFor()
    const begun = performance.now()
    const [last] = (await loci.letta.agents.list({ name: 'Zed 999' })).items
    await loci.letta.agents.update(last?.id ?? '', { name: 'Zed 9999' })
    await row('Agents', 'Zed 9999').waitFor()
    console.log(`    a change of one of them shows after ${(performance.now() - begun).toFixed(0)} ms`)
    await workbench.screenshot(join(shots, 'look many.png'))
  })
})

/** Milliseconds between frames, for three seconds. */
const FRAMES = `new Promise((resolve) => {
  const times = []
  const begun = performance.now()
  let last = begun
  const next = (now) => {
    times.push(now - last)
    last = now
    if (now - begun < 3000) requestAnimationFrame(next)
    else resolve(times.slice(1))
  }
  requestAnimationFrame(next)
})`

/** What VS Code calls the theme in its webviews. */
function vscodeClass(className: (typeof THEMES)[number][2]): string {
  if (className === 'vs') return 'vscode-light'
  if (className === 'vs-dark') return 'vscode-dark'
  return className === 'hc-light' ? 'vscode-high-contrast-light' : 'vscode-high-contrast'
}

/** What is serious or worse in a webview, by axe, with the elements that it is about. */
async function seriousIn(frame: Frame): Promise<string[]> {
  // The window behind a webview, which axe does not see.
  await frame.evaluate('document.documentElement.style.background = "var(--vscode-editor-background)"')
  await frame.evaluate(axe)
  const { violations } = await frame.evaluate<AxeResults>(
    'axe.run(document, { resultTypes: ["violations"] })',
  )
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => {
      const [first] = nodes
      return `${id} (${nodes.length}): ${first?.html.slice(0, 160)} ${first?.failureSummary?.split('\n').at(-1)?.trim() ?? ''}`
    })
}
