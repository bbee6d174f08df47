/** Memory blocks as documents, as a user works with them while agents and other windows change them. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { until } from './code-server.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']

describe('a memory block as a document', () => {
  // Outlives its server.
  const data = mkdtempSync(join(tmpdir(), 'loci-blocks-'))
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  let agent_id = ''
  let human = ''
  const look = async (name: string) => {
    if (shots) await workbench.screenshot(join(shots, `${name}.png`))
  }
  const row = (view: 'Agents' | 'Blocks', text: string) =>
    workbench.rows(view).filter({ hasText: text }).first()
  const versions = () =>
    workbench.page.locator('.pane:has(.pane-header[aria-label^="Memory History"]) .monaco-list-row')
  const tab = (text: string) => workbench.page.locator('.tab.active', { hasText: text })
  const toast = (text: string) => workbench.page.locator('.notification-toast', { hasText: text }).first()
  const press = async (text: string, name: string) =>
    toast(text).getByRole('button', { name, exact: true }).click()
  const size = (text: string) =>
    workbench.page.locator('.statusbar-item[id="loci.loci.loci.limit"]', { hasText: text })
  const lines = () => workbench.page.locator('.editor-instance .view-lines').last()
  const shows = (text: string) => lines().filter({ hasText: text }).waitFor()
  const lens = (name: string) => workbench.page.locator('.codelens-decoration a', { hasText: name }).first()
  const valueOf = async (id: string) => (await loci.letta.blocks.retrieve(id)).value
  const saved = (id: string, value: string) =>
    until(`the block is ${value}`, 15_000, async () => (await valueOf(id)) === value)
  const open = async (id: string) => {
    const { label } = await loci.letta.blocks.retrieve(id)
    await workbench.command('Loci: Open Block')
    await workbench.answer(label ?? '', label ?? '')
  }
  /** Puts the cursor at the end of the text and writes. */
  const write = async (text: string) => {
    await lines().click()
    await workbench.page.keyboard.press('Control+End')
    await workbench.page.keyboard.type(text)
  }
  const close = () => workbench.command('View: Close Editor')
  const save = () => workbench.page.keyboard.press('Control+S')
  /** The agent itself writes into its memory, in a turn. */
  const agentWrites = async (label: string, line: string) => {
    model.add({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label, new_string: line } }] },
    })
    model.add({ reply: { text: 'Noted.' } })
    const messages = [{ role: 'user' as const, content: `Note: ${line}` }]
    await loci.letta.agents.messages.create(agent_id, { messages })
  }

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url, data })
    const scout = await loci.letta.agents.create({
      name: 'Scout',
      model: 'openai/test-model',
      include_base_tools: true,
      memory_blocks: [{ label: 'human', value: 'Name: Ada', limit: 200 }],
    })
    agent_id = scout.id
    human = scout.blocks[0]?.id ?? ''
    workbench = await openWorkbench({
      vsix: VSIX,
      serverUrl: loci.url,
      // In a browser it is on.
      settings: { 'files.autoSave': 'off' },
    })
    await workbench.openLoci()
    await row('Blocks', 'human').waitFor({ timeout: 60_000 })
  })
  after(async () => {
    await workbench?.close()
    await loci?.close()
    await model?.close()
    rmSync(data, { recursive: true, force: true })
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(shots ?? tmpdir(), `failed ${this.currentTest.title.slice(0, 20)}.png`))
  })

  it('opens from its row, says how long it is, and is saved by the editor', async () => {
    await row('Blocks', 'human').click()
    await tab('human.md').waitFor()
    await shows('Name: Ada')
    await size('9 / 200').waitFor()
    await write('\nLikes tea')
    await size('19 / 200').waitFor()
    await save()
    await saved(human, 'Name: Ada\nLikes tea')
    await row('Blocks', 'Likes tea').waitFor()
    await look('block')
  })

  it('warns beyond its limit, and is saved all the same', async () => {
    await write(`\n${'x'.repeat(200)}`)
    await size('220 / 200').waitFor()
    await workbench.page.locator('.statusbar-item.warning-kind', { hasText: '220 / 200' }).waitFor()
    await look('block-limit')
    for (let n = 0; n < 201; n++) await workbench.page.keyboard.press('Backspace')
    await size('19 / 200').waitFor()
    await save()
    await workbench.page.locator('.tab.active:not(.dirty)', { hasText: 'human.md' }).waitFor()
  })

  it('shows what its agent wrote meanwhile, and Undo takes it back', async () => {
    await agentWrites('human', 'Owns a boat')
    await shows('Owns a boat')
    await lens('Scout changed this').waitFor()
    await look('block-agent')
    await lens('Show Changes').click()
    await tab('before ↔ now').waitFor()
    await look('block-agent-diff')
    await close()
    await tab('human.md').waitFor()
    await lens('Undo').click()
    await saved(human, 'Name: Ada\nLikes tea')
    await toast('the change is undone').waitFor()
    await lines().filter({ hasNotText: 'boat' }).waitFor()
  })

  it('is never overwritten when it changed while it was edited: mine', async () => {
    await write('\nPlays chess')
    await agentWrites('human', 'Owns a car')
    await toast('Scout changed the block human while you were editing it').waitFor()
    await shows('Plays chess')
    await look('block-conflict')
    await press('Scout changed the block human', 'Compare')
    await tab('theirs ↔ yours').waitFor()
    await look('block-compare')
    await press('Scout changed the block human', 'Keep Mine')
    await saved(human, 'Name: Ada\nLikes tea\nPlays chess')
    await close()
  })

  it('asks when it is saved over what changed: theirs; and Undo brings the own text back', async () => {
    await tab('human.md').waitFor()
    await write('\nSings')
    await loci.letta.blocks.update(human, { value: 'Name: Ada\nOwns a house' })
    await save()
    await press('You or an app changed the block human', 'Take Theirs')
    await shows('Owns a house')
    await workbench.page.locator('.tab.active:not(.dirty)', { hasText: 'human.md' }).waitFor()
    assert.equal(await valueOf(human), 'Name: Ada\nOwns a house')
    await lines().click()
    await workbench.page.keyboard.press('Control+Z')
    await shows('Sings')
    await save()
    await saved(human, 'Name: Ada\nLikes tea\nPlays chess\nSings')
  })

  it('has a history with who changed what, and any version can be compared and restored', async () => {
    const { page } = workbench
    await workbench.command('Loci: Show Memory History')
    await versions().filter({ hasText: 'Scout' }).first().waitFor()
    await look('block-history')
    for (const name of ['Tools', 'Agents']) await page.locator(`.pane-header[aria-label^="${name}"]`).click()
    const first = versions().filter({ hasText: 'created' })
    await first.waitFor()
    await first.hover()
    await first.getByRole('button', { name: 'Restore This Version' }).click()
    await saved(human, 'Name: Ada')
    await toast('it is again as it was after version 1').waitFor()
    await press('it is again as it was', 'Undo')
    await saved(human, 'Name: Ada\nLikes tea\nPlays chess\nSings')
    await versions().filter({ hasText: 'Owns a boat' }).first().click()
    await page.locator('.tab.active', { hasText: 'Scout' }).waitFor()
    await look('block-version')
    await close()
  })

  it('keeps unsaved text and its version over a reload of the window', async () => {
    const { page } = workbench
    await open(human)
    await tab('human.md').waitFor()
    await write('\nDances')
    // A second later than it is written.
    await until('the text is backed up', 20_000, () => backups(workbench).includes('Dances'))
    await loci.letta.blocks.update(human, { value: 'Elsewhere' })
    await toast('while you were editing it').waitFor()
    await page.reload()
    await page.locator('.tab.active', { hasText: 'human.md' }).waitFor({ timeout: 60_000 })
    await shows('Dances')
    await lines().click()
    await save()
    await press('changed the block human', 'Keep Mine')
    await saved(human, 'Name: Ada\nLikes tea\nPlays chess\nSings\nDances')
  })

  it('has any label, and may be one that only people change', async () => {
    const { id } = await loci.letta.blocks.create({
      label: 'project/“notes” #1?',
      value: 'Rules',
      read_only: true,
    })
    await row('Blocks', 'project/“notes”').click()
    await tab('project∕“notes” #1?.md').waitFor()
    await write('\nBe kind')
    await save()
    await saved(id, 'Rules\nBe kind')
    await workbench.page.locator('.tab.active:not(.dirty)').waitFor()
    await look('block-label')
  })

  it('may have five megabytes', async () => {
    const big = 'All work and no play makes Jack a dull boy.\n'.repeat(120_000)
    const { id } = await loci.letta.blocks.create({ label: 'big', value: big })
    await row('Blocks', 'big').click()
    await tab('big.md').waitFor()
    await size('5,280,000').waitFor()
    await write('The end.')
    await save()
    await until('it is saved', 30_000, async () => (await valueOf(id)).endsWith('boy.\nThe end.'))
    // The editor hears of it a moment later, and would ask what to do with the text.
    await workbench.page.locator('.tab.active:not(.dirty)', { hasText: 'big.md' }).waitFor()
    await close()
    await loci.letta.blocks.delete(id)
  })

  it('that was deleted elsewhere keeps its text, and can be made again', async () => {
    await open(human)
    await tab('human.md').waitFor()
    await shows('Dances')
    await write('\nStays')
    await loci.letta.blocks.delete(human)
    await toast('has been deleted').waitFor()
    await look('block-deleted')
    await press('has been deleted', 'Make It Again')
    await row('Blocks', 'human').filter({ hasText: 'Scout' }).waitFor()
    const { blocks } = await loci.letta.agents.retrieve(agent_id, { include: ['agent.blocks'] })
    assert.match(blocks[0]?.value ?? '', /Dances\nStays$/)
    human = blocks[0]?.id ?? ''
    await tab('human.md').waitFor()
  })

  it('keeps its text while the server is gone, and is saved when it is back', async () => {
    const { url } = loci
    await write('\nStill here')
    await loci.close()
    await save()
    await toast('Failed to save').waitFor({ timeout: 60_000 })
    await look('block-server-gone')
    await shows('Still here')
    loci = await startLoci({ model_url: model.url, data, serve: { port: Number(new URL(url).port) } })
    await until('it is saved', 60_000, async () => {
      await lines().click()
      await save()
      return (await valueOf(human)).endsWith('Still here')
    })
  })
})

/** What the editor keeps of texts that are not saved. */
function backups({ profile }: Workbench): string {
  const user = join(profile.root, 'user')
  return readdirSync(user, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /Backups/i.test(entry.parentPath))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
}
