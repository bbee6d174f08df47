/** One user, the real workbench, the real package: from the empty container to an agent that knows who it talks with. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { openWorkbench, VSIX, type Workbench } from './workbench.ts'

const images = join(import.meta.dirname, '..', '..', 'docs', 'images')

describe('Loci in the workbench', () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'loci-data-'))
  let model: ScriptedModel
  let workbench: Workbench

  before(async () => {
    model = await startScriptedModel()
    const env = { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: model.url }
    workbench = await openWorkbench({ vsix: VSIX, dataDirectory, env })
  })
  after(async () => {
    await workbench?.close()
    await model?.close()
    rmSync(dataDirectory, { recursive: true, force: true })
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await workbench.screenshot(join(tmpdir(), 'loci-e2e-failed.png'))
  })

  it('greets with what to do first and the tools there are', async () => {
    await workbench.openLoci()
    await workbench.page.getByText('No agents yet.').waitFor({ timeout: 60_000 })
    await workbench.page.getByRole('treeitem', { name: /^Built-in, \d+/ }).waitFor()
    await workbench.page.locator('.statusbar-item', { hasText: 'Loci' }).waitFor()
    assert.ok(existsSync(join(dataDirectory, 'loci.db')), 'the data lie where loci.dataDirectory says')
  })

  it('creates an agent, tells it something, and sees its memory change', async () => {
    const chat = await workbench.newAgent('Scout', 'loci/demo')
    await workbench.rows('Agents').filter({ hasText: 'Scout' }).waitFor()
    const human = workbench.rows('Blocks').filter({ hasText: 'human' })
    await human.filter({ hasText: '(empty)' }).waitFor()

    await chat.send('My name is Ada and I live in London')
    // The tool's result is drawn when the server has committed the edit.
    await chat.frame.locator('loci-chat details.tool.success').first().waitFor()
    const edited = Date.now()
    await human.filter({ hasText: 'Ada' }).waitFor()
    const took = Date.now() - edited
    console.log(`      the Blocks view showed the edit after ${took} ms`)
    await chat.idle()
    assert.match(await chat.answers().last().innerText(), /Name: Ada; Lives in: London/)

    await chat.send('Where do I live?')
    await chat.answers().filter({ hasText: 'Lives in: London' }).nth(1).waitFor()
    assert.equal(await workbench.page.locator('.notification-toast').count(), 0, 'nothing to complain about')
  })

  it('keeps a draft and the conversation while the tab is hidden', async () => {
    const { page } = workbench
    await (await workbench.chat('Scout')).frame.locator('textarea').fill('half a sentence')
    await workbench.command('File: New Untitled Text File')
    await page.locator('.tab.active', { hasText: 'Untitled-1' }).waitFor()
    await page.locator('.tab', { hasText: 'Scout' }).click()
    const again = await workbench.chat('Scout')
    await again.answers().nth(1).waitFor()
    assert.equal(await again.frame.locator('textarea').inputValue(), 'half a sentence')
    assert.deepEqual(await again.frame.locator('article.user').allInnerTexts(), [
      'My name is Ada and I live in London',
      'Where do I live?',
    ])
    await again.frame.locator('textarea').fill('')
  })

  it('comes back as it was when the window is reloaded', async () => {
    await (await workbench.chat('Scout')).frame.locator('textarea').fill('unsent')
    const reloaded = workbench.page.waitForEvent('domcontentloaded')
    await workbench.command('Developer: Reload Window')
    await reloaded
    const again = await workbench.chat('Scout')
    await again.answers().nth(1).waitFor()
    assert.equal(await again.frame.locator('textarea').inputValue(), 'unsent')
    await again.frame.locator('textarea').fill('')
    await workbench.rows('Blocks').filter({ hasText: 'Ada' }).waitFor()
  })

  it('shows an answer while it is written', async () => {
    const rest = Promise.withResolvers<void>()
    const text = ['Once **upon', '** a time', ' there was', ' a *memory*.']
    // After the role and two deltas the model waits for us.
    model.add({ reply: { text, hold: rest.promise, hold_after: 3 } })
    const chat = await workbench.newAgent('Writer', 'openai/test-model')
    await chat.send('Tell me a story')
    await chat.answers().filter({ hasText: 'Once upon a time' }).waitFor()
    assert.equal(await chat.answers().last().innerText(), 'Once upon a time')
    assert.equal(await chat.isBusy(), true)
    rest.resolve()
    await chat.idle()
    assert.equal(await chat.answers().last().innerText(), 'Once upon a time there was a memory.')
    assert.equal(await chat.answers().last().locator('strong').innerText(), 'upon')
  })

  it('goes on with a turn whose tab is closed, and shows it when opened again', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['First half', ' and second half.'], hold: rest.promise, hold_after: 2 } })
    const chat = await workbench.chat('Writer')
    await chat.send('Slowly, please')
    await chat.answers().filter({ hasText: 'First half' }).waitFor()
    await workbench.command('View: Close Editor')
    await workbench.page.locator('.tab', { hasText: 'Writer' }).waitFor({ state: 'detached' })
    await workbench.rows('Agents').filter({ hasText: 'Writer' }).first().click()
    const again = await workbench.chat('Writer')
    await again.answers().filter({ hasText: 'First half' }).waitFor()
    assert.equal(await again.isBusy(), true)
    rest.resolve()
    await again.answers().filter({ hasText: 'First half and second half.' }).waitFor()
    await again.idle()
    assert.deepEqual(await again.frame.locator('article.user').allInnerTexts(), [
      'Tell me a story',
      'Slowly, please',
    ])
  })

  it('stops an answer', async () => {
    model.add({
      reply: { text: ['Begun', ' and never ended'], hold: new Promise(() => undefined), hold_after: 2 },
    })
    const chat = await workbench.chat('Writer')
    await chat.send('Go on for ever')
    await chat.answers().filter({ hasText: 'Begun' }).waitFor()
    await chat.frame.getByRole('button', { name: 'Stop the answer' }).click()
    await chat.frame.getByText('Stopped.').waitFor()
    await chat.idle()
  })

  it('says what failed, where, and tries again', async () => {
    model.add({ reply: { status: 401, body: { error: { message: 'Incorrect API key provided: te**st' } } } })
    const chat = await workbench.chat('Writer')
    await chat.send('Hello?')
    const failure = chat.frame.locator('loci-chat .failure')
    await failure.waitFor()
    const said = await failure.innerText()
    assert.ok(said.includes('Incorrect API key provided') && said.includes(new URL(model.url).host), said)
    model.add({ reply: { text: 'Here I am.' } })
    await failure.getByText('Retry').click()
    await chat.answers().filter({ hasText: 'Here I am.' }).waitFor()
    assert.equal(await failure.count(), 0)
    await chat.idle()
    await model.done()
  })

  it('looks as in docs/images/workbench.png', async () => {
    const { page } = workbench
    await page.locator('.tab', { hasText: 'Scout' }).click()
    await workbench.command('View: Close Other Editors in Group')
    await page.locator('.tab').nth(1).waitFor({ state: 'detached' })
    await (await workbench.chat('Scout')).answers().nth(1).waitFor()
    const scout = workbench.rows('Agents').filter({ hasText: 'Scout' })
    await scout.locator('.monaco-tl-twistie').click()
    await workbench.rows('Agents').filter({ hasText: 'persona' }).waitFor()
    // Room for the descriptions; then the focus goes where the user writes.
    await page.mouse.move(350, 600)
    await page.mouse.down()
    await page.mouse.move(440, 600, { steps: 4 })
    await page.mouse.up()
    await scout.first().click()
    const chat = await workbench.chat('Scout')
    await chat.frame.locator('textarea').click()
    mkdirSync(images, { recursive: true })
    await workbench.screenshot(join(images, 'workbench.png'))
  })
})
