/** The chat in the real workbench: what a user does in it, and what becomes of it when the window goes away. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Locator } from 'playwright-core'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { openWorkbench, VSIX, type Chat, type Workbench } from './workbench.ts'

const shots = process.env['LOCI_E2E_SHOTS']
// Of the page, in functions that run there: Node's types know no page.
declare function requestAnimationFrame(callback: (time: number) => void): number

describe('the chat in the workbench', () => {
  let model: ScriptedModel
  let loci: TestLoci
  let workbench: Workbench
  let agent_id: string
  const look = async (name: string) => {
    if (!shots) return
    mkdirSync(shots, { recursive: true })
    await workbench.screenshot(join(shots, `${name}.png`))
  }
  const value = async () => (await loci.letta.agents.blocks.retrieve('human', { agent_id })).value
  const edit = (old_string: string, new_string: string) => ({
    name: 'memory_replace',
    arguments: { label: 'human', old_string, new_string },
  })

  before(async () => {
    model = await startScriptedModel()
    loci = await startLoci({ model_url: model.url })
    const memory_blocks = [{ label: 'human', value: 'Name: unknown\nLives in: unknown\n' }]
    agent_id = (await loci.letta.agents.create({ name: 'Scout', model: SCRIPTED, memory_blocks })).id
    workbench = await openWorkbench({ vsix: VSIX, serverUrl: loci.url })
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
      await workbench.screenshot(join(tmpdir(), 'loci-e2e-failed.png'))
  })
  const open = (): Promise<Chat> => workbench.chat('Scout')
  const closeTab = async (tab: Locator) => {
    await workbench.command('View: Close Editor')
    await tab.waitFor({ state: 'detached' })
  }

  it('streams an answer with code in colours', async () => {
    const rest = Promise.withResolvers<void>()
    const text = [
      'Here it is:\n\n```ts\nexport const answer',
      ': number = 42 // of course\n```\n\nThat ',
      'is all.',
    ]
    model.add({ reply: { text, hold: rest.promise, hold_after: 2 } })
    const chat = await open()
    await chat.send('Some code, please')
    await chat.answers().filter({ hasText: 'export const answer' }).waitFor()
    assert.equal(await chat.isBusy(), true)
    rest.resolve()
    await chat.idle()
    await chat.frame.locator('loci-chat .code .hljs-number', { hasText: '42' }).waitFor()
    await look('chat-code')
  })

  it('inserts code into the editor that was active last', async () => {
    const { page } = workbench
    await workbench.command('File: New Untitled Text File')
    const untitled = page.locator('.tab', { hasText: 'Untitled-1' })
    await untitled.waitFor()
    await page.keyboard.type('// before ')
    await page.locator('.tab', { hasText: 'Scout' }).click()
    const chat = await open()
    await chat.frame.locator('loci-chat [data-act="insert"]').click()
    await page.locator('.tab.active', { hasText: 'Untitled-1' }).waitFor()
    await page.locator('.view-lines', { hasText: /before\sexport\sconst\sanswer:\snumber/ }).waitFor()
    // Empty it closes without a question.
    await page.keyboard.press('Control+a')
    await page.keyboard.press('Delete')
    await closeTab(untitled)
  })

  it('shows what a turn made of memory, and takes it back', async () => {
    const chat = await open()
    model.add(
      { reply: { tool_calls: [edit('Name: unknown', 'Name: Ada')] } },
      { reply: { text: 'Hello Ada.' } },
    )
    await chat.send('I am Ada')
    const diff = chat.frame.locator('loci-chat figure.memory')
    await diff.waitFor()
    await workbench.rows('Blocks').filter({ hasText: 'Ada' }).waitFor()
    await look('chat-memory')
    await diff.getByRole('button', { name: 'Undo the edit of human' }).click()
    await diff.getByText('undone').waitFor()
    assert.equal(await value(), 'Name: unknown\nLives in: unknown\n')
  })

  it('asks before a tool runs, and tells the agent why not', async () => {
    await loci.http('PATCH', `/v1/agents/${agent_id}/tools/approval/memory_replace`, {
      requires_approval: true,
    })
    const chat = await open()
    model.add({ reply: { tool_calls: [edit('Lives in: unknown', 'Lives in: London')] } })
    await chat.send('I live in London')
    const asking = chat.frame.locator('loci-chat .asking')
    await asking.waitFor()
    await look('chat-approval')
    await asking.getByText('Deny…').click()
    await asking.locator('input').fill('I was joking')
    model.add({
      expect: (body) => JSON.stringify(body.messages).includes('I was joking'),
      reply: { tool_calls: [edit('Lives in: unknown', 'Lives in: Paris')] },
    })
    await asking.locator('input').press('Enter')
    await chat.frame.locator('loci-chat').getByText('You: I was joking').waitFor()
    await asking.getByText('Approve', { exact: true }).waitFor()
    model.add({ reply: { text: 'Paris it is.' } })
    await asking.getByText('Approve', { exact: true }).click()
    await chat.answers().filter({ hasText: 'Paris it is.' }).waitFor()
    assert.match((await value()) ?? '', /Lives in: Paris/)
    await loci.http('PATCH', `/v1/agents/${agent_id}/tools/approval/memory_replace`, {
      requires_approval: false,
    })
    await chat.idle()
  })

  it('sends a message in other words and sets the first answer aside', async () => {
    const chat = await open()
    model.add({ reply: { text: 'Which Frnce?' } })
    await chat.send('Capital of Frnce?')
    await chat.answers().filter({ hasText: 'Which Frnce?' }).waitFor()
    await chat.idle()
    await chat.frame.locator('loci-chat article.user').last().hover()
    await chat.frame.getByRole('button', { name: 'Edit and resend' }).last().click()
    await chat.frame.locator('loci-chat .edit textarea').fill('Capital of France?')
    await look('chat-edit')
    model.add({
      expect: (body) => !JSON.stringify(body.messages).includes('Frnce'),
      reply: { text: 'Paris.' },
    })
    await chat.frame.locator('loci-chat .edit textarea').press('Enter')
    await chat
      .answers()
      .filter({ hasText: /^\s*Paris\.\s*$/ })
      .waitFor()
    await chat.frame.locator('loci-chat .set-aside').waitFor()
    await chat.idle()
    await look('chat-aside')
  })

  it('forks from a message into a conversation of its own', async () => {
    const chat = await open()
    await chat.answers().first().hover()
    await chat.frame
      .getByRole('button', { name: /^Fork from here/ })
      .nth(1)
      .click()
    const { page } = workbench
    const tab = page.locator('.tab.active', { hasText: 'Scout: conversation' })
    await tab.waitFor()
    const fork = await workbench.webview('loci-chat[conversation-id^="conv-"]')
    await fork.locator('loci-chat .words', { hasText: 'Some code, please' }).waitFor()
    assert.equal(await fork.locator('loci-chat .words').count(), 1)
    await closeTab(tab)
    // The tree has it, and opens it. Rows that have no room are not there.
    await page.locator('.pane-header[aria-label^="Blocks"]').click()
    await page.locator('.pane-header[aria-label^="Tools"]').click()
    await workbench.rows('Agents').filter({ hasText: 'Scout' }).first().locator('.monaco-tl-twistie').click()
    await workbench.rows('Agents').filter({ hasText: 'Conversations' }).locator('.monaco-tl-twistie').click()
    await workbench
      .rows('Agents')
      .filter({ hasText: /^Conversation\d/ })
      .click()
    await tab.waitFor()
    await closeTab(tab)
  })

  it('saves the conversation as Markdown', async () => {
    await open()
    const { page, profile } = workbench
    await workbench.command('Loci: Export Chat to Markdown…')
    const input = page.locator('.quick-input-widget .quick-input-box input')
    await input.waitFor()
    const file = join(profile.workspace, 'scout.md')
    await input.fill(file)
    await page.keyboard.press('Enter')
    await page.locator('.tab.active', { hasText: 'scout.md' }).waitFor()
    const text = await readFile(file, 'utf8')
    assert.match(text, /^# Chat with Scout\n\n## You\n/)
    assert.match(text, /export const answer: number = 42/)
    await closeTab(page.locator('.tab', { hasText: 'scout.md' }))
  })

  it('runs nothing that a model wrote and loads no image', async () => {
    const chat = await open()
    const asked: string[] = []
    workbench.page.on('request', (request) => {
      if (/spy\.test|evil\.test/.test(request.url())) asked.push(request.url())
    })
    const text =
      '<img src="https://spy.test/a.png" onerror="document.title=1"> ![pixel](https://spy.test/p.png)\n\n[quit](command:workbench.action.quit) [js](javascript:alert(1)) [site](https://evil.test)\n\n<script>document.title = 1</script>\n\nDone.'
    model.add({ reply: { text } })
    await chat.send('Be evil')
    const answer = chat.answers().filter({ hasText: 'Done.' })
    await answer.waitFor()
    await chat.idle()
    assert.equal(await answer.locator('script, img').count(), 0)
    assert.deepEqual(
      await answer.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href'))),
      // The first one is the address in the text of the tag.
      ['https://spy.test/a.png', 'https://spy.test/p.png', 'https://evil.test'],
    )
    assert.deepEqual(asked, [])
    await look('chat-hostile')
  })

  it('goes on with a turn after the window was reloaded in the middle of it', async () => {
    const rest = Promise.withResolvers<void>()
    model.add({ reply: { text: ['Before. ', 'After.'], hold: rest.promise, hold_after: 2 } })
    const chat = await open()
    await chat.send('Slowly')
    await chat.answers().filter({ hasText: 'Before.' }).waitFor()
    await chat.frame.locator('loci-chat textarea').fill('half a thought')
    const reloaded = workbench.page.waitForEvent('domcontentloaded')
    await workbench.command('Developer: Reload Window')
    await reloaded
    const again = await open()
    await again.answers().filter({ hasText: 'Before.' }).waitFor()
    assert.equal(await again.isBusy(), true)
    rest.resolve()
    await again.answers().filter({ hasText: 'Before. After.' }).waitFor()
    await again.idle()
    assert.equal(await again.frame.locator('loci-chat textarea').inputValue(), 'half a thought')
    assert.equal(await again.frame.locator('loci-chat .words', { hasText: /^Slowly$/ }).count(), 1)
    await again.frame.locator('loci-chat textarea').fill('')
  })

  it('stays readable when its agent is deleted in another window', async () => {
    const other = await loci.letta.agents.create({ name: 'Gone', model: SCRIPTED })
    await workbench.rows('Agents').filter({ hasText: 'Gone' }).click()
    const chat = await workbench.chat('Gone')
    model.add({ reply: { text: 'I was here.' } })
    await chat.send('Hello')
    await chat.answers().filter({ hasText: 'I was here.' }).waitFor()
    await chat.idle()
    await loci.letta.agents.delete(other.id)
    await chat.frame.getByText('does not exist any more').waitFor()
    assert.equal(await chat.answers().count(), 1)
    await closeTab(workbench.page.locator('.tab', { hasText: 'Gone' }))
  })

  it('shows a conversation in the side bar', async () => {
    const scout = workbench.rows('Agents').filter({ hasText: 'Scout' }).first()
    await scout.click({ button: 'right' })
    await workbench.page.locator('.monaco-menu .action-item', { hasText: 'Open Chat in Side Bar' }).hover()
    await workbench.page.keyboard.press('Enter')
    const frame = await workbench.webview('loci-chat[place="side"] article.assistant')
    await frame.locator('loci-chat .words', { hasText: 'Slowly' }).waitFor()
    await look('chat-side')
    await workbench.openLoci()
  })

  it('scrolls through 10,000 messages', async function () {
    this.timeout(240_000)
    const initial_message_sequence = Array.from({ length: 10_000 }, (_, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: i % 2 === 0 ? `Question ${i}` : `Answer **${i}**: ${'some words. '.repeat((i * 7) % 40)}`,
    }))
    await loci.letta.agents.create({ name: 'Old', model: SCRIPTED, initial_message_sequence })
    await workbench.rows('Agents').filter({ hasText: 'Old' }).click()
    const chat = await workbench.chat('Old')
    const list = chat.frame.locator('loci-chat .list')
    await chat.answers().filter({ hasText: 'Answer 9999' }).waitFor()
    const begun = performance.now()
    await eventually(
      'the first message',
      async () => {
        await list.evaluate((el) => void (el.scrollTop = 0))
        return (await chat.frame.locator('loci-chat .words', { hasText: /^Question 0$/ }).count()) > 0 || null
      },
      120_000,
    )
    console.log(`      read 10,000 messages upwards in ${Math.round(performance.now() - begun)} ms`)
    const times = await list.evaluate(async (el) => {
      const frames: number[] = []
      let last = performance.now()
      for (let i = 0; i < 180; i++) {
        el.scrollTop += 200
        await new Promise(requestAnimationFrame)
        frames.push(performance.now() - last)
        last = performance.now()
      }
      return frames.sort((a, b) => a - b)
    })
    const at = (share: number) => (times[Math.floor(times.length * share)] ?? 0).toFixed(1)
    console.log(
      `      frame times while scrolling: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(0.999)} ms`,
    )
    assert.ok(Number(at(0.5)) < 50, `a frame takes ${at(0.5)} ms`)
    assert.ok((await chat.frame.locator('loci-chat .rows > .row').count()) < 100)
  })

  it('looks right in light, too', async () => {
    await workbench.page
      .locator('.tab', { hasText: /^Scout/ })
      .first()
      .click()
    await workbench.command('Preferences: Toggle between Light/Dark Themes')
    const chat = await open()
    await chat.frame.locator('body.vscode-light').waitFor()
    await look('chat-light')
    const list = chat.frame.locator('loci-chat .list')
    await list.evaluate((el) => void (el.scrollTop = 0))
    await chat.frame.locator('loci-chat .code').waitFor()
    await look('chat-light-top')
  })
})

describe('the chat over a server of the window', () => {
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

  it('goes on with a turn whose server ended with the window', async () => {
    model.add({
      reply: { text: ['Half of', ' it'], hold: new Promise(() => undefined), hold_after: 2 },
    })
    const chat = await workbench.newAgent('Scout', 'openai/test-model')
    await chat.send('All of it, please')
    await chat.answers().filter({ hasText: 'Half of' }).waitFor()
    // The step is taken again by the server of the new window.
    model.add({ reply: { text: 'All of it.' } })
    const reloaded = workbench.page.waitForEvent('domcontentloaded')
    await workbench.command('Developer: Reload Window')
    await reloaded
    const again = await workbench.chat('Scout')
    await again.answers().filter({ hasText: 'All of it.' }).waitFor({ timeout: 60_000 })
    await again.idle()
    assert.equal(await again.answers().count(), 1, 'what was half is gone')
    assert.equal(await again.frame.locator('loci-chat .words').count(), 1)
    await model.done()
  })
})
