/** The views and what can be done in them, as a user does it: with the mouse, menus, keys and dialogs. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Locator } from 'playwright-core'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { until } from './code-server.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']

describe('the views of Loci', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  const look = async (name: string) => {
    if (shots) await workbench.screenshot(join(shots, `${name}.png`))
  }
  const row = (view: 'Agents' | 'Blocks' | 'Tools', text: string) =>
    workbench.rows(view).filter({ hasText: text }).first()
  const menu = async (view: 'Agents' | 'Blocks' | 'Tools', text: string, item: string) => {
    await row(view, text).click({ button: 'right' })
    // A menu takes a click for one only some time after it has opened; a key it takes at once.
    await workbench.page.locator('.monaco-menu .action-item', { hasText: item }).first().hover()
    await workbench.page.keyboard.press('Enter')
  }
  const drag = async (from: Locator, to: Locator) => {
    // The events of a drag one by one: the browser's own drag does not leave the first view without a real pointer.
    const dataTransfer = await workbench.page.evaluateHandle('new DataTransfer()')
    const at = async (row: Locator) => {
      const box = await row.boundingBox()
      assert.ok(box)
      return { dataTransfer, clientX: box.x + 70, clientY: box.y + 10 }
    }
    await from.dispatchEvent('dragstart', await at(from))
    for (const event of ['dragenter', 'dragover']) await to.dispatchEvent(event, await at(to))
    await to.and(workbench.page.locator('.drop-target')).waitFor()
    await to.dispatchEvent('drop', await at(to))
    await from.dispatchEvent('dragend', await at(from))
  }
  const toast = (text: string) => workbench.page.locator('.notification-toast', { hasText: text }).first()

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    const { letta } = loci
    const team = await letta.blocks.create({ label: 'team', value: 'We ship on Fridays.' })
    await letta.agents.create({
      name: 'Scout',
      model: 'openai/test-model',
      memory_blocks: [{ label: 'human', value: 'Name: Ada' }],
      block_ids: [team.id ?? ''],
    })
    await letta.agents.create({ name: 'Helper', model: 'loci/demo' })
    workbench = await openWorkbench({ vsix: VSIX, serverUrl: loci.url })
    await workbench.openLoci()
    await row('Agents', 'Helper').waitFor({ timeout: 60_000 })
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

  it('say in the status bar which server is used, and what can be done with it', async () => {
    const { page } = workbench
    const item = page.locator('.statusbar-item', { hasText: `Loci ${new URL(loci.url).host}` })
    await item.click()
    for (const text of ['Copy Server URL and Token', 'Connect to Server…', 'Run Diagnostics'])
      await page.locator('.quick-input-list', { hasText: text }).waitFor()
    await look('menu')
    await page.keyboard.press('Escape')
  })

  it('attach a block that is dragged onto an agent', async () => {
    await drag(row('Blocks', 'team'), row('Agents', 'Helper'))
    await row('Blocks', 'Scout, Helper').waitFor()
    const [helper] = (await loci.letta.agents.list({ name: 'Helper', include: ['agent.blocks'] })).items
    assert.deepEqual(
      helper?.blocks.map((block) => block.label),
      ['team'],
    )
  })

  it('detach it with Undo', async () => {
    await row('Agents', 'Helper').locator('.monaco-tl-twistie').click()
    const attached = workbench.page.getByRole('treeitem', { name: 'Memory block team: We ship' })
    await attached.hover()
    await attached.getByRole('button', { name: 'Detach' }).click()
    await row('Blocks', 'Scout · We ship').waitFor()
    await toast('Detached team from Helper').getByRole('button', { name: 'Undo' }).click()
    await row('Blocks', 'Scout, Helper').waitFor()
    await look('trees')
  })

  it('show that an agent works, and that its turn has failed', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['Thinking', ' done.'], hold: rest.promise } })
    const [scout] = (await loci.letta.agents.list({ name: 'Scout' })).items
    const send = (content: string) =>
      loci.letta.agents.messages.create(scout?.id ?? '', { messages: [{ role: 'user', content }] })
    const answer = send('Think')
    await row('Agents', 'working').waitFor()
    await look('working')
    rest.resolve()
    await answer
    await row('Agents', 'working').waitFor({ state: 'detached' })
    model.add({ reply: { status: 401, body: { error: { message: 'no such key' } } } })
    await assert.rejects(send('Again'))
    await row('Agents', 'last turn failed').waitFor()
    await look('failed')
  })

  it('show that a tool call waits for approval, and that it does no more', async () => {
    const { letta } = loci
    const agent = await letta.agents.create({
      name: 'Careful',
      model: 'openai/test-model',
      memory_blocks: [{ label: 'human', value: '' }],
    })
    const call = { agent_id: agent.id, body_requires_approval: true }
    await letta.agents.tools.updateApproval('memory_insert', call)
    model.add({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }] },
    })
    await letta.agents.messages.create(agent.id, { messages: [{ role: 'user', content: 'Note x' }] })
    await row('Agents', 'waiting for approval').waitFor()
    await look('approval')
    await letta.agents.messages.cancel(agent.id)
    await row('Agents', 'waiting for approval').waitFor({ state: 'detached' })
    await letta.agents.delete(agent.id)
    await row('Agents', 'Careful').waitFor({ state: 'detached' })
  })

  it('rename with F2', async () => {
    await row('Agents', 'Helper').click()
    await workbench.chat('Helper')
    await workbench.command('Loci: Focus on Agents View')
    await workbench.page.keyboard.press('F2')
    await workbench.answer('Assistant')
    await row('Agents', 'Assistant').waitFor()
    await workbench.page.locator('.tab', { hasText: 'Assistant' }).waitFor()
  })

  it('delete an agent after asking, and Undo brings it back with its memory and what it shares', async () => {
    const { page } = workbench
    await menu('Agents', 'Assistant', 'Delete')
    const dialog = page.locator('.monaco-dialog-box')
    assert.match(await dialog.innerText(), /Undo brings back memory/)
    await look('delete')
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await row('Agents', 'Assistant').waitFor({ state: 'detached' })
    await toast('Deleted agent Assistant').getByRole('button', { name: 'Undo' }).click()
    await row('Agents', 'Assistant').waitFor()
    await row('Blocks', 'Scout, Assistant').waitFor()
    // Its chat goes on with it, under its new id.
    await workbench.webview('loci-chat textarea[aria-label="Message to Assistant"]:enabled')
    // Shared, not copied: the copy that came with the agent goes again.
    await workbench.rows('Blocks').filter({ hasText: 'team' }).nth(1).waitFor({ state: 'detached' })
  })

  it('are filtered', async () => {
    await workbench.command('Loci: Filter Agents…')
    await workbench.answer('scou')
    await row('Agents', 'Assistant').waitFor({ state: 'detached' })
    await row('Agents', 'Scout').waitFor()
    await workbench.page.getByText('Only what has “scou”').waitFor()
    await look('filtered')
    await workbench.page.locator('.pane-header[aria-label^="Agents"]').hover()
    await workbench.page.getByRole('button', { name: 'Clear Filter' }).click()
    await row('Agents', 'Assistant').waitFor()
  })

  it('make a block that agents share', async () => {
    const { page } = workbench
    await workbench.command('Loci: New Block')
    await workbench.answer('style')
    await page.locator('.quick-input-widget', { hasText: 'Description' }).waitFor()
    await workbench.answer('How to write')
    await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Scout' }).click()
    await page.locator('.quick-input-widget .monaco-button', { hasText: 'OK' }).first().click()
    await row('Blocks', 'style').filter({ hasText: 'Scout' }).waitFor()
  })

  it('connect a model provider, naming address and cause until it answers', async () => {
    const { page } = workbench
    const title = (text: string) => page.locator('.quick-input-widget', { hasText: text }).waitFor()
    await workbench.command('Loci: Connect Model Provider…')
    await workbench.answer('Another OpenAI', 'Another OpenAI-compatible server')
    await title('Name')
    await workbench.answer('mine')
    await title('Address')
    await workbench.answer('http://127.0.0.1:1/v1')
    await title('Key')
    await workbench.answer('secret-key')
    const dialog = page.locator('.monaco-dialog-box')
    await dialog.waitFor()
    const said = await dialog.innerText()
    assert.ok(said.includes('http://127.0.0.1:1/v1') && !said.includes('secret-key'), said)
    await look('provider')
    await dialog.getByRole('button', { name: 'Change Address or Key' }).click()
    await title('Address')
    await workbench.answer(model.url)
    await title('Key')
    await workbench.answer('')
    await toast('mine is connected, with').waitFor()
    const models = await loci.letta.models.list()
    assert.ok(models.some(({ handle }) => handle === 'mine/test-model'))
  })

  it('write the MCP server into the folder, after showing what changes', async () => {
    const { page } = workbench
    const file = join(workbench.profile.workspace, '.vscode', 'mcp.json')
    await workbench.command('Loci: Install MCP Server into This Editor')
    await page.locator('.quick-input-widget', { hasText: 'Write Loci’s MCP server to' }).waitFor()
    await page.locator('.tab.active', { hasText: 'mcp.json' }).waitFor()
    assert.equal(existsSync(file), false, 'nothing is written before')
    await look('mcp-json')
    await workbench.answer('Write', 'Write')
    await until('the file is there', 10_000, () => existsSync(file))
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
      servers: { loci: { type: 'http', url: `${loci.url}/mcp` } },
    })
    await page.keyboard.press('Escape')
  })
})
