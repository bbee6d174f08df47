/** What goes into a message and what the model sees: the composer and the Context panel in the real workbench. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from 'playwright-core'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { pasteFile, PNG } from '../support/page-events.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']

describe('the composer and the Context panel in the workbench', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  let agent_id: string
  const look = async (name: string) => {
    if (!shots) return
    mkdirSync(shots, { recursive: true })
    await workbench.screenshot(join(shots, `${name}.png`))
  }
  const chat = () => workbench.chat('Scout')
  const composer = async () => (await chat()).frame.locator('loci-composer')
  const panel = () => workbench.webview('loci-context .bar')
  const asked = () => JSON.stringify(model.requests.at(-1)?.body.messages.at(-1))
  const draftsOnDisk = () =>
    readdirSync(workbench.profile.root, { recursive: true, withFileTypes: true })
      .filter(
        (entry) => entry.isFile() && entry.name.endsWith('.json') && entry.parentPath.endsWith('drafts'),
      )
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join()
  const openFile = async (name: string) => {
    const { page } = workbench
    await page.keyboard.press('ControlOrMeta+P')
    await page.locator('.quick-input-widget input').fill(name)
    await page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first().click()
    await page.locator('.tab.active', { hasText: name }).waitFor()
  }

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    const memory_blocks = [
      { label: 'human', value: 'Name: Ada' },
      { label: 'project', value: 'A kettle that knows when tea is ready.' },
    ]
    const made = await loci.letta.agents.create({
      name: 'Scout',
      model: SCRIPTED,
      memory_blocks,
      context_window_limit: 16_000,
    })
    agent_id = made.id
    workbench = await openWorkbench({ vsix: VSIX, serverUrl: loci.url })
    const { workspace } = workbench.profile
    mkdirSync(join(workspace, 'src'), { recursive: true })
    writeFileSync(join(workspace, 'src', 'kettle.ts'), 'export const boiling = 100\n')
    writeFileSync(join(workspace, 'notes.md'), 'Green tea likes 80 degrees.\n')
    await workbench.openLoci()
    await workbench.rows('Agents').filter({ hasText: 'Scout' }).click()
  })
  after(async () => {
    await workbench?.close()
    await loci?.close()
    await model?.close()
    await model?.done()
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(shots ?? tmpdir(), 'context-e2e-failed.png'))
  })

  it('sends a file that is mentioned, as it is then', async () => {
    const scout = await chat()
    const { frame } = scout
    const input = frame.locator('textarea')
    await input.pressSequentially('What boils in @kett')
    await frame.getByRole('option', { name: 'kettle.ts' }).waitFor()
    await look('mention')
    await input.press('Enter')
    await frame.locator('.chip', { hasText: 'kettle.ts' }).waitFor()
    assert.equal(await input.inputValue(), 'What boils in @kettle.ts ')
    writeFileSync(join(workbench.profile.workspace, 'src', 'kettle.ts'), 'export const boiling = 212\n')
    model.add({ reply: { text: 'Water does.' } })
    await input.press('Enter')
    await frame.locator('article.assistant', { hasText: 'Water does.' }).waitFor()
    await scout.idle()
    assert.ok(asked().includes('src/kettle.ts') && asked().includes('boiling = 212'), asked())
    await frame.locator('article.user details.attached', { hasText: 'src/kettle.ts' }).waitFor()
    assert.equal(await frame.locator('.chip').count(), 0)
  })

  it('adds what is selected in an editor, and an image that is pasted', async () => {
    const { page } = workbench
    await openFile('notes.md')
    await page.locator('.monaco-editor .view-line', { hasText: 'Green tea' }).click()
    await page.keyboard.press('ControlOrMeta+A')
    await workbench.command('Loci: Add Selection to Loci Chat')
    const scout = await chat()
    const { frame } = scout
    await frame.locator('.chip', { hasText: 'notes.md:1' }).waitFor()
    await pasteImage(frame)
    await frame.locator('.chip.image').waitFor()
    await look('attached')
    model.add({ reply: { text: 'Eighty.' } })
    await frame.locator('textarea').fill('How hot?')
    await frame.locator('textarea').press('Enter')
    await frame.locator('article.assistant', { hasText: 'Eighty.' }).waitFor()
    await scout.idle()
    assert.ok(asked().includes('Green tea likes 80') && asked().includes('data:image/png;base64'), asked())
    await frame.locator('article.user img').waitFor()
    await frame.locator('textarea').pressSequentially('@sel')
    await frame.getByRole('option', { name: 'selection' }).click()
    await frame.locator('.chip', { hasText: 'notes.md:1' }).waitFor()
    await frame.getByRole('button', { name: 'Remove notes.md:1' }).click()
    await frame.locator('textarea').fill('')
  })

  it('says the last message in other words after Up, with what was attached', async () => {
    const scout = await chat()
    const { frame } = scout
    await frame.locator('loci-composer textarea').press('ArrowUp')
    const edit = frame.locator('.edit textarea')
    await edit.waitFor()
    assert.equal(await edit.inputValue(), 'How hot?')
    model.add({ reply: { text: 'Eighty degrees.' } })
    await edit.fill('How hot exactly?')
    await edit.press('Enter')
    await frame.locator('article.assistant', { hasText: 'Eighty degrees.' }).waitFor()
    await scout.idle()
    assert.ok(asked().includes('How hot exactly?') && asked().includes('Green tea likes 80'), asked())
    assert.ok(asked().includes('data:image/png;base64'))
  })

  it('stops an answer with Escape', async () => {
    const scout = await chat()
    const { frame } = scout
    model.add({ reply: { text: ['Begun', ' never'], hold: new Promise(() => undefined), hold_after: 2 } })
    await frame.locator('loci-composer textarea').fill('Go on')
    await frame.locator('loci-composer textarea').press('Enter')
    await frame.locator('article.assistant', { hasText: 'Begun' }).waitFor()
    await frame.locator('loci-composer textarea').press('Escape')
    await frame.getByText('Stopped.').first().waitFor()
    await scout.idle()
  })

  it('chooses another model for the agent', async () => {
    const button = (await composer()).getByRole('button', { name: `Model: ${SCRIPTED}` })
    await button.click()
    await workbench.page.locator('.quick-input-widget', { hasText: 'Model' }).waitFor()
    await look('model')
    await workbench.answer('demo', 'loci/demo')
    await (await composer()).getByRole('button', { name: 'Model: loci/demo' }).waitFor()
    assert.equal((await loci.letta.agents.retrieve(agent_id)).model, 'loci/demo')
    await loci.letta.agents.update(agent_id, { model: SCRIPTED, context_window_limit: 16_000 })
    await button.waitFor()
  })

  it('shows what the model sees, from the title of the chat', async () => {
    await workbench.page.locator('.editor-actions').getByRole('button', { name: 'Open Context' }).click()
    const frame = await panel()
    await frame.getByRole('button', { name: /^Blocks/ }).click()
    await frame.locator('details.item', { hasText: 'project' }).locator('summary').click()
    await frame.locator('pre', { hasText: 'A kettle that knows' }).waitFor()
    const said = await frame.locator('.sizes').innerText()
    assert.match(said, /of 16,000 tokens.*128,000/s)
    await look('context')
  })

  it('follows what changes elsewhere', async () => {
    const frame = await panel()
    await loci.letta.agents.blocks.update('project', { agent_id, value: 'A teapot.' })
    await frame.locator('pre', { hasText: 'A teapot.' }).waitFor({ timeout: 5_000 })
  })

  it('compacts now and logs it', async () => {
    const frame = await panel()
    model.add({ reply: { text: 'They spoke of tea.' } })
    await frame.getByRole('button', { name: 'Compact Now' }).click()
    await frame.getByText('Compacted:').waitFor()
    await frame.getByRole('tab', { name: 'Compactions (1)' }).click()
    await frame.locator('details.item', { hasText: 'asked for' }).locator('summary').click()
    await frame.locator('pre', { hasText: 'They spoke of tea.' }).waitFor()
    await look('compacted')
  })

  it('traces a run down to what the provider got, and opens that in an editor', async () => {
    const frame = await panel()
    await frame.getByRole('tab', { name: 'Runs' }).click()
    await frame.locator('details.run summary').first().click()
    await frame.locator('details.trace summary', { hasText: 'Request' }).first().click()
    await frame.locator('pre', { hasText: '"model": "test-model"' }).waitFor()
    await look('trace')
    await frame.getByRole('button', { name: 'Open in Editor' }).click()
    await workbench.page.locator('.tab.active', { hasText: 'Request.json' }).waitFor()
    await workbench.page.locator('.monaco-editor .view-line', { hasText: 'test-model' }).first().waitFor()
    await workbench.command('View: Close Editor')
  })

  it('begins another conversation, and keeps what is written there over a reload', async () => {
    await workbench.page.locator('.tab', { hasText: /^Scout/ }).click()
    await (await composer()).getByRole('button', { name: 'Conversation: Main conversation' }).click()
    await workbench.page.locator('.quick-input-list', { hasText: 'New Conversation' }).waitFor()
    await look('conversations')
    await workbench.answer('New Conversation', 'New Conversation')
    await eventually('the conversation', async () =>
      (await loci.letta.conversations.list({ agent_id })).length === 1 ? true : null,
    )
    const fresh = async () =>
      workbench.webview('loci-composer button[aria-label^="Conversation: Conversation of"]')
    const frame = await fresh()
    await pasteImage(frame)
    await frame.locator('.chip.image').waitFor()
    await frame.locator('textarea').fill('half a sentence')
    await eventually('the draft is on disk', () => (draftsOnDisk().includes('half a sentence') ? true : null))
    const reloaded = workbench.page.waitForEvent('domcontentloaded')
    await workbench.command('Developer: Reload Window')
    await reloaded
    const again = await fresh()
    await again.locator('.chip.image').waitFor()
    assert.equal(await again.locator('textarea').inputValue(), 'half a sentence')
  })

  it('looks like VS Code in every theme', async () => {
    for (const theme of ['Light Modern', 'Dark High Contrast']) {
      await workbench.command('Preferences: Color Theme')
      await workbench.answer(theme, theme)
      await workbench.command('Loci: Open Context')
      const frame = await panel()
      await frame.locator('.legend').waitFor()
      assert.equal(await workbench.page.locator('.tab', { hasText: 'Context: Scout' }).count(), 1)
      await look(`context ${theme}`)
      const colour = await frame.evaluate<string>(
        "getComputedStyle(document.querySelector('loci-context').shadowRoot.querySelector('.bar .fill')).fill",
      )
      assert.notEqual(colour, 'rgb(0, 0, 0)', theme)
    }
  })
})

/** Pastes a small picture where the user writes. */
function pasteImage(frame: Frame): Promise<void> {
  return pasteFile(frame.locator('loci-composer textarea'), {
    name: 'tea.png',
    type: 'image/png',
    bytes: PNG,
  })
}
